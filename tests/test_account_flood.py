"""One account that floods logins as fast as it can, beside others that connect and are told of."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox.server import LiveSandbox

#: Tracing every line would slow the flood down, and other tests cover the same ones.
pytestmark = pytest.mark.no_cover

#: ``make soak`` takes more, one budget's window after the other.
ROUNDS = int(os.environ.get("WEPAY_FLOOD_ROUNDS", "1"))
WINDOW = 10.5
FLOODING = 3
#: Of a window's ten exchanges and six look-ups the flood gets half.
LOGINS, IPNS = 5, 2


@pytest.fixture
def app(make_app: Callable[..., Flask], wepay_live_sandbox: LiveSandbox, tmp_path: Path) -> Flask:
    return make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/db.sqlite",
        WEPAY_SANDBOX_URL=wepay_live_sandbox.url,
        WEPAY_CALLBACK_URI="http://localhost/wepay/ipn",
    )


def junk(browser: FlaskClient) -> int:
    """Ask whether the account is connected, then come back from a login with a made-up code."""
    browser.get("/wepay/login")
    location = browser.get("/wepay/login?force=1").location
    state = location.partition("state=")[2].partition("&")[0]
    return browser.get(f"/wepay/callback?code=junk&state={state}").status_code


def test_flood_of_one_account(
    app: Flask,
    wepay_live_sandbox: LiveSandbox,
    wepay_connect: Connect,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whatever one account floods, five others connect in each window, and true IPNs are heard."""
    flooder = app.test_client()
    flooder.get("/as/flood")
    wepay_connect(flooder, email="flood@example.com")
    over = threading.Event()
    flooded: Counter[int] = Counter()
    connected: list[str] = []
    told: Counter[int] = Counter()

    def flood() -> None:
        browser = app.test_client()
        browser.get("/as/flood")
        while not over.is_set():
            flooded[junk(browser)] += 1

    with ThreadPoolExecutor(FLOODING) as threads:
        flooding = [threads.submit(flood) for _ in range(FLOODING)]
        try:
            for number in range(ROUNDS):
                # The first exchange was the flooder's own, and each window is a new start.
                over.wait(WINDOW if number else 0)
                for merchant in range(LOGINS - 1):
                    owner = f"merchant{number}.{merchant}"
                    browser = app.test_client()
                    browser.get(f"/as/{owner}")
                    answer = wepay_connect(browser, email=f"{owner}@example.com")
                    connected.append(answer.location or answer.status)
                tokens = list(wepay_live_sandbox.world.tokens.values())[-IPNS:]
                for token in tokens:
                    wepay_live_sandbox.revoke(token.user_id)
                    body = {"user_id": token.user_id}
                    told[app.test_client().post(token.callback_uri, data=body).status_code] += 1
        finally:
            over.set()
        for thread in flooding:
            thread.result()

    figures = {"flood": dict(flooded), "connected": connected.count("/"), "IPNs": dict(told)}
    with capsys.disabled():
        sys.stdout.write(f"\nwhat came through in {ROUNDS} windows: {figures}\n")
    assert set(flooded) == {502, 503}
    assert connected == ["/"] * ROUNDS * (LOGINS - 1)
    assert told == {200: ROUNDS * IPNS}
