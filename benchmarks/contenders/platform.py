"""A platform with users, as Flask-Login and Flask-SQLAlchemy show it in their quickstarts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, redirect
from flask_login import LoginManager, UserMixin, current_user, login_user
from flask_sqlalchemy import SQLAlchemy
from werkzeug.wrappers import Response

from . import CALLS, SECRET_KEY, Setup


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
        user = db.session.get(User, user_id)
        if user is None:
            user = User(id=user_id, name=f"user {user_id}")
            db.session.add(user)
            db.session.commit()
        login_user(user)
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


def add_calls(app: Flask, call: Callable[[], str]) -> None:
    """Add the views that make one API call, and several in one request."""

    @app.get("/call")
    def one() -> str:
        return call()

    @app.get("/calls")
    def several() -> str:
        return str([call() for _ in range(CALLS)])
