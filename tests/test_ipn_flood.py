"""Thousands of forged IPNs at once, against a threaded server on a real socket."""

from __future__ import annotations

import gc
import http.client
import os
import secrets
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import pytest
from flask import Flask
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from flask_wepay import current_wepay
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox.server import LiveSandbox

#: Tracing every line would cost half the time, and other tests cover the same ones.
pytestmark = pytest.mark.no_cover

MakeApp = Callable[..., Flask]

BILL = 100001
CONNECTIONS = 8
#: ``make soak`` sends 100 000.
FORGED = int(os.environ.get("WEPAY_FORGED_IPNS", "5000"))
MEASURED = FORGED // 5
#: Bytes that an IPN may leave behind, on average.
FLAT = 200


class Server(ThreadedWSGIServer):
    """Serve by so many threads, as in production."""

    def __init__(self, app: Flask) -> None:
        super().__init__("127.0.0.1", 0, app, handler=Quiet)
        self.pool = ThreadPoolExecutor(CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.pool.submit(self.process_request_thread, request, client_address)

    def server_close(self) -> None:
        super().server_close()
        self.pool.shutdown()


class Quiet(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


@pytest.fixture
def app(make_app: MakeApp, wepay_live_sandbox: LiveSandbox, tmp_path: Path) -> Flask:
    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/db.sqlite",
        WEPAY_SANDBOX_URL=wepay_live_sandbox.url,
    )
    app.add_url_rule("/", "index", lambda: "a page")
    app.add_url_rule("/me", "me", lambda: current_wepay.call("user")["email"])
    return app


@pytest.fixture
def server(app: Flask) -> Iterator[Server]:
    server = Server(app)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def forge(port: int, number: int) -> Counter[int]:
    """Send so many forged IPNs one after another, and count the answers."""
    statuses: Counter[int] = Counter()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    for i in range(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        body = urlencode({"user_id": BILL if i % 2 else i})
        address = f"/wepay/ipn?wepay_signature={secrets.token_urlsafe()}.{i}"
        connection.request("POST", address, body, headers)
        answer = connection.getresponse()
        assert answer.read() == b""
        statuses[answer.status] += 1
        connection.close()
    return statuses


def flood(port: int, number: int) -> Counter[int]:
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        share = number // CONNECTIONS
        return sum(pool.map(forge, [port] * CONNECTIONS, [share] * CONNECTIONS), Counter())


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Trace a block's memory, and give what counts the bytes that it holds so far."""

    def held() -> int:
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        yield held
    finally:
        tracemalloc.stop()


def test_flood(
    app: Flask,
    server: Server,
    wepay_live_sandbox: LiveSandbox,
    wepay_connect: Connect,
    rows: Callable[[], list[Any]],
) -> None:
    """Forged IPNs cause no look-up and no 500, take no memory, and let other pages answer."""
    client = app.test_client()
    client.get("/as/alice")
    wepay_connect(client)
    over = threading.Event()
    pages: list[tuple[int, float]] = []

    def visit() -> None:
        while not over.wait(0.05):
            began = time.perf_counter()
            connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
            connection.request("GET", "/")
            pages.append((connection.getresponse().status, time.perf_counter() - began))
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        visits = pool.submit(visit)
        try:
            # Measuring is slow, and what piles up piles up at any time.
            statuses = flood(server.port, FORGED - 2 * MEASURED)
            with traced() as held:
                # What full caches hold was not traced yet, and would count where it is replaced.
                statuses += flood(server.port, MEASURED)
                before = held()
                statuses += flood(server.port, MEASURED)
                grown = held() - before
        finally:
            over.set()
        visits.result()

    assert statuses == {403: FORGED}
    assert wepay_live_sandbox.count("user") == 0
    assert rows()[0].revoked_at is None
    assert grown < MEASURED * FLAT
    assert {status for status, _ in pages} == {200}
    assert max(seconds for _, seconds in pages) < 5
    assert client.get("/me").text == "bill@example.com"
