"""Fixtures for the token table: the databases that it lives in, and a platform to use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from store import mariadb
from store.owners import Platform
from store.postgresql import PostgreSQL, database_url, own_server

from flask_wepay.sandbox import Sandbox


@pytest.fixture
def postgresql() -> str:
    """The address of a PostgreSQL database without a token table."""
    return database_url()


@pytest.fixture
def postgresql_server() -> PostgreSQL:
    """A PostgreSQL server that a test may stop; it must start it again."""
    return own_server()


@pytest.fixture(params=["sqlite", "read committed", "serializable", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
    """The settings of each kind of database that is supported."""
    if request.param == "sqlite":
        return {
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/tokens.db",
            # Who waits for SQLite's one write lock is not served in turn.
            "SQLALCHEMY_ENGINE_OPTIONS": {"connect_args": {"timeout": 30}},
        }
    if request.param == "mariadb":
        return {"SQLALCHEMY_DATABASE_URI": mariadb.database_url()}
    return {
        "SQLALCHEMY_DATABASE_URI": database_url(),
        "SQLALCHEMY_ENGINE_OPTIONS": {"isolation_level": request.param.upper()},
    }


@pytest.fixture
def app(make_app: Any, database: dict[str, Any]) -> Flask:
    """The application on each kind of database."""
    return make_app(**database, WEPAY_THROTTLE=None)


@pytest.fixture
def platform(app: Flask, wepay_sandbox: Sandbox) -> Platform:
    """The application's owners and what they do."""
    return Platform(app, wepay_sandbox)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time over what the database is to be asked again."""
    for name in ("READ_SECONDS", "WRITE_SECONDS", "GRANT_SECONDS"):
        monkeypatch.setattr(f"flask_wepay.sqla.database.{name}", 60)
