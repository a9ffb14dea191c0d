"""Our own database stopping, cutting connections, and coming back: on real servers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from store import mariadb, postgresql
from store.mariadb import MariaDB
from store.owners import BILL, Platform
from store.postgresql import PostgreSQL

from flask_wepay import signals
from flask_wepay.errors import StoreUnavailable, TokenRevoked
from flask_wepay.sqla import database
from flask_wepay.tokens import Secret

# Tries are for as long as a busy machine needs, but where they are known to be in vain.
pytestmark = pytest.mark.usefixtures("patient")

Server = PostgreSQL | MariaDB


@pytest.fixture(params=[postgresql, mariadb], ids=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that a test may stop, without a token table; the test must start it again."""
    for name in ("WEPAY_TEST_DATABASE_URL", "WEPAY_TEST_MARIADB_URL"):
        monkeypatch.delenv(name, raising=False)
    request.param.database_url()
    return request.param.own_server()


@pytest.fixture
def platform(make_app: Any, wepay_sandbox: Any, server: Server) -> Platform:
    """A platform whose owner alice is connected, on a server that may be stopped."""
    app = make_app(SQLALCHEMY_DATABASE_URI=server.url, WEPAY_THROTTLE=None)
    platform = Platform(app, wepay_sandbox)
    platform.connect("alice")
    return platform


@contextmanager
def stopped(server: Server) -> Iterator[None]:
    """Let the database stay away for long, and be given up soon."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("WRITE_SECONDS", "GRANT_SECONDS"):
            patch.setattr(database, name, 0.3)
        server.stop()
        try:
            yield
        finally:
            server.start()


def exchanging(platform: Platform) -> Any:
    """Let alice's callback be between WePay's work and its answer."""
    browser = platform.browser("alice")
    return platform.exchanging(browser, platform.authorized(browser))


def cut_all(platform: Platform) -> None:
    """Cut every connection to the database, those in the pool as well."""
    engine = sa.create_engine(platform.app.config["SQLALCHEMY_DATABASE_URI"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        if engine.name == "postgresql":
            connection.execute(_CUT_OTHERS)
            return
        for id_ in connection.scalars(_OTHERS).all():
            connection.exec_driver_sql(f"KILL {id_}")


_CUT_OTHERS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
)
_OTHERS = sa.text(
    "SELECT id FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID()"
)


def test_stopped_before_the_exchange(platform: Platform, server: Server) -> None:
    """With the database away WePay is not asked, and the old token lives on."""
    browser = platform.browser("alice")
    back = platform.authorized(browser)

    with stopped(server):
        answer = browser.get(back)

    assert answer.status_code == 503
    assert platform.sandbox.count("oauth2/token") == 1
    assert platform.use("alice") == BILL
    assert platform.sandbox.count("user") == 1


def test_reload_finishes_a_login(platform: Platform, server: Server) -> None:
    """The state is kept while there is no row for it, so a reload finishes the login."""
    browser = platform.browser("alice")
    back = platform.authorized(browser)
    with stopped(server):
        browser.get(back)

    assert browser.get(back).location == "/"
    assert platform.use("alice") == BILL


def test_cut_between_exchange_and_grant(platform: Platform) -> None:
    """A connection that is cut while WePay is being asked costs nothing."""
    with exchanging(platform) as answer:
        cut_all(platform)

    assert answer.result().location == "/"
    assert platform.use("alice") == BILL
    assert platform.reasons() == ["replaced", None]


def test_cut_within_a_grant(platform: Platform) -> None:
    """A connection that is cut in the midst of a transaction costs nothing either."""
    with platform.app.app_context():
        engine = platform.app.extensions["test"]["db"].engine
    cuts = [cut_all]

    def cut(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("UPDATE") and cuts:
            cuts.pop()(platform)

    sa.event.listen(engine, "before_cursor_execute", cut)

    assert platform.connect("alice").location == "/"
    assert platform.use("alice") == BILL
    assert platform.reasons() == ["replaced", None]


def test_restart_between_exchange_and_grant(platform: Platform, server: Server) -> None:
    """A restart while the token is to be saved is waited out."""
    with exchanging(platform) as answer:
        server.stop()
        platform.sandbox.faults.clear()
        server.start()

    assert answer.result().location == "/"
    assert platform.use("alice") == BILL
    assert platform.sandbox.count("oauth2/token") == 2


def test_away_after_the_exchange(platform: Platform, server: Server) -> None:
    """Where saving finally fails the page says so, and nothing pretends to be connected."""
    with (
        platform.received(signals.wepay_authorized) as told,
        ExitStack() as stack,
        exchanging(platform) as answer,
    ):
        stack.enter_context(stopped(server))

    assert answer.result().status_code == 503
    assert told == []
    assert platform.use("alice") is TokenRevoked
    assert platform.sandbox.count("oauth2/token") == 2


def test_away_at_a_call(platform: Platform, server: Server) -> None:
    """A call without the database is StoreUnavailable, not "not connected"; nothing is sent."""
    with stopped(server):
        assert platform.use("alice") is StoreUnavailable

    assert platform.sandbox.count("user") == 0
    assert platform.use("alice") == BILL


def test_pool_of_cut_connections(platform: Platform) -> None:
    """A pool full of connections from before a restart costs no call."""
    with platform.app.app_context():
        pool = platform.app.extensions["test"]["db"].engine.pool
        kept = [pool.connect() for _ in range(4)]
        for connection in kept:
            connection.close()
    cut_all(platform)

    assert platform.use("alice") == BILL


def test_away_when_a_row_dies(platform: Platform, server: Server) -> None:
    """A dead row that can't be marked just now is marked at a later use."""
    platform.revoke(BILL)
    with platform.app.app_context():
        (found,) = platform.store.find("alice").candidates

        with stopped(server):
            assert not platform.store.end(found, "revoked")

    assert platform.reasons() == [None]
    assert platform.use("alice") is TokenRevoked
    assert platform.reasons() == ["revoked"]


def test_away_when_a_login_fails(platform: Platform, server: Server) -> None:
    """A login that failed and can't be noted as such still ends with WePay's reason."""
    platform.sandbox.answer_next("oauth2/token", error_code=1012)

    with ExitStack() as stack, exchanging(platform) as answer:
        stack.enter_context(stopped(server))

    assert answer.result().status_code == 502
    assert platform.use("alice") == BILL


def test_away_at_a_disconnect(platform: Platform, server: Server) -> None:
    """A disconnect without the database is an error, and disconnects nobody."""
    with (
        platform.app.app_context(),
        stopped(server),
        pytest.raises(StoreUnavailable),
    ):
        platform.store.disconnect("alice")

    assert platform.use("alice") == BILL


@pytest.fixture
def lost_commit(platform: Platform, monkeypatch: Any) -> Any:
    """Let the answer to the next commit of a row be lost: it only looks like a failure."""

    def lose_next() -> None:
        with platform.app.app_context():
            engine = platform.app.extensions["test"]["db"].engine
        dialect, commit = engine.dialect, engine.dialect.do_commit
        written: list[str] = []

        def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
            written.extend([statement] * statement.startswith(("INSERT", "UPDATE")))

        def commit_and_fail(connection: Any) -> None:
            commit(connection)
            if written:
                monkeypatch.setattr(dialect, "do_commit", commit)
                raise dialect.dbapi.OperationalError("server closed the connection unexpectedly")

        sa.event.listen(engine, "before_cursor_execute", note)
        monkeypatch.setattr(dialect, "do_commit", commit_and_fail)

    return lose_next


def test_commit_of_a_grant_without_an_answer(platform: Platform, lost_commit: Any) -> None:
    """A grant that was committed unnoticed is found to be so."""
    with exchanging(platform) as answer:
        lost_commit()

    assert answer.result().location == "/"
    assert platform.reasons() == ["replaced", None]
    assert platform.use("alice") == BILL


def test_commit_of_a_birth_without_an_answer(platform: Platform, lost_commit: Any) -> None:
    """A birth that was committed unnoticed sends nothing: it may be somebody else's."""
    browser = platform.browser("alice")
    back = platform.authorized(browser)
    lost_commit()

    assert browser.get(back).status_code == 202
    assert platform.sandbox.count("oauth2/token") == 1
    assert platform.use("alice") == BILL


def test_table_that_is_missing(platform: Platform) -> None:
    """Without its table the package says what to do, and sends nothing."""
    platform.execute(sa.text("ALTER TABLE wepay_token RENAME TO wepay_token_"))
    try:
        with platform.app.app_context():
            with pytest.raises(StoreUnavailable, match="run your migrations"):
                platform.store.find("alice")
            with pytest.raises(StoreUnavailable, match="run your migrations"):
                platform.store.begin("alice", Secret("a state"))
    finally:
        platform.execute(sa.text("ALTER TABLE wepay_token_ RENAME TO wepay_token"))


def test_column_that_cannot_be_left_out(platform: Platform) -> None:
    """A birth that the table refuses is no double click."""
    platform.execute(sa.text("ALTER TABLE wepay_token ADD COLUMN extra int"))
    platform.execute(sa.text("UPDATE wepay_token SET extra = 1"))
    is_postgresql = "postgresql" in platform.app.config["SQLALCHEMY_DATABASE_URI"]
    change = "ALTER COLUMN extra SET NOT NULL" if is_postgresql else "MODIFY extra int NOT NULL"
    platform.execute(sa.text(f"ALTER TABLE wepay_token {change}"))

    with platform.app.app_context(), pytest.raises(StoreUnavailable):
        platform.store.begin("alice", Secret("a state"))
