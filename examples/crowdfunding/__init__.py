"""A small crowdfunding platform whose organizers take donations through WePay."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from flask import Flask, render_template
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from flask_wepay.signals import wepay_authorized, wepay_ipn_received

from . import accounts, campaigns, commands, donations, payments
from .extensions import csrf, db, login_manager, migrate


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the application; DATABASE_URL and FLASK_* variables override its defaults."""
    app = Flask(__name__)
    app.config.from_mapping(
        DEMO=False,
        SQLALCHEMY_DATABASE_URI=database_uri(),
        USE_SESSION_FOR_NEXT=True,
        WEPAY_ENVIRONMENT="sandbox",
        WEPAY_LOGIN_REDIRECT="campaigns.dashboard",
        # A donation takes four calls at most, and gunicorn gives up after 30 seconds.
        WEPAY_TIMEOUT=7,
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config)

    db.init_app(app)
    migrate.init_app(app, db)
    csrf.init_app(app)
    login_manager.init_app(app)
    payments.wepay.init_app(app)
    wepay_authorized.connect(payments.open_account, app)
    wepay_ipn_received.connect(donations.hear, app)

    app.register_blueprint(accounts.bp)
    app.register_blueprint(campaigns.bp)
    app.register_blueprint(payments.bp)
    app.register_blueprint(donations.bp)
    app.cli.add_command(commands.seed)
    app.add_template_filter(dollars)
    for code in (400, 403, 404, 405):
        app.register_error_handler(code, refused)
    return app


def refused(error: HTTPException) -> ResponseReturnValue:
    """Show a page of this site for a request that can't be answered."""
    return render_template("refused.html", error=error), error.code or 500


def dollars(cents: int) -> str:
    """Write an amount as people do: $1,200 or $2.50."""
    return f"${cents / 100:,.2f}".removesuffix(".00")


def database_uri() -> str:
    """Give what DATABASE_URL names, in PostgreSQL's spelling or in SQLAlchemy's; else SQLite."""
    url = os.environ.get("DATABASE_URL", "sqlite:///crowdfunding.sqlite")
    driver, _, place = url.partition("://")
    return f"postgresql+psycopg://{place}" if driver in ("postgres", "postgresql") else url
