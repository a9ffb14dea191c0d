"""The platform of ``examples/crowdfunding``, with its seeds, before the sandbox."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from crowdfunding import create_app
from crowdfunding.extensions import db
from crowdfunding.models import User
from flask import Flask
from flask.testing import FlaskClient
from flask_login import FlaskLoginClient


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in list(os.environ):
        if key.startswith("FLASK_") or key == "DATABASE_URL":
            monkeypatch.delenv(key)


def make_app(database: Path) -> Flask:
    app = create_app(
        {
            "DEMO": True,
            "SECRET_KEY": "a secret of the tests",
            "SQLALCHEMY_DATABASE_URI": f"sqlite:///{database}",
            "TESTING": True,
            "WTF_CSRF_ENABLED": False,
        }
    )
    app.test_client_class = FlaskLoginClient
    return app


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a database with the seeds, once: hashing a password takes its time."""
    database = tmp_path_factory.mktemp("crowdfunding") / "seeded.sqlite"
    app = make_app(database)
    with app.app_context():
        db.create_all()
        app.test_cli_runner().invoke(args=["seed"])
        db.session.remove()
        db.engine.dispose()
    return database


@pytest.fixture
def app(seeded: Path, tmp_path: Path) -> Iterator[Flask]:
    app = make_app(shutil.copy(seeded, tmp_path))
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """A browser in which nobody is logged in."""
    return app.test_client()


@pytest.fixture
def robin(app: Flask) -> FlaskClient:
    """A browser in which the demo's organizer is logged in."""
    with app.app_context():
        return app.test_client(user=db.session.get(User, 1))
