"""The rules that the rows of the token table live by, on each kind of database."""

from __future__ import annotations

import pickle
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase
from store.owners import BILL, MARY, Platform, analyze
from store.statements import plan, scans, sent

from flask_wepay import WePay, signals
from flask_wepay.errors import (
    NotAuthorized,
    TokenInvalid,
    TokenRevoked,
    TokenUnreadable,
)
from flask_wepay.sqla import WePayTokenMixin
from flask_wepay.tokens import Secret, Token


def test_second_connection_replaces_first(platform: Platform) -> None:
    """A connection to the same WePay user ends the owner's earlier row, which WePay revoked."""
    platform.connect("alice")

    platform.connect("alice")

    assert platform.reasons() == ["replaced", None]
    assert platform.rows()[0].token is None
    assert platform.use("alice") == BILL
    assert platform.sandbox.count("user") == 1


def test_other_owners_row_is_left_alone(platform: Platform) -> None:
    """A connection ends rows of its own owner only."""
    platform.connect("alice")

    platform.connect("bob")

    assert platform.reasons() == [None, None]


def test_displaced_owner_is_told(platform: Platform) -> None:
    """Of two owners who connect one WePay user, the first one's next call raises TokenRevoked."""
    platform.connect("alice")
    platform.connect("bob")

    assert platform.use("alice") is TokenRevoked
    assert platform.use("bob") == BILL
    assert platform.reasons() == ["revoked", None]


def test_row_of_another_wepay_user_is_no_candidate(platform: Platform) -> None:
    """Whoever connects U, then V, and loses V is never served with U's token."""
    platform.connect("alice", BILL)
    platform.connect("alice", MARY)
    platform.revoke(MARY)

    answers = [platform.use("alice") for _ in range(3)]

    assert answers == [TokenRevoked] * 3
    of_bill = platform.sandbox.world.living_tokens(platform.user_id(BILL))[0].access_token
    assert of_bill not in platform.tokens_sent()
    assert platform.reasons() == [None, "revoked"]


def test_pruning_never_brings_an_older_user_back(platform: Platform) -> None:
    """The dead row that says whose the owner is outlives every prune, and ids given out again."""
    platform.connect("alice", BILL)
    platform.connect("alice", MARY)
    platform.revoke(MARY)
    platform.use("alice")
    platform.connect("bob", "bob@example.com")
    pruned = platform.rows()[-1].id
    with platform.app.app_context():
        platform.store.disconnect("bob")
        platform.age(400)
        platform.store.maintenance.prune(30)
    platform.connect("carol", "carol@example.com")

    answers = [platform.use("alice") for _ in range(2)]

    assert answers == [TokenRevoked] * 2
    (of_bill,) = platform.sandbox.world.living_tokens(platform.user_id(BILL))
    assert of_bill.access_token not in platform.tokens_sent()
    assert platform.use("carol") == "carol@example.com"
    with platform.app.app_context():
        is_sqlite = platform.app.extensions["test"]["db"].engine.name == "sqlite"
    assert [row.owner for row in platform.rows() if row.id == pruned] == ["carol"] * is_sqlite


def test_connecting_the_older_user_again(platform: Platform) -> None:
    """Whoever connects U, then V, then U acts as U."""
    for email in (BILL, MARY, BILL):
        platform.connect("alice", email)

    assert platform.use("alice") == BILL
    assert platform.reasons() == ["replaced", None, None]


def test_dead_row_keeps_its_dates_and_loses_its_token(platform: Platform) -> None:
    """A row that WePay ended keeps everything but the ciphertext."""
    platform.connect("alice")
    alive = platform.rows()[0]
    platform.revoke(BILL)

    platform.use("alice")

    dead = platform.rows()[0]
    assert (dead.token, dead.reason) == (None, "revoked")
    assert dead.revoked_at >= dead.granted_at == alive.granted_at
    assert (dead.user_id, dead.created_at) == (alive.user_id, alive.created_at)


def test_unknown_token_keeps_its_row(platform: Platform) -> None:
    """1006 ends nothing: WePay does not know the token, which is not the word that it died."""
    platform.connect("alice")
    platform.sandbox.answer_next("user", error_code=1006)

    assert platform.use("alice") is TokenInvalid
    assert platform.use("alice") == BILL
    assert platform.reasons() == [None]


def test_disconnect_ends_all_rows(platform: Platform) -> None:
    """A disconnect ends the owner's rows of every WePay user, and nobody else's."""
    platform.connect("alice", BILL)
    platform.connect("alice", MARY)
    platform.connect("bob", MARY)

    with platform.app.app_context():
        platform.store.disconnect("alice")

    assert platform.reasons() == ["disconnected", "disconnected", None]
    assert platform.use("alice") is NotAuthorized


def test_disconnect_during_an_exchange(platform: Platform) -> None:
    """A disconnect while WePay is being asked wins: nothing is stored, and the page says so."""
    browser = platform.browser("alice")
    back = platform.authorized(browser)

    with platform.exchanging(browser, back) as answer, platform.app.app_context():
        platform.store.disconnect("alice")

    assert answer.result().status_code == 409
    assert [(row.reason, row.granted_at, row.token) for row in platform.rows()] == [
        ("disconnected", None, None)
    ]
    assert platform.use("alice") is NotAuthorized


def test_row_pruned_during_an_exchange(platform: Platform) -> None:
    """A grant that finds its row gone inserts it: the token is live, and must not be lost."""
    browser = platform.browser("alice")
    back = platform.authorized(browser)

    with platform.exchanging(browser, back) as answer:
        platform.execute(platform.table.delete())

    assert answer.result().location == "/"
    assert platform.use("alice") == BILL
    assert browser.get(back).location == "/"


def test_failed_exchange_ends_its_row(platform: Platform) -> None:
    """A login that WePay refused leaves a dead row, which answers for its state."""
    browser = platform.browser("alice")
    back = platform.authorized(browser)
    platform.sandbox.answer_next("oauth2/token", error_code=1012)

    assert browser.get(back).status_code == 502
    assert platform.reasons() == ["failed"]
    assert browser.get(back).status_code == 409
    assert platform.sandbox.count("oauth2/token") == 1


def test_expired_row_is_not_used_and_not_dead(platform: Platform) -> None:
    """A token past its expires_at is not used; its row is not marked."""
    platform.sandbox.world.expires_in = 3600
    before = int(time.time())
    platform.connect("alice")
    assert before <= platform.rows()[0].expires_at - 3600 <= time.time()
    assert platform.use("alice") == BILL

    platform.execute(platform.table.update().values(expires_at=before - 1))

    assert platform.use("alice") is NotAuthorized
    assert platform.sandbox.count("user") == 1
    assert platform.reasons() == [None]


def test_expired_rows_of_the_newest_user_bring_no_older_user_back(platform: Platform) -> None:
    """Whoever connects U, then V, and V expires has to connect again."""
    platform.connect("alice", BILL)
    platform.sandbox.world.expires_in = 3600
    platform.connect("alice", MARY)
    platform.execute(
        platform.table.update().where(platform.table.c.expires_at.is_not(None)).values(expires_at=1)
    )

    assert platform.use("alice") is NotAuthorized
    assert platform.sandbox.count("user") == 0


def test_marking_names_the_row_by_its_state_too(platform: Platform) -> None:
    """A row that was given a dead one's id is not marked in its place."""
    platform.connect("alice")
    with platform.app.app_context():
        (old,) = platform.store.find("alice").candidates
    platform.execute(platform.table.update().values(state_hash="0" * 64))

    with platform.app.app_context():
        marked = platform.store.end(old, "revoked")

    assert not marked
    assert platform.use("alice") == BILL


def test_at_most_five_rows_are_tried_in_a_call(platform: Platform) -> None:
    """A call that meets more dead rows than five leaves the others to the next one."""
    platform.connect("alice")
    (row,) = platform.rows()
    for number in range(6):
        copy = {**row._mapping, "state_hash": f"{number:064}"}
        del copy["id"]
        platform.execute(platform.table.insert().values(copy))
    platform.revoke(BILL)

    with platform.received(signals.wepay_token_revoked) as told:
        first, second = platform.use("alice"), platform.use("alice")

    assert (first, second) == (TokenRevoked, TokenRevoked)
    assert platform.sandbox.count("user") == 7
    assert told == [{"owner": "alice", "user_id": row.user_id, "reason": "revoked"}]


# What can't be read


def test_wrong_key(platform: Platform, make_app: Any, database: dict[str, Any]) -> None:
    """A row that no key opens is TokenUnreadable, sends nothing, and works with its key again."""
    platform.connect("alice")
    other = Platform(
        make_app(**database, SECRET_KEY="another secret key", WEPAY_THROTTLE=None), platform.sandbox
    )

    assert other.use("alice") is TokenUnreadable
    assert platform.sandbox.count("user") == 0
    assert platform.reasons() == [None]
    assert platform.use("alice") == BILL


def test_fallback_key(platform: Platform, make_app: Any, database: dict[str, Any]) -> None:
    """A row under an older key is read while that is among the fallbacks."""
    platform.connect("alice")
    keys = {
        "SECRET_KEY": "another secret key",
        "SECRET_KEY_FALLBACKS": [platform.app.config["SECRET_KEY"]],
    }

    other = Platform(make_app(**database, **keys, WEPAY_THROTTLE=None), platform.sandbox)

    assert other.use("alice") == BILL


@pytest.mark.parametrize("place", [0, 1, 20, 80, -20, -1])
def test_byte_flips(platform: Platform, place: int) -> None:
    """A ciphertext with one character changed is unreadable, and never a call."""
    platform.connect("alice")
    ciphertext = platform.rows()[0].token
    letters = list(ciphertext.rstrip("="))
    letters[place] = "B" if letters[place] == "A" else "A"
    platform.execute(platform.table.update().values(token="".join(letters)))

    assert platform.use("alice") is TokenUnreadable
    assert platform.sandbox.count("user") == 0


@pytest.mark.parametrize(
    "change", [{"owner": "mallory"}, {"user_id": 1}, {"token": "é" * 100}, {"token": ""}]
)
def test_copied_row(platform: Platform, change: dict[str, Any]) -> None:
    """A row changed to be another owner's or another user's makes no call."""
    platform.connect("alice")
    platform.execute(platform.table.update().values(change))

    assert platform.use(change.get("owner", "alice")) is TokenUnreadable
    assert platform.sandbox.count("user") == 0


def test_swapped_rows(platform: Platform) -> None:
    """Two rows whose ciphertexts were swapped make no call."""
    platform.connect("alice", BILL)
    platform.connect("bob", MARY)
    alice, bob = platform.rows()
    table = platform.table
    platform.execute(table.update().where(table.c.owner == "alice").values(token=bob.token))
    platform.execute(table.update().where(table.c.owner == "bob").values(token=alice.token))

    assert [platform.use("alice"), platform.use("bob")] == [TokenUnreadable] * 2
    assert platform.sandbox.count("user") == 0


@pytest.mark.parametrize(
    "odd",
    [
        {"token": None},
        {"token": ""},
        {"token_type": None},
        {"token_type": "MAC"},
        {"user_id": None},
        {"user_id": -1},
        {"expires_at": -5, "user_id": 0},
    ],
    ids=str,
)
def test_odd_values(platform: Platform, odd: dict[str, Any]) -> None:
    """A living row with a value that none was stored as is TokenUnreadable until reconnected."""
    platform.connect("alice")
    platform.execute(platform.table.update().values(odd))
    if "expires_at" in odd:
        platform.execute(platform.table.update().values(expires_at=None))

    assert platform.use("alice") is TokenUnreadable
    assert platform.browser("alice").get("/wepay/login").status_code == 503

    assert platform.connect("alice").location == "/"
    assert platform.use("alice") == BILL


@pytest.mark.parametrize(
    "odd",
    [
        "token = 7",
        "token = x'00ff'",
        "token_type = 5",
        "user_id = 'seven'",
        "user_id = x'07'",
        "granted_at = 'yesterday'",
        "granted_at = 1.5",
        "expires_at = 'soon'",
        "created_at = 1",
    ],
)
def test_odd_types(make_app: Any, wepay_sandbox: Any, odd: str) -> None:
    """SQLite stores any type in any column: such a row is TokenUnreadable too."""
    platform = Platform(make_app(), wepay_sandbox)
    platform.connect("alice")
    platform.execute(sa.text(f"UPDATE wepay_token SET {odd}"))

    assert platform.use("alice") is TokenUnreadable
    assert platform.browser("alice").get("/wepay/login").status_code == 503
    assert platform.sandbox.count("oauth2/token") == 1


def test_row_of_another_application(
    platform: Platform, make_app: Any, database: dict[str, Any]
) -> None:
    """An application sees nothing of another one's rows in the same table."""
    platform.connect("alice")
    platform.sandbox.world.add_application(67890, "another secret")
    credentials = {"WEPAY_CLIENT_ID": 67890, "WEPAY_CLIENT_SECRET": "another secret"}

    other = Platform(make_app(**database, **credentials, WEPAY_THROTTLE=None), platform.sandbox)

    assert other.use("alice") is NotAuthorized
    with other.app.app_context():
        assert other.store.maintenance.count() == 0
        assert list(other.store.maintenance.rows()) == []
        assert list(other.store.maintenance.rotate()) == []
        assert other.store.living(platform.user_id(BILL)) == ()
        assert other.store.user_of_row(platform.rows()[0].id, "") is None


# Clocks


@pytest.fixture
def clock_set_back(platform: Platform) -> Any:
    """Make everything so far be of tomorrow, which is what a clock set back looks like."""
    return lambda: platform.age(-1)


def test_newest_user_with_the_clock_set_back(platform: Platform, clock_set_back: Any) -> None:
    """A clock that was set back does not make an older WePay user the owner's."""
    platform.connect("alice", BILL)
    clock_set_back()

    platform.connect("alice", MARY)

    assert platform.use("alice") == MARY
    older, newer = platform.rows()
    assert newer.granted_at - older.granted_at == timedelta(microseconds=1)


def test_signal_with_the_clock_set_back(platform: Platform, clock_set_back: Any) -> None:
    """A lost connection is told although an earlier one seems to have been lost after it."""
    platform.connect("alice")
    platform.revoke(BILL)
    platform.use("alice")
    clock_set_back()
    platform.connect("alice")
    platform.revoke(BILL)

    with platform.received(signals.wepay_token_revoked) as told:
        platform.use("alice")

    assert len(told) == 1


def test_grant_of_tomorrow_is_recent(platform: Platform, clock_set_back: Any) -> None:
    """Where our clock is behind the database's a fresh grant still ends a loop of logins."""
    platform.connect("alice")
    with platform.app.app_context():
        clock_set_back()
        assert platform.store.find("alice").lately

        platform.age(1 + 40 / 86400)
        assert platform.store.find("alice").lately
        platform.age(21 / 86400)
        assert not platform.store.find("alice").lately


# The state's row


def test_row_answers_for_its_state(platform: Platform) -> None:
    """A state is pending for a minute, then could not be confirmed; and is its owner's only."""
    state = Secret("a state")
    with platform.app.app_context():
        store = platform.store
        assert store.progress("alice", state) is None
        store.begin("alice", state)
        assert store.progress("alice", state) == "pending"
        assert store.progress("bob", state) is None

        platform.age(40 / 86400)
        assert store.progress("alice", state) == "pending"
        platform.age(21 / 86400)
        assert store.progress("alice", state) == "dead"


def test_pickle(platform: Platform) -> None:
    """An authorization, which could decrypt its token, can't be pickled with the keys."""
    platform.connect("alice")
    with platform.app.app_context():
        (authorization,) = platform.store.find("alice").candidates

        for _ in ("before its use", "after it"):
            with pytest.raises((AttributeError, TypeError, pickle.PicklingError)):
                pickle.dumps(authorization)
            assert authorization.token is authorization.token


# The cost


def test_first_look_ups_of_a_worker(make_app: Any, tmp_path: Any) -> None:
    """Threads that look up first, all at once in a new worker, find what there is."""
    database = f"sqlite:///{tmp_path / 'tokens.db'}"

    def look_up(app: Flask, wepay: WePay, start: Barrier) -> int | None:
        with app.app_context():
            start.wait()
            return wepay.client_for("alice").user_id

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(10):
                app = make_app(SQLALCHEMY_DATABASE_URI=database)
                wepay, start = app.extensions["test"]["wepay"], Barrier(4, timeout=30)
                found = [pool.submit(look_up, app, wepay, start) for _ in range(4)]
                assert [one.result() for one in found] == [None] * 4
    finally:
        sys.setswitchinterval(interval)


def test_look_up_uses_the_index(platform: Platform) -> None:
    """A look-up costs the same however many other owners, and dead rows of one, there are."""
    platform.connect("alice")
    (row,) = platform.rows()
    living = {name: value for name, value in row._mapping.items() if name != "id"}
    long_ago = row.granted_at - timedelta(days=300)
    dead = {**living, "granted_at": long_ago, "revoked_at": long_ago, "reason": "replaced"}
    others = [{**living, "owner": f"owner{i}", "state_hash": f"{i:064}"} for i in range(1000)]
    former = [{**dead, "state_hash": f"former {i}"} for i in range(1000)]
    platform.execute(platform.table.insert().values([*others, *former]))
    with platform.app.app_context():
        engine = platform.app.extensions["test"]["db"].engine
        with sent(engine) as statements:
            platform.store.find("alice")
            assert len(statements) == 1
            platform.store.find("alice", fresh=True)
        with engine.connect() as connection:
            analyze(connection)
            newest, again, others = (plan(connection, statement) for statement in statements)

    assert newest == again
    assert "ix_wepay_token_owner_newest" in newest
    assert "_living" in others
    assert not scans(newest)
    assert not scans(others)


def test_indexes_of_a_model_that_inherits() -> None:
    """A model below the token model, or one with __table_args__, has each index once."""

    class Base(DeclarativeBase):
        pass

    class Inherited(WePayTokenMixin, Base):
        __table_args__ = ({"comment": "WePay"},)

    class Special(Inherited):
        pass

    assert sorted(str(index.name) for index in Special.__table__.indexes) == [
        "ix_wepay_token_owner_living",
        "ix_wepay_token_owner_newest",
        "ix_wepay_token_user_id_living",
    ]


# Pruning


def test_prune(platform: Platform) -> None:
    """Rows that died or were left pending so long ago go; what lives or names the user stays."""
    with platform.app.app_context():
        store = platform.store
        for email in (BILL, BILL, MARY):
            platform.connect("alice", email)
        platform.revoke(MARY)
        platform.use("alice")
        store.begin("alice", Secret("left pending"))
        platform.connect("bob", BILL)
        store.disconnect("bob")
        platform.age(31)
        store.begin("carol", Secret("just begun"))

        assert store.maintenance.prune(32) == 0
        assert store.maintenance.prune(30) == 3
        assert store.maintenance.prune(30) == 0

    kept = sorted((row.owner, row.reason or "") for row in platform.rows())
    assert kept == [("alice", ""), ("alice", "revoked"), ("carol", "")]


def test_prune_leaves_the_last_hour_alone(platform: Platform) -> None:
    """A row answers for its state as long as its login can be finished, even with 0 days."""
    with platform.app.app_context():
        platform.store.begin("alice", Secret("a state"))

        assert platform.store.maintenance.prune(0) == 0
        platform.age(61 / 1440)
        assert platform.store.maintenance.prune(0) == 1


# What only commands ask for


def test_rows_are_read_in_pages(platform: Platform) -> None:
    """All rows come, oldest first, with no connection held in between."""
    with platform.app.app_context():
        for number in range(7):
            platform.store.begin("alice", Secret(f"state {number}"))
        pool = platform.app.extensions["test"]["db"].engine.pool
        ids = []

        for row in platform.store.maintenance.rows(3):
            ids.append(row.id)
            assert pool.checkedout() == 0

        assert ids == sorted(ids)
        assert len(ids) == platform.store.maintenance.count() == 7


def test_adopted_token(platform: Platform) -> None:
    """A token that was obtained elsewhere is used first, and replaces none: it may be older."""
    platform.connect("alice")
    access_token = platform.sandbox.issue_token(platform.user_id(BILL))

    with platform.app.app_context():
        platform.store.adopt("alice", Token(access_token, platform.user_id(BILL)))

    assert platform.use("alice") == BILL
    assert platform.tokens_sent() == [access_token]
    assert platform.reasons() == [None, None]


def test_inspection_of_a_good_table(platform: Platform) -> None:
    """A table as the mixin describes it has nothing wrong with it."""
    with platform.app.app_context():
        inspection = platform.store.maintenance.inspect()

    assert inspection.problems == []
    assert inspection.database in ("sqlite", "postgresql", "mariadb", "mysql")
    assert bool(inspection.advice) == (inspection.database == "sqlite")


def test_inspection_of_a_bad_table(platform: Platform) -> None:
    """What a migration left out is named; and so is a table that is not there."""
    platform.execute(sa.text("ALTER TABLE wepay_token RENAME TO wepay_token_"))
    with platform.app.app_context():
        assert platform.store.maintenance.inspect().problems == ["there is no table 'wepay_token'"]
    platform.execute(sa.text("CREATE TABLE wepay_token (id integer, owner text)"))

    with platform.app.app_context():
        problems = platform.store.maintenance.inspect().problems

    platform.execute(sa.text("DROP TABLE wepay_token"))
    platform.execute(sa.text("ALTER TABLE wepay_token_ RENAME TO wepay_token"))
    assert "column 'token' is missing" in problems
    assert "column 'owner' is missing" not in problems
    assert problems[-1] == "column 'state_hash' is not unique"


def test_inspection_in_wal_mode(make_app: Any, tmp_path: Any, wepay_sandbox: Any) -> None:
    """SQLite in WAL mode needs no advice."""
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/wal.db")
    platform = Platform(app, wepay_sandbox)
    platform.execute(sa.text("PRAGMA journal_mode=wal"))

    with app.app_context():
        assert platform.store.maintenance.inspect().advice == []
