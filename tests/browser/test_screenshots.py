"""The pictures in the documentation show today's pages; ``make screenshots`` takes them anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from reading import DOCS, MakeApp, Reader
from selenium.webdriver import Chrome
from visitor import Visitor

from flask_wepay.sandbox.server import LiveSandbox

#: Where the pictures go, if they are to stay. They show the port that the pages name.
ALBUM = os.environ.get("WEPAY_SCREENSHOTS")
PORT = "5000" if ALBUM else "0"


class Photographer(Visitor):
    """A visitor who takes pictures of whole pages."""

    def __init__(self, browser: Chrome, home: str, album: Path, width: int = 800) -> None:
        super().__init__(browser, home, album, width)
        self.taken: list[str] = []
        browser.get("about:blank")
        browser.execute_cdp_cmd("Network.clearBrowserCookies", {})

    def take_picture(self, name: str) -> None:
        self.resize(100)
        self.resize(self.browser.execute_script("return document.documentElement.scrollHeight"))
        super().take_picture(name)
        self.resize(900)
        self.taken.append(f"{name}.png")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    return Path(ALBUM) if ALBUM else tmp_path / "album"


@pytest.fixture
def reader(
    tmp_path: Path, make_app: MakeApp, sandbox: LiveSandbox, monkeypatch: pytest.MonkeyPatch
) -> Reader:
    sandbox.set_clock("2026-03-01T12:00:00Z", frozen=True)
    return Reader(tmp_path, make_app, sandbox, monkeypatch)


@contextmanager
def flask(directory: Path, name: str, sandbox: LiveSandbox) -> Iterator[str]:
    """Run an application as its reader does, and give its address."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FLASK_")} | {
        "FLASK_APP": name,
        "FLASK_SECRET_KEY": "dev",
        "FLASK_WEPAY_ENVIRONMENT": "sandbox",
        "FLASK_WEPAY_SANDBOX_URL": sandbox.url,
    }
    command = [sys.executable, "-m", "flask"]
    if name == "barnraiser":
        subprocess.run([*command, "init-db"], cwd=directory, env=environment, check=True)
    with subprocess.Popen(
        [*command, "run", "--port", PORT],
        cwd=directory,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stderr
        lines = (re.search(r"Running on (http://\S+)", line) for line in server.stderr)
        address = next((found[1] for found in lines if found), None)
        try:
            assert address, "The server did not start."
            yield address
        finally:
            server.terminate()


def pictures(name: str) -> list[str]:
    """Return the pictures that the documentation has."""
    return sorted(path.name for path in DOCS.glob(f"images/{name}*.png"))


def test_demo(chromium: Chrome, site: str, album: Path) -> None:
    """The picture of the demo is one of its pages."""
    visitor = Photographer(chromium, site, album, width=1200)

    visitor.connect()
    visitor.open("/campaigns/3")
    visitor.fill("amount", "40")
    visitor.click("Donate with WePay")
    visitor.click("Pay $40.00")
    visitor.open("/dashboard")
    visitor.sees("authorized")
    visitor.take_picture("demo")

    assert visitor.taken == pictures("demo")


def test_quickstart(
    chromium: Chrome, reader: Reader, sandbox: LiveSandbox, tmp_path: Path, album: Path
) -> None:
    """Somebody who follows the quickstart sees what its pictures show."""
    reader.take("quickstart")

    with flask(tmp_path, "app", sandbox) as address:
        visitor = Photographer(chromium, address, album)
        visitor.open("/")
        visitor.click("Connect with WePay")
        visitor.take_picture("quickstart-authorize")
        visitor.click("Allow")
        visitor.sees("bill@example.com")

    assert visitor.taken == pictures("quickstart")


def test_tutorial(
    chromium: Chrome, reader: Reader, sandbox: LiveSandbox, tmp_path: Path, album: Path
) -> None:
    """Somebody who follows the tutorial sees what its pictures show."""
    steps = (DOCS / "tutorial.rst").read_text()
    for page in re.findall(r"^   (tutorial_\w+)$", steps, re.MULTILINE):
        reader.take(page)

    with flask(tmp_path, "barnraiser", sandbox) as address:
        visitor = Photographer(chromium, address, album)
        visitor.open("/")
        visitor.fill("name", "Robin")
        visitor.click("Log in")
        visitor.click("Connect with WePay")
        visitor.click("Allow")
        visitor.sees("You are connected")
        visitor.take_picture("tutorial-connected")
        visitor.click("Start a campaign")
        visitor.fill("title", "A barn for the village")
        visitor.click("Start")
        visitor.click("Donate with WePay")
        visitor.take_picture("tutorial-pay")
        visitor.click("Pay $25.00")
        visitor.sees("Thank you!")
        visitor.take_picture("tutorial-thanks")
        visitor.click("A barn for the village")
        visitor.fill("amount", "40")
        visitor.click("Donate with WePay")
        visitor.click("Pay $40.00")
        visitor.click("A barn for the village")
        visitor.sees("has raised $65.")
        visitor.take_picture("tutorial-campaign")
        visitor.click("Refund")
        visitor.sees("cancelled")
        visitor.take_picture("tutorial-refund")
        visitor.open(f"{sandbox.url}/settings")
        visitor.click("Bill Baker")
        visitor.take_picture("tutorial-settings")
        visitor.click("Revoke Sandbox application")
        visitor.wait.until(lambda _: all(ipn.delivered for ipn in sandbox.ipns))
        visitor.open("/campaigns/1")
        visitor.sees("takes no donations at the moment")
        visitor.take_picture("tutorial-closed")

    assert sorted(visitor.taken) == pictures("tutorial")
