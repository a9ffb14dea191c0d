"""The floor: no OAuth library, no ORM; written by hand, and no check left out that counts."""

from __future__ import annotations

import sqlite3
import time

from cryptography.fernet import Fernet
from flask import Flask, redirect, session
from werkzeug.wrappers import Response

from . import CALLS, SECRET_KEY, Setup
from .by_hand import Client

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
    client = Client("floor", setup)
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

    app.get("/wepay/login")(client.login)

    @app.get("/wepay/callback")
    def callback() -> Response:
        state = client.check_state()
        connection.execute(
            "INSERT INTO token (owner, state_hash) VALUES (?, ?)", (session["user"], state)
        )
        answer = client.exchange()
        sealed = fernet.encrypt(answer["access_token"].encode()).decode()
        connection.execute(
            "UPDATE token SET user_id = ?, token = ?, granted_at = ? WHERE state_hash = ?",
            (answer["user_id"], sealed, time.time(), state),
        )
        return redirect("/")

    @app.get("/lookup")
    def look_up() -> str:
        return str(len(token()))

    @app.get("/call")
    def call() -> str:
        return client.post("user", {}, token())["email"]

    @app.get("/calls")
    def calls() -> str:
        access_token = token()
        return str([client.post("user", {}, access_token)["email"] for _ in range(CALLS)])

    return app
