"""Connections are kept, and never carry one user's answer or cookie to another."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from authorizations import hooked, overlapping_logins
from flask import Flask
from flask.testing import FlaskClient
from servers import Connection, answer, answering, echo, server_context

from flask_wepay import WePay, WePayClient
from flask_wepay.api import connections

HERE = Path(__file__).parent


def test_200_calls_open_one_connection(
    make_app: Any, wepay_live_sandbox: Any, wepay_connect: Any
) -> None:
    """The login and 200 calls, each with a session of Authlib's own, share one connection."""
    app = make_app(WEPAY_SANDBOX_URL=wepay_live_sandbox.url, WEPAY_THROTTLE=None)
    browser: FlaskClient = app.test_client()
    browser.get("/as/alice")
    wepay_connect(browser)

    with app.app_context():
        client = app.extensions["test"]["wepay"].client_for("alice")
        for _ in range(200):
            client.call("user")

    assert wepay_live_sandbox.count("user") == 200
    assert wepay_live_sandbox.connections == 1


def test_a_tls_connection_is_kept(
    serve: Any, client_at: Any, authority: Any, ca_bundle: str
) -> None:
    """There is one TLS handshake for many calls, of several owners."""
    server = serve(echo, server_context(authority, "127.0.0.1"))
    alice = client_at(server.url, WEPAY_CA_BUNDLE=ca_bundle)
    bob = WePayClient(alice._state, "bob")

    answers = [client.call("user")["token"] for client in (alice, bob) * 25]

    assert answers == ["Bearer STAGE_alice", "Bearer STAGE_bob"] * 25
    assert server.connections == 1


def test_a_connection_that_came_too_late_is_closed() -> None:
    """Where the deadline passes just after connecting nothing is left open."""
    ours, theirs = socket.socketpair()

    with theirs, pytest.raises(TimeoutError):
        connections._limited(ours, time.monotonic() - 1)

    assert ours.fileno() == -1


def test_a_certificate_is_checked_by_name(
    serve: Any, client_at: Any, authority: Any, ca_bundle: str
) -> None:
    """The host's name, not the address that it has, is what its certificate must be for."""
    server = serve(echo, server_context(authority, "localhost"))
    client = client_at(f"https://localhost:{server.port}", WEPAY_CA_BUNDLE=ca_bundle)

    assert client.call("user") == {"token": "Bearer STAGE_alice"}


def test_the_authlib_client_shares_the_connection(serve: Any, client_at: Any) -> None:
    """Authlib's client, used directly, uses the kept connection too."""
    server = serve(echo)
    client = client_at(server.url)
    client.call("user")

    token = {"access_token": "STAGE_bob", "user_id": 1, "token_type": "BEARER"}
    response = client._state.oauth.wepay.post("user", token=token, json={})

    assert response.json() == {"token": "Bearer STAGE_bob"}
    assert server.connections == 1


def test_a_connection_is_kept_after_errors(serve: Any, client_at: Any) -> None:
    """An answer that is an error, a redirect or empty does not cost the connection."""
    server = serve(
        answering(
            answer({"error_code": 1003}, "400 Bad Request"),
            answer(b"", "302 Found", Location="/v2/app"),
            answer(b"<html>", "503 Service Unavailable"),
            answer({"state": "registered"}),
        )
    )
    client = client_at(server.url)

    for _ in range(3):
        with pytest.raises(Exception, match="account/create"):
            client.call("account/create")

    assert client.call("user") == {"state": "registered"}
    assert server.connections == 1


@pytest.mark.parametrize("says_so", [True, False])
def test_a_connection_that_the_server_ends(serve: Any, client_at: Any, says_so: bool) -> None:
    """A connection that WePay ended while it was idle is replaced, and no call is lost."""
    ended = threading.Semaphore(0)

    def one_answer(connection: Connection) -> None:
        connection.read()
        connection.send(answer(**{"Connection": "close"} if says_so else {}))
        connection._reader.close()
        connection.sock.close()
        ended.release()

    server = serve(one_answer)
    client = client_at(server.url)

    for _ in range(5):
        assert client.call("checkout/create") == {}
        assert ended.acquire(timeout=10)

    assert server.connections == len(server.requests) == 5


def test_more_than_was_asked_for(serve: Any, client_at: Any) -> None:
    """Bytes after an answer are never taken for the answer to the next call."""
    extra = threading.Semaphore(0)

    def talkative(connection: Connection) -> None:
        request = connection.read()
        assert request is not None
        token = request.headers["authorization"]
        connection.send(answer({"token": token}) + answer({"token": f"again {token}"}))
        extra.release()
        connection.read()

    server = serve(talkative)
    alice = client_at(server.url)

    assert alice.call("user") == {"token": "Bearer STAGE_alice"}
    assert extra.acquire(timeout=10)
    assert WePayClient(alice._state, "bob").call("user") == {"token": "Bearer STAGE_bob"}
    assert server.connections == 2


def test_cookies_do_not_outlive_a_call(serve: Any, client_at: Any) -> None:
    """A cookie that an answer sets goes out with nobody's next call."""
    server = serve(answering(answer(Set_Cookie="session=of-alice; Path=/")))
    alice = client_at(server.url)

    alice.call("user")
    alice.call("user")
    WePayClient(alice._state, "bob").call("user")

    assert len(server.requests) == 3
    assert not [request for request in server.requests if "cookie" in request.headers]


def test_applications_share_no_connections(serve: Any, make_app: Any) -> None:
    """Two applications in one process, even with one extension object, have a pool each."""
    server = serve(echo)
    wepay = hooked()
    for _ in range(2):
        with make_app(wepay, WEPAY_SANDBOX_URL=server.url).app_context():
            wepay.client_for("alice").call("user")

    assert server.connections == 2


def test_a_process_has_a_pool_of_its_own(
    serve: Any, client_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that finds itself with another id does not touch its parent's connections."""
    server = serve(echo)
    client = client_at(server.url)
    client.call("user")
    monkeypatch.setattr(os, "getpid", lambda: 1)

    for _ in range(3):
        client.call("user")

    assert server.connections == 2


@pytest.fixture
def echo_server() -> Iterator[tuple[str, Callable[[], int]]]:
    """A server in a process of its own that answers with the token, and counts connections."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "echo_server.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()

        def count() -> int:
            process.stdin.write(b"\n")
            process.stdin.flush()
            return int(process.stdout.readline())

        yield url, count
        process.stdin.close()


USERS, THREADS, CALLS = 100, 64, 10_000


@pytest.mark.no_cover  # tracing would cost half the time
def test_64_threads_get_nobody_elses_token(
    make_app: Any, echo_server: tuple[str, Callable[[], int]], tmp_path: Path
) -> None:
    """10 000 calls of 64 threads over 100 users, tokens in the database: no foreign token."""
    url, connections = echo_server
    app: Flask = make_app(
        WEPAY_SANDBOX_URL=url,
        WEPAY_THROTTLE=None,
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'tokens.db'}",
    )
    wepay: WePay = app.extensions["test"]["wepay"]
    for number in range(USERS):
        overlapping_logins(app, f"user{number}", f"STAGE_user{number}")

    def work(thread: int) -> Counter[str]:
        seen: Counter[str] = Counter()
        with app.app_context():
            for number in range(thread, CALLS, THREADS):
                owner = f"user{number * 7 % USERS}"
                token = wepay.client_for(owner).call("user")["token"]
                seen["own" if token == f"Bearer STAGE_{owner}" else "foreign"] += 1
        return seen

    with ThreadPoolExecutor(THREADS) as pool:
        seen = sum(pool.map(work, range(THREADS)), Counter())

    assert seen == {"own": CALLS}
    assert connections() <= THREADS


def test_a_pool_warmed_before_a_fork(echo_server: tuple[str, Callable[[], int]]) -> None:
    """Children of a process with a warm pool open connections of their own: no foreign answer."""
    url, connections = echo_server

    process = subprocess.run(
        [sys.executable, str(HERE / "forking.py"), url], capture_output=True, text=True, timeout=60
    )

    assert process.stdout.split() == ["own"] * 5, process.stderr
    assert connections() == 5


def test_greenlets_get_nobody_elses_token(echo_server: tuple[str, Callable[[], int]]) -> None:
    """Under gevent 500 calls of 50 greenlets get no foreign token."""
    url, connections = echo_server

    process = subprocess.run(
        [sys.executable, str(HERE / "greenlets.py"), url],
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert process.stdout.split() == ["own"] * 50, process.stderr
    assert connections() <= 50
