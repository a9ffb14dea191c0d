"""Login asks WePay for a new token only when the current one does not work."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import time_machine
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy

from flask_wepay import WePay
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

MakeApp = Callable[..., Flask]
Rows = Callable[[], list[Any]]

AUTHORIZE = "http://127.0.0.1:8010/v2/oauth2/authorize?"
KEPT = "Your connection is kept."


@pytest.fixture
def connected(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, rows: Rows
) -> list[Any]:
    """What the table holds once alice is connected."""
    wepay_connect(client)
    return rows()


def test_first_login(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Whoever was never connected goes to WePay, and nothing is asked before."""
    answer = client.get("/wepay/login")

    assert answer.location.startswith(AUTHORIZE)
    assert len(wepay_sandbox.log) == 0


def test_working_connection(
    client: FlaskClient, wepay_sandbox: Sandbox, connected: list[Any], rows: Rows
) -> None:
    """Whoever is connected goes straight on, after one look-up and no exchange."""
    answer = client.get("/wepay/login?next=/there")

    assert answer.location == "/there"
    assert (wepay_sandbox.count("user"), wepay_sandbox.count("oauth2/token")) == (1, 1)
    assert rows() == connected


@pytest.mark.parametrize(
    ("target", "place"), [("/", "/"), ("/dash?x=1#y", "/dash?x=1#y"), ("log_in_page", "/log-in")]
)
def test_login_redirect(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect, target: str, place: str
) -> None:
    """Without `next` a login leads to WEPAY_LOGIN_REDIRECT, a path or an endpoint."""
    app = make_app(WEPAY_LOGIN_REDIRECT=target)
    app.add_url_rule("/log-in", "log_in_page", lambda: "")
    client = app.test_client()
    client.get("/as/alice")

    by_callback, by_login = wepay_connect(client), client.get("/wepay/login")

    assert by_callback.location == by_login.location == place


def test_login_redirect_to_nowhere(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """An endpoint that there is not is found at login, not once WePay gave a token."""
    client = make_app(WEPAY_LOGIN_REDIRECT="no.such_endpoint").test_client()
    client.get("/as/alice")

    answer = client.get("/wepay/login")

    assert answer.status_code == 500
    assert "not set up for WePay correctly" in answer.text
    assert "no.such_endpoint" not in answer.text


def end_by_1011(sandbox: Sandbox, user_id: int) -> None:
    sandbox.revoke(user_id)


def end_by_7003(sandbox: Sandbox, user_id: int) -> None:
    sandbox.delete_user(user_id)


def end_by_state(sandbox: Sandbox, user_id: int) -> None:
    sandbox.delete_user(user_id, shows_state=True)


@pytest.mark.parametrize(
    ("end", "reason"),
    [(end_by_1011, "revoked"), (end_by_7003, "deleted"), (end_by_state, "deleted")],
)
def test_connection_that_ended(
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    connected: list[Any],
    rows: Rows,
    end: Callable[[Sandbox, int], None],
    reason: str,
) -> None:
    """Where WePay says that the token is dead, the row ends and the flow starts."""
    end(wepay_sandbox, connected[0].user_id)

    answer = client.get("/wepay/login")

    assert answer.location.startswith(AUTHORIZE)
    assert [(row.reason, row.token) for row in rows()] == [(reason, None)]


@pytest.mark.parametrize(("seconds", "asked"), [(3000, 1), (3700, 0)])
def test_expired_token(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, seconds: int, asked: int
) -> None:
    """An expired token is not asked about: the flow starts."""
    wepay_sandbox.world.expires_in = 3600
    wepay_connect(client)

    with time_machine.travel(timedelta(seconds=seconds)):
        answer = client.get("/wepay/login")

    assert wepay_sandbox.count("user") == asked
    assert answer.location.startswith(AUTHORIZE) is not bool(asked)


def test_disconnected(client: FlaskClient, wepay_sandbox: Sandbox, connected: list[Any]) -> None:
    """After a disconnect nothing is asked: the flow starts."""
    with client.application.app_context():
        client.application.extensions["test"]["wepay"].client_for("alice").disconnect()

    answer = client.get("/wepay/login")

    assert answer.location.startswith(AUTHORIZE)
    assert wepay_sandbox.count("user") == 0


def test_1006(
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    connected: list[Any],
    rows: Rows,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A token that WePay does not know is kept and told of, and the flow starts."""
    wepay_sandbox.answer_next("user", error_code=1006)

    answer = client.get("/wepay/login")

    assert answer.location.startswith(AUTHORIZE)
    assert rows() == connected
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "WEPAY_ENVIRONMENT" in record.getMessage()


def scripted(**script: Any) -> Callable[[Sandbox], None]:
    return lambda sandbox: sandbox.answer_next("user", times=9, **script)


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(lambda sandbox: sandbox.drop_next("user", times=9), id="dropped"),
        pytest.param(lambda s: s.drop_next("user", before=False, times=9), id="dropped after"),
        pytest.param(lambda sandbox: sandbox.delay_next("user", 6, times=9), id="late"),
        pytest.param(lambda sandbox: setattr(sandbox, "unreachable", True), id="unreachable"),
        pytest.param(scripted(status=500), id="500"),
        pytest.param(scripted(status=503, body="<h1>Maintenance</h1>"), id="503 HTML"),
        pytest.param(scripted(status=200, body="<h1>Hello</h1>"), id="200 HTML"),
        pytest.param(scripted(status=200, body=b""), id="200 empty"),
        pytest.param(scripted(status=200, body=b'{"user_id": 1'), id="200 cut off"),
        pytest.param(scripted(status=301, headers={"Location": "/v2/x"}), id="redirect"),
        pytest.param(scripted(error_code=1008), id="1008"),
        pytest.param(scripted(error_code=1010), id="1010"),
        pytest.param(scripted(error_code=1014, status=403), id="1014"),
        pytest.param(scripted(status=401, body="no code"), id="401 without a code"),
        pytest.param(scripted(status=400, body={"error_code": "1011"}), id="1011 in quotes"),
    ],
)
def test_no_telling(
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    connected: list[Any],
    rows: Rows,
    script: Callable[[Sandbox], None],
) -> None:
    """Where WePay does not say whether the token works, the connection is kept: a 503 page."""
    script(wepay_sandbox)

    answer = client.get("/wepay/login?next=/there")

    assert answer.status_code == 503
    assert KEPT in answer.text
    assert 'href="/wepay/login?next=/there">Try again' in answer.text
    assert 'href="/wepay/login?next=/there&amp;force=1">Reconnect anyway' in answer.text
    assert wepay_sandbox.count("oauth2/token") == 1
    assert rows() == connected


def test_links_of_that_page(
    client: FlaskClient, wepay_sandbox: Sandbox, connected: list[Any]
) -> None:
    """With "try again" one goes on once WePay answers, "reconnect anyway" leads to WePay."""
    wepay_sandbox.unreachable = True
    assert KEPT in client.get("/wepay/login?next=/there").text
    wepay_sandbox.unreachable = False

    again, anyway = (
        client.get("/wepay/login?next=/there"),
        client.get("/wepay/login?next=/there&force=1"),
    )

    assert again.location == "/there"
    assert anyway.location.startswith(AUTHORIZE)


@pytest.mark.parametrize(("seconds", "status"), [(4, 302), (6, 503)])
def test_five_seconds(
    client: FlaskClient, wepay_sandbox: Sandbox, connected: list[Any], seconds: int, status: int
) -> None:
    """The look-up has five seconds, whatever WEPAY_TIMEOUT says."""
    wepay_sandbox.delay_next("user", seconds, times=9)

    answer = client.get("/wepay/login")

    assert answer.status_code == status


def test_look_up_is_repeated(
    client: FlaskClient, wepay_sandbox: Sandbox, connected: list[Any]
) -> None:
    """A single hiccup of WePay is not shown to anybody."""
    wepay_sandbox.drop_next("user")

    answer = client.get("/wepay/login?next=/there")

    assert answer.location == "/there"


def test_over_the_look_up_budget(
    client: FlaskClient, wepay_sandbox: Sandbox, connected: list[Any]
) -> None:
    """Beyond an owner's half of a fifth of the rate limit a login goes straight on."""
    answers = [client.get("/wepay/login?next=/there") for _ in range(8)]

    assert {answer.location for answer in answers} == {"/there"}
    assert wepay_sandbox.count("user") == 3


def test_throttled_by_wepay(
    client: FlaskClient, wepay_sandbox: Sandbox, connected: list[Any], rows: Rows
) -> None:
    """WePay's own 1007 is a budget, too, and says nothing of the token."""
    wepay_sandbox.answer_next("user", error_code=1007)

    answer = client.get("/wepay/login?next=/there")

    assert answer.location == "/there"
    assert rows() == connected


@pytest.mark.parametrize(("force", "forced"), [("1", True), ("0", False), ("", False)])
def test_force(
    client: FlaskClient, wepay_sandbox: Sandbox, connected: list[Any], force: str, forced: bool
) -> None:
    """force=1 starts the flow without a question, and nothing else does."""
    answer = client.get(f"/wepay/login?force={force}")

    assert answer.location.startswith(AUTHORIZE) is forced
    assert wepay_sandbox.count("user") == (not forced)


def test_force_connects_another_user(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, rows: Rows
) -> None:
    """With force=1 an owner changes to another WePay user."""
    wepay_connect(client, email="bill@example.com")
    wepay_connect(client, email="mary@example.com", login="/wepay/login?force=1")

    with client.application.app_context():
        current = client.application.extensions["test"]["wepay"].client_for("alice").user_id

    assert current == rows()[-1].user_id != rows()[0].user_id


@pytest.fixture
def unreadable(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect, tmp_path: Path
) -> FlaskClient:
    """A browser whose user's token was encrypted with a key that is gone."""
    config = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'app.db'}"}
    before = make_app(WEPAY_TOKEN_KEYS=[Fernet.generate_key().decode()], **config).test_client()
    before.get("/as/alice")
    wepay_connect(before)
    client = make_app(WEPAY_TOKEN_KEYS=[Fernet.generate_key().decode()], **config).test_client()
    client.get("/as/alice")
    return client


def test_unreadable_row(unreadable: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A row that no key opens is a 503, never "not connected", and nothing is asked."""
    answer = unreadable.get("/wepay/login?next=/there")

    assert answer.status_code == 503
    assert "Your connection can't be read just now" in answer.text
    assert 'href="/wepay/login?next=/there&amp;force=1">Reconnect anyway' in answer.text
    assert wepay_sandbox.count("user") == 0


def test_unreadable_row_and_force(
    unreadable: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """With force=1 an unreadable row stands in nobody's way, and the new token works."""
    connected = wepay_connect(unreadable, login="/wepay/login?force=1")

    again = unreadable.get("/wepay/login?next=/there")

    assert connected.location == "/"
    assert again.location == "/there"


def test_database_away(client: FlaskClient, wepay_sandbox: Sandbox, db: SQLAlchemy) -> None:
    """Without our database nobody knows who is connected: a 503 page, and nothing is sent."""
    with client.application.app_context():
        db.drop_all()

    answer = client.get("/wepay/login?next=/there")

    assert answer.status_code == 503
    assert "can't reach its records" in answer.text
    assert 'href="/wepay/login?next=/there">Try again' in answer.text
    assert len(wepay_sandbox.log) == 0


@pytest.mark.parametrize("path", ["/wepay/login", "/wepay/callback"])
@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods(client: FlaskClient, wepay_sandbox: Sandbox, path: str, method: str) -> None:
    """Only GET begins or ends a login: a HEAD, say by a link preview, uses nothing up."""
    back = wepay_sandbox.authorize(client.get("/wepay/login").location)
    query = back.partition("?")[2]

    answer = client.open(f"{path}?{query}", method=method)

    assert answer.status_code == 405
    assert "Set-Cookie" not in answer.headers
    assert wepay_sandbox.count("oauth2/token") == 0
    assert client.get(back).location == "/"


@pytest.mark.parametrize("path", ["/wepay/login", "/wepay/callback?code=x&state=y"])
def test_own_token(make_app: MakeApp, wepay_sandbox: Sandbox, path: str) -> None:
    """A merchant with a token of its own has no logins: 404."""
    client = make_app(WePay(), WEPAY_ACCESS_TOKEN="STAGE_own", owner_loader=False).test_client()

    answer = client.get(path)

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("host", "config", "starts"),
    [
        ("localhost", {}, True),
        ("www.example.com", {"WEPAY_REDIRECT_URI": "http://www.example.com/wepay/callback"}, True),
        ("example.com", {"WEPAY_REDIRECT_URI": "http://www.example.com/wepay/callback"}, False),
        (
            "example.com",
            {
                "WEPAY_REDIRECT_URI": "http://www.example.com/wepay/callback",
                "SESSION_COOKIE_DOMAIN": "example.com",
            },
            True,
        ),
        (
            "example.com",
            {
                "WEPAY_REDIRECT_URI": "http://www.other.example/wepay/callback",
                "SESSION_COOKIE_DOMAIN": "example.com",
            },
            False,
        ),
        (
            "example.com",
            {"SESSION_COOKIE_PATH": "/shop", "WEPAY_URL_PREFIX": "/wepay"},
            False,
        ),
    ],
)
def test_redirect_uri_shares_the_session(
    make_app: MakeApp,
    wepay_sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    host: str,
    config: dict[str, Any],
    starts: bool,
) -> None:
    """A login whose callback would come without its session is refused, and the log names both."""
    client = make_app(owner_loader=False, **config).test_client()

    answer = client.get("/wepay/login", base_url=f"http://{host}/")

    assert answer.status_code == (302 if starts else 500)
    assert starts or host in caplog.text
    assert starts or config.get("WEPAY_REDIRECT_URI", host) in caplog.text


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({}, 302),
        ({"Site": "none", "Mode": "navigate", "Dest": "document"}, 302),
        ({"Site": "same-origin", "Mode": "navigate", "Dest": "document"}, 302),
        ({"Site": "cross-site", "Mode": "navigate", "Dest": "document"}, 302),
        ({"Site": "cross-site", "Mode": "navigate", "Dest": "iframe"}, 403),
        ({"Site": "cross-site", "Mode": "no-cors", "Dest": "image"}, 403),
        ({"Site": "cross-site", "Mode": "cors", "Dest": "empty"}, 403),
    ],
)
@pytest.mark.parametrize("force", ["", "?force=1"])
def test_pages_of_strangers(
    client: FlaskClient, wepay_sandbox: Sandbox, asked: dict[str, str], status: int, force: str
) -> None:
    """Another site's page can lead here, and can't have an image of a login begin one."""
    headers = {f"Sec-Fetch-{name}": value for name, value in asked.items()}

    assert client.get(f"/wepay/login{force}", headers=headers).status_code == status

    with client.session_transaction() as browser:
        assert len(browser.get("_wepay_logins", [])) == (1 if status == 302 else 0)


def test_junk_callbacks_in_the_log(
    client: FlaskClient, wepay_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """What a stranger can cause is a warning, and few of them."""
    for _ in range(40):
        location = client.get("/wepay/login?force=1").location
        state = dict(parse_qsl(urlsplit(location).query))["state"]
        client.get(f"/wepay/callback?code=junk&state={state}")

    lines = [record for record in caplog.records if record.name == "flask_wepay"]
    assert [record for record in lines if record.levelname == "ERROR"] == []
    assert 0 < len([record for record in lines if record.levelname == "WARNING"]) <= 20
