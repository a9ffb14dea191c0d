"""The application that the recipes are for."""

from __future__ import annotations

from typing import Any

from flask import Flask, session
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase

from flask_wepay import WePay, current_wepay, wepay_required
from flask_wepay.sqla import WePayTokenMixin


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class WePayToken(WePayTokenMixin, Base):
    pass


wepay = WePay(token_model=WePayToken)


@wepay.owner_loader
def owner() -> str | None:
    return session.get("user")


def create_app(**config: Any) -> Flask:
    app = Flask("shop")
    app.config.update(
        SECRET_KEY="change me, to something long and random",
        WEPAY_ENVIRONMENT="sandbox",
        SQLALCHEMY_DATABASE_URI="sqlite:///shop.sqlite",
    )
    app.config.update(config)
    db.init_app(app)
    wepay.init_app(app)

    @app.get("/account")
    @wepay_required
    def account() -> dict[str, Any]:
        return {"email": current_wepay.call("user")["email"]}

    return app
