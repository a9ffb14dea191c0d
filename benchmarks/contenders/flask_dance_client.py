"""Flask-Dance with its SQLAlchemy storage, as its documentation shows it.

https://flask-dance.readthedocs.io/en/latest/storages.html and its multi-user tutorial.
"""

from __future__ import annotations

from flask import Flask
from flask_dance.consumer import OAuth2ConsumerBlueprint
from flask_dance.consumer.storage.sqla import OAuthConsumerMixin, SQLAlchemyStorage
from flask_login import current_user

from . import CLIENT_ID, CLIENT_SECRET, SCOPES, Setup
from .platform import add_calls, make_platform

# Its login does not look at the user, so neither does the bare view beside it.
BARE_LOGIN = "/nobody-redirect"


def make_app(setup: Setup) -> Flask:
    setup.trust()
    app, db, user_model = make_platform(setup)

    class OAuth(OAuthConsumerMixin, db.Model):
        user_id = db.Column(db.Integer, db.ForeignKey(user_model.id), index=True)
        user = db.relationship(user_model)

    blueprint = OAuth2ConsumerBlueprint(
        "wepay",
        __name__,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        base_url=f"{setup.provider}/v2/",
        token_url=f"{setup.provider}/v2/oauth2/token",
        authorization_url=f"{setup.provider}/v2/oauth2/authorize",
        scope=",".join(SCOPES),
        login_url="/login",
        authorized_url="/callback",
        storage=SQLAlchemyStorage(OAuth, db.session, user=current_user),
    )
    app.register_blueprint(blueprint, url_prefix="/wepay")

    @app.get("/lookup")
    def look_up() -> str:
        return str(len(blueprint.token["access_token"]))

    # Its session lives as long as the request, and so do its connections.
    add_calls(app, lambda: blueprint.session.post("user", json={}).json()["email"])
    return app
