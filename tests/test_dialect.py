"""The dialect to the byte, as https://developer.wepay.com/api/api-calls/oauth2 has it."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests_mock
import time_machine
from applications import MakeApp, rows_of
from flask import Flask
from flask.testing import FlaskClient
from wire import RawServer, http

SITE = "https://www.example.com"
REDIRECT_URI = "https://www.example.com/wepay/callback"
SCOPE = "manage_accounts,collect_payments,view_user,preapprove_payments,send_money"
USER_AGENT = f"Flask-WePay/{version('Flask-WePay')}"
TOKEN = {"user_id": 123456, "access_token": "STAGE_ca8f2d", "token_type": "BEARER"}

#: The environment, its authorize page, and its token call.
PLACES = [
    (
        "stage",
        "https://stage.wepay.com/v2/oauth2/authorize",
        "https://stage.wepayapi.com/v2/oauth2/token",
    ),
    (
        "production",
        "https://www.wepay.com/v2/oauth2/authorize",
        "https://wepayapi.com/v2/oauth2/token",
    ),
]


@pytest.fixture
def make_site(make_app: MakeApp) -> Callable[..., Flask]:
    """Make an application at WePay itself: ``make_site("production")``."""

    def make(environment: str, **config: Any) -> Flask:
        return make_app(
            WEPAY_ENVIRONMENT=environment,
            WEPAY_CLIENT_ID="5000000000123456",
            WEPAY_CLIENT_SECRET="c1i2e3n4t5",
            WEPAY_REDIRECT_URI=REDIRECT_URI,
            **config,
        )

    return make


def browser_of(app: Flask) -> FlaskClient:
    """A browser in which alice is logged in, at the site's public address."""
    browser = app.test_client()
    browser.get("/as/alice", base_url=SITE)
    return browser


def come_back(browser: FlaskClient, code: str = "c0d3") -> Any:
    """Log in up to WePay, and come back with a code."""
    location = browser.get("/wepay/login", base_url=SITE).location
    state = dict(parse_qsl(urlsplit(location).query))["state"]
    return browser.get(
        "/wepay/callback", query_string={"code": code, "state": state}, base_url=SITE
    )


@pytest.mark.parametrize(("environment", "authorize_url", "token_url"), PLACES)
def test_authorize_address(
    make_site: Callable[..., Flask], environment: str, authorize_url: str, token_url: str
) -> None:
    """The browser is sent to the authorize page with the four arguments, and no others."""
    browser = browser_of(make_site(environment))

    location = browser.get("/wepay/login", base_url=SITE).location

    state = location.rpartition("&state=")[2]
    assert len(state) >= 32
    assert location == (
        f"{authorize_url}?client_id=5000000000123456"
        "&redirect_uri=https%3A%2F%2Fwww.example.com%2Fwepay%2Fcallback"
        "&scope=manage_accounts%2Ccollect_payments%2Cview_user%2Cpreapprove_payments%2Csend_money"
        f"&state={state}"
    )


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({}, {}),
        ({"user_email": "bill@example.com"}, {"user_email": "bill@example.com"}),
        (
            {"user_name": "Bill & Zoë", "user_email": "b+c@example.com", "user_country": "CA"},
            {"user_name": "Bill & Zoë", "user_email": "b+c@example.com", "user_country": "CA"},
        ),
        ({"user_name": None, "user_email": None, "user_country": "US"}, {"user_country": "US"}),
    ],
)
def test_prefill(
    make_site: Callable[..., Flask], given: dict[str, Any], sent: dict[str, str]
) -> None:
    """Of the pre-fill arguments exactly those that are given are sent."""
    app = make_site("stage")
    app.extensions["test"]["wepay"].prefill(lambda: given)

    location = browser_of(app).get("/wepay/login", base_url=SITE).location

    arguments = parse_qsl(urlsplit(location).query, strict_parsing=True, encoding="utf-8")
    names = ["client_id", "redirect_uri", "scope", "state", *sent]
    assert [name for name, _ in arguments] == names
    assert dict(arguments).items() >= sent.items()


@pytest.mark.parametrize(("environment", "authorize_url", "token_url"), PLACES)
@pytest.mark.parametrize("callback_uri", [None, False, "https://ipn.example.com/in?a=b"])
def test_token_request(
    make_site: Callable[..., Flask],
    requests_mock: requests_mock.Mocker,
    environment: str,
    authorize_url: str,
    token_url: str,
    callback_uri: str | bool | None,
) -> None:
    """The code is exchanged by one POST of JSON with the documented arguments, and no others."""
    requests_mock.post(token_url, json=TOKEN)
    app = make_site(environment, WEPAY_CALLBACK_URI=callback_uri)

    answer = come_back(browser_of(app))

    assert answer.location == "/"
    [request] = requests_mock.request_history
    assert (request.method, request.url) == ("POST", token_url)
    body = json.loads(request.body)
    signed = body.pop("callback_uri", None)
    assert body == {
        "client_id": 5000000000123456,
        "client_secret": "c1i2e3n4t5",
        "redirect_uri": REDIRECT_URI,
        "code": "c0d3",
    }
    assert type(body["client_id"]) is int
    if callback_uri is False:
        assert signed is None
    else:
        start = "https://www.example.com/wepay/ipn?" if callback_uri is None else callback_uri + "&"
        assert signed.startswith(start + "wepay_signature=")
    assert dict(request.headers) == {
        "User-Agent": USER_AGENT,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "keep-alive",
        "Content-Type": "application/json",
        "Content-Length": str(len(request.body)),
    }


def test_token_request_on_the_wire(make_app: MakeApp) -> None:
    """What leaves the machine are these bytes, and no others."""
    with RawServer(http(json.dumps(TOKEN).encode())) as server:
        app = make_app(WEPAY_SANDBOX_URL=server.url, WEPAY_CALLBACK_URI=False)

        come_back(browser_of(app))

    [request] = server.requests
    head, _, body = request.decode().partition("\r\n\r\n")
    assert body == (
        '{"client_id": 12345, "client_secret": "1a2b3c4d5e6f",'
        ' "redirect_uri": "https://www.example.com/wepay/callback", "code": "c0d3"}'
    )
    assert sorted(head.split("\r\n")) == sorted(
        [
            "POST /v2/oauth2/token HTTP/1.1",
            f"Host: {server.url.removeprefix('http://')}",
            f"User-Agent: {USER_AGENT}",
            "Accept: application/json",
            "Accept-Encoding: identity",
            "Connection: keep-alive",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
    )


@pytest.mark.parametrize(("environment", "authorize_url", "token_url"), PLACES)
def test_bearer_call(
    make_site: Callable[..., Flask],
    requests_mock: requests_mock.Mocker,
    environment: str,
    authorize_url: str,
    token_url: str,
) -> None:
    """A call is a POST of JSON under the same base, with the token in its header only."""
    requests_mock.post(token_url, json=TOKEN)
    call_url = token_url.replace("oauth2/token", "account/create")
    requests_mock.post(call_url, json={"account_id": 1})
    app = make_site(environment, WEPAY_API_VERSION="2019-04-03")
    come_back(browser_of(app))

    with app.app_context():
        app.extensions["test"]["wepay"].client_for("alice").call(
            "account/create", name="Zoë", risk_token="risk", client_ip="203.0.113.7"
        )

    request = requests_mock.last_request
    assert (request.method, request.url) == ("POST", call_url)
    assert request.body == b'{"name": "Zo\\u00eb"}'
    assert dict(request.headers) == {
        "User-Agent": USER_AGENT,
        "Accept": "application/json",
        "Accept-Encoding": "identity",
        "Connection": "keep-alive",
        "Content-Type": "application/json",
        "Content-Length": "20",
        "Authorization": "Bearer STAGE_ca8f2d",
        "Api-Version": "2019-04-03",
        "WePay-Risk-Token": "risk",
        "Client-IP": "203.0.113.7",
    }


def test_sandbox_is_content(
    client: FlaskClient, wepay_sandbox: Any, wepay_connect: Callable[..., Any]
) -> None:
    """The sandbox, which refuses all that is not documented, takes login, exchange and call."""
    wepay_connect(client, email="bill@example.com")

    assert [exchange.status for exchange in wepay_sandbox.log] == [200, 302, 200]
    assert [problem for exchange in wepay_sandbox.log for problem in exchange.problems] == []
    assert wepay_sandbox.last("oauth2/token").json["client_id"] == 12345


@pytest.mark.parametrize(
    ("user_id", "token_type", "expires_in"),
    [
        (1, "BEARER", "absent"),
        (2**53 + 1, "BEARER", None),
        (2**63 - 1, "BEARER", 3600),
        (7, "Bearer", 1),
        (7, "bearer", 2**31),
    ],
)
@time_machine.travel(1_700_000_000, tick=False)
def test_documented_answers(
    app: Flask, wepay_sandbox: Any, user_id: int, token_type: str, expires_in: Any
) -> None:
    """Large user_ids, BEARER in any case, and any expires_in are taken as they are."""
    body = {"user_id": user_id, "access_token": "STAGE_ca8f2d", "token_type": token_type}
    if expires_in != "absent":
        body["expires_in"] = expires_in
    wepay_sandbox.answer_next("oauth2/token", body=body)

    answer = come_back(browser_of(app))

    assert answer.location == "/"
    [row] = rows_of(app)
    assert (row.user_id, row.token_type) == (user_id, token_type)
    expected = 1_700_000_000 + expires_in if isinstance(expires_in, int) else None
    assert row.expires_at == expected


def test_unknown_fields(app: Flask, wepay_sandbox: Any) -> None:
    """Fields that WePay may add one day are no reason to refuse a token."""
    body = {**TOKEN, "scope": SCOPE, "more": [{"of": "it"}], "error_code": None}
    wepay_sandbox.answer_next("oauth2/token", body=body)

    come_back(browser_of(app))

    [row] = rows_of(app)
    assert row.granted_at is not None
