"""Saving a token: again where the database gave it up, and all of it or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from store.owners import BILL, Platform

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
