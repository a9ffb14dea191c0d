"""A login in a window of its own, in a real browser, under a strict policy for contents."""

from __future__ import annotations

from pathlib import Path

import pytest
from applications import MakeApp
from flask import Flask, render_template_string, request
from flask_talisman import Talisman
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from serving import UNPOOLED
from visitor import Visitor

from flask_wepay.sandbox.server import LiveSandbox

PAGE = """<!doctype html>
<html lang="en"><meta name="viewport" content="width=device-width"><title>Shop</title>
<h1>Shop</h1>
<p><a href="/wepay/login?next=/shop" data-wepay-popup>Connect with WePay</a></p>
<script src="/wepay/_static/connect.js" defer></script>
"""
BUTTONS = """<!doctype html>
<html lang="en"><meta name="viewport" content="width=device-width"><title>Account</title>
<link rel="stylesheet" href="/wepay/_static/pages.css">
<main><h1>Account</h1><p class="actions">{{ wepay_connect_button(popup=true) }}</p></main>
<script src="/wepay/_static/connect.js" defer></script>
"""
#: What a page of the application does to hear how a login ends.
HEAR = """
window.heard = []
document.addEventListener("wepay", event => {
  const { result, error, link } = event.detail
  heard.push([result, error, link.textContent])
})
window.messages = []
addEventListener("message", event => messages.push([event.origin, event.data]))
"""


@pytest.fixture
def app(make_app: MakeApp, sandbox: LiveSandbox, tmp_path: Path) -> Flask:
    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'shop.sqlite'}",
        SQLALCHEMY_ENGINE_OPTIONS=UNPOOLED,
        WEPAY_SANDBOX_URL=sandbox.url,
    )
    Talisman(app, force_https=False, session_cookie_secure=False)
    app.add_url_rule("/shop", "shop", lambda: PAGE)
    app.add_url_rule("/account", "account", lambda: render_template_string(BUTTONS))
    app.add_url_rule("/favicon.ico", "icon", lambda: ("", 204))

    @app.after_request
    def set_opener_policy(response):
        if "isolated" in request.args:
            response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        return response

    return app


@pytest.fixture
def shop(visitor: Visitor) -> Visitor:
    """Somebody who is logged in, and looks at the shop."""
    visitor.open("/as/alice")
    visitor.open("/shop")
    visitor.browser.execute_script(HEAR)
    return visitor


def open_popup(visitor: Visitor) -> None:
    """Click on the link, and be in the window that it opens."""
    visitor.find("Connect with WePay").click()
    visitor.go_to_popup()


def press(visitor: Visitor, text: str) -> None:
    """Press what closes the window, or leads it on."""
    visitor.find(text).click()


def heard(visitor: Visitor, times: int = 1) -> list[list[str | None]]:
    """Be back at the shop, which was not loaded anew, and tell what it heard."""
    visitor.browser.switch_to.window(visitor.window)
    visitor.wait.until(lambda browser: browser.execute_script("return heard.length") >= times)
    return visitor.browser.execute_script("return heard")


def test_connect(shop: Visitor) -> None:
    """The page is told "connected", is not loaded anew, and the window closes itself."""
    open_popup(shop)
    shop.sees("Allow")
    shop.take_picture("1-authorize")
    press(shop, "Allow")
    shop.sees_popup_close()

    assert heard(shop) == [["connected", None, "Connect with WePay"]]
    assert shop.browser.execute_script("return messages") == [
        [shop.home, {"source": "flask-wepay", "result": "connected", "error": None}]
    ]


@pytest.mark.parametrize("with_state", [True, False])
def test_deny(shop: Visitor, sandbox: LiveSandbox, with_state: bool) -> None:
    """It is told "denied", whether or not WePay sends the state along."""
    sandbox.state_on_denial = with_state
    open_popup(shop)
    press(shop, "Deny")
    shop.sees_popup_close()

    assert heard(shop) == [["denied", "AuthorizationDenied", "Connect with WePay"]]
    shop.expected += shop.said("403 (FORBIDDEN)")


def test_error_and_try_again(shop: Visitor, sandbox: LiveSandbox) -> None:
    """An error is told and stays to be read; from its page one tries again, or closes it."""
    sandbox.answer_next("oauth2/token", error_code=1012)
    open_popup(shop)
    press(shop, "Allow")
    shop.sees("WePay did not make the connection")
    shop.expect("502 (BAD GATEWAY)")
    shop.take_picture("1-error")
    (popup,) = set(shop.browser.window_handles) - {shop.window}
    assert heard(shop) == [["error", "ExchangeFailed", "Connect with WePay"]]

    shop.browser.switch_to.window(popup)
    shop.click("Connect again")
    press(shop, "Allow")
    shop.sees_popup_close()

    assert [result for result, *_ in heard(shop, 2)] == ["error", "connected"]


def test_back_to_the_site_closes(shop: Visitor, sandbox: LiveSandbox) -> None:
    """What leads back to the site closes the window: the site is in the other one."""
    sandbox.answer_next("oauth2/token", error_code=1012)
    open_popup(shop)
    press(shop, "Allow")
    shop.sees("WePay did not make the connection")
    shop.expect("502 (BAD GATEWAY)")
    press(shop, "Back to the site")
    shop.sees_popup_close()

    assert [result for result, *_ in heard(shop)] == ["error"]


def test_closed(shop: Visitor) -> None:
    """It is told "closed" where the window is closed before it ends."""
    open_popup(shop)
    shop.sees("Allow")
    shop.browser.close()

    assert heard(shop) == [["closed", None, "Connect with WePay"]]


@pytest.mark.parametrize("blocked", ["() => null", "() => undefined"])
def test_blocked(shop: Visitor, blocked: str) -> None:
    """Where windows are blocked, as in some phones' views, the link leads to WePay and back."""
    shop.browser.execute_script(f"window.open = {blocked}")

    shop.click("Connect with WePay")
    shop.click("Allow")

    shop.wait.until(lambda browser: browser.current_url == f"{shop.home}/shop")


def test_button(visitor: Visitor) -> None:
    """The button opens the window by the keyboard alone, and says afterwards that it worked."""
    visitor.open("/as/alice")
    visitor.open("/account")
    visitor.take_picture("1-not-connected")
    button = visitor.find("Connect with WePay")
    assert button.accessible_name == "Connect with WePay"
    visitor.browser.execute_script("arguments[0].focus()", button)
    button.send_keys(Keys.ENTER)
    visitor.go_to_popup()
    visitor.find("Allow").send_keys(Keys.ENTER)
    visitor.sees_popup_close()

    visitor.sees("Connected with WePay")
    visitor.take_picture("2-connected")
    assert not visitor.browser.find_elements(By.LINK_TEXT, "Connect with WePay")
    visitor.open("/account")
    visitor.sees("Connected with WePay")


def test_no_opener(visitor: Visitor) -> None:
    """Where the window has no opener to tell it leads on itself."""
    visitor.open("/as/alice")

    visitor.open("/wepay/login?display=popup&next=/shop")
    visitor.click("Allow")

    visitor.wait.until(lambda browser: browser.current_url == f"{visitor.home}/shop")


def test_opener_that_lets_go(visitor: Visitor) -> None:
    """Where the opener's policy cuts the window off, that one leads on to the page."""
    visitor.open("/as/alice")
    visitor.open("/shop?isolated")
    visitor.browser.execute_script(HEAR)

    open_popup(visitor)
    press(visitor, "Allow")

    visitor.sees("Shop")
    assert visitor.browser.current_url == f"{visitor.home}/shop"


def test_stranger_opens_the_window(visitor: Visitor) -> None:
    """A page of another origin that opened the window hears nothing, and nothing is closed."""
    visitor.open("/as/alice")
    elsewhere = visitor.home.replace("127.0.0.1", "localhost")
    visitor.open(f"{elsewhere}/shop")
    visitor.browser.execute_script(HEAR)

    address = f"{visitor.home}/wepay/login?display=popup&next=/shop"
    visitor.browser.execute_script(f"window.open('{address}', 'wepay')")
    (popup,) = set(visitor.browser.window_handles) - {visitor.window}
    visitor.browser.switch_to.window(popup)
    visitor.click("Allow")

    visitor.wait.until(lambda browser: browser.current_url == f"{visitor.home}/shop")
    visitor.browser.switch_to.window(visitor.window)
    assert visitor.browser.execute_script("return messages") == []


def test_forged_message(shop: Visitor) -> None:
    """A message of another window, or of no login under way, is believed by nobody."""
    forged = {"source": "flask-wepay", "result": "connected", "error": None}
    forge = f"window.postMessage({forged!r}, '*')".replace("None", "null")
    shop.browser.execute_script(forge)
    open_popup(shop)
    shop.sees("Allow")
    shop.browser.execute_script("opener.postMessage({source: 'flask-wepay', result: 'x'}, '*')")
    shop.browser.switch_to.window(shop.window)
    shop.browser.execute_script(forge)
    shop.wait.until(lambda browser: browser.execute_script("return messages.length") == 3)

    assert shop.browser.execute_script("return heard") == []
    assert shop.browser.find_element(By.TAG_NAME, "h1").text == "Shop"
