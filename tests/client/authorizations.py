"""Owners with tokens, without a browser and a login."""

from __future__ import annotations

from flask import Flask

from flask_wepay import WePay
from flask_wepay.tokens import Secret, Token

USER_ID = 100001


def hooked() -> WePay:
    """Make an extension whose owners all have a token."""
    wepay = WePay()
    wepay.token_getter(
        lambda owner: {
            "access_token": f"STAGE_{owner}",
            "user_id": USER_ID,
            "token_type": "BEARER",
            "expires_at": None,
        }
    )
    wepay.token_setter(lambda owner, token: None)
    return wepay


def overlapping_logins(app: Flask, owner: str, *access_tokens: str) -> None:
    """Store tokens as logins do of which each began before any had ended, newest last."""
    with app.app_context():
        store = app.extensions["wepay"].store
        born = [store.begin(owner, Secret(f"state {token}")) for token in access_tokens]
        for pending, access_token in zip(born, access_tokens, strict=True):
            store.grant(pending, Token(access_token, USER_ID))
