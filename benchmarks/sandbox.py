"""What the sandbox costs those who test with it: by the call, and by the suite.

A call is the same one of a `requests.Session` every time, answered in process by the
sandbox and by requests-mock, which knows the answer beforehand; and over loopback, without
TLS, by the sandbox as a server and by the minimal provider.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import requests
import requests_mock

from flask_wepay.sandbox import Sandbox
from flask_wepay.sandbox.server import LiveSandbox

from . import ROOT
from .contender import BURST
from .provider import Provider
from .results import Row, Tables
from .turns import apart, in_turns

CALLS = ("user", "checkout/create")
ACCOUNT = {"name": "A bridge", "description": "Of steel"}
CHECKOUT = {
    "short_description": "A plank",
    "type": "donation",
    "amount": 25,
    "currency": "USD",
}
MOCKED = "http://wepay.example"
#: A suite of tests, as a user of the pytest plugin would have it.
SUITE = """
import certifi
import pytest
from benchmarks.contenders import Setup
from benchmarks.contenders.flask_wepay_client import make_app
from flask_wepay.errors import TokenRevoked
from flask_wepay.sandbox import Sandbox

pytest_plugins = ["flask_wepay.pytest_plugin"]


@pytest.fixture
def app():
    app = make_app(Setup(Sandbox().url, "sqlite://", certifi.where(), {"TESTING": True}))
    with app.app_context():
        app.extensions["sqlalchemy"].create_all()
    return app


@pytest.fixture
def client(app):
    client = app.test_client()
    client.get("/as/1")
    return client
"""
SUITES = {
    "each connects, calls and revokes": """

def test_{0}(client, wepay_sandbox, wepay_connect):
    email = "robin{0}@example.com"
    wepay_connect(client, email=email)
    assert client.get("/call").text == email
    wepay_sandbox.revoke(wepay_sandbox.world.user_by_email(email).user_id)
    with pytest.raises(TokenRevoked):
        client.get("/call")
""",
    "the same application without the sandbox": """

def test_{0}(client):
    assert client.get("/bare").text == "1"
""",
}


class Live(LiveSandbox):
    """The sandbox as a server; what can be called of it can be called from another process."""

    def address(self) -> str:
        return self.url


class Way:
    """One who answers calls; `turn` is what must be entered for it to answer."""

    def __init__(
        self, url: str, token: str, turn: Callable[[], AbstractContextManager[object]] = nullcontext
    ) -> None:
        self._url, self._token, self.turn = url, token, turn
        self._session = requests.Session()
        with turn():
            account_id = self._post("account/create", ACCOUNT).get("account_id")
        self._parameters = {"user": {}, "checkout/create": CHECKOUT | {"account_id": account_id}}

    def make(self, call: str) -> Any:
        return self._post(call, self._parameters[call])

    def time(self, call: str) -> list[float]:
        """Return the microseconds of each of a few calls."""
        times = []
        with self.turn():
            for _ in range(BURST):
                started = time.perf_counter()
                self.make(call)
                times.append((time.perf_counter() - started) * 1e6)
        return times

    def _post(self, call: str, parameters: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self._session.post(f"{self._url}/v2/{call}", json=parameters, headers=headers)
        answer.raise_for_status()
        return answer.json()


def run(options: Any, directory: Path) -> Tables:
    calls = {}
    with _ways() as ways:
        for call in CALLS:
            tasks = {name: partial(way.time, call) for name, way in ways.items()}
            taken = in_turns(tasks, options.rounds)
            calls[call] = {name: f"{microseconds:.0f} µs" for name, microseconds in taken.items()}
    return {
        "A call of requests, by who answers it": calls,
        f"{options.tests} tests with the pytest plugin": _suite(
            directory, options.tests, min(options.rounds, 3)
        ),
    }


@contextmanager
def _ways() -> Iterator[dict[str, Way]]:
    sandbox = Sandbox()
    in_process = Way(sandbox.url, sandbox.issue_token(), sandbox.joined)

    @contextmanager
    def mocked() -> Iterator[None]:
        with requests_mock.Mocker() as mocker:
            for call, answer in answers.items():
                mocker.post(f"{MOCKED}/v2/{call}", json=answer)
            yield

    with sandbox.joined():
        answers = {"account/create": ACCOUNT} | {call: in_process.make(call) for call in CALLS}
    with apart(Provider) as provider, apart(Live) as live:
        live.start()
        yield {
            "requests-mock": Way(MOCKED, "a token", mocked),
            "sandbox in process": in_process,
            "minimal provider": Way(provider.url(), "a token"),
            "sandbox as a server": Way(live.address(), live.issue_token()),
        }


def _suite(directory: Path, tests: int, rounds: int) -> dict[str, Row]:
    """Measure how long pytest takes from start to end."""
    tasks = {}
    for number, (what, test) in enumerate(SUITES.items()):
        suite = directory / f"test_suite_{number}.py"
        suite.write_text(SUITE + "".join(test.format(number) for number in range(tests)))
        tasks[what] = partial(_pytest, suite, tests)
    seconds = in_turns(tasks, rounds, warm_up=0)
    return {what: {"seconds in all": f"{taken:.1f} s"} for what, taken in seconds.items()}


def _pytest(suite: Path, tests: int) -> list[float]:
    command = [sys.executable, "-m", "pytest", "-q", "-c/dev/null", "-p", "no:cacheprovider", suite]
    # Other plugins than its own are not what is measured.
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    started = time.perf_counter()
    said = subprocess.run(command, env=environment, text=True, capture_output=True, check=False)
    taken = time.perf_counter() - started
    if f"{tests} passed" not in said.stdout:
        raise RuntimeError(said.stdout + said.stderr)
    return [taken]
