"""Applications that tell hosts or subdomains apart have the routes on each of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from applications import MakeApp, rows_of
from flask import Flask, session

from flask_wepay import WePay, current_wepay, wepay_required
from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import Sandbox

BILL = 100001

HOSTS = {"host_matching": True, "static_host": "shop.example"}
SUBDOMAINS = {"subdomain_matching": True}

every_kind = pytest.mark.parametrize(
    ("kind", "config", "base_url"),
    [
        (HOSTS, {}, "http://shop.example"),
        (HOSTS, {}, "https://other.example"),
        (HOSTS, {}, "http://SHOP.example:8443"),
        (HOSTS, {"SERVER_NAME": "shop.example"}, "http://other.example"),
        (HOSTS, {"WEPAY_URL_PREFIX": ""}, "http://shop.example"),
        (SUBDOMAINS, {"SERVER_NAME": "shop.example"}, "http://shop.example"),
        (SUBDOMAINS, {"SERVER_NAME": "shop.example"}, "http://pay.shop.example"),
        (SUBDOMAINS, {"SERVER_NAME": "Shop.example"}, "https://Pay.in.shop.example"),
        (SUBDOMAINS, {"SERVER_NAME": "shop.example:8443"}, "http://pay.shop.example:8443"),
        (SUBDOMAINS, {}, "http://shop.example"),
    ],
)


@pytest.fixture
def make(make_app: MakeApp) -> Any:
    """Make an application of a kind, with a view that wants a connection on each of its hosts."""

    def make(kind: dict[str, Any], config: dict[str, Any]) -> Flask:
        app = make_app(flask=kind, **config)
        host = "<host>" if kind is HOSTS else None
        subdomains = [None, "<sub>"] if kind is SUBDOMAINS else [None]
        for subdomain in subdomains:
            rules = {"host": host, "subdomain": subdomain}
            app.add_url_rule("/in/<owner>", "enter", enter, **rules)
            app.add_url_rule("/account", "account", account, **rules)
        return app

    return make


def enter(owner: str, **_: str) -> str:
    session["user"] = owner
    return owner


@wepay_required
def account(**_: str) -> str:
    return f"{current_wepay.user_id}"


@every_kind
def test_there_and_back(
    make: Any,
    wepay_sandbox: Sandbox,
    wepay_ipn: DeliverIPN,
    kind: dict[str, Any],
    config: dict[str, Any],
    base_url: str,
) -> None:
    """A view leads to the login on its own host, and the login back to it."""
    app = make(kind, config)
    client = app.test_client()
    client.get("/in/alice", base_url=base_url)
    prefix = app.config["WEPAY_URL_PREFIX"]

    first = client.get("/account", base_url=base_url).location
    login = client.get(first, base_url=base_url).location
    back = client.get(wepay_sandbox.authorize(login)).location

    assert first == f"{prefix}/login?next=/account"
    uri = dict(parse_qsl(urlsplit(login).query))["redirect_uri"]
    assert uri.lower() == f"{base_url}{prefix}/callback".lower()
    assert back == "/account"
    assert client.get(back, base_url=base_url).text == str(BILL)
    with client.get(f"{prefix}/_static/pages.css", base_url=base_url) as style:
        assert style.status_code == 200
    # IPNs come to a host that WePay reaches.
    wepay_sandbox.revoke(BILL)
    assert wepay_ipn(client, BILL).status_code == 200
    assert [row.reason for row in rows_of(app)] == ["revoked"]


def test_another_site(make: Any) -> None:
    """On a host that is not below SERVER_NAME there are no routes."""
    app = make(SUBDOMAINS, {"SERVER_NAME": "shop.example"})

    with pytest.warns(UserWarning, match="evil.example"):
        answer = app.test_client().get("/wepay/login", base_url="http://evil.example")

    assert answer.status_code == 404


@pytest.mark.parametrize("kind", [HOSTS, SUBDOMAINS])
def test_outside_of_a_request(make: Any, kind: dict[str, Any]) -> None:
    """Outside of a request the addresses are on SERVER_NAME."""
    app = make(kind, {"SERVER_NAME": "shop.example", "WEPAY_ENVIRONMENT": "sandbox"})
    wepay: WePay = app.extensions["test"]["wepay"]

    with app.app_context():
        url = wepay.ipn_url()

    assert url is not None
    assert url.startswith("http://shop.example/wepay/ipn?")


@pytest.mark.parametrize("kind", [HOSTS, SUBDOMAINS])
def test_check(make: Any, kind: dict[str, Any], wepay_sandbox: Sandbox) -> None:
    """The command that checks everything has nothing to say of it."""
    app = make(kind, {"SERVER_NAME": "shop.example"})

    result = app.test_cli_runner().invoke(args=["wepay", "check"])

    assert result.exit_code == 0, result.output


def test_connect(make: Any, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """The fixture for an application's own tests goes through all of it."""
    client = make(HOSTS, {}).test_client()
    client.get("/in/alice", base_url="http://shop.example")

    assert wepay_connect(client, base_url="http://shop.example").location == "/"
