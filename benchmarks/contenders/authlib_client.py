"""Authlib as its documentation shows it, with a token table.

https://docs.authlib.org/en/stable/client/flask.html: "Accessing OAuth Resources",
"fetch_token" and "Using Authlib with a database of tokens".
"""

from __future__ import annotations

from typing import Any

from authlib.integrations.flask_client import OAuth
from flask import Flask, redirect, url_for
from flask_login import current_user, login_required
from werkzeug.wrappers import Response

from . import CLIENT_ID, CLIENT_SECRET, SCOPES, Setup
from .platform import add_calls, make_platform


def make_app(setup: Setup) -> Flask:
    app, oauth = make_base(setup)

    @app.get("/lookup")
    def look_up() -> str:
        return str(len(oauth.wepay.token["access_token"]))

    add_calls(app, lambda: oauth.wepay.post("user", json={}).json()["email"])
    return app


def make_base(setup: Setup) -> tuple[Flask, OAuth]:
    """Return an application whose users can connect, and its registry of clients."""
    setup.trust()
    app, db, user_model = make_platform(setup)

    class OAuth2Token(db.Model):
        id = db.Column(db.Integer, primary_key=True)
        name = db.Column(db.String(40))
        token_type = db.Column(db.String(40))
        access_token = db.Column(db.String(255))
        refresh_token = db.Column(db.String(255))
        expires_at = db.Column(db.Integer)
        user_id = db.Column(db.ForeignKey(user_model.id), index=True)

        def to_token(self) -> dict[str, Any]:
            return {
                "access_token": self.access_token,
                "token_type": self.token_type,
                "refresh_token": self.refresh_token,
                "expires_at": self.expires_at,
            }

    def find() -> OAuth2Token | None:
        query = db.select(OAuth2Token).filter_by(name="wepay", user_id=current_user.id)
        return db.session.scalar(query)

    def fetch_token() -> dict[str, Any] | None:
        token = find()
        return token.to_token() if token else None

    oauth = OAuth(app)
    oauth.register(
        "wepay",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        access_token_url=f"{setup.provider}/v2/oauth2/token",
        authorize_url=f"{setup.provider}/v2/oauth2/authorize",
        api_base_url=f"{setup.provider}/v2/",
        client_kwargs={"scope": ",".join(SCOPES)},
        fetch_token=fetch_token,
    )

    @app.get("/wepay/login")
    @login_required
    def login() -> Response:
        return oauth.wepay.authorize_redirect(url_for("authorize", _external=True))

    @app.get("/wepay/callback")
    @login_required
    def authorize() -> Response:
        token = oauth.wepay.authorize_access_token()
        row = find()
        if row is None:
            row = OAuth2Token(name="wepay", user_id=current_user.id)
            db.session.add(row)
        row.token_type, row.access_token = token["token_type"], token["access_token"]
        db.session.commit()
        return redirect("/")

    return app, oauth
