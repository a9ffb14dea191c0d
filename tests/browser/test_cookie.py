"""What keeps a session's cookie from coming back, with a real browser as the judge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, session
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait
from serving import serving
from werkzeug.serving import BaseWSGIServer

from flask_wepay.errors import ConfigurationError
from flask_wepay.oauth.cookie import check_cookie

#: A host that is another site than the one that the cookie is for.
ELSEWHERE = "elsewhere.localhost"


@pytest.fixture
def app() -> Flask:
    app = Flask(__name__)
    app.config["SECRET_KEY"] = "a secret of the tests"

    @app.get("/wepay/login")
    def login() -> str:
        session["user"] = "alice"
        return ""

    @app.get("/away")
    def away() -> str:
        return '<a id="back">back</a>'

    @app.get("/wepay/callback")
    def callback() -> str:
        return f"<p>{session.get('user', 'nobody')}</p>"

    return app


@pytest.fixture
def server(app: Flask) -> Iterator[BaseWSGIServer]:
    with serving(app) as server:
        yield server


@pytest.mark.parametrize(
    ("host", "config"),
    [
        ("127.0.0.1", {}),
        ("127.0.0.1", {"SESSION_COOKIE_SECURE": True}),
        ("localhost", {"SESSION_COOKIE_SECURE": True}),
        ("shop.localhost", {"SESSION_COOKIE_SECURE": True}),
        ("0.0.0.0", {}),
        ("0.0.0.0", {"SESSION_COOKIE_SECURE": True}),
        ("127.0.0.1", {"SESSION_COOKIE_SAMESITE": "Lax"}),
        ("127.0.0.1", {"SESSION_COOKIE_SAMESITE": "Strict"}),
        ("127.0.0.1", {"SESSION_COOKIE_SAMESITE": "None"}),
        ("127.0.0.1", {"SESSION_COOKIE_SAMESITE": "None", "SESSION_COOKIE_SECURE": True}),
        ("127.0.0.1", {"SESSION_COOKIE_NAME": "__Secure-s"}),
        ("127.0.0.1", {"SESSION_COOKIE_NAME": "__host-s"}),
        ("127.0.0.1", {"SESSION_COOKIE_NAME": "__Secure-s", "SESSION_COOKIE_SECURE": True}),
        (
            "127.0.0.1",
            {
                "SESSION_COOKIE_NAME": "__Host-s",
                "SESSION_COOKIE_SECURE": True,
                "SESSION_COOKIE_PATH": "/wepay",
            },
        ),
        ("127.0.0.1", {"SESSION_COOKIE_PATH": "/wepay"}),
        ("127.0.0.1", {"SESSION_COOKIE_PATH": "/wepay/"}),
        ("127.0.0.1", {"SESSION_COOKIE_PATH": "/wep"}),
        ("127.0.0.1", {"SESSION_COOKIE_PATH": "/wepay/callback/"}),
        ("shop.localhost", {"SESSION_COOKIE_DOMAIN": "shop.localhost"}),
        ("www.shop.localhost", {"SESSION_COOKIE_DOMAIN": ".shop.localhost"}),
        ("shop.localhost", {"SESSION_COOKIE_DOMAIN": "www.shop.localhost"}),
    ],
)
def test_as_the_browser_has_it(
    chromium: webdriver.Chrome,
    app: Flask,
    server: BaseWSGIServer,
    host: str,
    config: dict[str, Any],
) -> None:
    """A login is refused exactly where Chromium does not bring the cookie back."""
    app.config.update(config)
    base = f"http://{host}:{server.port}"
    chromium.execute_cdp_cmd("Network.clearBrowserCookies", {})

    chromium.get(f"{base}/wepay/login")
    chromium.get(f"http://{ELSEWHERE}:{server.port}/away")
    chromium.execute_script(f"location.href = '{base}/wepay/callback'")
    shown = WebDriverWait(chromium, 20).until(lambda page: page.find_elements(By.TAG_NAME, "p"))

    try:
        check_cookie(app, f"{base}/wepay/callback", host)
        expected = "alice"
    except ConfigurationError:
        expected = "nobody"
    assert shown[0].text == expected
