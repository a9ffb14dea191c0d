"""One person with several WePay users, and a person whose ID changes."""

from __future__ import annotations

from flask import Flask, session
from sqlalchemy import select

from .shop import WePayToken, db, wepay


def shop_of_user() -> str | None:
    """Return the shop, which receives the money, as owner: ``wepay.owner_loader(shop_of_user)``."""
    user, shop = session.get("user"), session.get("shop")
    return f"{user}/{shop}" if user and shop else None


def shops_of(user: str) -> list[str]:
    """Return the connected shops of a person, by the names that the token table has."""
    rows = select(WePayToken.owner).where(WePayToken.owner.startswith(f"{user}/", autoescape=True))
    return sorted(set(db.session.scalars(rows)))


def move(app: Flask, user: str, shop: str, new_user: str) -> None:
    """Move a connection to another ID, because the ciphertext of a token contains its owner."""
    token = wepay.client_for(f"{user}/{shop}").token
    if token is None:
        return
    with app.test_request_context():
        session["user"], session["shop"] = new_user, shop
        wepay.oauth.wepay.token = token
    wepay.client_for(f"{user}/{shop}").disconnect()
