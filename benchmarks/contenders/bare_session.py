"""One `requests.Session`, the SELECT and one decryption: a call's work with no library around it.

Its users connect by Flask-WePay, whose table it reads with Flask-WePay's very statement.
It checks nothing: no error, no deadline, no budget, no owner, and it never tries again.
"""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

import requests
import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask import Flask, g
from flask_login import current_user

from . import Setup
from .flask_wepay_client import make_base
from .platform import add_calls

KEY = Fernet.generate_key().decode()


def make_app(setup: Setup) -> Flask:
    setup.trust()
    config = {**setup.config, "WEPAY_TOKEN_KEYS": [KEY]}
    app, db = make_base(Setup(setup.provider, setup.database, setup.bundle, config))
    fernet = Fernet(KEY)
    kept = requests.Session()

    @cache
    def look_up() -> sa.Select[Any]:
        return _look_up(app, db.engine)

    def token() -> str:
        # As Flask-WePay does: one SELECT, however many calls a request makes.
        if "access_token" not in g:
            parameters = {"owner": current_user.get_id(), "now": int(time.time())}
            row = db.session.execute(look_up(), parameters).first()
            g.access_token = json.loads(fernet.decrypt(row.token))[-1]
        return g.access_token

    def user() -> str:
        headers = {"Authorization": f"Bearer {token()}"}
        return kept.post(f"{setup.provider}/v2/user", json={}, headers=headers).json()["email"]

    add_calls(app, user)
    return app


def _look_up(app: Flask, engine: sa.Engine) -> sa.Select[Any]:
    """Return the statement that Flask-WePay looks an owner up with."""
    seen: list[Any] = []

    def note(connection: Any, clause: Any, *_: Any) -> None:
        seen.append(clause)

    sa.event.listen(engine, "before_execute", note)
    app.extensions["wepay"].store.find(current_user.get_id())
    sa.event.remove(engine, "before_execute", note)
    (statement,) = seen
    return statement
