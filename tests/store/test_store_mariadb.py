"""What MariaDB and MySQL do in their own way, and the rules of the table do not depend on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from store.mariadb import database_url
from store.owners import BILL, MARY, Platform

from flask_wepay import signals
from flask_wepay.cli import wepay as commands
from flask_wepay.errors import (
    ConfigurationError,
    NotAuthorized,
    StoreUnavailable,
    TokenRevoked,
)
from flask_wepay.tokens import Secret

Make = Callable[..., Platform]

#: Names that MariaDB's usual collation takes for one another, and some that need four bytes.
NAMES = ["ann", "Ann", "ann ", "ánn", "ss", "ß", "😀", "😁"]
PATIENCE = 30


@pytest.fixture
def make(make_app: Any, wepay_sandbox: Any) -> Make:
    """Make a platform on MariaDB, with these options of the engine."""

    def make(scheme: str = "mysql+pymysql", **options: Any) -> Platform:
        url = f"{scheme}:{database_url().partition(':')[2]}"
        app = make_app(
            SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=options, WEPAY_THROTTLE=None
        )
        return Platform(app, wepay_sandbox)

    return make


def engine_of(app: Flask) -> sa.Engine:
    with app.app_context():
        return app.extensions["test"]["db"].engine


@contextmanager
def refusals(platform: Platform) -> Iterator[list[int]]:
    """Collect the numbers of the database's errors."""
    numbers: list[int] = []

    def note(context: Any) -> None:
        numbers.append(context.original_exception.args[0])

    engine = engine_of(platform.app)
    sa.event.listen(engine, "handle_error", note)
    try:
        yield numbers
    finally:
        sa.event.remove(engine, "handle_error", note)


def until(ready: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < deadline
        # InnoDB tells of its locks what it has told within the last tenth of a second.
        time.sleep(0.2)


def checked(platform: Platform) -> str:
    return " ".join(platform.app.test_cli_runner().invoke(commands, ["check"]).output.split())


# Owners


@pytest.mark.parametrize(
    ("scheme", "column"),
    [
        ("mysql+pymysql", None),
        ("mariadb+pymysql", None),
        ("mysql+pymysql", "VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci"),
    ],
    ids=["as declared", "mariadb", "case-blind"],
)
def test_owners_who_look_alike(make: Make, scheme: str, column: str | None) -> None:
    """Each owner is connected for himself, whatever the database takes for equal."""
    platform = make(scheme)
    if column:
        platform.execute(sa.text(f"ALTER TABLE wepay_token MODIFY owner {column} NOT NULL"))
    emails = [f"user{number}@example.com" for number in range(len(NAMES))]
    for name, email in zip(NAMES, emails, strict=True):
        with platform.app.app_context():
            pending = platform.store.begin(name, Secret(f"state of {name}"))
        assert pending.predecessors == ()
        assert platform.connect(name, email).location == "/"

    assert [platform.use(name) for name in NAMES] == emails
    with platform.app.app_context():
        rows = [row for row in platform.store.maintenance.rows() if row.granted_at]
        assert [row.current_user_id for row in rows] == [row.user_id for row in rows]
        platform.store.disconnect("ann")
    assert platform.use("ann") is NotAuthorized
    assert [platform.use(name) for name in NAMES[1:]] == emails[1:]


def test_pruning_owners_who_look_alike(make: Make) -> None:
    """The newest row of an owner stays, although another's is newer that looks like it."""
    platform = make()
    platform.execute(sa.text("ALTER TABLE wepay_token MODIFY owner VARCHAR(255) NOT NULL"))
    platform.connect("ann", BILL)
    platform.revoke(BILL)
    platform.use("ann")
    platform.connect("Ann", MARY)
    platform.age(100)

    with platform.app.app_context():
        assert platform.store.maintenance.prune(30) == 0


# Moments


def test_moments_of_the_database(make: Make) -> None:
    """Grants are ordered by the database's own clock, in UTC and in microseconds."""
    platform = make()
    platform.connect("alice")

    [(now,)] = platform.execute(sa.text("SELECT UTC_TIMESTAMP(6)"))
    (row,) = platform.rows()
    assert row.created_at <= row.granted_at <= now
    assert (now - row.granted_at).total_seconds() < PATIENCE
    types = {
        column["name"]: column["type"]
        for column in sa.inspect(engine_of(platform.app)).get_columns("wepay_token")
    }
    assert {types[name].fsp for name in ("created_at", "granted_at", "revoked_at")} == {6}


# Snapshots


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_view_with_an_old_snapshot(make: Make, isolation: str) -> None:
    """A view that began before its owner connected again is served with the new token."""
    platform = make(isolation_level=isolation)
    platform.connect("alice")
    with platform.app.app_context():
        session = platform.app.extensions["test"]["db"].session
        session.execute(platform.table.select()).all()
        platform.connect("alice")
        client = platform.app.extensions["test"]["wepay"].client_for("alice")

        assert client.call("user")["email"] == BILL

    assert platform.reasons() == ["replaced", None]


def test_old_snapshot_and_no_other_connection(make: Make, make_app: Any) -> None:
    """A view that can't look again tells nobody, and the next login finds the connection."""
    platform = make(pool_size=1, max_overflow=0, pool_timeout=0.5)
    uri = platform.app.config["SQLALCHEMY_DATABASE_URI"]
    other = Platform(make_app(SQLALCHEMY_DATABASE_URI=uri), platform.sandbox)
    platform.connect("alice")

    with platform.received(signals.wepay_token_revoked) as told, platform.app.app_context():
        session = platform.app.extensions["test"]["db"].session
        session.execute(platform.table.select()).all()
        other.connect("alice")
        with pytest.raises(TokenRevoked):
            platform.app.extensions["test"]["wepay"].client_for("alice").call("user")
        session.rollback()

    assert told == []
    login = platform.browser("alice").get("/wepay/login?next=/donate")
    assert login.location == "/donate"
    assert platform.reasons() == ["replaced", None]


def test_row_that_changed_since_the_snapshot(make: Make) -> None:
    """A transaction that is given up for an old snapshot (1020) is done again."""
    platform = make(connect_args={"init_command": "SET innodb_snapshot_isolation = ON"})
    platform.connect("alice")
    changes = [platform.table.update().values(token_type="bearer")]

    def interfere(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE") and changes:
            cursor.execute("SELECT * FROM wepay_token")
            platform.execute(changes.pop())

    with refusals(platform) as numbers, platform.app.app_context():
        sa.event.listen(engine_of(platform.app), "before_cursor_execute", interfere)
        platform.store.disconnect("alice")

    assert numbers == [1020]
    assert platform.reasons() == ["disconnected"]


@pytest.mark.parametrize("isolation", ["READ UNCOMMITTED", "READ COMMITTED", "SERIALIZABLE"])
def test_isolation_levels(make: Make, isolation: str) -> None:
    """Logins, calls and disconnects go on at each isolation level beside the usual one."""
    live(make(isolation_level=isolation))


# Locks


def test_deadlock(make: Make) -> None:
    """A transaction that the database gave up for another one is done again."""
    platform = make()
    platform.connect("alice", BILL)
    platform.connect("alice", MARY)
    first, second = (row.id for row in platform.rows())
    table = platform.table

    def touch(view: sa.Connection, id_: int) -> None:
        view.execute(table.update().where(table.c.id == id_).values(token_type="bearer"))

    def disconnect() -> None:
        with platform.app.app_context():
            platform.store.disconnect("alice")

    waiting = sa.text(
        "SELECT trx_id FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    )
    with (
        ThreadPoolExecutor() as pool,
        refusals(platform) as numbers,
        engine_of(platform.app).connect() as view,
    ):
        # It has written so much that it is not the one to be given up.
        row = {"client_id": 1, "owner": "x", "created_at": sa.text("UTC_TIMESTAMP(6)")}
        for number in range(100):
            view.execute(table.insert().values(**row, state_hash=str(number)))
        # A disconnect meets them in the order of their grants, or against it.
        touch(view, second)
        done = pool.submit(disconnect)
        until(lambda: platform.execute(waiting))
        touch(view, first)
        view.rollback()
        done.result()

    assert set(numbers) == {1213}
    assert platform.reasons() == ["disconnected"] * 2


def test_patience_of_the_application(make: Make) -> None:
    """How long the application's own statements wait for locks stays as it was."""
    init = "SET innodb_lock_wait_timeout = 37, lock_wait_timeout = 38"
    platform = make(pool_size=1, max_overflow=0, connect_args={"init_command": init})
    patience = sa.text("SELECT @@innodb_lock_wait_timeout, @@lock_wait_timeout")
    platform.connect("alice")
    assert platform.execute(patience) == [(37, 38)]

    with refusals(platform) as numbers, platform.app.app_context():
        pending = platform.store.begin("alice", Secret("a state"))
        with pytest.raises(StoreUnavailable):
            platform.store.begin("a" * 256, Secret("another state"))
        platform.store.abandon(pending)

    assert numbers == [1406]
    assert platform.execute(patience) == [(37, 38)]


def test_view_that_locked_all_rows_of_the_owner(make: Make, monkeypatch: Any) -> None:
    """InnoDB locks those to come as well: a login ends before WePay is asked, or goes on."""
    monkeypatch.setattr("flask_wepay.sqla.database.WRITE_SECONDS", 0.1)
    platform = make()
    platform.connect("alice")
    browser = platform.browser("alice")
    back = platform.authorized(browser)
    rows = platform.table.select().where(platform.table.c.owner == "alice").with_for_update()

    with engine_of(platform.app).connect() as view:
        view.execute(rows).all()
        assert browser.get(back).status_code == 503
        assert platform.sandbox.count("oauth2/token") == 1
        assert platform.use("alice") == BILL

    assert browser.get(back).location == "/"
    assert platform.reasons() == ["replaced", None]


def test_table_that_is_locked(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that a migration has locked is not waited for, for a day say."""
    monkeypatch.setattr("flask_wepay.sqla.database.WRITE_SECONDS", 0.1)
    platform = make()
    platform.connect("alice")

    with engine_of(platform.app).connect() as migration, platform.app.app_context():
        migration.exec_driver_sql("LOCK TABLES wepay_token WRITE")
        with refusals(platform) as numbers, pytest.raises(StoreUnavailable):
            platform.store.begin("alice", Secret("a state"))
        migration.exec_driver_sql("UNLOCK TABLES")

    assert numbers == [1205]
    assert platform.use("alice") == BILL


# What a DBA sets


@pytest.mark.parametrize(
    ("variable", "seconds"),
    [("innodb_lock_wait_timeout", 1), ("max_statement_time", 2), ("idle_transaction_timeout", 2)],
)
def test_timeouts_of_a_dba(make: Make, variable: str, seconds: int) -> None:
    """Logins, calls and disconnects go on where the server ends what takes so long."""
    live(make(connect_args={"init_command": f"SET {variable} = {seconds}"}))


def live(platform: Platform) -> None:
    """Let alice connect, make a call, connect again, and disconnect."""
    assert platform.connect("alice").location == "/"
    assert platform.use("alice") == BILL
    assert platform.connect("alice").location == "/"
    with platform.app.app_context():
        platform.app.extensions["test"]["wepay"].client_for("alice").disconnect()

    assert platform.use("alice") is NotAuthorized
    assert platform.reasons() == ["replaced", "disconnected"]


def test_idle_connections(make: Make) -> None:
    """Pooled connections that the server closed (wait_timeout) cost no call, and no token."""
    platform = make(connect_args={"init_command": "SET wait_timeout = 1"})
    platform.connect("alice")
    browser = platform.browser("alice")
    back = platform.authorized(browser)
    server = sa.create_engine(platform.app.config["SQLALCHEMY_DATABASE_URI"], poolclass=sa.NullPool)
    others = sa.text(
        "SELECT id FROM information_schema.processlist"
        " WHERE db = DATABASE() AND id <> CONNECTION_ID()"
    )

    def are_closed() -> bool:
        with server.connect() as connection:
            return not connection.execute(others).all()

    until(are_closed)
    assert platform.use("alice") == BILL
    until(are_closed)
    with platform.exchanging(browser, back) as answer:
        until(are_closed)

    assert answer.result().location == "/"
    assert platform.reasons() == ["replaced", None]


# What can't hold the rules


def test_server_that_is_too_old(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on which a token could not be stored is refused before WePay is asked."""
    platform = make()
    browser = platform.browser("alice")
    back = platform.authorized(browser)
    old = (10, 5, 29) if engine_of(platform.app).dialect.is_mariadb else (5, 7, 44)
    monkeypatch.setattr(engine_of(platform.app).dialect, "server_version_info", old)

    with platform.app.app_context(), pytest.raises(ConfigurationError, match=r"MariaDB 10\.6"):
        platform.store.begin("alice", Secret("a state"))
    platform.app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    assert browser.get(back).status_code == 500
    assert platform.sandbox.count("oauth2/token") == 0
    assert "the server is older than MariaDB 10.6, or MySQL 8.0" in checked(platform)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("ENGINE=Aria", "its engine is Aria, which has no transactions: it must be InnoDB"),
        ("MODIFY granted_at DATETIME", "column 'granted_at' drops fractions of a second"),
    ],
)
def test_table_that_cannot_hold_the_rules(make: Make, change: str, found: str) -> None:
    """What a migration written by hand got wrong is a failed check, with what is right."""
    platform = make()
    platform.execute(sa.text(f"ALTER TABLE wepay_token {change}"))

    assert f"fail {found}" in checked(platform)


@pytest.mark.parametrize(("mode", "advised"), [("", True), ("STRICT_ALL_TABLES", False)])
def test_mode_that_cuts_values_short(make: Make, mode: str, advised: bool) -> None:
    """A server that stores half a value without a word is advised against."""
    platform = make(connect_args={"init_command": f"SET sql_mode = '{mode}'"})

    assert ("add STRICT_TRANS_TABLES to its 'sql_mode'" in checked(platform)) is advised


def test_check(make: Make) -> None:
    """The check names the server, whatever its address begins with, and has nothing to warn of."""
    platform = make()
    platform.connect("alice")

    output = checked(platform)

    name = "mariadb" if engine_of(platform.app).dialect.is_mariadb else "mysql"
    assert f"token table ok {name}, 1 row" in output
    assert "database " not in output.partition("token table")[2]
