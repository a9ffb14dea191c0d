"""The limit: a platform of one's own, statements built once, and none of our rules."""

from __future__ import annotations

import sqlalchemy as sa
from cryptography.fernet import Fernet
from flask import Flask, abort, redirect, session
from flask_login import current_user
from werkzeug.wrappers import Response

from . import Setup
from .by_hand import Client
from .platform import add_calls, make_platform


def make_app(setup: Setup) -> Flask:
    app, db, _ = make_platform(setup)
    client = Client("limit", setup)
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

    @app.get("/wepay/login")
    def login() -> Response:
        session["owner"] = current_user.get_id()
        return client.login()

    @app.get("/wepay/callback")
    def callback() -> Response:
        state = client.check_state()
        owner = current_user.get_id()
        if session.pop("owner") != owner:
            abort(400)
        db.session.commit()
        with db.engine.begin() as connection:
            connection.execute(insert, {"owner": owner, "state": state})
        answer = client.exchange()
        sealed = fernet.encrypt(answer["access_token"].encode()).decode()
        with db.engine.begin() as connection:
            connection.execute(grant, {"its_state": state, "token": sealed})
        return redirect("/")

    @app.get("/lookup")
    def look_up() -> str:
        return str(len(token()))

    add_calls(app, lambda: client.post("user", {}, token())["email"])
    return app
