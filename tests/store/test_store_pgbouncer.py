"""Behind PgBouncer in transaction mode, with psycopg as it comes and as a DBA sets it up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from store.owners import BILL, Platform
from store.pgbouncer import pgbouncer
from store.postgresql import database_url

from flask_wepay.cli import wepay as commands
from flask_wepay.errors import NotAuthorized

LOGINS, ROUNDS = 40, 4

PLAIN: dict[str, Any] = {"pool_size": 20, "max_overflow": 30}
UNPREPARED = {**PLAIN, "connect_args": {"prepare_threshold": None}}


@pytest.fixture(scope="module")
def pooled() -> Iterator[str]:
    with pgbouncer() as url:
        yield url


@pytest.fixture
def make_platform(pooled: str, make_app: Any, wepay_sandbox: Any) -> Any:
    database_url()

    def make(options: dict[str, Any]) -> Platform:
        app = make_app(
            SQLALCHEMY_DATABASE_URI=pooled, SQLALCHEMY_ENGINE_OPTIONS=options, WEPAY_THROTTLE=None
        )
        return Platform(app, wepay_sandbox)

    return make


@pytest.mark.parametrize("options", [PLAIN, UNPREPARED], ids=["as it comes", "unprepared"])
def test_logins_at_once(make_platform: Any, options: dict[str, Any]) -> None:
    """Each token that WePay gave is stored, and the owner is connected with the living one."""
    platform = make_platform(options)

    # psycopg prepares what a connection has executed five times.
    for _ in range(ROUNDS):
        log_in_at_once(platform)

    assert platform.sandbox.count("oauth2/token") == ROUNDS * LOGINS
    assert all(row.granted_at is not None for row in platform.rows())
    # A call tries five tokens at most.
    for _ in range(LOGINS // 5):
        if platform.use("alice") == BILL:
            break
    assert platform.use("alice") == BILL


def log_in_at_once(platform: Platform) -> None:
    browsers = [platform.browser("alice") for _ in range(LOGINS)]
    ways_back = [platform.authorized(browser) for browser in browsers]
    with ThreadPoolExecutor(LOGINS) as threads:
        answers = list(
            threads.map(lambda pair: pair[0].get(pair[1]), zip(browsers, ways_back, strict=True))
        )
    assert Counter(answer.location for answer in answers) == {"/": LOGINS}


@pytest.mark.parametrize(
    "setting",
    ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"],
)
def test_timeouts_of_a_dba(make_platform: Any, setting: str) -> None:
    """Logins, calls and disconnects go on where the server ends what takes over two seconds."""
    platform = make_platform(UNPREPARED)
    platform.execute(sa.text(f"ALTER ROLE postgres SET {setting} = '2s'"))
    try:
        assert platform.connect("alice").location == "/"
        assert platform.use("alice") == BILL
        assert platform.connect("alice").location == "/"
        with platform.app.app_context():
            platform.app.extensions["test"]["wepay"].client_for("alice").disconnect()
    finally:
        platform.execute(sa.text(f"ALTER ROLE postgres RESET {setting}"))

    assert platform.use("alice") is NotAuthorized
    assert platform.reasons() == ["replaced", "disconnected"]


@pytest.mark.parametrize(("options", "found"), [(PLAIN, True), (UNPREPARED, False)])
def test_check(make_platform: Any, options: dict[str, Any], found: bool) -> None:
    """The check sees prepared statements that the pooler breaks, and says how to do without."""
    platform = make_platform(options)

    output = platform.app.test_cli_runner().invoke(commands, ["check"]).output

    assert ("prepare_threshold" in output) is found


def test_check_of_a_server_that_refuses_more(
    make_app: Any, wepay_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What else goes wrong while the check looks is said as it is."""
    app = make_app(SQLALCHEMY_DATABASE_URI=database_url())
    with app.app_context():
        engine = app.extensions["test"]["db"].engine
    recreate = engine.pool.recreate

    def refusing() -> Any:
        pool = recreate()
        monkeypatch.setattr(pool, "_creator", lambda *_: psycopg.connect("host=/nowhere"))
        return pool

    monkeypatch.setattr(engine.pool, "recreate", refusing)

    output = app.test_cli_runner().invoke(commands, ["check"]).output

    assert "The token table can't be used right now (OperationalError)" in " ".join(output.split())


def test_check_without_a_pooler(make_app: Any, wepay_sandbox: Any) -> None:
    """PostgreSQL itself keeps each connection's statements apart."""
    app = make_app(
        SQLALCHEMY_DATABASE_URI=database_url(),
        SQLALCHEMY_ENGINE_OPTIONS={"pool_size": 1, "max_overflow": 0, "pool_timeout": 1},
    )

    assert "prepare_threshold" not in app.test_cli_runner().invoke(commands, ["check"]).output
