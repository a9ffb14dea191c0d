"""Where IPNs go: the callback_uri of an exchange and of ``wepay.ipn_url()``, and its signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from itsdangerous import URLSafeSerializer

from flask_wepay import WePay
from flask_wepay.errors import ConfigurationError
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

MakeApp = Callable[..., Flask]

STAGE = {"WEPAY_ENVIRONMENT": "stage", "WEPAY_CLIENT_ID": 1, "WEPAY_CLIENT_SECRET": "x"}
PRODUCTION = {**STAGE, "WEPAY_ENVIRONMENT": "production", "TRUSTED_HOSTS": ["shop.example"]}
KEYS = [Fernet.generate_key().decode() for _ in range(2)]


def ipn_url(app: Flask, base_url: str = "https://shop.example") -> str | None:
    with app.test_request_context(base_url=base_url):
        return app.extensions["test"]["wepay"].ipn_url()


def without_signature(uri: str | None) -> str | None:
    return None if uri is None else uri.partition("wepay_signature=")[0]


def post(app: Flask, uri: str | None, **fields: object) -> int:
    parts = urlsplit(uri or "")
    target = f"{parts.path}?{parts.query}"
    return app.test_client().post(target, data=fields).status_code


def test_exchange_carries_it(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Every exchange tells WePay where IPNs about the user go."""
    wepay_connect(client)

    body = wepay_sandbox.last("oauth2/token").json

    assert without_signature(body["callback_uri"]) == "http://localhost/wepay/ipn?"


def test_own_signature_for_each_row(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Each exchange has a signature of its own, for the row it was made for."""
    wepay_connect(client)
    wepay_connect(client, login="/wepay/login?force=1")

    first, second = (e.json["callback_uri"] for e in wepay_sandbox.log.of("oauth2/token"))

    assert first != second


def test_no_owner_in_clear(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, rows: Any
) -> None:
    """What is signed is the client id and the row, never the owner."""
    wepay_connect(client)
    query = urlsplit(wepay_sandbox.last("oauth2/token").json["callback_uri"]).query

    payload = URLSafeSerializer("no matter").loads_unsafe(parse_qs(query)["wepay_signature"][0])

    row = rows()[0]
    assert payload == (False, [12345, row.id, row.state_hash[:16]])


@pytest.mark.parametrize(
    ("config", "base_url", "expected"),
    [
        pytest.param({}, "http://localhost", "http://localhost/wepay/ipn?", id="sandbox"),
        pytest.param(
            {}, "http://127.0.0.1:5000", "http://127.0.0.1:5000/wepay/ipn?", id="sandbox-port"
        ),
        pytest.param(
            {"WEPAY_URL_PREFIX": "/pay"},
            "http://localhost",
            "http://localhost/pay/ipn?",
            id="prefix",
        ),
        pytest.param(STAGE, "https://shop.example", "https://shop.example/wepay/ipn?", id="stage"),
        pytest.param(
            STAGE,
            "http://shop.example:8080",
            "http://shop.example:8080/wepay/ipn?",
            id="stage-allows-ports",
        ),
        pytest.param(STAGE, "http://localhost", None, id="stage-localhost"),
        pytest.param(STAGE, "http://shop.localhost", None, id="stage-below-localhost"),
        pytest.param(STAGE, "http://127.0.0.1:5000", None, id="stage-loopback"),
        pytest.param(STAGE, "http://[::1]", None, id="stage-loopback-v6"),
        pytest.param(
            PRODUCTION, "https://shop.example", "https://shop.example/wepay/ipn?", id="production"
        ),
        pytest.param(
            {**STAGE, "WEPAY_REDIRECT_URI": "https://public.example/pay/callback"},
            "http://10.0.0.1:8000",
            "https://public.example/pay/ipn?",
            id="beside-the-redirect-uri",
        ),
        pytest.param(
            {**STAGE, "WEPAY_REDIRECT_URI": "https://public.example/back?x=1"},
            "http://10.0.0.1:8000",
            "https://public.example/wepay/ipn?",
            id="host-of-the-redirect-uri",
        ),
        pytest.param(
            {**STAGE, "WEPAY_REDIRECT_URI": "http://localhost/wepay/callback"},
            "https://shop.example",
            None,
            id="redirect-uri-on-localhost",
        ),
        pytest.param(
            {**STAGE, "WEPAY_CALLBACK_URI": "https://hooks.example/in"},
            "http://localhost",
            "https://hooks.example/in?",
            id="setting",
        ),
        pytest.param(
            {**STAGE, "WEPAY_CALLBACK_URI": "https://hooks.example/in?shop=7"},
            "http://localhost",
            "https://hooks.example/in?shop=7&",
            id="setting-with-a-query",
        ),
        pytest.param(
            {**STAGE, "WEPAY_CALLBACK_URI": "https://hooks.example/in?"},
            "http://localhost",
            "https://hooks.example/in?&",
            id="setting-with-an-empty-query",
        ),
        pytest.param(
            {"WEPAY_CALLBACK_URI": "http://127.0.0.1:5000/in"},
            "http://localhost",
            "http://127.0.0.1:5000/in?",
            id="setting-in-the-sandbox",
        ),
        pytest.param(
            {**STAGE, "WEPAY_CALLBACK_URI": False}, "https://shop.example", None, id="off"
        ),
        pytest.param(
            {**STAGE, "WEPAY_CALLBACK_URI": "https://hooks.example/" + "x" * 2050},
            "https://shop.example",
            None,
            id="no-room-for-the-signature",
        ),
    ],
)
def test_address(
    make_app: MakeApp, config: dict[str, Any], base_url: str, expected: str | None
) -> None:
    """The address is the setting's, else the redirect URI's, else the request's; or none."""
    app = make_app(**config)

    uri = ipn_url(app, base_url)

    assert without_signature(uri) == expected


@pytest.mark.parametrize("base_url", ["http://shop.example", "https://shop.example:8443"])
def test_production_wants_https(make_app: MakeApp, base_url: str) -> None:
    """In production an address without https, or with a port, is an error that says so."""
    app = make_app(**PRODUCTION)

    with pytest.raises(ConfigurationError, match=r"'WEPAY_CALLBACK_URI'.*forget ProxyFix"):
        ipn_url(app, base_url)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("http://hooks.example/in", "is http"),
        ("https://hooks.example:8443/in", "has a port"),
        ("https://localhost/in", "is on localhost"),
        ("/in", "is not an absolute"),
    ],
)
def test_production_setting(make_app: MakeApp, uri: str, message: str) -> None:
    """In production a WEPAY_CALLBACK_URI that WePay would not call stops the application."""
    with pytest.raises(ConfigurationError, match=f"'WEPAY_CALLBACK_URI' {message}"):
        make_app(**PRODUCTION, WEPAY_CALLBACK_URI=uri)


def test_exchange_without_ipns(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """With WEPAY_CALLBACK_URI False the exchange names no address, and nothing is queued."""
    client = make_app(WEPAY_CALLBACK_URI=False).test_client()
    client.get("/as/alice")
    wepay_connect(client)

    wepay_sandbox.revoke(next(iter(wepay_sandbox.world.users)))

    assert "callback_uri" not in wepay_sandbox.last("oauth2/token").json
    assert wepay_sandbox.ipns == []


def test_outside_of_a_request(make_app: MakeApp) -> None:
    """A job can make the address where a setting tells it, and is told which one where not."""
    known = make_app(**STAGE, WEPAY_REDIRECT_URI="https://shop.example/wepay/callback")
    named = make_app(**STAGE, SERVER_NAME="shop.example", PREFERRED_URL_SCHEME="https")
    unknown = make_app(**STAGE)

    for app in (known, named):
        with app.app_context():
            uri = app.extensions["test"]["wepay"].ipn_url()
            assert without_signature(uri) == "https://shop.example/wepay/ipn?"
    with unknown.app_context(), pytest.raises(ConfigurationError, match="'WEPAY_REDIRECT_URI'"):
        unknown.extensions["test"]["wepay"].ipn_url()


@pytest.mark.parametrize(
    ("old", "new", "status"),
    [
        pytest.param({"SECRET_KEY": "old"}, {"SECRET_KEY": "old"}, 200, id="same-key"),
        pytest.param(
            {"SECRET_KEY": "old"},
            {"SECRET_KEY": "new", "SECRET_KEY_FALLBACKS": ["old"]},
            200,
            id="fallback",
        ),
        pytest.param({"SECRET_KEY": "old"}, {"SECRET_KEY": "new"}, 403, id="dropped"),
        pytest.param({"WEPAY_TOKEN_KEYS": KEYS[1:]}, {"WEPAY_TOKEN_KEYS": KEYS}, 200, id="rotated"),
        pytest.param(
            {"WEPAY_TOKEN_KEYS": KEYS[1:]}, {"WEPAY_TOKEN_KEYS": KEYS[:1]}, 403, id="key-dropped"
        ),
        pytest.param({}, {"WEPAY_TOKEN_KEYS": KEYS}, 200, id="keys-of-ones-own"),
        pytest.param({}, {"WEPAY_CLIENT_ID": 7, "WEPAY_CLIENT_SECRET": "x"}, 403, id="client-id"),
    ],
)
def test_keys(make_app: MakeApp, old: dict[str, Any], new: dict[str, Any], status: int) -> None:
    """A signature holds as long as its key is kept, for the application it was made for."""
    uri = ipn_url(make_app(**old))

    answer = post(make_app(**new), uri, checkout_id=1)

    assert answer == status


def test_not_the_session_key(app: Flask, wepay: WePay) -> None:
    """What the application signs itself with its SECRET_KEY is no signature of ours."""
    forged = URLSafeSerializer(app.secret_key, salt="flask_wepay.ipn").dumps([12345, None, ""])

    answer = post(app, f"/wepay/ipn?wepay_signature={forged}", checkout_id=1)

    assert answer == 403
