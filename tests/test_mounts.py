"""An application below a path leads back into itself, and on this site whatever the path is."""

from __future__ import annotations

import re

import pytest
from ada_url import URL
from applications import MakeApp
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client, EnvironBuilder, run_wsgi_app
from werkzeug.wrappers import Response

from flask_wepay import wepay_required
from flask_wepay.sandbox import Sandbox

#: What a stranger can write into X-Forwarded-Prefix, where a proxy passes it on.
PREFIXES = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "\t//evil.example",
    "//evil.example/shop",
]
BASE = "http://localhost/shop/wepay/callback"


@pytest.fixture
def shop(make_app: MakeApp) -> Flask:
    app = make_app()

    @app.get("/account")
    @wepay_required
    def account() -> str:
        return "account"

    return app


@pytest.fixture
def visitor(shop: Flask) -> Client:
    """A browser before a site that has the application at /shop."""
    site = DispatcherMiddleware(Response("not the shop", 404), {"/shop": shop})
    browser = Client(site, use_cookies=True)
    browser.get("/shop/as/alice")
    return browser


def test_login_without_next(visitor: Client, wepay_sandbox: Sandbox) -> None:
    """A login without `next` ends at the application's own root, not at the site's."""
    login = visitor.get("/shop/wepay/login")

    assert visitor.get(wepay_sandbox.authorize(login.location)).location == "/shop/"
    # Connected already
    assert visitor.get("/shop/wepay/login").location == "/shop/"


def test_there_and_back(visitor: Client, wepay_sandbox: Sandbox) -> None:
    """A view that wants a connection is come back to."""
    login = visitor.get(visitor.get("/shop/account").location)

    back = visitor.get(wepay_sandbox.authorize(login.location)).location

    assert back == "/shop/account"


def test_links_of_the_pages(visitor: Client, wepay_sandbox: Sandbox) -> None:
    """The links of the error pages stay in the application."""
    login = visitor.get("/shop/wepay/login")

    page = visitor.get(wepay_sandbox.authorize(login.location, deny=True))

    links = re.findall(r'href="([^"]*)"', page.text)
    assert "/shop/" in links
    assert [link for link in links if not link.startswith("/shop/")] == []


def test_page_of_a_wrong_setting(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """Where the setting is no endpoint, the page still leads back into the application."""
    app = make_app(WEPAY_LOGIN_REDIRECT="no_such_endpoint")
    site = DispatcherMiddleware(Response("not the shop", 404), {"/shop": app})
    browser = Client(site, use_cookies=True)
    browser.get("/shop/as/alice")

    page = browser.get("/shop/wepay/login")

    assert page.status_code == 500
    assert {link for link in re.findall(r'href="([^"]*)"', page.text) if "wepay" not in link} == {
        "/shop/"
    }


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("path", ["/account", "/wepay/login", "/wepay/callback?error=x&state=y"])
def test_forged_prefix(shop: Flask, wepay_sandbox: Sandbox, prefix: str, path: str) -> None:
    """No prefix that a stranger forges leads a browser, or a link, to another site."""
    shop.add_url_rule("/home", "home", lambda: "")
    shop.wsgi_app = ProxyFix(shop.wsgi_app, x_prefix=1)  # type: ignore[method-assign]
    browser = shop.test_client()
    browser.get("/as/alice")
    builder = EnvironBuilder(path=path)
    environ = builder.get_environ()
    environ["HTTP_X_FORWARDED_PREFIX"] = prefix
    environ["HTTP_COOKIE"] = f"session={browser.get_cookie('session').value}"

    body, _, headers = run_wsgi_app(shop, environ)

    places = re.findall(r'href="([^"]*)"', b"".join(body).decode())
    places += [headers["Location"]] if "Location" in headers else []
    assert places
    hosts = {URL(place, base=BASE).hostname for place in places}
    assert hosts <= {"localhost", "127.0.0.1"}


@pytest.mark.parametrize("prefix", PREFIXES)
def test_the_judge_judges(prefix: str) -> None:
    """A browser that is led to such a prefix leaves the site."""
    assert URL(f"{prefix}/wepay/login", base=BASE).hostname == "evil.example"


@pytest.mark.parametrize(
    "planted", ["//evil.example", "https://evil.example", "/\\evil.example", "/wepay/login"]
)
def test_planted_next(client: FlaskClient, wepay_sandbox: Sandbox, planted: str) -> None:
    """A `next` in the session is checked again at the callback, on its page too."""
    back = wepay_sandbox.authorize(client.get("/wepay/login?next=/there").location)
    denial = wepay_sandbox.authorize(client.get("/wepay/login?next=/there").location, deny=True)
    with client.session_transaction() as session:
        for login in session["_wepay_logins"]:
            assert login[2] == "/there"
            login[2] = planted
        session.modified = True

    page = client.get(denial)
    answer = client.get(back)

    assert set(re.findall(r'href="([^"]*)"', page.text)) == {
        "/wepay/_static/pages.css",
        "/wepay/login",
        "/",
    }
    assert answer.location == "/"
