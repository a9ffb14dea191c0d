"""A generated suite of tests, as a user of the pytest plugin would have it, run by pytest."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

CONFTEST = """
import pytest
from flask import Flask, session
from flask_sqlalchemy import SQLAlchemy
from flask_wepay import WePay, current_wepay
from flask_wepay.errors import TokenRevoked
from flask_wepay.sqla import WePayTokenMixin

pytest_plugins = ["flask_wepay.pytest_plugin"]


@pytest.fixture
def app():
    app = Flask(__name__)
    app.config.update(
        TESTING=True,
        SECRET_KEY="dev",
        SQLALCHEMY_DATABASE_URI="sqlite://",
        WEPAY_ENVIRONMENT="sandbox",
    )
    db = SQLAlchemy(app)

    class WePayToken(WePayTokenMixin, db.Model):
        pass

    wepay = WePay(app, token_model=WePayToken)
    wepay.owner_loader(lambda: session.get("user"))

    @app.get("/")
    def index():
        return "index"

    @app.get("/email")
    def email():
        try:
            return current_wepay.call("user")["email"]
        except TokenRevoked:
            return "revoked"

    with app.app_context():
        db.create_all()
    yield app
    with app.app_context():
        db.engine.dispose()


@pytest.fixture
def client(app):
    client = app.test_client()
    with client.session_transaction() as session:
        session["user"] = "robin"
    return client
"""
#: Connect, make a call, and revoke.
TEST = """

def test_{number}(client, wepay_sandbox, wepay_connect):
    email = "robin{number}@example.com"
    wepay_connect(client, email=email)
    assert client.get("/email").text == email
    wepay_sandbox.revoke(wepay_sandbox.world.user_by_email(email).user_id)
    assert client.get("/email").text == "revoked"
"""
#: The same application and browser, and no sandbox.
BARE_TEST = """

def test_{number}(client):
    assert client.get("/").text == "index"
"""


def run(directory: Path, tests: int, rounds: int) -> dict[str, float]:
    """Return how many seconds pytest takes from start to end, with the sandbox and without."""
    kinds = {"seconds": TEST, "bare": BARE_TEST}
    for kind, test in kinds.items():
        place = directory / kind
        place.mkdir()
        (place / "conftest.py").write_text(CONFTEST)
        source = "".join(test.format(number=number) for number in range(tests))
        (place / "test_generated.py").write_text(source)
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind, taken in times.items():
            taken.append(_pytest(directory / kind, tests))
    return {"tests": tests, **{kind: median(taken) for kind, taken in times.items()}}


def _pytest(place: Path, tests: int) -> float:
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir=.", "-p", "no:cacheprovider"]
    # Other plugins than its own are not what is measured.
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, check=False
    )
    taken = time.perf_counter() - started
    if f"{tests} passed" not in done.stdout:
        raise RuntimeError(done.stdout + done.stderr)
    return taken
