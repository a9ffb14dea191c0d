"""A small crowdfunding platform whose organizers take donations through WePay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flask import Flask

from . import accounts, campaigns, commands, payments
from .extensions import csrf, db, login_manager, migrate


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the application; FLASK_* variables override its defaults."""
    app = Flask(__name__)
    app.config.from_mapping(
        DEMO=False,
        SQLALCHEMY_DATABASE_URI="sqlite:///crowdfunding.sqlite",
        USE_SESSION_FOR_NEXT=True,
        WEPAY_ENVIRONMENT="sandbox",
        WEPAY_LOGIN_REDIRECT="campaigns.dashboard",
    )
    app.config.from_prefixed_env()
    app.config.from_mapping(config)

    db.init_app(app)
    migrate.init_app(app, db)
    csrf.init_app(app)
    login_manager.init_app(app)
    payments.wepay.init_app(app)

    app.register_blueprint(accounts.bp)
    app.register_blueprint(campaigns.bp)
    app.register_blueprint(payments.bp)
    app.cli.add_command(commands.seed)
    return app
