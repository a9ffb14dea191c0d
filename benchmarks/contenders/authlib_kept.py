"""Authlib with a `requests.Session` kept by hand and its documented `OAuth2Auth`.

Its documentation does not show this for Flask, but nothing keeps a careful user from it.
"""

from __future__ import annotations

import requests
from authlib.integrations.requests_client import OAuth2Auth
from flask import Flask

from . import Setup
from .authlib_client import make_base
from .platform import add_calls


def make_app(setup: Setup) -> Flask:
    app, oauth = make_base(setup)
    kept = requests.Session()

    def user() -> str:
        auth = OAuth2Auth(oauth.wepay.token)
        return kept.post(f"{setup.provider}/v2/user", json={}, auth=auth).json()["email"]

    add_calls(app, user)
    return app
