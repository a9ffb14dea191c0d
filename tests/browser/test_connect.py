"""A person clicks through the demo: connect, deny, connect again, disconnect."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 20  # seconds


class Visitor:
    """Somebody who looks for words on a page and clicks on them."""

    def __init__(self, browser: Chrome, home: str, pictures: Path, width: int) -> None:
        self.browser = browser
        self.home = home
        self.pictures = pictures
        self.wait = WebDriverWait(browser, PATIENCE)
        self.resize(width)

    def resize(self, width: int, height: int = 900) -> None:
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, path: str) -> None:
        self.browser.get(self.home + path)

    def find(self, text: str) -> WebElement:
        """Wait for a link or button with this text."""
        path = f"//*[self::a or self::button][normalize-space()='{text}']"
        return self.wait.until(expected_conditions.element_to_be_clickable((By.XPATH, path)))

    def click(self, text: str) -> None:
        self.find(text).click()

    def decide(self, decision: str) -> None:
        """Press "Allow" or "Deny" at the sandbox."""
        button = (By.CSS_SELECTOR, f"button[name=decision][value={decision}]")
        self.wait.until(expected_conditions.element_to_be_clickable(button)).click()

    def sees(self, text: str) -> None:
        """Wait until the page shows this text, and fits the window."""
        body = (By.TAG_NAME, "body")
        self.wait.until(expected_conditions.text_to_be_present_in_element(body, text))
        assert not self.browser.execute_script(
            "return document.documentElement.scrollWidth > document.documentElement.clientWidth"
        ), "The page is wider than the window."

    def loaded_resources(self) -> list[str]:
        script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
        return self.browser.execute_script(script)

    def take_picture(self, name: str) -> None:
        self.pictures.mkdir(exist_ok=True)
        self.browser.save_screenshot(str(self.pictures / f"{name}.png"))


@pytest.fixture(params=[1200, 390])
def visitor(
    request: pytest.FixtureRequest, browser: Chrome, demo_url: str, tmp_path: Path
) -> Visitor:
    return Visitor(browser, demo_url, tmp_path / "pictures", width=request.param)


def test_connect_deny_connect_disconnect(visitor: Visitor) -> None:
    """Everything that the demo offers works by clicking, on a wide window and a narrow one."""
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
    visitor.sees("Allow")
    visitor.take_picture("3-authorize")
    visitor.decide("deny")
    visitor.sees("You did not connect WePay.")
    visitor.sees("Not connected")
    visitor.take_picture("4-denied")

    visitor.click("Connect with WePay")
    visitor.decide("allow")
    visitor.sees("Connected to WePay")
    visitor.sees("robin@example.org")
    assert visitor.browser.current_url == f"{visitor.home}/dashboard"
    visitor.take_picture("5-connected")

    visitor.click("Disconnect")
    visitor.sees("Disconnected.")
    visitor.sees("Not connected")
    visitor.take_picture("6-disconnected")

    visitor.click("New campaign")
    visitor.decide("allow")
    visitor.sees("Put it online")
    visitor.take_picture("7-new-campaign")

    visitor.open("/campaigns/1")
    visitor.sees("Ready for donations")
    visitor.take_picture("8-campaign")

    visitor.click("Log out")
    visitor.click("Log in")
    visitor.sees("New here?")
    visitor.take_picture("9-login")


@pytest.mark.parametrize("visitor", [390], indirect=True)
def test_an_own_page_for_a_login_that_went_wrong(visitor: Visitor) -> None:
    """A callback that nobody began shows a page of the site, from which one goes on."""
    visitor.open("/")
    visitor.click("Log in as the demo organizer")
    visitor.sees("Not connected")

    visitor.open("/wepay/callback?code=made-up&state=made-up")
    visitor.sees("Lantern Street")
    visitor.take_picture("1-stale")
    visitor.click("Connect with WePay")
    visitor.decide("allow")
    visitor.sees("Connected to WePay")


@pytest.mark.parametrize("visitor", [1200], indirect=True)
def test_keyboard_alone(visitor: Visitor) -> None:
    """Connecting takes no mouse."""
    visitor.open("/")
    visitor.find("Log in as the demo organizer").send_keys(Keys.ENTER)
    visitor.find("Connect with WePay").send_keys(Keys.ENTER)
    allow = visitor.wait.until(
        expected_conditions.presence_of_element_located((By.CSS_SELECTOR, "[value=allow]"))
    )
    allow.send_keys(Keys.ENTER)
    visitor.sees("Connected to WePay")

    visitor.browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    assert visitor.browser.switch_to.active_element.text == "Skip to the content"
