"""Pages whose scripts ask for what wants a connection, under a strict policy for contents."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from applications import MakeApp
from flask import Flask, send_file
from flask_talisman import Talisman
from serving import UNPOOLED
from visitor import Visitor

from flask_wepay import current_wepay, wepay_required
from flask_wepay.sandbox.server import LiveSandbox

only_wide = pytest.mark.parametrize("visitor", [1200], indirect=True)

BOARD = """<!doctype html>
<html lang="en"><meta name="viewport" content="width=device-width"><title>Board</title>
<meta name="htmx-config" content='{"includeIndicatorStyles": false, "includeIndicatorCSS": false}'>
<h1>Board</h1>
<p id="account">Nothing yet</p>
<script src="/htmx.js"></script>
<button hx-get="/api/account" hx-target="#account">Look up</button>
<button hx-post="/api/account" hx-target="#account">Send</button>
<p hx-boost="true"><a href="/account">Account</a></p>
"""
POLL = """
const [times, done] = arguments
const answers = []
for (let i = 0; i < times; i++) {
  const answer = await fetch("/api/account")
  answers.push([answer.status, await answer.json()])
}
done(answers)
"""


@pytest.fixture(params=["2"])
def htmx(request: pytest.FixtureRequest) -> Path:
    """The htmx of this major version, as another package brings it."""
    (folder,) = find_spec("django_htmx").submodule_search_locations
    return Path(folder, "static", "django_htmx", f"htmx-{request.param}.min.js")


@pytest.fixture
def app(make_app: MakeApp, sandbox: LiveSandbox, htmx: Path, tmp_path: Path) -> Flask:
    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'board.sqlite'}",
        SQLALCHEMY_ENGINE_OPTIONS=UNPOOLED,
        WEPAY_SANDBOX_URL=sandbox.url,
    )
    Talisman(app, force_https=False, session_cookie_secure=False)
    app.add_url_rule("/board", "board", lambda: BOARD)
    app.add_url_rule("/favicon.ico", "icon", lambda: ("", 204))
    app.add_url_rule("/htmx.js", "htmx", lambda: send_file(htmx))

    @app.route("/api/account", methods=["GET", "POST"])
    @wepay_required
    def api() -> dict[str, Any]:
        return {"user_id": current_wepay.user_id}

    @app.get("/account")
    @wepay_required
    def account() -> str:
        return f"<!doctype html><title>Account</title><h1>User {current_wepay.user_id}</h1>"

    return app


@pytest.fixture
def board(visitor: Visitor) -> Visitor:
    """Somebody who is logged in, and looks at the board."""
    visitor.open("/as/alice")
    visitor.open("/board")
    return visitor


def expect_refusals(visitor: Visitor) -> None:
    """Let the console name what the page's scripts were refused."""
    visitor.expected.append(
        f"{visitor.home}/api/account - Failed to load resource:"
        " the server responded with a status of 403 (FORBIDDEN)"
    )


@only_wide
def test_polls_while_a_login_is_under_way(board: Visitor) -> None:
    """However often a page asks meanwhile, the login in the other window is finished."""
    expect_refusals(board)
    board.browser.execute_script("window.open('/wepay/login?next=/account', 'other')")

    answers = board.browser.execute_async_script(POLL, 8)

    connect_url = "/wepay/login?next=/board"
    assert [(status, problem["connect_url"]) for status, problem in answers] == [
        (403, connect_url)
    ] * 8
    (other,) = set(board.browser.window_handles) - {board.window}
    board.browser.switch_to.window(other)
    board.click("Allow")
    board.sees("User 1")
    board.close_other_windows()
    ((status, account),) = board.browser.execute_async_script(POLL, 1)
    assert (status, list(account)) == (200, ["user_id"])


@only_wide
@pytest.mark.parametrize("htmx", ["2", "4"], indirect=True)
@pytest.mark.parametrize(
    ("pressed", "back"), [("Look up", "/board"), ("Send", "/board"), ("Account", "/account")]
)
def test_htmx(board: Visitor, htmx: Path, pressed: str, back: str) -> None:
    """Htmx leads the browser itself to WePay, and from there back to the page."""
    expect_refusals(board)
    board.expected.append(board.expected[-1].replace("/api", ""))

    board.browser.find_element("xpath", f"//*[text()='{pressed}']").click()
    board.click("Allow")

    board.wait.until(lambda browser: browser.current_url == board.home + back)


def test_style_of_the_pages(board: Visitor) -> None:
    """Under the policy of Flask-Talisman's defaults the pages have their style."""
    board.open("/wepay/callback?error=access_denied")
    board.expect("403 (FORBIDDEN)")

    board.sees("You did not connect with WePay")
    board.take_picture("1-denied")
    button = board.find("Go on without WePay")
    assert button.value_of_css_property("background-color") == "rgba(26, 111, 176, 1)"
