"""A platform with users, as Flask-Login and Flask-SQLAlchemy show it in their quickstarts."""

from __future__ import annotations

from typing import Any

from flask import Flask, redirect
from flask_login import LoginManager, UserMixin, current_user, login_user
from flask_sqlalchemy import SQLAlchemy
from werkzeug.wrappers import Response

from . import SECRET_KEY, Setup


def make_platform(setup: Setup) -> tuple[Flask, SQLAlchemy, Any]:
    """Return an application, its database and its model of users."""
    app = Flask("platform")
    app.config.update(SECRET_KEY=SECRET_KEY, SQLALCHEMY_DATABASE_URI=setup.database)
    app.config.update(setup.config)
    db = SQLAlchemy(app)
    login_manager = LoginManager(app)

    class User(UserMixin, db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(80))

    @login_manager.user_loader
    def load_user(user_id: str) -> User | None:
        return db.session.get(User, int(user_id))

    @app.get("/as/<int:user_id>")
    def log_in(user_id: int) -> str:
        login_user(db.session.get(User, user_id))
        return "logged in"

    @app.get("/bare")
    def bare() -> str:
        return current_user.get_id()

    @app.get("/bare-redirect")
    def bare_redirect() -> Response:
        assert current_user.is_authenticated
        return redirect("/")

    @app.get("/nobody-redirect")
    def nobody_redirect() -> Response:
        return redirect("/")

    @app.get("/")
    def index() -> str:
        return "index"

    return app, db, User
