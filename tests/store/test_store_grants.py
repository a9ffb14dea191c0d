"""Saving a token: again where the database gave it up, and all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import freezegun
import pytest
import sqlalchemy as sa
import time_machine
from flask import Flask
from store.owners import BILL, Platform

from flask_wepay.errors import StoreUnavailable
from flask_wepay.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("patient")


def engine_of(app: Flask) -> sa.Engine:
    with app.app_context():
        return app.extensions["test"]["db"].engine


def ends_rows(statement: str) -> bool:
    """Tell a grant's second statement, which ends what it replaces, from its first."""
    return statement.startswith("UPDATE") and "reason=" in statement


def test_locked(make_app: Any, tmp_path: Path, wepay_sandbox: Sandbox) -> None:
    """A grant that finds SQLite locked is tried again, and saved once the lock is gone."""
    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/tokens.db",
        SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"timeout": 0}},
        WEPAY_THROTTLE=None,
    )
    platform, engine = Platform(app, wepay_sandbox), engine_of(app)
    browser = platform.browser("alice")
    back = platform.authorized(browser)
    refusals: list[str] = []

    with engine.connect() as writer:

        def let_go(context: Any) -> None:
            refusals.append(context.original_exception.sqlite_errorname)
            writer.rollback()

        sa.event.listen(engine, "handle_error", let_go)
        with platform.exchanging(browser, back) as answer:
            writer.exec_driver_sql("BEGIN IMMEDIATE")

    assert answer.result().location == "/"
    assert refusals == ["SQLITE_BUSY"]
    assert platform.use("alice") == BILL


def test_replacement_is_part_of_the_grant(platform: Platform) -> None:
    """Where what is replaced can't be ended nothing is granted, until both can be done."""
    platform.connect("alice")
    engine = engine_of(platform.app)
    seen: list[list[bool]] = []

    def fail_once(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        if ends_rows(statement):
            seen.append([row.granted_at is not None for row in sorted(platform.rows())])
            if len(seen) == 1:
                raise engine.dialect.dbapi.OperationalError("something is wrong")

    sa.event.listen(engine, "do_execute", fail_once)

    assert platform.connect("alice").location == "/"

    assert seen == [[True, False]] * 2
    assert platform.reasons() == ["replaced", None]
    assert platform.use("alice") == BILL


@pytest.mark.parametrize(
    "error",
    ["DuplicatePreparedStatement", "InvalidSqlStatementName", "SyntaxError", "FeatureNotSupported"],
)
def test_whatever_the_driver_says(
    make_app: Any, wepay_sandbox: Sandbox, postgresql: str, error: str
) -> None:
    """Only a constraint or a value is about the row; after all else a grant is tried again."""
    import psycopg

    platform = Platform(make_app(SQLALCHEMY_DATABASE_URI=postgresql), wepay_sandbox)
    browser = platform.browser("alice")
    back, engine = platform.authorized(browser), engine_of(platform.app)
    used: list[Any] = []

    def fail_twice(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        if statement.startswith("UPDATE"):
            used.append(cursor.connection)
            if len(used) < 3:
                raise getattr(psycopg.errors, error)("not now")

    sa.event.listen(engine, "do_execute", fail_twice)
    assert browser.get(back).location == "/"

    assert len(used) == 3
    assert platform.use("alice") == BILL
    assert platform.sandbox.count("oauth2/token") == 1
    fresh = error in ("DuplicatePreparedStatement", "InvalidSqlStatementName")
    assert len({id(connection) for connection in used}) == (3 if fresh else 1)


def test_constraint_of_the_applications_own(
    make_app: Any, wepay_sandbox: Sandbox, postgresql: str
) -> None:
    """What the database refuses of this very row is not asked for again and again."""
    platform = Platform(make_app(SQLALCHEMY_DATABASE_URI=postgresql), wepay_sandbox)
    platform.execute(sa.text("ALTER TABLE wepay_token ADD CHECK (user_id IS NULL)"))
    browser = platform.browser("alice")
    back, engine = platform.authorized(browser), engine_of(platform.app)
    refusals: list[str] = []
    sa.event.listen(
        engine, "handle_error", lambda context: refusals.append(context.original_exception.sqlstate)
    )

    assert browser.get(back).status_code == 503

    assert refusals == ["23514"]


@pytest.mark.parametrize("frozen_by", ["freezegun", "time_machine"])
def test_frozen_clock(
    make_app: Any, tmp_path: Path, wepay_sandbox: Sandbox, frozen_by: str
) -> None:
    """With a clock that stands still and a locked database, trying ends by its count."""
    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/tokens.db",
        SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"timeout": 0}},
    )
    platform = Platform(app, wepay_sandbox)
    platform.connect("alice")
    if frozen_by == "freezegun":
        frozen: Any = freezegun.freeze_time("2026-01-01")
    else:
        frozen = time_machine.travel("2026-01-01", tick=False)

    with engine_of(app).connect() as writer, frozen, app.app_context():
        writer.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable):
            app.extensions["test"]["wepay"].client_for("alice").disconnect()

    assert platform.use("alice") == BILL
