"""Flask-WePay as its quickstart shows it."""

from __future__ import annotations

from flask import Flask

from flask_wepay import WePay, current_wepay
from flask_wepay.sqla import WePayTokenMixin

from . import CALLS, Addresses, Setup
from .platform import make_platform

ADDRESSES = Addresses("/wepay/login", "/wepay/callback")
CONFIG = {
    "WEPAY_ENVIRONMENT": "sandbox",
    # The budget's own cost without its limit, which is what the default is for.
    "WEPAY_THROTTLE": "100000 per 1 second",
}


def make_app(setup: Setup) -> Flask:
    config = {**CONFIG, "WEPAY_SANDBOX_URL": setup.provider, "WEPAY_CA_BUNDLE": setup.bundle}
    app, db, _ = make_platform(
        Setup(setup.provider, setup.database, setup.bundle, {**config, **setup.config})
    )

    class WePayToken(WePayTokenMixin, db.Model):
        pass

    app.extensions["token_table"] = WePayToken.__table__
    WePay(app, token_model=WePayToken)

    @app.get("/look-up")
    def look_up() -> str:
        return str(len(current_wepay.token.access_token))

    @app.get("/call")
    def call() -> str:
        return current_wepay.call("user")["email"]

    @app.get("/calls")
    def calls() -> str:
        return str([current_wepay.call("user")["email"] for _ in range(CALLS)])

    return app
