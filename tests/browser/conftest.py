"""A real browser before real servers: the example platform and the sandbox."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from crowdfunding import create_app
from crowdfunding.extensions import db
from flask import Flask
from selenium import webdriver
from serving import UNPOOLED, serving
from visitor import Visitor

from flask_wepay.sandbox.server import LiveSandbox

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


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """Start a Chromium, once."""
    if not (CHROMIUM and CHROMEDRIVER):
        reason = "There is no Chromium with chromedriver here."
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for switch in [*SWITCHES, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(switch)
    driver = webdriver.Chrome(options, webdriver.ChromeService(CHROMEDRIVER))
    yield driver
    driver.quit()


@pytest.fixture
def sandbox() -> Iterator[LiveSandbox]:
    """A sandbox that delivers its IPNs, as the command's does."""
    with LiveSandbox(delivers=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the platform's database with its seeds, once."""
    database = tmp_path_factory.mktemp("platform") / "seeded.sqlite"
    app = make_platform(database)
    with app.app_context():
        db.create_all()
        app.test_cli_runner().invoke(args=["seed"])
        db.engine.dispose()
    return database


@pytest.fixture
def app(sandbox: LiveSandbox, seeded: Path, tmp_path: Path) -> Iterator[Flask]:
    """The example platform; tests of other applications have an ``app`` of their own."""
    app = make_platform(shutil.copy(seeded, tmp_path), sandbox.url)
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    """Serve the application, and give its address."""
    with serving(app) as server:
        # Cookies do not tell ports apart.
        app.config["SESSION_COOKIE_NAME"] = f"session_{server.port}"
        yield f"http://127.0.0.1:{server.port}"


def make_platform(database: Path, sandbox_url: str = "http://127.0.0.1:1"):
    return create_app(
        {
            "DEMO": True,
            "SECRET_KEY": "a secret of the tests",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{database}",
            "SQLALCHEMY_ENGINE_OPTIONS": UNPOOLED,
            "WEPAY_SANDBOX_URL": sandbox_url,
        }
    )


@pytest.fixture(params=[1200, 390], ids=["wide", "narrow"])
def visitor(
    request: pytest.FixtureRequest, chromium: webdriver.Chrome, site: str, tmp_path: Path
) -> Iterator[Visitor]:
    """Somebody with an empty browser, a wide one and a narrow one."""
    chromium.get("about:blank")
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})
    chromium.get_log("browser")
    visitor = Visitor(chromium, site, tmp_path / "pictures", width=request.param)
    yield visitor
    visitor.close_other_windows()
    complaints = [entry for entry in chromium.get_log("browser") if entry["level"] == "SEVERE"]
    assert not [entry for entry in complaints if entry["message"] not in visitor.expected]
