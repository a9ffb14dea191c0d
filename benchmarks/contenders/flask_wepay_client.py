"""Flask-WePay as its quickstart shows it."""

from __future__ import annotations

from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_wepay import WePay, current_wepay, wepay_required
from flask_wepay.sqla import WePayTokenMixin

from . import Setup
from .platform import add_calls, make_platform

CONFIG = {
    "WEPAY_ENVIRONMENT": "sandbox",
    # The budget's own cost without its limit, which is what the default is for.
    "WEPAY_THROTTLE": "100000 per 1 second",
}


def make_app(setup: Setup) -> Flask:
    app, db = make_base(setup)

    @app.get("/lookup")
    def look_up() -> str:
        return str(len(current_wepay.token.access_token))

    @app.get("/commit-and-call")
    @wepay_required
    def commit_and_call() -> str:
        db.session.commit()
        return current_wepay.call("user")["email"]

    add_calls(app, lambda: current_wepay.call("user")["email"])
    return app


def make_base(setup: Setup) -> tuple[Flask, SQLAlchemy]:
    """Return an application whose users can connect, and its database."""
    config = {**CONFIG, "WEPAY_SANDBOX_URL": setup.provider, "WEPAY_CA_BUNDLE": setup.bundle}
    app, db, _ = make_platform(
        Setup(setup.provider, setup.database, setup.bundle, {**config, **setup.config})
    )

    class WePayToken(WePayTokenMixin, db.Model):
        pass

    app.extensions["token_table"] = WePayToken.__table__
    WePay(app, token_model=WePayToken)
    return app, db
