"""The limit: a platform of one's own, statements built once, and none of our rules."""

from __future__ import annotations

import hmac
import json
import secrets
from typing import Any
from urllib.parse import urlencode, urlsplit

import sqlalchemy as sa
import urllib3
from cryptography.fernet import Fernet
from flask import Flask, abort, redirect, request, session
from flask_login import current_user
from werkzeug.wrappers import Response

from . import CLIENT_ID, CLIENT_SECRET, SCOPES, Addresses, Setup
from .platform import add_calls, make_platform

ADDRESSES = Addresses("/wepay/login", "/wepay/callback")
REDIRECT_URI = "https://localhost/wepay/callback"


def make_app(setup: Setup) -> Flask:
    app, db, _ = make_platform(setup)
    provider = urlsplit(setup.provider)
    pool = urllib3.HTTPSConnectionPool(provider.hostname, provider.port, ca_certs=setup.bundle)
    fernet = Fernet(Fernet.generate_key())

    class Token(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        owner = db.Column(db.String(255), index=True)
        state = db.Column(db.String(64), unique=True)
        token = db.Column(db.Text)

    table = Token.__table__
    newest = (
        sa.select(table.c.token)
        .where(table.c.owner == sa.bindparam("owner"), table.c.token.is_not(None))
        .order_by(table.c.id.desc())
        .limit(1)
    )
    insert = table.insert()
    grant = table.update().where(table.c.state == sa.bindparam("its_state"))

    def token() -> str:
        owner = current_user.get_id()
        sealed = db.session.connection().execute(newest, {"owner": owner}).scalar_one()
        return fernet.decrypt(sealed).decode()

    def post(call: str, body: dict[str, Any], access_token: str | None = None) -> Any:
        headers = {"Content-Type": "application/json", "User-Agent": "limit"}
        if access_token is not None:
            headers["Authorization"] = f"Bearer {access_token}"
        answer = pool.request(
            "POST", f"/v2/{call}", body=json.dumps(body), headers=headers, timeout=20, retries=False
        )
        if answer.status != 200:
            abort(502)
        return json.loads(answer.data)

    @app.get("/wepay/login")
    def login() -> Response:
        session["owner"] = current_user.get_id()
        session["state"] = secrets.token_urlsafe(32)
        arguments = {
            "client_id": CLIENT_ID,
            "redirect_uri": REDIRECT_URI,
            "scope": ",".join(SCOPES),
            "state": session["state"],
        }
        return redirect(f"{setup.provider}/v2/oauth2/authorize?{urlencode(arguments)}")

    @app.get("/wepay/callback")
    def callback() -> Response:
        state = session.pop("state", "")
        if not state or not hmac.compare_digest(state, request.args["state"]):
            abort(400)
        owner = current_user.get_id()
        if session.pop("owner") != owner:
            abort(400)
        db.session.commit()
        with db.engine.begin() as connection:
            connection.execute(insert, {"owner": owner, "state": state})
        answer = post(
            "oauth2/token",
            {
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "redirect_uri": REDIRECT_URI,
                "code": request.args["code"],
            },
        )
        sealed = fernet.encrypt(answer["access_token"].encode()).decode()
        with db.engine.begin() as connection:
            connection.execute(grant, {"its_state": state, "token": sealed})
        return redirect("/")

    @app.get("/lookup")
    def look_up() -> str:
        return str(len(token()))

    add_calls(app, lambda: post("user", {}, token())["email"])
    return app
