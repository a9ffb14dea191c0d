"""Fixtures that all tests share: an application as a user would write it, and the sandbox."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from applications import MakeApp, rows_of
from flask import Flask, session
from flask.testing import FlaskClient, FlaskCliRunner
from flask_sqlalchemy import SQLAlchemy

from flask_wepay import WePay
from flask_wepay.sqla import WePayTokenMixin

pytest_plugins = ["flask_wepay.pytest_plugin"]

# A shell that runs the tests in the background has its children ignore Ctrl-C, which what
# the tests start is to obey.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def make_app() -> Iterator[MakeApp]:
    """Make applications: ``make_app(WEPAY_TIMEOUT=5)``; their parts are in ``app.extensions``.

    The owner is ``session["user"]``, which ``client.get("/as/alice")`` sets. Without a
    SQLALCHEMY_DATABASE_URI the database is one in memory. `flask` is for Flask's constructor.
    """
    databases: list[tuple[Flask, SQLAlchemy]] = []

    def make(
        wepay: WePay | None = None,
        *,
        owner_loader: bool = True,
        flask: Mapping[str, Any] | None = None,
        **config: Any,
    ) -> Flask:
        app = Flask(f"tests.application{len(databases)}", **(flask or {}))
        app.config.update(
            TESTING=True,
            SECRET_KEY="a secret key for tests only",
            WEPAY_ENVIRONMENT="sandbox",
            SQLALCHEMY_DATABASE_URI="sqlite://",
        )
        app.config.update(config)
        db = SQLAlchemy(app)
        model = type("WePayToken", (WePayTokenMixin, db.Model), {})
        wepay = WePay(token_model=model) if wepay is None else wepay
        wepay.init_app(app)
        if owner_loader:
            wepay.owner_loader(lambda: session.get("user"))
        app.extensions["test"] = {"db": db, "model": model, "wepay": wepay}

        @app.get("/as/<owner>")
        def log_in(owner: str) -> str:
            session["user"] = owner
            return owner

        with app.app_context():
            db.create_all()
        databases.append((app, db))
        return app

    yield make
    for app, db in databases:
        with app.app_context():
            db.session.remove()
            for engine in db.engines.values():
                engine.dispose()


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    """An application with the default settings, in the sandbox."""
    return make_app()


@pytest.fixture
def db(app: Flask) -> SQLAlchemy:
    """The application's database."""
    return app.extensions["test"]["db"]


@pytest.fixture
def model(app: Flask) -> Any:
    """The application's token model."""
    return app.extensions["test"]["model"]


@pytest.fixture
def rows(app: Flask) -> Callable[[], list[Any]]:
    """Read all rows of the token table, oldest first: ``rows()[0].owner``."""
    return lambda: rows_of(app)


@pytest.fixture
def wepay(app: Flask) -> WePay:
    """The application's extension."""
    return app.extensions["test"]["wepay"]


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser in which alice is logged in."""
    browser = app.test_client()
    browser.get("/as/alice")
    return browser


@pytest.fixture
def runner(app: Flask) -> FlaskCliRunner:
    """A runner of the application's commands."""
    return app.test_cli_runner()
