"""A callback is exchanged once, and answered by its row ever after."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from threading import Thread
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from requests_mock import Mocker
from werkzeug.test import TestResponse

from flask_wepay import WePay
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

MakeApp = Callable[..., Flask]
Rows = Callable[[], list[Any]]

TOKEN_URL = "http://127.0.0.1:8010/v2/oauth2/token"
NOT_CONFIRMED = "The connection could not be confirmed"
FINISHING = "Connecting with WePay"


def come_back(
    client: FlaskClient, sandbox: Sandbox, login: str = "/wepay/login?next=/there"
) -> str:
    """Begin a login and consent, and give the address that the browser goes back to."""
    return sandbox.authorize(client.get(login).location)


def copy_of(client: FlaskClient) -> FlaskClient:
    """The same browser as it is now: another tab, or a second click."""
    browser = client.application.test_client()
    browser.set_cookie("session", client.get_cookie("session").value)
    return browser


class WorkerDied(BaseException):
    """What happens to a worker that is killed, as near as a test can come."""


def die_during_exchange(client: FlaskClient, back: str, requests_mock: Mocker) -> None:
    requests_mock.post(TOKEN_URL, exc=WorkerDied)
    with pytest.raises(WorkerDied):
        client.get(back)
    requests_mock.reset_mock()


def test_connected(client: FlaskClient, wepay_sandbox: Sandbox, rows: Rows) -> None:
    """The code is exchanged, the token stored, and the browser led to `next`."""
    back = come_back(client, wepay_sandbox)

    answer = client.get(back)

    (row,) = rows()
    assert answer.location == "/there"
    assert wepay_sandbox.count("oauth2/token") == 1
    assert row.owner == "alice"
    assert row.user_id == wepay_sandbox.tokens(row.user_id)[0].user_id
    assert (row.revoked_at, row.reason, row.token_type) == (None, None, "BEARER")


def test_reload(client: FlaskClient, wepay_sandbox: Sandbox, rows: Rows) -> None:
    """A callback that is reloaded, its login forgotten, is answered by its row."""
    back = come_back(client, wepay_sandbox)
    client.get(back)
    granted = rows()

    answer = client.get(back)

    assert answer.location == "/"
    assert wepay_sandbox.count("oauth2/token") == 1
    assert rows() == granted


def test_replay_with_the_old_session(
    client: FlaskClient, wepay_sandbox: Sandbox, rows: Rows
) -> None:
    """A callback that is replayed with the session it had is answered by its row."""
    back = come_back(client, wepay_sandbox)
    replay = copy_of(client)
    client.get(back)

    answer = replay.get(back)

    assert answer.location == "/there"
    assert wepay_sandbox.count("oauth2/token") == 1
    assert len(rows()) == 1


def test_another_browser_of_the_owner(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """The owner's other browser, which began nothing, is told what the row says."""
    back = come_back(client, wepay_sandbox)
    client.get(back)
    other = client.application.test_client()
    other.get("/as/alice")

    answer = other.get(back)

    assert answer.location == "/"


def test_double_click(client: FlaskClient, wepay_sandbox: Sandbox, rows: Rows) -> None:
    """The second click waits for the first, and comes to the same place."""
    back = come_back(client, wepay_sandbox)
    second = copy_of(client)
    with wepay_sandbox.hold("oauth2/token") as hold:
        first = Thread(target=client.get, args=[back])
        first.start()
        hold.wait()

        waiting = second.get(back)

    first.join()
    done = second.get(back)
    assert (waiting.status_code, waiting.headers["Refresh"]) == (202, "2")
    assert FINISHING in waiting.text
    assert done.location == "/there"
    assert wepay_sandbox.count("oauth2/token") == 1
    assert len(rows()) == 1


def test_two_callbacks_in_step(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that both find no row yet, the one whose row comes second waits for the other."""
    back = come_back(client, wepay_sandbox)
    second = copy_of(client)
    with app.app_context():
        store = app.extensions["wepay"].store
    release, others = store.release, []

    def let_the_other_go_first() -> None:
        monkeypatch.setattr(store, "release", release)
        others.append(second.get(back))

    monkeypatch.setattr(store, "release", let_the_other_go_first)
    answer = client.get(back)

    assert [other.location for other in others] == ["/there"]
    assert answer.status_code == 202
    assert wepay_sandbox.count("oauth2/token") == 1
    assert client.get(back).location == "/there"


@pytest.mark.parametrize("knows", [True, False])
@pytest.mark.parametrize(("seconds", "status"), [(0, 202), (55, 202), (65, 409), (7200, 409)])
def test_first_worker_died(
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    requests_mock: Mocker,
    rows: Rows,
    knows: bool,
    seconds: int,
    status: int,
) -> None:
    """After a crash the page waits a minute, then has no more to say than "connect again"."""
    back = come_back(client, wepay_sandbox)
    browser = copy_of(client)
    die_during_exchange(client, back, requests_mock)
    if not knows:
        with browser.session_transaction() as session:
            del session["_wepay_logins"]

    with time_machine.travel(timedelta(seconds=seconds)):
        answer = browser.get(back)

    assert answer.status_code == status
    assert (FINISHING if status == 202 else NOT_CONFIRMED) in answer.text
    assert ("Refresh" in answer.headers) is (status == 202)
    assert wepay_sandbox.count("oauth2/token") == 0
    assert [(row.granted_at, row.revoked_at) for row in rows()] == [(None, None)]


def test_connect_again_after_a_crash(
    client: FlaskClient, wepay_sandbox: Sandbox, requests_mock: Mocker, rows: Rows
) -> None:
    """The button on that page connects, and leads where the first login wanted to."""
    back = come_back(client, wepay_sandbox)
    die_during_exchange(copy_of(client), back, requests_mock)
    requests_mock.stop()
    with time_machine.travel(timedelta(seconds=61)):
        page = client.get(back)
        assert 'href="/wepay/login?next=/there">Connect again' in page.text

        answer = client.get(come_back(client, wepay_sandbox))

    assert answer.location == "/there"
    assert [row.granted_at is None for row in rows()] == [True, False]


def test_pending_row_of_another_owner(
    client: FlaskClient, wepay_sandbox: Sandbox, requests_mock: Mocker
) -> None:
    """Nobody else learns that a login is being finished."""
    back = come_back(client, wepay_sandbox)
    die_during_exchange(client, back, requests_mock)
    client.get("/as/bob")

    answer = client.get(back)

    assert answer.status_code == 400


def refuse(sandbox: Sandbox) -> None:
    sandbox.answer_next("oauth2/token", error_code=1012)


def fail(sandbox: Sandbox) -> None:
    sandbox.answer_next("oauth2/token", status=500)


def fail_with_1008(sandbox: Sandbox) -> None:
    sandbox.answer_next("oauth2/token", error_code=1008)


def answer_html(sandbox: Sandbox) -> None:
    sandbox.answer_next("oauth2/token", status=200, body="<h1>Hello</h1>", work=True)


def drop(sandbox: Sandbox) -> None:
    sandbox.drop_next("oauth2/token", before=False)


def go_away(sandbox: Sandbox) -> None:
    sandbox.unreachable = True


def throttle(sandbox: Sandbox) -> None:
    sandbox.answer_next("oauth2/token", error_code=1007)


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        (refuse, 502, "WePay did not make the connection"),
        (fail, 502, NOT_CONFIRMED),
        (fail_with_1008, 502, NOT_CONFIRMED),
        (answer_html, 502, NOT_CONFIRMED),
        (drop, 502, NOT_CONFIRMED),
        (go_away, 503, "WePay can't be reached just now"),
        (throttle, 503, "WePay is too busy just now"),
    ],
)
def test_exchange_without_a_token(
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    rows: Rows,
    script: Callable[[Sandbox], None],
    status: int,
    words: str,
) -> None:
    """An exchange that brings no token is a page with a way on, a dead row, and is not repeated."""
    back = come_back(client, wepay_sandbox)
    script(wepay_sandbox)

    answer, reloaded = client.get(back), client.get(back)

    assert answer.status_code == status
    assert words in answer.text
    assert 'href="/wepay/login?next=/there">Connect again' in answer.text
    assert reloaded.status_code == 409
    assert wepay_sandbox.count("oauth2/token") <= 1
    assert [(row.reason, row.granted_at) for row in rows()] == [("failed", None)]


def test_exchange_that_was_not_sent(
    client: FlaskClient, wepay_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exchange is tried again where nothing was sent, and sent once when WePay is back."""
    back = come_back(client, wepay_sandbox)
    wepay_sandbox.unreachable = True
    monkeypatch.setattr(
        time, "sleep", lambda seconds: vars(wepay_sandbox).update(unreachable=False)
    )

    answer = client.get(back)

    assert answer.location == "/there"
    assert wepay_sandbox.count("oauth2/token") == 1


def test_failed_exchange_keeps_the_old_connection(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, wepay: WePay
) -> None:
    """A reconnection that fails leaves the connection that there was."""
    wepay_connect(client)
    back = come_back(client, wepay_sandbox, "/wepay/login?force=1")
    refuse(wepay_sandbox)

    client.get(back)

    with client.application.app_context():
        assert wepay.client_for("alice").call("user")["state"] == "registered"


def test_disconnected_during_the_exchange(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay: WePay, rows: Rows
) -> None:
    """Whoever disconnects while WePay is being asked stays disconnected, and reads so."""
    back = come_back(client, wepay_sandbox)
    answers: list[TestResponse] = []
    with wepay_sandbox.hold("oauth2/token") as hold:
        first = Thread(target=lambda: answers.append(client.get(back)))
        first.start()
        hold.wait()
        with client.application.app_context():
            wepay.client_for("alice").disconnect()

    first.join()
    assert answers[0].status_code == 409
    assert "You were disconnected while WePay was being asked" in answers[0].text
    assert [(row.reason, row.token) for row in rows()] == [("disconnected", None)]


def test_over_the_budget(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """Beyond a third of the budget a callback waits: no row, the state kept, a reload finishes."""
    app = make_app(WEPAY_THROTTLE="6 per 10 seconds")
    db, model = app.extensions["test"]["db"], app.extensions["test"]["model"]
    for owner in ("alice", "bob", "carol"):
        client = app.test_client()
        client.get(f"/as/{owner}")
        back = come_back(client, wepay_sandbox)
        answer = client.get(back)

    with app.app_context():
        assert db.session.query(model).count() == 2
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["Retry-After"]) <= 10
    assert '<a href="">Try again' in answer.text
    with time_machine.travel(timedelta(seconds=int(answer.headers["Retry-After"]))):
        assert client.get(back).location == "/there"
    assert wepay_sandbox.count("oauth2/token") == 3


def test_waiting_spends_no_budget(
    make_app: MakeApp, wepay_sandbox: Sandbox, requests_mock: Mocker
) -> None:
    """The page that waits for another worker's exchange leaves the budget to other logins."""
    app = make_app(WEPAY_THROTTLE="6 per 10 seconds")
    waiting, another = app.test_client(), app.test_client()
    waiting.get("/as/alice")
    another.get("/as/bob")
    back = come_back(waiting, wepay_sandbox)
    with_the_state = copy_of(waiting)
    die_during_exchange(waiting, back, requests_mock)
    requests_mock.stop()

    statuses = [with_the_state.get(back).status_code for _ in range(5)]
    answer = another.get(come_back(another, wepay_sandbox))

    assert statuses == [202] * 5
    assert answer.location == "/there"


def test_database_away(
    client: FlaskClient, wepay_sandbox: Sandbox, db: SQLAlchemy, rows: Rows
) -> None:
    """A dead database is found before the exchange, and a reload finishes once it is back."""
    back = come_back(client, wepay_sandbox, "/wepay/login?next=/there&force=1")
    with client.application.app_context():
        db.drop_all()
    answer = client.get(back)
    assert answer.status_code == 503
    assert "can't reach its records" in answer.text
    assert wepay_sandbox.count("oauth2/token") == 0
    with client.application.app_context():
        db.create_all()

    reloaded = client.get(back)

    assert reloaded.location == "/there"
    assert len(rows()) == 1


def test_open_transaction_is_given_back(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect, tmp_path: Any
) -> None:
    """An owner loader that uses the database holds no connection while WePay is asked."""
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'app.db'}")
    db, wepay = app.extensions["test"]["db"], app.extensions["test"]["wepay"]
    held: list[int] = []

    @wepay.owner_loader
    def load() -> str:
        return str(db.session.execute(db.text("SELECT 'alice'")).scalar())

    client = app.test_client()
    back = come_back(client, wepay_sandbox)
    with wepay_sandbox.hold("oauth2/token") as hold:
        request = Thread(target=client.get, args=[back])
        request.start()
        hold.wait()
        with app.app_context():
            held.append(db.engine.pool.checkedout())
    request.join()

    assert held == [0]


# No loops


class Browser:
    """Do what a browser does by itself: follow redirects and Refresh, and consent at WePay."""

    def __init__(self, client: FlaskClient, sandbox: Sandbox) -> None:
        self._client = client
        self._sandbox = sandbox

    def visit(self, address: str, clock: Any = None) -> tuple[TestResponse, list[str]]:
        """Go on until a page stays, and give it with the paths of the way there."""
        way: list[str] = []
        for _ in range(60):
            way.append(urlsplit(address).path)
            answer = self._client.get(address)
            if answer.location is not None:
                address = urljoin(address, answer.location)
                if address.startswith(self._sandbox.url):
                    way.append("WePay")
                    address = self._sandbox.authorize(address)
            elif "Refresh" in answer.headers and clock is not None:
                clock.shift(int(answer.headers["Refresh"]))
            else:
                return answer, way
        raise AssertionError(f"It goes round in circles: {way}")


@pytest.fixture
def browser(make_app: MakeApp, wepay_sandbox: Sandbox) -> Browser:
    app = make_app(WEPAY_THROTTLE=None)
    app.add_url_rule("/there", view_func=lambda: "there", endpoint="there")
    app.add_url_rule("/", view_func=lambda: "home", endpoint="home")
    client = app.test_client()
    client.get("/as/alice")
    return Browser(client, wepay_sandbox)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?state=x",
        "?code=x",
        "?code=x&state=x",
        "?error=access_denied",
        "?error=access_denied&state=x",
        "?error=server_error",
        "?error=",
        "?error=invalid_request&error_description=redirect_uri",
    ],
)
def test_refusals_stay(browser: Browser, query: str) -> None:
    """A refused callback is a page that stays, and never leads back to WePay by itself."""
    answer, way = browser.visit(f"/wepay/callback{query}")

    assert answer.status_code in (400, 403)
    assert way == ["/wepay/callback"]


@pytest.mark.parametrize("script", [refuse, fail, answer_html, drop, throttle])
def test_failed_exchanges_stay(
    browser: Browser, wepay_sandbox: Sandbox, script: Callable[[Sandbox], None]
) -> None:
    """A failed exchange is a page that stays, even where WePay consents by itself."""
    script(wepay_sandbox)

    answer, way = browser.visit("/wepay/login?next=/there")

    assert answer.status_code in (502, 503)
    assert way == ["/wepay/login", "WePay", "/wepay/callback"]


@pytest.mark.parametrize("call", ["user", "oauth2/token"])
def test_wepay_that_answers_nobody_stays(
    browser: Browser, wepay_sandbox: Sandbox, call: str
) -> None:
    """Login with a WePay that is broken for good ends on a page."""
    browser.visit("/wepay/login")
    wepay_sandbox.answer_next(call, error_code=1008, times=99)

    answer, way = browser.visit("/wepay/login?next=/there" + "&force=1" * (call != "user"))

    assert answer.status_code in (502, 503)
    assert len(way) <= 3


def test_finishing_ends(
    browser: Browser, client: FlaskClient, wepay_sandbox: Sandbox, requests_mock: Mocker
) -> None:
    """The page that reloads itself stops doing so after a minute."""
    back = come_back(client, wepay_sandbox)

    with time_machine.travel(timedelta(), tick=False) as clock:
        die_during_exchange(client, back, requests_mock)
        answer, way = Browser(client, wepay_sandbox).visit(back, clock)

    assert answer.status_code == 409
    assert way == ["/wepay/callback"] * 31


def test_token_that_dies_at_once(browser: Browser, wepay_sandbox: Sandbox) -> None:
    """Where every new token is revoked at once, each login asks once and then goes on."""
    browser.visit("/wepay/login")
    wepay_sandbox.answer_next("user", error_code=1011, times=99)

    answer, way = browser.visit("/wepay/login?next=/there")

    assert answer.text == "there"
    assert way == ["/wepay/login", "WePay", "/wepay/callback", "/there"]
