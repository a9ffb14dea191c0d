"""A person clicks through the platform: connect, deny, connect again, disconnect."""

from __future__ import annotations

import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from visitor import Visitor

only_wide = pytest.mark.parametrize("visitor", [1200], indirect=True)
only_narrow = pytest.mark.parametrize("visitor", [390], indirect=True)


def test_connect_deny_connect_disconnect(visitor: Visitor) -> None:
    """Connecting and saying no work by clicking, on a wide window and a narrow one."""
    visitor.open("/")
    visitor.sees("Log in as the demo organizer")
    visitor.take_picture("1-home")
    resources = visitor.loaded_resources()
    assert resources
    assert all(address.startswith(visitor.home) for address in resources)

    visitor.click("Log in as the demo organizer")
    visitor.sees("Not connected")
    visitor.take_picture("2-not-connected")

    visitor.click("Connect with WePay")
    visitor.sees_without_scrolling("Allow")
    visitor.take_picture("3-authorize")
    visitor.click("Deny")
    visitor.sees("You did not connect WePay.")
    visitor.sees("Not connected")
    visitor.take_picture("4-denied")

    visitor.click("Connect with WePay")
    visitor.click("Allow")
    visitor.sees("Connected to WePay")
    visitor.sees("robin@example.org")
    assert visitor.browser.current_url == f"{visitor.home}/dashboard"
    visitor.take_picture("5-connected")

    visitor.click("Disconnect")
    visitor.sees("Disconnected.")
    visitor.sees("Not connected")
    visitor.take_picture("6-disconnected")

    visitor.click("New campaign")
    visitor.click("Allow")
    visitor.sees("Put it online")
    visitor.take_picture("7-new-campaign")

    visitor.click("Log out")
    visitor.click("Log in")
    visitor.sees("New here?")
    visitor.take_picture("8-login")


@only_wide
def test_popup(visitor: Visitor) -> None:
    """A login in a popup connects the page that opened it."""
    visitor.log_in()

    visitor.browser.execute_script("window.open('/wepay/login', 'wepay', 'popup,width=480')")
    (popup,) = set(visitor.browser.window_handles) - {visitor.window}
    visitor.browser.switch_to.window(popup)
    visitor.click("Allow")
    visitor.sees("Connected to WePay")
    visitor.close_other_windows()

    visitor.open("/dashboard")
    visitor.sees("Connected to WePay")


@only_narrow
def test_an_own_page_for_a_login_that_went_wrong(visitor: Visitor) -> None:
    """A callback that nobody began shows a page of the site, from which one goes on."""
    visitor.log_in()

    visitor.open("/wepay/callback?code=made-up&state=made-up")
    visitor.expect("400 (BAD REQUEST)")
    visitor.sees("Lantern Street")
    visitor.take_picture("1-stale")
    visitor.click("Connect with WePay")
    visitor.click("Allow")
    visitor.sees("Connected to WePay")


@only_wide
def test_keyboard_alone(visitor: Visitor) -> None:
    """Connecting takes no mouse."""
    visitor.open("/")
    visitor.find("Log in as the demo organizer").send_keys(Keys.ENTER)
    visitor.find("Connect with WePay").send_keys(Keys.ENTER)
    visitor.find("Allow").send_keys(Keys.ENTER)
    visitor.sees("Connected to WePay")

    visitor.browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert visitor.browser.switch_to.active_element.text == "Skip to the content"
