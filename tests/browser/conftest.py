"""A real browser before the demo's real servers."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import demo
import pytest
from selenium import webdriver

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMEDRIVER = shutil.which("chromedriver")
SWITCHES = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--hide-scrollbars",
]


def free_ports() -> tuple[int, int]:
    here = ("127.0.0.1", 0)
    with socket.create_server(here) as one, socket.create_server(here) as other:
        return one.getsockname()[1], other.getsockname()[1]


@pytest.fixture
def demo_url(tmp_path: Path) -> Iterator[str]:
    """Run the demo on free ports, and give the address of its example."""
    port, sandbox_port = free_ports()
    with demo.running(tmp_path / "demo", port, sandbox_port):
        yield f"http://{demo.HOST}:{port}"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    """Start a Chromium that knows nothing yet."""
    if not (CHROMIUM and CHROMEDRIVER):
        reason = "There is no Chromium with chromedriver here."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in [*SWITCHES, f"--user-data-dir={tmp_path / 'profile'}"]:
        options.add_argument(switch)
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()
