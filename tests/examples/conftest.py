"""The platform of ``examples/crowdfunding``, with its seeds, before the sandbox."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from crowdfunding import create_app
from crowdfunding.extensions import db
from flask import Flask
from flask.testing import FlaskClient


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in list(os.environ):
        if key.startswith("FLASK_"):
            monkeypatch.delenv(key)


@pytest.fixture
def app(tmp_path: Path) -> Flask:
    app = create_app(
        {
            "DEMO": True,
            "SECRET_KEY": "a secret of the tests",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'crowdfunding.sqlite'}",
            "TESTING": True,
            "WTF_CSRF_ENABLED": False,
        }
    )
    with app.app_context():
        db.create_all()
    app.test_cli_runner().invoke(args=["seed"])
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def robin(client: FlaskClient) -> FlaskClient:
    """A client in which the demo's organizer is logged in."""
    client.post("/login", data={"email": "robin@example.org", "password": "lanterns-at-dusk"})
    return client
