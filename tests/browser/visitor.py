"""Somebody who looks for words on a page and clicks on them."""

from __future__ import annotations

from pathlib import Path

from selenium.common.exceptions import JavascriptException, StaleElementReferenceException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.wait import WebDriverWait

PATIENCE = 20  # seconds
#: What is raised where a page is asked while the next one takes its place.
IN_BETWEEN = [JavascriptException, StaleElementReferenceException]
IS_NEW = "return !window.isOld && document.readyState === 'complete'"
WIDTH = """
const page = document.documentElement
return page.scrollWidth > page.clientWidth ? 'wider than the window' : 'no wider'
"""


class Visitor:
    def __init__(self, browser: Chrome, home: str, pictures: Path, width: int) -> None:
        self.browser = browser
        self.home = home
        self.pictures = pictures
        self.wait = WebDriverWait(browser, PATIENCE, 0.05, ignored_exceptions=IN_BETWEEN)
        self.window = browser.current_window_handle
        #: What the console may say, since the test is about it.
        self.expected: list[str] = []
        self.metrics = {"width": width, "deviceScaleFactor": 1, "mobile": width < 600}
        self.resize(900)

    def resize(self, height: int) -> None:
        metrics = {**self.metrics, "height": height}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def open(self, path: str) -> None:
        self.browser.get(path if "://" in path else self.home + path)

    def find(self, text: str) -> WebElement:
        """Wait for a link or button with this text or label."""
        named = f"normalize-space()='{text}' or @aria-label='{text}'"
        path = f"//*[self::a or self::button][{named}]"
        return self.wait.until(expected_conditions.element_to_be_clickable((By.XPATH, path)))

    def click(self, text: str) -> None:
        """Press something, and wait until the next page is there."""
        button = self.find(text)
        self.browser.execute_script("window.isOld = true")
        button.click()
        self.wait.until(lambda browser: browser.execute_script(IS_NEW))

    def fill(self, name: str, text: str) -> None:
        field = self.browser.find_element(By.NAME, name)
        field.clear()
        field.send_keys(text)

    def sees(self, text: str) -> None:
        """Wait until the page shows this text, and fits the window."""
        body = (By.TAG_NAME, "body")
        self.wait.until(expected_conditions.text_to_be_present_in_element(body, text))
        width = self.wait.until(lambda browser: browser.execute_script(WIDTH))
        assert width == "no wider", f"The page is {width}."

    def sees_without_scrolling(self, text: str) -> None:
        """Want a button or link to be in the window already."""
        box = self.find(text).rect
        assert box["y"] + box["height"] <= self.browser.execute_script("return innerHeight")

    def log_in(self) -> None:
        self.open("/")
        self.click("Log in as the demo organizer")
        self.sees("My campaigns")

    def connect(self) -> None:
        self.log_in()
        self.click("Connect with WePay")
        self.click("Allow")
        self.sees("Connected to WePay")

    def expect(self, status: str) -> None:
        """Let the console name the current page's status."""
        address = self.browser.current_url
        self.expected.append(
            f"{address} - Failed to load resource: the server responded with a status of {status}"
        )

    def said(self, status: str) -> list[str]:
        """What the console says of this status, of a window that closed for example."""
        lines = [entry["message"] for entry in self.browser.get_log("browser")]
        return [line for line in lines if line.endswith(f"responded with a status of {status}")]

    def go_to_popup(self) -> None:
        """Be in the window that the page opens."""
        self.wait.until(lambda browser: len(browser.window_handles) == 2)
        (popup,) = set(self.browser.window_handles) - {self.window}
        self.browser.switch_to.window(popup)

    def sees_popup_close(self) -> None:
        """Be back in the first window, once the other one is closed."""
        self.wait.until(lambda browser: browser.window_handles == [self.window])
        self.browser.switch_to.window(self.window)

    def loaded_resources(self) -> list[str]:
        script = "return performance.getEntriesByType('resource').map(entry => entry.name)"
        return self.browser.execute_script(script)

    def take_picture(self, name: str) -> None:
        self.pictures.mkdir(exist_ok=True)
        self.browser.save_screenshot(str(self.pictures / f"{name}.png"))

    def close_other_windows(self) -> None:
        for window in self.browser.window_handles:
            if window != self.window:
                self.browser.switch_to.window(window)
                self.browser.close()
        self.browser.switch_to.window(self.window)
