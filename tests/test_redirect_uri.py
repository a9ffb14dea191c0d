"""The redirect URI: the same string twice, never a stranger's, and one that WePay takes."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from applications import MakeApp, rows_of
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

REAL = {"WEPAY_CLIENT_ID": 123456, "WEPAY_CLIENT_SECRET": "c1i2e3n4t5"}
PRODUCTION = {**REAL, "WEPAY_ENVIRONMENT": "production"}
STAGE = {**REAL, "WEPAY_ENVIRONMENT": "stage"}
FORGED = "evil.example"


def browser_of(app: Flask, base_url: str) -> FlaskClient:
    """A browser in which alice is logged in at this address."""
    browser = app.test_client()
    browser.get("/as/alice", base_url=base_url)
    return browser


def redirect_uri(answer: TestResponse) -> str:
    """The redirect URI that a login gives to WePay."""
    return dict(parse_qsl(urlsplit(answer.location).query))["redirect_uri"]


@pytest.mark.parametrize(
    ("config", "base_url", "expected"),
    [
        ({}, "http://localhost", "http://localhost/wepay/callback"),
        ({}, "https://shop.example:8443", "https://shop.example:8443/wepay/callback"),
        ({"WEPAY_URL_PREFIX": ""}, "https://shop.example", "https://shop.example/callback"),
        (
            {"APPLICATION_ROOT": "/shop"},
            "https://shop.example/shop",
            "https://shop.example/shop/wepay/callback",
        ),
        (
            {"WEPAY_REDIRECT_URI": "https://SHOP.example/wepay/callback?from=wepay"},
            "https://shop.example",
            "https://SHOP.example/wepay/callback?from=wepay",
        ),
        (
            {
                "WEPAY_REDIRECT_URI": "https://pay.shop.example/x/wepay/callback",
                "SESSION_COOKIE_DOMAIN": "shop.example",
            },
            "https://www.shop.example",
            "https://pay.shop.example/x/wepay/callback",
        ),
    ],
)
def test_same_string_twice(
    make_app: MakeApp, wepay_sandbox: Any, config: dict[str, Any], base_url: str, expected: str
) -> None:
    """Both steps give the same redirect URI, to the letter."""
    app = make_app(**config)
    browser = browser_of(app, base_url)
    prefix = app.config["WEPAY_URL_PREFIX"]
    login = browser.get(f"{prefix}/login", base_url=base_url)
    query = urlsplit(wepay_sandbox.authorize(login.location)).query

    answer = browser.get(f"{prefix}/callback", query_string=query, base_url=base_url)

    assert answer.status_code == 302
    assert redirect_uri(login) == expected
    assert wepay_sandbox.last("oauth2/token").json["redirect_uri"] == expected


#: What a stranger can say of the host.
FORGERIES = [
    {"Host": FORGED},
    {"Host": f"{FORGED}:443"},
    {"Host": f"shop.example.{FORGED}"},
    {"Host": f"shop.example@{FORGED}"},
    {"Host": f"{FORGED}/shop.example"},
    {"X-Forwarded-Host": FORGED},
    {"X-Forwarded-Host": f"shop.example, {FORGED}"},
    {"X-Forwarded-Proto": "http", "X-Forwarded-Host": FORGED},
    {"X-Forwarded-Prefix": f"//{FORGED}"},
    {"Forwarded": f"host={FORGED}"},
    {"X-Host": FORGED},
    {"X-Forwarded-Server": FORGED},
]


@pytest.mark.parametrize("base", [STAGE, PRODUCTION])
@pytest.mark.parametrize("proxies", [0, 1])
@pytest.mark.parametrize(
    "setting",
    [
        {"WEPAY_REDIRECT_URI": "https://shop.example/wepay/callback"},
        {"TRUSTED_HOSTS": ["shop.example"]},
    ],
)
def test_forged_host(
    make_app: MakeApp, base: dict[str, Any], setting: dict[str, Any], proxies: int
) -> None:
    """With WEPAY_REDIRECT_URI or TRUSTED_HOSTS a forged host never gets into the redirect URI."""
    app = make_app(**base, **setting)
    if proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_host=1, x_proto=1)  # type: ignore[method-assign]
    browser = browser_of(app, "https://shop.example")

    for headers in FORGERIES:
        answer = browser.get("/wepay/login", base_url="https://shop.example", headers=headers)

        assert FORGED not in answer.headers.get("Location", "")
        if answer.status_code == 302:
            assert redirect_uri(answer) == "https://shop.example/wepay/callback"
        else:
            assert answer.status_code in (400, 401, 500)


@pytest.mark.parametrize("setting", ["WEPAY_REDIRECT_URI", "TRUSTED_HOSTS"])
def test_forged_host_of_a_victim(make_app: MakeApp, setting: str) -> None:
    """A forged host with the victim's own cookie is refused too."""
    values = {
        "WEPAY_REDIRECT_URI": "https://shop.example/wepay/callback",
        "TRUSTED_HOSTS": ["shop.example"],
    }
    app = make_app(**STAGE, **{setting: values[setting]})
    browser = browser_of(
        app, f"https://{FORGED}" if setting == "WEPAY_REDIRECT_URI" else "https://shop.example"
    )

    answer = browser.get("/wepay/login", base_url=f"https://{FORGED}")

    assert answer.status_code in (400, 500)
    assert "Location" not in answer.headers


def test_without_protection(make_app: MakeApp) -> None:
    """On stage, where neither is set, the redirect URI is what Flask sees."""
    app = make_app(**STAGE)
    browser = browser_of(app, f"https://{FORGED}")

    answer = browser.get("/wepay/login", base_url=f"https://{FORGED}")

    assert redirect_uri(answer) == f"https://{FORGED}/wepay/callback"


@pytest.mark.parametrize("base", [STAGE, PRODUCTION])
def test_behind_a_proxy(make_app: MakeApp, base: dict[str, Any]) -> None:
    """Behind ProxyFix the redirect URI is the public one."""
    app = make_app(**base, TRUSTED_HOSTS=["shop.example"])
    app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
        app.wsgi_app, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1
    )
    browser = app.test_client()
    headers = {
        "X-Forwarded-For": "203.0.113.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "shop.example",
        "X-Forwarded-Port": "443",
        "X-Forwarded-Prefix": "/pay",
    }
    environ = {"base_url": "http://10.0.0.5:8000", "headers": headers}
    cookie = re.match("session=([^;]*)", browser.get("/as/alice", **environ).headers["Set-Cookie"])
    assert cookie is not None
    headers["Cookie"] = cookie[0]

    answer = browser.get("/wepay/login", **environ)

    assert redirect_uri(answer) == "https://shop.example/pay/wepay/callback"


@pytest.mark.parametrize(
    ("base", "base_url", "reason"),
    [
        (PRODUCTION, "http://shop.example", "is http"),
        (PRODUCTION, "https://shop.example:8443", "has a port"),
        (PRODUCTION, "https://localhost", "is on localhost"),
        (PRODUCTION, "https://127.0.0.1", "is on localhost"),
        (STAGE, "https://my_shop.example", "underscore"),
        (STAGE, "https://a.my_shop.example:8443", "underscore"),
        ({}, "http://my_shop.example", "underscore"),
    ],
)
def test_derived_uri_that_wepay_refuses(
    make_app: MakeApp,
    caplog: pytest.LogCaptureFixture,
    base: dict[str, Any],
    base_url: str,
    reason: str,
) -> None:
    """A derived redirect URI is held to the rules at login, with an error page."""
    hosts = ["shop.example", "localhost", "127.0.0.1"]
    app = make_app(**base, TRUSTED_HOSTS=hosts if base is PRODUCTION else None)
    browser = browser_of(app, base_url)

    page = browser.get("/wepay/login", base_url=base_url)

    assert page.status_code == 500
    assert "This site is not set up for WePay correctly" in page.text
    assert "'WEPAY_REDIRECT_URI'" in caplog.text
    assert reason in caplog.text
    assert reason not in page.text
    with browser.session_transaction(base_url=base_url) as session:
        assert dict(session) == {"user": "alice"}


@pytest.mark.parametrize(
    ("base", "base_url"),
    [
        (PRODUCTION, "https://shop.example"),
        (STAGE, "http://localhost:5000"),
        (STAGE, "http://shop.example:8443"),
        ({}, "http://127.0.0.1:5000"),
    ],
)
def test_derived_uri_that_wepay_takes(
    make_app: MakeApp, base: dict[str, Any], base_url: str
) -> None:
    """A derived redirect URI that keeps the rules of its environment is used."""
    app = make_app(**base, TRUSTED_HOSTS=["shop.example", "localhost", "127.0.0.1"])

    answer = browser_of(app, base_url).get("/wepay/login", base_url=base_url)

    assert redirect_uri(answer) == f"{base_url}/wepay/callback"


@pytest.mark.parametrize(
    ("config", "begun_on"),
    [
        ({}, "https://www.shop.example"),
        ({}, "https://example"),
        ({}, "https://shop.example.evil.example"),
        ({"SESSION_COOKIE_DOMAIN": "www.shop.example"}, "https://www.shop.example"),
        ({"SESSION_COOKIE_DOMAIN": "shop.example"}, "https://other.example"),
        ({"SESSION_COOKIE_DOMAIN": "shop.example"}, "https://theshop.example"),
    ],
)
def test_login_elsewhere(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, config: dict[str, Any], begun_on: str
) -> None:
    """A login on a host that shares no session with the redirect URI is refused, naming both."""
    app = make_app(
        **STAGE,
        WEPAY_REDIRECT_URI="https://shop.example/wepay/callback",
        **config,
        owner_loader=False,
    )
    app.extensions["test"]["wepay"].owner_loader(lambda: "alice")

    page = app.test_client().get("/wepay/login", base_url=begun_on)

    assert page.status_code == 500
    assert f"'{urlsplit(begun_on).hostname}'" in caplog.text
    assert "'https://shop.example/wepay/callback'" in caplog.text
    assert "SESSION_COOKIE_DOMAIN" in caplog.text


#: What a browser does not send back, on any host, with the setting to blame first.
LOST = [
    ({"SESSION_COOKIE_SECURE": True}, "http://shop.example"),
    ({"SESSION_COOKIE_SECURE": True}, "http://0.0.0.0:5000"),
    ({"SESSION_COOKIE_SECURE": True}, "http://192.168.0.7:5000"),
    ({"SESSION_COOKIE_PATH": "/other"}, "https://shop.example"),
    ({"SESSION_COOKIE_PATH": "/wep"}, "https://shop.example"),
    ({"SESSION_COOKIE_PATH": "/wepay/callback/"}, "https://shop.example"),
    ({"APPLICATION_ROOT": "/shop"}, "https://shop.example"),
    ({"SESSION_COOKIE_DOMAIN": "other.example"}, "https://shop.example"),
    ({"SESSION_COOKIE_DOMAIN": "www.shop.example"}, "https://shop.example"),
    ({"SESSION_COOKIE_SAMESITE": "Strict"}, "https://shop.example"),
    ({"SESSION_COOKIE_SAMESITE": "None"}, "https://shop.example"),
    ({"SESSION_COOKIE_NAME": "__Host-session"}, "https://shop.example"),
    ({"SESSION_COOKIE_NAME": "__Secure-session"}, "https://shop.example"),
    (
        {
            "SESSION_COOKIE_NAME": "__host-session",
            "SESSION_COOKIE_SECURE": True,
            "SESSION_COOKIE_PATH": "/wepay",
        },
        "https://shop.example",
    ),
    (
        {
            "SESSION_COOKIE_NAME": "__Host-session",
            "SESSION_COOKIE_SECURE": True,
            "SESSION_COOKIE_DOMAIN": "shop.example",
        },
        "https://shop.example",
    ),
]


@pytest.mark.parametrize(("config", "base_url"), LOST)
def test_cookie_that_is_lost(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, config: dict[str, Any], base_url: str
) -> None:
    """A session cookie that no browser sends back is refused at login, naming the setting."""
    app = make_app(**STAGE, owner_loader=False)
    app.extensions["test"]["wepay"].owner_loader(lambda: "alice")
    # After the start, where some of them are refused as well.
    app.config.update(config)

    page = app.test_client().get("/wepay/login", base_url=base_url)

    assert page.status_code == 500
    assert f"ConfigurationError: '{next(iter(config))}'" in caplog.text


@pytest.mark.parametrize(
    ("config", "base_url"),
    [
        ({"SESSION_COOKIE_SECURE": True}, "https://shop.example"),
        ({"SESSION_COOKIE_SECURE": True}, "http://localhost:5000"),
        ({"SESSION_COOKIE_SECURE": True}, "http://127.0.0.1:5000"),
        (
            {"SESSION_COOKIE_SECURE": True, "SESSION_COOKIE_SAMESITE": "None"},
            "https://shop.example",
        ),
        ({"SESSION_COOKIE_SAMESITE": "Lax"}, "http://shop.example"),
        ({"SESSION_COOKIE_PATH": "/wepay/callback"}, "http://shop.example"),
        ({"SESSION_COOKIE_DOMAIN": "SHOP.example"}, "http://shop.example"),
        (
            {"SESSION_COOKIE_NAME": "__Host-session", "SESSION_COOKIE_SECURE": True},
            "https://shop.example",
        ),
        (
            {
                "SESSION_COOKIE_NAME": "__Secure-session",
                "SESSION_COOKIE_SECURE": True,
                "SESSION_COOKIE_DOMAIN": "shop.example",
            },
            "https://shop.example",
        ),
    ],
)
def test_cookie_that_comes_back(make_app: MakeApp, config: dict[str, Any], base_url: str) -> None:
    """A session cookie that browsers send back is no obstacle."""
    app = make_app(**STAGE, **config, owner_loader=False)
    app.extensions["test"]["wepay"].owner_loader(lambda: "alice")

    answer = app.test_client().get("/wepay/login", base_url=base_url)

    assert redirect_uri(answer) == f"{base_url}/wepay/callback"


@pytest.mark.parametrize(
    ("config", "begun_on"),
    [
        ({}, "https://shop.example"),
        ({}, "https://SHOP.example"),
        ({}, "http://shop.example:8000"),
        ({"SESSION_COOKIE_DOMAIN": "shop.example"}, "https://www.shop.example"),
        ({"SESSION_COOKIE_DOMAIN": ".shop.example"}, "https://a.b.shop.example"),
        ({"SESSION_COOKIE_PATH": "/wepay"}, "https://shop.example"),
    ],
)
def test_login_next_door(make_app: MakeApp, config: dict[str, Any], begun_on: str) -> None:
    """A login on another host of the same session leads to WePay."""
    app = make_app(
        **STAGE,
        WEPAY_REDIRECT_URI="https://shop.example/wepay/callback",
        **config,
        owner_loader=False,
    )
    app.extensions["test"]["wepay"].owner_loader(lambda: "alice")

    answer = app.test_client().get("/wepay/login", base_url=begun_on)

    assert redirect_uri(answer) == "https://shop.example/wepay/callback"


def test_changed_redirect_uri(make_app: MakeApp, wepay_sandbox: Any) -> None:
    """A login that was begun with another redirect URI is refused before any exchange."""
    app = make_app()
    browser = browser_of(app, "http://localhost")
    back = wepay_sandbox.authorize(browser.get("/wepay/login").location)

    page = browser.get(back.replace("http://localhost", "http://localhost:5000"))

    assert page.status_code == 400
    assert wepay_sandbox.count("oauth2/token") == 0
    assert rows_of(app) == []
