"""Several WePay users of one person, and a person who gets another id."""

from __future__ import annotations

from flask import Flask, session
from sqlalchemy import select

from .shop import WePayToken, db, wepay


def shop_of_user() -> str | None:
    """Own by what has the money, here a shop: ``wepay.owner_loader(shop_of_user)``."""
    user, shop = session.get("user"), session.get("shop")
    return f"{user}/{shop}" if user and shop else None


def shops_of(user: str) -> list[str]:
    """Whoever has to find them all keeps their names; the table's owners are such names."""
    rows = select(WePayToken.owner).where(WePayToken.owner.startswith(f"{user}/", autoescape=True))
    return sorted(set(db.session.scalars(rows)))


def move(app: Flask, user: str, shop: str, new_user: str) -> None:
    """Give a connection to another id: who owns a token is sealed inside of it."""
    token = wepay.client_for(f"{user}/{shop}").token
    if token is None:
        return
    with app.test_request_context():
        session["user"], session["shop"] = new_user, shop
        wepay.oauth.wepay.token = token
    wepay.client_for(f"{user}/{shop}").disconnect()
