"""The floor: no OAuth library, no ORM; written by hand, and no check left out that counts."""

from __future__ import annotations

import hmac
import json
import secrets
import sqlite3
import time
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from cryptography.fernet import Fernet
from flask import Flask, abort, redirect, request, session
from werkzeug.wrappers import Response

from . import CALLS, CLIENT_ID, CLIENT_SECRET, SCOPES, SECRET_KEY, Addresses, Setup

ADDRESSES = Addresses("/wepay/login", "/wepay/callback")
REDIRECT_URI = "https://localhost/wepay/callback"
TABLE = """
    CREATE TABLE IF NOT EXISTS token (
        id INTEGER PRIMARY KEY, owner TEXT NOT NULL, state_hash TEXT NOT NULL UNIQUE,
        user_id INTEGER, token TEXT, granted_at REAL
    );
    CREATE INDEX IF NOT EXISTS token_owner ON token (owner);
"""


def make_app(setup: Setup) -> Flask:
    app = Flask("floor")
    app.config.update(SECRET_KEY=SECRET_KEY)
    provider = urlsplit(setup.provider)
    pool = urllib3.HTTPSConnectionPool(provider.hostname, provider.port, ca_certs=setup.bundle)
    fernet = Fernet(Fernet.generate_key())
    connection = sqlite3.connect(
        setup.database.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False
    )
    connection.executescript(TABLE)
    app.extensions["connection"] = connection

    def token() -> str:
        (ciphertext,) = connection.execute(
            "SELECT token FROM token WHERE owner = ? AND granted_at IS NOT NULL"
            " ORDER BY granted_at DESC, id DESC LIMIT 1",
            (session["user"],),
        ).fetchone()
        return fernet.decrypt(ciphertext).decode()

    def post(call: str, body: dict[str, Any], access_token: str | None = None) -> Any:
        headers = {"Content-Type": "application/json", "User-Agent": "floor"}
        if access_token is not None:
            headers["Authorization"] = f"Bearer {access_token}"
        answer = pool.request(
            "POST", f"/v2/{call}", body=json.dumps(body), headers=headers, timeout=20, retries=False
        )
        if answer.status != 200:
            abort(502)
        return json.loads(answer.data)

    def exchange() -> dict[str, Any]:
        return post(
            "oauth2/token",
            {
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
                "redirect_uri": REDIRECT_URI,
                "code": request.args["code"],
            },
        )

    def check_state() -> str:
        state = session.pop("state", "")
        if not state or not hmac.compare_digest(state, request.args["state"]):
            abort(400)
        return state

    @app.get("/as/<user_id>")
    def log_in(user_id: str) -> str:
        session["user"] = user_id
        return "logged in"

    @app.get("/bare")
    def bare() -> str:
        return session["user"]

    @app.get("/bare-redirect")
    def bare_redirect() -> Response:
        assert session["user"]
        return redirect("/")

    @app.get("/wepay/login")
    def login() -> Response:
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
        state = check_state()
        connection.execute(
            "INSERT INTO token (owner, state_hash) VALUES (?, ?)", (session["user"], state)
        )
        answer = exchange()
        connection.execute(
            "UPDATE token SET user_id = ?, token = ?, granted_at = ? WHERE state_hash = ?",
            (
                answer["user_id"],
                fernet.encrypt(answer["access_token"].encode()).decode(),
                time.time(),
                state,
            ),
        )
        return redirect("/")

    @app.get("/lookup")
    def look_up() -> str:
        return str(len(token()))

    @app.get("/call")
    def call() -> str:
        return post("user", {}, token())["email"]

    @app.get("/calls")
    def calls() -> str:
        access_token = token()
        return str([post("user", {}, access_token)["email"] for _ in range(CALLS)])

    return app
