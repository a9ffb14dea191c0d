"""IPNs: what one may cause, and what none may."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import limits.storage
import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from flask_wtf import CSRFProtect
from werkzeug.test import TestResponse

from flask_wepay import WePay, signals
from flask_wepay.ipns import Origin, signed
from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import IPN, Sandbox
from flask_wepay.sandbox.ipns import RETRIES
from flask_wepay.tokens import Secret

BILL, MARY = 100001, 100002

Told = list[tuple[str, dict[str, Any]]]
Rows = Callable[[], list[Any]]
MakeApp = Callable[..., Flask]


def rows_of(app: Flask) -> list[Any]:
    """Read an application's token table, oldest first."""
    db, model = app.extensions["test"]["db"], app.extensions["test"]["model"]
    with app.app_context(), db.engine.connect() as connection:
        table = model.__table__
        return list(connection.execute(table.select().order_by(table.c.id)))


@pytest.fixture
def told(app: Flask) -> Iterator[Told]:
    """Collect the signals of the application, in order."""
    yield from collect(app)


def collect(app: Flask) -> Iterator[Told]:
    heard: Told = []
    receivers = []
    for name in ("authorized", "token_revoked", "user_deleted", "ipn_received"):

        def receive(sender: Flask, name: str = name, **facts: Any) -> None:
            heard.append((name, facts))

        signal = getattr(signals, f"wepay_{name}")
        signal.connect(receive, sender=app)
        receivers.append(receive)
    yield heard


@pytest.fixture
def connected(client: FlaskClient, wepay_connect: Connect, told: Told) -> FlaskClient:
    """A browser of alice's, who has connected Bill."""
    wepay_connect(client)
    told.clear()
    return client


@pytest.fixture
def file_app(make_app: MakeApp, tmp_path: Path) -> Flask:
    """An application whose database takes more than one connection, and waits for a lock."""
    return app_on_file(make_app, tmp_path, timeout=30)


def app_on_file(make_app: MakeApp, directory: Path, timeout: float) -> Flask:
    return make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{directory}/db.sqlite",
        SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"timeout": timeout}},
    )


def callback_uri(sandbox: Sandbox) -> str:
    return sandbox.last("oauth2/token").json["callback_uri"]


def post(app: Flask, uri: str, fields: Mapping[str, object], **options: Any) -> TestResponse:
    parts = urlsplit(uri)
    path = f"{parts.path}?{parts.query}"
    return app.test_client().post(path, data=fields, **options)


def poster(app: Flask) -> Callable[[str, Mapping[str, str]], int]:
    """What the sandbox delivers with."""
    return lambda uri, fields: post(app, uri, fields).status_code


def ipn_url(app: Flask) -> str:
    with app.test_request_context():
        return app.extensions["test"]["wepay"].ipn_url()


def authorized(app: Flask, owner: str = "alice") -> bool:
    with app.app_context():
        return app.extensions["test"]["wepay"].client_for(owner).authorized


# What an IPN is for


def test_revocation(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    rows: Rows,
    told: Told,
    wepay: WePay,
) -> None:
    """A revocation at WePay marks the row, tells once, and ends all calls for the user."""
    wepay_sandbox.revoke(BILL)

    [ipn] = wepay_sandbox.deliver_ipns(poster(app))

    [row] = rows()
    assert ipn.delivered
    assert (row.reason, row.token) == ("revoked", None)
    assert told == [("token_revoked", {"owner": "alice", "user_id": BILL, "reason": "revoked"})]
    before = len(wepay_sandbox.log)
    assert not authorized(app)
    assert post(app, ipn.callback_uri, {"user_id": BILL}).status_code == 200
    assert len(wepay_sandbox.log) == before
    assert len(told) == 1


@pytest.mark.parametrize("shows_state", [False, True], ids=["7003", "state"])
def test_deletion(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    rows: Rows,
    told: Told,
    shows_state: bool,
) -> None:
    """A user whom WePay deleted ends the row, and that is told instead of a revocation."""
    wepay_sandbox.delete_user(BILL, shows_state=shows_state)

    wepay_sandbox.deliver_ipns(poster(app))

    assert rows()[0].reason == "deleted"
    assert told == [("user_deleted", {"owner": "alice", "user_id": BILL})]


def test_nothing_happened(
    app: Flask, connected: FlaskClient, wepay_sandbox: Sandbox, rows: Rows, told: Told
) -> None:
    """An IPN is a reason to look: where WePay says that all is well, nothing changes."""
    before = rows()

    answer = post(app, callback_uri(wepay_sandbox), {"user_id": BILL})

    assert (answer.status_code, answer.data) == (200, b"")
    assert wepay_sandbox.count("user") == 1
    assert rows() == before
    assert told == []


def test_a_hundred_times(
    app: Flask, connected: FlaskClient, wepay_sandbox: Sandbox, rows: Rows, told: Told
) -> None:
    """The same IPN a hundred times does what it did once."""
    [token] = wepay_sandbox.revoke(BILL)
    wepay_sandbox.deliver_ipns(poster(app))
    once = rows(), list(told), wepay_sandbox.count("user")

    statuses = {
        post(app, token.callback_uri or "", {"user_id": BILL}).status_code for _ in range(100)
    }

    assert statuses == {200}
    assert (rows(), told, wepay_sandbox.count("user")) == once


def test_two_days_later(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    rows: Rows,
    told: Told,
) -> None:
    """An IPN that arrives 44 hours late, after a new authorization, changes nothing."""
    with time_machine.travel(time.time(), tick=False) as clock:
        [revoked] = wepay_sandbox.revoke(BILL)
        wepay_sandbox.deliver_ipns(poster(app))
        wepay_connect(connected)
        before = rows()
        told.clear()
        clock.shift(44 * 3600)

        answer = post(app, revoked.callback_uri or "", {"user_id": BILL})

    assert answer.status_code == 200
    assert rows() == before
    assert told == []
    assert authorized(app)


def test_answer_after_a_new_token(
    file_app: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A look-up that answers only after a new token was stored leaves the user connected."""
    told = next(collecting := collect(file_app))
    client = file_app.test_client()
    client.get("/as/alice")
    wepay_connect(client)
    [revoked] = wepay_sandbox.revoke(BILL)
    held = wepay_sandbox.hold("user", "after")

    with ThreadPoolExecutor(1) as pool, held:
        answer = pool.submit(post, file_app, revoked.callback_uri or "", {"user_id": BILL})
        held.wait()
        wepay_connect(client, login="/wepay/login?force=1")
        told.clear()
        held.release()
        status = answer.result().status_code

    assert status == 200
    assert [row.reason for row in rows_of(file_app)] == ["replaced", None]
    assert authorized(file_app)
    assert told == []
    collecting.close()


def test_delivered_twice_at_once(
    file_app: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Two deliveries at the same time, whose look-ups both say revoked, tell it once."""
    told = next(collecting := collect(file_app))
    client = file_app.test_client()
    client.get("/as/alice")
    wepay_connect(client)
    told.clear()
    [revoked] = wepay_sandbox.revoke(BILL)
    held = [wepay_sandbox.hold("user", "after") for _ in range(2)]

    with ThreadPoolExecutor(2) as pool, held[0], held[1]:
        answers = [
            pool.submit(post, file_app, revoked.callback_uri or "", {"user_id": BILL}) for _ in held
        ]
        for hold in held:
            hold.wait()
        for hold in held:
            hold.release()
        statuses = [answer.result().status_code for answer in answers]

    assert statuses == [200, 200]
    assert told == [("token_revoked", {"owner": "alice", "user_id": BILL, "reason": "revoked"})]
    collecting.close()


def test_overlapping_logins(
    file_app: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Of two authorizations that overlapped both are asked about, and their end is told once."""
    told = next(collecting := collect(file_app))
    browsers = [file_app.test_client() for _ in range(2)]
    for browser in browsers:
        browser.get("/as/alice")
    held = wepay_sandbox.hold("oauth2/token", "before")
    with ThreadPoolExecutor(1) as pool, held:
        late = pool.submit(wepay_connect, browsers[0])
        held.wait()
        wepay_connect(browsers[1])
        held.release()
        late.result()
    wepay_sandbox.revoke(BILL)
    told.clear()

    wepay_sandbox.deliver_ipns(poster(file_app))

    assert [row.reason for row in rows_of(file_app)] == ["revoked", "revoked"]
    assert told == [("token_revoked", {"owner": "alice", "user_id": BILL, "reason": "revoked"})]
    collecting.close()


def test_two_owners_of_one_user(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    rows: Rows,
    told: Told,
) -> None:
    """All owners of the WePay user are looked after, each by their own token."""
    other = app.test_client()
    other.get("/as/bob")
    wepay_connect(other)
    told.clear()

    status = post(app, callback_uri(wepay_sandbox), {"user_id": BILL}).status_code

    # WePay revoked alice's token when bob's was issued.
    assert status == 200
    assert [(row.owner, row.reason) for row in rows()] == [("alice", "revoked"), ("bob", None)]
    assert told == [("token_revoked", {"owner": "alice", "user_id": BILL, "reason": "revoked"})]


def test_former_user_of_the_owner(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    rows: Rows,
    told: Told,
) -> None:
    """The end of a WePay user that the owner has left is noted, but nobody lost a connection."""
    wepay_connect(connected, email="mary@example.com", login="/wepay/login?force=1")
    told.clear()
    wepay_sandbox.revoke(BILL)

    wepay_sandbox.deliver_ipns(poster(app))

    assert [(row.user_id, row.reason) for row in rows()] == [(BILL, "revoked"), (MARY, None)]
    assert told == []


def test_json(app: Flask, connected: FlaskClient, wepay_sandbox: Sandbox, rows: Rows) -> None:
    """A JSON body is tolerated, with the id as a number or a string."""
    wepay_sandbox.revoke(BILL)
    uri = callback_uri(wepay_sandbox)

    answers = [
        post(app, uri, json.dumps({"user_id": i}), content_type="application/json")
        for i in (BILL, str(BILL))
    ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert rows()[0].reason == "revoked"


def test_expired(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, rows: Rows
) -> None:
    """A token past its time is nothing to ask about."""
    wepay_sandbox.world.expires_in = 60
    with time_machine.travel(time.time(), tick=False) as clock:
        wepay_connect(client)
        clock.shift(61)

        answer = post(app, callback_uri(wepay_sandbox), {"user_id": BILL})

    assert answer.status_code == 200
    assert wepay_sandbox.count("user") == 0
    assert rows()[0].revoked_at is None


# Forged ones


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?wepay_signature=",
        "?wepay_signature=x",
        "?wepay_signature=..",
        "?wepay_signature=.eJw.x",
        "?wepay_signature=%00",
        "?wepay_signature=%ff%fe",
        "?wepay_signature=%F0%9F%92%B8",
        "?wepay_signature=%ED%A0%80",
        "?wepay_signature=" + "x" * 10_000,
        "?other=1",
    ],
)
def test_forged(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    rows: Rows,
    query: str,
) -> None:
    """Without a valid signature: an empty 403 and no look-up, known user or not."""
    wepay_sandbox.revoke(BILL)
    asked = len(wepay_sandbox.log)

    answers = [post(app, f"/wepay/ipn{query}", {"user_id": i}) for i in (BILL, 999999)]

    assert [(a.status_code, a.data) for a in answers] == [(403, b"")] * 2
    assert answers[0].headers == answers[1].headers
    assert "Set-Cookie" not in answers[0].headers
    assert len(wepay_sandbox.log) == asked
    assert rows()[0].revoked_at is None


def test_tampered(app: Flask, connected: FlaskClient, wepay_sandbox: Sandbox, rows: Rows) -> None:
    """A signature with any of its characters changed is none."""
    uri = callback_uri(wepay_sandbox)
    base, _, signature = uri.partition("wepay_signature=")
    # The last character carries fewer bits than it could, so some changes change nothing.
    tampered = [
        signature[:i] + ("A" if signature[i] != "A" else "B") + signature[i + 1 :]
        for i in range(len(signature) - 1)
    ]

    statuses = {
        post(app, f"{base}wepay_signature={t}", {"user_id": BILL}).status_code for t in tampered
    }

    assert statuses == {403}
    assert wepay_sandbox.count("user") == 0


def test_signature_of_another_user(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    rows: Rows,
) -> None:
    """A signature made for one user causes no look-up of another."""
    stolen = callback_uri(wepay_sandbox)
    other = app.test_client()
    other.get("/as/bob")
    wepay_connect(other, email="mary@example.com")
    wepay_sandbox.revoke(MARY)

    answers = [post(app, stolen, {"user_id": i}) for i in (MARY, 999999, 2**63, 10**19 - 1)]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert wepay_sandbox.count("user") == 0
    assert [row.revoked_at for row in rows()] == [None, None]


def test_signature_for_other_objects(
    app: Flask, connected: FlaskClient, wepay_sandbox: Sandbox, rows: Rows
) -> None:
    """The signature of ``wepay.ipn_url()`` never causes a look-up of a user."""
    wepay_sandbox.revoke(BILL)

    answer = post(app, ipn_url(app), {"user_id": BILL})

    assert answer.status_code == 200
    assert wepay_sandbox.count("user") == 0
    assert rows()[0].revoked_at is None


def test_id_given_out_again(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    db: Any,
    model: Any,
) -> None:
    """The signature of a row that is gone is not one for the row that has its id now."""
    old = callback_uri(wepay_sandbox)
    with app.app_context():
        db.session.execute(sa.delete(model))
        db.session.commit()
    wepay_connect(connected)

    answer = post(app, old, {"user_id": BILL})

    assert answer.status_code == 200
    assert wepay_sandbox.count("user") == 0


def test_row_of_a_login_that_is_being_finished(
    app: Flask, connected: FlaskClient, wepay_sandbox: Sandbox, db: Any, model: Any
) -> None:
    """Whose user it is will be known soon, so WePay is to deliver again; not so after a minute."""
    state = app.extensions["wepay"]
    with app.test_request_context():
        pending = state.store.begin("alice", Secret("a state"))
        origin = Origin(pending.id, pending.state_hash)
        uri = signed(state.settings, lambda: "http://localhost/wepay/ipn", origin) or ""

    during = post(app, uri, {"user_id": BILL}).status_code
    with app.app_context():
        older = sa.update(model).where(model.id == pending.id)
        db.session.execute(older.values(created_at=datetime.now(UTC) - timedelta(minutes=2)))
        db.session.commit()
    after = post(app, uri, {"user_id": BILL}).status_code

    assert (during, after) == (503, 200)
    assert wepay_sandbox.count("user") == 0


class SharedStorage(limits.storage.MemoryStorage):
    """A storage that several applications of one process share, as workers share Redis."""

    STORAGE_SCHEME = ["wepaytest"]
    shared: dict[str, Any] = {}

    def __init__(self, uri: str, **options: str) -> None:
        super().__init__(uri, **options)
        self.__dict__ = self.shared.setdefault(uri, self.__dict__)


def test_signature_of_a_row_and_another_object(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A row's address speaks for its user alone: an IPN of another object there tells nobody."""
    wepay_connect(client)
    heard: list[Any] = []

    def hear(sender: Any, fields: Any) -> None:
        heard.append(fields)

    with signals.wepay_ipn_received.connected_to(hear, app):
        of_row = post(app, callback_uri(wepay_sandbox), {"checkout_id": "666"})
        with app.test_request_context():
            address = app.extensions["test"]["wepay"].ipn_url()
        of_all = post(app, address, {"checkout_id": "5"})

    assert (of_row.status_code, of_all.status_code) == (200, 200)
    assert heard == [{"checkout_id": "5"}]


def test_stolen_signature(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect, tmp_path: Path
) -> None:
    """A stolen signature uses up one owner's part of the IPNs' share, in all workers together."""
    workers = [
        make_app(
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/db.sqlite",
            WEPAY_THROTTLE_STORAGE=f"wepaytest://{tmp_path.name}",
        )
        for _ in range(2)
    ]
    client = workers[0].test_client()
    client.get("/as/alice")
    wepay_connect(client)
    stolen = callback_uri(wepay_sandbox)

    with time_machine.travel(time.time(), tick=False) as clock:
        statuses = [post(workers[i % 2], stolen, {"user_id": BILL}).status_code for i in range(60)]
        looked = wepay_sandbox.count("user")
        with workers[1].app_context():
            paid = [
                workers[1].extensions["test"]["wepay"].client_for("alice").call("account/find")
                for _ in range(20)
            ]
        clock.shift(11)
        later = post(workers[1], stolen, {"user_id": BILL}).status_code

    assert sorted(statuses) == [200] * 3 + [503] * 57
    assert looked == 3
    assert paid == [[]] * 20
    assert later == 200


# Trouble


TROUBLE: dict[str, dict[str, Any]] = {
    "1007": {"error_code": 1007},
    "1008": {"error_code": 1008},
    "500": {"status": 500, "body": "<h1>Oops</h1>"},
    "502": {"status": 502},
    "1011 in a redirect": {"error_code": 1011, "status": 302},
    "200 without JSON": {"status": 200, "body": "<h1>Welcome</h1>"},
    "200 empty": {"status": 200},
    "403 of a proxy": {"status": 403, "body": "<h1>Blocked</h1>"},
    "429": {"status": 429, "body": {}},
    "1011 in quotes": {"status": 401, "body": {"error": "x", "error_code": "1011"}},
    "1011.0": {"status": 401, "body": {"error": "x", "error_code": 1011.0}},
    "too slow": {"status": 200, "body": {"state": "deleted"}, "delay": 6},
}


@pytest.mark.parametrize("answer", TROUBLE.values(), ids=TROUBLE.keys())
def test_transient_trouble(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    rows: Rows,
    told: Told,
    answer: dict[str, Any],
) -> None:
    """An answer that may be another next time is 503, and the row stays; next time it is 200."""
    wepay_sandbox.revoke(BILL)
    [ipn] = wepay_sandbox.ipns
    wepay_sandbox.answer_next("user", **answer, times=3)

    wepay_sandbox.deliver_ipns(poster(app))

    assert ipn.attempts[-1].status == 503
    assert rows()[0].revoked_at is None
    assert told == []
    wepay_sandbox.faults.clear()
    wepay_sandbox.move_clock(RETRIES[0])
    with time_machine.travel(timedelta(seconds=RETRIES[0])):
        assert wepay_sandbox.deliver_ipns(poster(app)) == [ipn]
    assert ipn.delivered
    assert [name for name, _ in told] == ["token_revoked"]


@pytest.mark.parametrize("before", [True, False])
def test_dropped_connection(
    app: Flask, connected: FlaskClient, wepay_sandbox: Sandbox, rows: Rows, before: bool
) -> None:
    """A look-up whose connection breaks is made again, and is 503 only if it always breaks."""
    uri = callback_uri(wepay_sandbox)
    wepay_sandbox.revoke(BILL)

    wepay_sandbox.drop_next("user", before=before, times=3)
    broken = post(app, uri, {"user_id": BILL}).status_code
    wepay_sandbox.drop_next("user", before=before)
    with time_machine.travel(timedelta(seconds=11)):
        mended = post(app, uri, {"user_id": BILL}).status_code

    assert (broken, mended) == (503, 200)
    assert rows()[0].reason == "revoked"


@pytest.mark.parametrize("code", [1001, 1003, 1006, 1009, 1010, 1014, 1015, 7001, 7002])
def test_other_refusals(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    rows: Rows,
    told: Told,
    caplog: pytest.LogCaptureFixture,
    code: int,
) -> None:
    """What WePay says otherwise is logged as an error, and disconnects nobody."""
    wepay_sandbox.answer_next("user", error_code=code)

    answer = post(app, callback_uri(wepay_sandbox), {"user_id": BILL})

    assert answer.status_code == 200
    assert rows()[0].revoked_at is None
    assert told == []
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [f"error_code {code}" in error for error in errors] == [True]


def test_delivery_schedule(
    app: Flask, connected: FlaskClient, wepay_sandbox: Sandbox, rows: Rows, told: Told
) -> None:
    """While WePay is away every delivery is 503; the one after that is 200, and tells once."""
    with time_machine.travel(time.time(), tick=False) as clock:
        wepay_sandbox.revoke(BILL)
        [ipn] = wepay_sandbox.ipns
        wepay_sandbox.unreachable = True
        for pause in RETRIES:
            wepay_sandbox.deliver_ipns(poster(app))
            clock.shift(pause)
            wepay_sandbox.unreachable = pause is not RETRIES[-1]
        connected_all_along = rows()[0].revoked_at is None and told == []

        wepay_sandbox.deliver_ipns(poster(app))
        clock.shift(RETRIES[-1])
        again = wepay_sandbox.deliver_ipns(poster(app))

    assert [attempt.status for attempt in ipn.attempts] == [503] * 6 + [200]
    assert [b.at - a.at for a, b in zip(ipn.attempts, ipn.attempts[1:], strict=False)] == list(
        RETRIES
    )
    assert connected_all_along
    assert again == []
    assert told == [("token_revoked", {"owner": "alice", "user_id": BILL, "reason": "revoked"})]


def test_database_away(
    app: Flask, connected: FlaskClient, wepay_sandbox: Sandbox, db: Any, told: Told
) -> None:
    """With our database away an IPN is 503 and WePay is not asked; a forged one is 403 still."""
    addresses = callback_uri(wepay_sandbox), "/wepay/ipn", ipn_url(app)
    with app.app_context():
        db.drop_all()

    answers = [post(app, address, {"user_id": BILL}) for address in addresses]

    assert [(a.status_code, a.data) for a in answers] == [(503, b""), (403, b""), (200, b"")]
    assert wepay_sandbox.count("user") == 0


def test_row_that_cannot_be_marked(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect, tmp_path: Path
) -> None:
    """A revocation that can't be noted now is 503, and noted and told with the next delivery."""
    app = app_on_file(make_app, tmp_path, timeout=1)
    told = next(collecting := collect(app))
    client = app.test_client()
    client.get("/as/alice")
    wepay_connect(client)
    told.clear()
    [revoked] = wepay_sandbox.revoke(BILL)
    uri = revoked.callback_uri or ""
    with app.app_context():
        engine = app.extensions["test"]["db"].engine

    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        locked = post(app, uri, {"user_id": BILL}).status_code
        connection.rollback()
    told_while_locked = list(told)
    free = post(app, uri, {"user_id": BILL}).status_code

    assert (locked, told_while_locked, free) == (503, [], 200)
    assert [name for name, _ in told] == ["token_revoked"]
    collecting.close()


def test_unreadable_row(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect, tmp_path: Path
) -> None:
    """A row that no key opens is 503, but those of other owners are asked about all the same."""
    uri = f"sqlite:///{tmp_path}/db.sqlite"
    old, both = (make_app(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY=key) for key in ("old", "new"))
    for app, owner in ((both, "bob"), (old, "alice")):
        client = app.test_client()
        client.get(f"/as/{owner}")
        wepay_connect(client)
    wepay_sandbox.revoke(BILL)
    mine = wepay_sandbox.log.of("oauth2/token")[0].json["callback_uri"]

    answer = post(both, mine, {"user_id": BILL})

    assert answer.status_code == 503
    assert [(row.owner, row.reason) for row in rows_of(both)] == [
        ("bob", "revoked"),
        ("alice", None),
    ]


def test_unforeseen(make_app: MakeApp, app: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Even a bug of the application's own session is a 503 that is logged, never a 500."""

    def session() -> Any:
        raise ZeroDivisionError("a bug")

    model = app.extensions["test"]["model"]
    broken = make_app(WePay(token_model=model, session=session))
    broken.testing = False
    state = broken.extensions["wepay"]
    with broken.test_request_context():
        uri = (
            signed(state.settings, lambda: "http://localhost/wepay/ipn", Origin(1, "x" * 64)) or ""
        )

    answer = post(broken, uri, {"user_id": BILL})

    assert (answer.status_code, answer.data) == (503, b"")
    assert "ZeroDivisionError: a bug" in caplog.text


# Other objects


def make_checkout(app: Flask, sandbox: Sandbox) -> int:
    with app.test_request_context():
        wepay = app.extensions["test"]["wepay"]
        client = wepay.client_for("alice")
        account = client.call("account/create", name="Shop", description="A shop")
        checkout = client.call(
            "checkout/create",
            account_id=account["account_id"],
            short_description="A cake",
            type="goods",
            amount=20,
            currency="USD",
            callback_uri=wepay.ipn_url(),
            hosted_checkout={"mode": "regular"},
        )
    return int(checkout["checkout_id"])


def test_checkout(app: Flask, connected: FlaskClient, wepay_sandbox: Sandbox, told: Told) -> None:
    """An IPN about a checkout reaches the application, which looks it up itself."""
    checkout_id = make_checkout(app, wepay_sandbox)
    wepay_sandbox.pay(checkout_id)
    asked = len(wepay_sandbox.log)

    [ipn] = wepay_sandbox.deliver_ipns(poster(app))

    assert ipn.delivered
    assert told == [("ipn_received", {"fields": {"checkout_id": str(checkout_id)}})]
    assert len(wepay_sandbox.log) == asked


# https://developer.wepay.com/docs/articles/ipn: checkouts and preapprovals bring the reference_id.
@pytest.mark.parametrize(
    "fields",
    [
        {"account_id": "51232"},
        {"preapproval_id": "1"},
        {"withdrawal_id": "9223372036854775807"},
        {"checkout_id": "12345", "reference_id": "abc567"},
        {"preapproval_id": "12345", "reference_id": "Übung 1/2 #3"},
        {"user_id": "5", "account_id": "6"},
        {"subscription_id": "5", "topic": "changed"},
    ],
)
def test_other_fields(app: Flask, told: Told, fields: dict[str, str]) -> None:
    """Every object's IPN is told with its fields as they came."""
    answer = post(app, ipn_url(app), fields)

    assert answer.status_code == 200
    assert told == [("ipn_received", {"fields": fields})]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"reference_id": "abc567"},
        {"checkout_id": ""},
        {"checkout_id": "-1"},
        {"checkout_id": "1.0"},
        {"checkout_id": "1 OR 1=1"},
        {"checkout_id": "٣"},
        {"checkout_id": "1" * 20},
        {"checkout_id": "12", "Name": "x"},
        {"checkout_id": "12", "a[b]": "x"},
        {"checkout_id": "12", "reference_id": "x" * 256},
        {"checkout_id": "12", "reference_id": "a\nb"},
        {"checkout_id": "12", **{f"field{i}": "x" for i in range(20)}},
        {"topic": "changed"},
    ],
)
def test_checked_fields(app: Flask, told: Told, fields: dict[str, str]) -> None:
    """What WePay does not send is a 400 that the application never sees."""
    answer = post(app, ipn_url(app), fields)

    assert (answer.status_code, answer.data) == (400, b"")
    assert told == []


def test_handler_that_raises(
    app: Flask,
    connected: FlaskClient,
    wepay: WePay,
    wepay_sandbox: Sandbox,
    told: Told,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A handler that raises makes it 503 and is logged, without secrets; then WePay tries again."""
    wepay_sandbox.pay(make_checkout(app, wepay_sandbox))
    [ipn] = wepay_sandbox.ipns
    [token] = wepay_sandbox.tokens(BILL)
    faults = ["bug"]

    def handle(sender: Flask, fields: Mapping[str, str]) -> None:
        if faults.pop() == "bug":
            raise RuntimeError(f"{token.access_token} and {wepay_sandbox.client_secret}")

    signals.wepay_ipn_received.connect(handle, sender=app)
    faults.insert(0, "none")
    wepay_sandbox.deliver_ipns(poster(app))
    wepay_sandbox.move_clock(RETRIES[0])
    wepay_sandbox.deliver_ipns(poster(app))

    assert [attempt.status for attempt in ipn.attempts] == [503, 200]
    assert [name for name, _ in told] == ["ipn_received"] * 2
    assert "Traceback (most recent call last)" in caplog.text
    assert "RuntimeError" in caplog.text
    assert "in handle" in caplog.text
    assert token.access_token not in caplog.text
    assert wepay_sandbox.client_secret not in caplog.text


def test_merchant(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """A merchant with a token of its own gets the IPNs of its objects in the same way."""
    token = "STAGE_of-the-merchant"
    app = make_app(WePay(), WEPAY_ENVIRONMENT="stage", WEPAY_ACCESS_TOKEN=token)
    with app.test_request_context(base_url="https://shop.example"):
        uri = app.extensions["test"]["wepay"].ipn_url()

    def handle(sender: Flask, fields: Mapping[str, str]) -> None:
        raise RuntimeError(f"Authorization: Bearer {token}, {{'access_token': '{token}'}}, {uri}")

    signals.wepay_ipn_received.connect(handle, sender=app)
    answers = [post(app, uri, fields).status_code for fields in ({"user_id": 1}, {"account_id": 1})]

    assert answers == [200, 503]
    assert "RuntimeError: Authorization: Bearer [redacted]" in caplog.text
    assert "merchant" not in caplog.text.partition("RuntimeError: ")[2]
    assert uri.partition("=")[2] not in caplog.text


@pytest.mark.parametrize("order", ["before", "after"])
def test_csrf_protection(make_app: MakeApp, order: str) -> None:
    """CSRFProtect lets IPNs through, whichever extension comes first, and nothing else."""
    csrf = CSRFProtect()

    class Registering(WePay):
        def init_app(self, app: Flask) -> None:
            if order == "before":
                csrf.init_app(app)
            super().init_app(app)
            if order == "after":
                csrf.init_app(app)

    app = make_app(Registering())
    app.add_url_rule("/form", "form", lambda: "posted", methods=["POST"])

    ipn = post(app, ipn_url(app), {"checkout_id": 1}).status_code
    forged = post(app, "/wepay/ipn", {"checkout_id": 1}).status_code
    form = post(app, "/form", {}).status_code

    assert (ipn, forged, form) == (200, 403, 400)


# Odd ones

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
MULTIPART = "multipart/form-data; boundary=x"
ODD: dict[str, tuple[str, bytes, str | None]] = {
    "get": ("GET", b"", None),
    "head": ("HEAD", b"", None),
    "put": ("PUT", b"user_id=1", FORM),
    "patch": ("PATCH", b"user_id=1", FORM),
    "delete": ("DELETE", b"", None),
    "options": ("OPTIONS", b"", None),
    "trace": ("TRACE", b"", None),
    "own-method": ("WEPAY", b"user_id=1", FORM),
    "empty": ("POST", b"", None),
    "empty-form": ("POST", b"", FORM),
    "no-type": ("POST", b"user_id=1", None),
    "odd-type": ("POST", b"user_id=1", "x"),
    "odd-type-2": ("POST", b"user_id=1", ";;;"),
    "odd-type-3": ("POST", b"user_id=1", "a/b; charset=klingon"),
    "odd-charset": ("POST", b"user_id=1", f"{FORM}; charset=klingon"),
    "utf-16": ("POST", "user_id=1".encode("utf-16"), f"{FORM}; charset=utf-16"),
    "text": ("POST", b"user_id=1", "text/plain"),
    "xml": ("POST", b"<user_id>1</user_id>", "text/xml"),
    "no-value": ("POST", b"user_id", FORM),
    "no-name": ("POST", b"=1", FORM),
    "ampersands": ("POST", b"&&&&", FORM),
    "many-ampersands": ("POST", b"&" * 60_000, FORM),
    "twice": ("POST", b"user_id=1&user_id=2", FORM),
    "bracket": ("POST", b"user_id[]=1", FORM),
    "many": ("POST", b"&".join(b"a%d=1" % i for i in range(5000)), FORM),
    "nul": ("POST", b"user_id=%00", FORM),
    "raw-nul": ("POST", b"user_id=\x00", FORM),
    "bytes": ("POST", bytes(range(256)), FORM),
    "bad-percent": ("POST", b"user_id=%zz&%", FORM),
    "bad-utf-8": ("POST", b"user_id=\xff\xfe", FORM),
    "escaped-bad-utf-8": ("POST", b"user_id=%ff%fe", FORM),
    "surrogate": ("POST", b"user_id=%ed%a0%80", FORM),
    "emoji": ("POST", "user_id=💸".encode(), FORM),
    "newlines": ("POST", b"user_id=1%0d%0aX: y", FORM),
    "negative": ("POST", b"user_id=-1", FORM),
    "huge-number": ("POST", b"user_id=" + b"9" * 5000, FORM),
    "64-bits": ("POST", b"user_id=9223372036854775808", FORM),
    "float": ("POST", b"user_id=1e3", FORM),
    "sql": ("POST", b"user_id=1' OR '1'='1", FORM),
    "too-large": ("POST", b"user_id=" + b"1" * 100_000, FORM),
    "json-as-form": ("POST", b'{"user_id": 1}', FORM),
    "form-as-json": ("POST", b"user_id=1", JSON),
    "json-empty": ("POST", b"", JSON),
    "json-null": ("POST", b"null", JSON),
    "json-list": ("POST", b"[1]", JSON),
    "json-string": ("POST", b'"user_id"', JSON),
    "json-number": ("POST", b"1", JSON),
    "json-cut": ("POST", b'{"user_id":', JSON),
    "json-nested": ("POST", b"[" * 60_000, JSON),
    "json-nested-objects": ("POST", b'{"a":' * 10_000 + b"1" + b"}" * 10_000, JSON),
    "json-true": ("POST", b'{"user_id": true}', JSON),
    "json-none": ("POST", b'{"user_id": null}', JSON),
    "json-inner-list": ("POST", b'{"user_id": [1]}', JSON),
    "json-inner-object": ("POST", b'{"user_id": {"a": 1}}', JSON),
    "json-float": ("POST", b'{"user_id": 1.5}', JSON),
    "json-infinity": ("POST", b'{"user_id": Infinity}', JSON),
    "json-exponent": ("POST", b'{"user_id": 1e999}', JSON),
    "json-huge": ("POST", b'{"user_id": ' + b"9" * 5000 + b"}", JSON),
    "json-negative": ("POST", b'{"user_id": -1}', JSON),
    "json-surrogate": ("POST", b'{"user_id": "\\ud800"}', JSON),
    "json-surrogate-name": ("POST", b'{"\\ud800": 1}', JSON),
    "json-utf-16": ("POST", '{"user_id": 1}'.encode("utf-16"), JSON),
    "json-bad-utf-8": ("POST", b'{"user_id": "\xff"}', JSON),
    "json-bom": ("POST", b'\xef\xbb\xbf{"user_id": 1}', JSON),
    "json-too-large": ("POST", b'{"a": "' + b"x" * 100_000 + b'"}', JSON),
    "json-suffix": ("POST", b'{"user_id": 1}', "application/vnd.wepay+json"),
    "multipart-empty": ("POST", b"", MULTIPART),
    "multipart-no-boundary": ("POST", b"--x\r\n", "multipart/form-data"),
    "multipart-cut": ("POST", b"--x\r\nContent-Disposition: form-data; na", MULTIPART),
    "multipart": (
        "POST",
        b'--x\r\nContent-Disposition: form-data; name="user_id"\r\n\r\n1\r\n--x--\r\n',
        MULTIPART,
    ),
    "multipart-file": (
        "POST",
        b'--x\r\nContent-Disposition: form-data; name="user_id"; filename="a"\r\n\r\n1\r\n--x--',
        MULTIPART,
    ),
    "multipart-parts": (
        "POST",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 1200 + b"--x--",
        MULTIPART,
    ),
}


@pytest.mark.parametrize("signed", [True, False], ids=["signed", "unsigned"])
@pytest.mark.parametrize(("method", "body", "content_type"), ODD.values(), ids=ODD.keys())
def test_odd_requests(
    app: Flask, told: Told, method: str, body: bytes, content_type: str | None, signed: bool
) -> None:
    """However odd the request: an empty 400 or 403, another method 405, and never a 500."""
    app.config["TRAP_BAD_REQUEST_ERRORS"] = True
    uri = urlsplit(ipn_url(app))
    target = f"{uri.path}?{uri.query}" if signed else uri.path

    answer = app.test_client().open(target, method=method, data=body, content_type=content_type)

    if method != "POST":
        assert answer.status_code == 405
    elif not signed:
        assert (answer.status_code, answer.data) == (403, b"")
    else:
        assert answer.status_code in (200, 400)
        assert answer.data == b""
    assert told == []


def test_log_has_no_secrets(
    app: Flask,
    connected: FlaskClient,
    wepay_sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Nothing that is logged of an IPN holds a token, the client secret or the signature."""
    caplog.set_level(logging.DEBUG)
    [token] = wepay_sandbox.tokens(BILL)
    uri = callback_uri(wepay_sandbox)
    echo = f"{token.access_token} {wepay_sandbox.client_secret}"
    for code in (1006, 1008, 1011):
        body = {"error": "x", "error_code": code, "error_description": token.access_token}
        wepay_sandbox.answer_next("user", status=400, body=body)
        post(app, uri, {"user_id": BILL})

    assert caplog.records
    for secret in (*echo.split(), uri.partition("wepay_signature=")[2]):
        assert secret not in caplog.text


def test_delivered_by_the_fixture(
    connected: FlaskClient, wepay_sandbox: Sandbox, wepay_ipn: DeliverIPN, told: Told
) -> None:
    """A user's tests deliver IPNs in one line."""
    wepay_sandbox.revoke(BILL)
    queued: list[IPN] = wepay_sandbox.ipns

    answer = wepay_ipn(connected, BILL)

    assert answer.status_code == 200
    assert [ipn.delivered for ipn in queued] == [True]
    assert [name for name, _ in told] == ["token_revoked"]
