"""What the sandbox costs those who test with it: by the call, and by the suite.

A call is the same one of a `requests.Session` every time, answered in process by the
sandbox and by requests-mock, which knows the answer beforehand; and over loopback, without
TLS, by the sandbox as a server and by the minimal provider. The ways take turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import requests
import requests_mock

from flask_wepay.sandbox import Sandbox

from . import suite
from .processes import Child
from .side_by_side import BURST

CALLS = ("user", "checkout/create")
ACCOUNT = {"name": "A bridge", "description": "Of steel"}
CHECKOUT = {
    "short_description": "A plank",
    "type": "donation",
    "amount": 25,
    "currency": "USD",
}
MOCKED = "http://wepay.example"


@dataclass
class Way:
    """One who answers calls."""

    url: str
    token: str
    account_id: int
    session: requests.Session
    #: What must be entered for it to answer.
    turn: Callable[[], AbstractContextManager[object]] = nullcontext

    @classmethod
    def with_account(cls, url: str, token: str, turn: Any = nullcontext) -> Way:
        """Make an account for a user of a sandbox first."""
        way = cls(url, token, 0, requests.Session(), turn)
        with turn():
            way.account_id = way.post("account/create", ACCOUNT)["account_id"]
        return way

    def post(self, call: str, parameters: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.session.post(f"{self.url}/v2/{call}", json=parameters, headers=headers)
        answer.raise_for_status()
        return answer.json()

    def make(self, call: str) -> Any:
        return self.post(call, {} if call == "user" else CHECKOUT | {"account_id": self.account_id})

    def time(self, call: str, count: int) -> list[float]:
        """Return the microseconds of each of so many calls."""
        times = []
        with self.turn():
            for _ in range(count):
                started = time.perf_counter()
                self.make(call)
                times.append((time.perf_counter() - started) * 1e6)
        return times


def run(directory: Path, rounds: int, tests: int) -> dict[str, Any]:
    """Return microseconds by call and way, and the seconds of a suite of so many tests."""
    with _ways() as ways:
        calls = {call: _measure(ways, call, rounds) for call in CALLS}
    return {"calls": calls, "suite": suite.run(directory, tests, min(rounds, 3))}


@contextmanager
def _ways() -> Iterator[dict[str, Way]]:
    sandbox = Sandbox()
    in_process = Way.with_account(sandbox.url, sandbox.issue_token(), sandbox.joined)
    with in_process.turn():
        answers = {call: in_process.make(call) for call in CALLS}

    @contextmanager
    def mocked() -> Iterator[None]:
        with requests_mock.Mocker() as mocker:
            for call, answer in answers.items():
                mocker.post(f"{MOCKED}/v2/{call}", json=answer)
            yield

    token, account_id = in_process.token, in_process.account_id
    with Child("provider") as provider, Child("live_sandbox") as live:
        port, server = provider.greeting["port"], live.greeting
        yield {
            "requests-mock": Way(MOCKED, token, account_id, requests.Session(), mocked),
            "sandbox in process": in_process,
            "minimal provider": Way(
                f"http://127.0.0.1:{port}", token, account_id, requests.Session()
            ),
            "sandbox as a server": Way.with_account(server["url"], server["token"]),
        }


def _measure(ways: dict[str, Way], call: str, rounds: int) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(-1, rounds):
        for name, way in ways.items():
            measured = way.time(call, BURST)
            # The first turn warms caches and connections.
            times[name] += measured if turn >= 0 else []
    return {name: median(taken) for name, taken in times.items()}
