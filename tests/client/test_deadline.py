"""How long a call may take, and how large its answer may be."""

from __future__ import annotations

import gzip
import itertools
import socket
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from authorizations import overlapping_logins
from servers import Connection, Handle, RawServer, answer, answering, echo, server_context

from flask_wepay import WePay, WePayClient
from flask_wepay.api import connections
from flask_wepay.errors import ConnectionFailed, OutcomeUnknown, WePayError

#: Seconds that a call is given here, and within which it must have ended on a busy machine.
TIMEOUT, LIMIT = 1, 10

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.fixture(autouse=True)
def connect_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing but the call's deadline end its connecting within LIMIT."""
    monkeypatch.setattr(connections, "CONNECT_TIMEOUT", 10 * LIMIT)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail if a block takes longer."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def dripping(*parts: bytes, then: bytes) -> Handle:
    """Answer with some parts at once, and then for ever with the same few bytes."""

    def handle(connection: Connection) -> None:
        connection.read()
        connection.send(*parts)
        connection.drip(itertools.repeat(then))

    return handle


DRIPS = {
    "nothing at all": dripping(then=b""),
    "status line": dripping(b"HTTP/1.1 200 ", then=b"O"),
    "header": dripping(HEAD + b"A: ", then=b"b"),
    "headers": dripping(HEAD, then=b"A: b\r\n"),
    "continues": dripping(then=b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": dripping(HEAD + b"Content-Length: 1000000\r\n\r\n", then=b" "),
    "body without a length": dripping(HEAD + b"Connection: close\r\n\r\n", then=b" "),
    "chunks": dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", then=b"1\r\n \r\n"),
    "chunk size": dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", then=b"0"),
    "trailers": dripping(HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", then=b"A: b\r\n"),
}


@pytest.mark.parametrize("call", ["user", "checkout/create"])
@pytest.mark.parametrize("handle", DRIPS.values(), ids=DRIPS)
def test_an_answer_that_drips(client_of: Any, handle: Handle, call: str) -> None:
    """However slowly the bytes of an answer come in, the call ends at its deadline."""
    client = client_of(handle, WEPAY_TIMEOUT=TIMEOUT)

    with within(LIMIT), pytest.raises(OutcomeUnknown, match="may have been executed"):
        client.call(call)


@pytest.mark.parametrize("name", ["status line", "body", "chunks"])
def test_an_answer_that_drips_over_tls(
    serve: Any, client_at: Any, authority: Any, ca_bundle: str, name: str
) -> None:
    """The same holds over TLS."""
    server = serve(DRIPS[name], server_context(authority, "127.0.0.1"))
    client = client_at(server.url, WEPAY_CA_BUNDLE=ca_bundle, WEPAY_TIMEOUT=TIMEOUT)

    with within(LIMIT), pytest.raises(OutcomeUnknown):
        client.call("checkout/create")


def test_a_call_has_a_timeout_of_its_own(client_of: Any) -> None:
    """timeout= is for this call, in place of WEPAY_TIMEOUT."""
    client = client_of(DRIPS["body"])

    with within(LIMIT), pytest.raises(OutcomeUnknown):
        client.call("user", timeout=TIMEOUT)
    with within(LIMIT), pytest.raises(OutcomeUnknown):
        client.batch([("user", {})], timeout=TIMEOUT)


def test_a_kept_connection_has_a_fresh_deadline(client_of: Any) -> None:
    """The deadline of one call does not end the next one on the same connection."""

    def slowly(connection: Connection) -> None:
        while connection.read() is not None:
            connection.server.stopped.wait(0.2)
            connection.send(answer())

    client = client_of(slowly, WEPAY_TIMEOUT=2)

    assert [client.call("user") for _ in range(12)] == [{}] * 12


def silent(connection: Connection) -> None:
    """Accept, and neither read nor answer."""
    connection.server.stopped.wait()


def test_a_tls_handshake_that_hangs(serve: Any, client_at: Any) -> None:
    """A handshake that never ends is given up in time, and nothing was sent."""
    client = client_at(serve(silent).url.replace("http:", "https:"), WEPAY_TIMEOUT=TIMEOUT)

    with within(LIMIT), pytest.raises(ConnectionFailed):
        client.call("checkout/create")


def test_a_tls_handshake_that_drips(serve: Any, client_at: Any) -> None:
    """Bytes that come one by one do not prolong the handshake."""

    def drip(connection: Connection) -> None:
        connection.sock.recv(1)
        connection.send(b"\x16\x03\x03\x40\x00")
        connection.drip(itertools.repeat(b"\x02"))

    client = client_at(serve(drip).url.replace("http:", "https:"), WEPAY_TIMEOUT=TIMEOUT)

    with within(LIMIT), pytest.raises(ConnectionFailed):
        client.call("checkout/create")


def test_a_proxy_that_drips(serve: Any, client_at: Any) -> None:
    """A proxy that answers CONNECT slowly is given up in time, and nothing was sent."""
    proxies = {"https": serve(DRIPS["headers"]).url}
    client = client_at("https://127.0.0.1:9", WEPAY_PROXIES=proxies, WEPAY_TIMEOUT=TIMEOUT)

    with within(LIMIT), pytest.raises(ConnectionFailed):
        client.call("checkout/create")


def test_connecting_takes_all_the_time(serve: Any) -> None:
    """Where the time is up once there is a connection, nothing is sent, and that is known."""
    server = serve(echo)
    connection = connections._Watched("127.0.0.1", server.port)
    connection.connect()

    with connections.watched() as attempt:
        attempt.ends = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.send(b"POST /v2/checkout/create HTTP/1.1\r\n")

    connection.close()
    assert not attempt.sent


@pytest.mark.parametrize("secure", [False, True])
def test_a_server_that_does_not_read(
    serve: Any, client_at: Any, authority: Any, ca_bundle: str, secure: bool
) -> None:
    """A server that reads a large request in drops does not prolong the call."""

    def sip(connection: Connection) -> None:
        while not connection.server.stopped.wait(0.02):
            connection.sock.recv(20_000)

    server = serve(sip, server_context(authority, "127.0.0.1") if secure else None)
    client = client_at(server.url, WEPAY_CA_BUNDLE=ca_bundle, WEPAY_TIMEOUT=TIMEOUT)

    with within(LIMIT), pytest.raises(OutcomeUnknown):
        client.call("checkout/create", long_description="x" * 20_000_000)


@pytest.fixture
def full() -> Iterator[int]:
    """A port whose queue of connections is full, so that connecting to it hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(3)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        yield port
        for sock in waiting:
            sock.close()


def resolve_to(monkeypatch: pytest.MonkeyPatch, *hosts: str) -> None:
    """Let "wepay.localhost" have these addresses."""
    look_up = socket.getaddrinfo

    def resolve(host: str, *args: Any, **kwargs: Any) -> list[Any]:
        names = hosts if host == "wepay.localhost" else (host,)
        return [found for name in names for found in look_up(name, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


def test_hosts_that_can_not_be_reached(
    client_at: Any, monkeypatch: pytest.MonkeyPatch, full: int
) -> None:
    """All of a host's addresses together have the time of one connection."""
    resolve_to(monkeypatch, *["127.0.0.1"] * 40)
    client = client_at(f"http://wepay.localhost:{full}", WEPAY_TIMEOUT=TIMEOUT)

    with within(LIMIT), pytest.raises(ConnectionFailed):
        client.call("checkout/create")


def test_the_next_address_is_tried(
    serve: Any, client_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the first address refuses, the next one is used."""
    server = serve(echo)
    resolve_to(monkeypatch, "127.0.0.2", "127.0.0.1")
    client = client_at(f"http://wepay.localhost:{server.port}")

    assert client.call("user") == {"token": "Bearer STAGE_alice"}
    assert server.requests[0].headers["host"] == f"wepay.localhost:{server.port}"


def test_candidates_share_one_deadline(serve: Callable[..., RawServer], make_app: Any) -> None:
    """A call that finds token after token revoked has one deadline for all of them."""

    def revoked(connection: Connection) -> None:
        while connection.read() is not None:
            connection.server.stopped.wait(0.8)
            connection.send(answer({"error_code": 1011}, "401 Unauthorized"))

    server = serve(revoked)
    app = make_app(WEPAY_SANDBOX_URL=server.url, WEPAY_THROTTLE=None)
    wepay: WePay = app.extensions["test"]["wepay"]
    overlapping_logins(app, "alice", *(f"STAGE_{n}" for n in range(5)))

    # On a busy machine the time may be up between two tokens, and nothing sent of the second.
    ended = (OutcomeUnknown, ConnectionFailed)
    with app.app_context(), within(2 + LIMIT), pytest.raises(ended):
        wepay.client_for("alice").call("checkout/create", timeout=2)

    assert 2 <= len(server.requests) <= 3


ENDLESS = {
    "body": (HEAD + b"Connection: close\r\n\r\n", b" " * 65536),
    "long body": (HEAD + b"Content-Length: 999999999999\r\n\r\n", b" " * 65536),
    "chunks": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "one chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n", b" " * 65536),
    "chunk size": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536),
    "status line": (b"HTTP/1.1 200 ", b"O" * 65536),
    "header": (HEAD + b"A: ", b"b" * 65536),
    "headers": (HEAD, b"A: " + b"b" * 60_000 + b"\r\n"),
}


@pytest.mark.parametrize(("head", "then"), ENDLESS.values(), ids=ENDLESS)
def test_an_answer_without_end(client_of: Any, head: bytes, then: bytes) -> None:
    """An endless answer is given up long before the deadline, in little memory."""

    def flood(connection: Connection) -> None:
        connection.read()
        connection.send(head)
        connection.drip(itertools.repeat(then), pause=0)

    client = client_of(flood)

    tracemalloc.start()
    try:
        with within(10), pytest.raises(OutcomeUnknown):
            client.call("checkout/create")
        assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_a_compressed_bomb_takes_little_memory(client_of: Any) -> None:
    """An answer that would unpack to a gigabyte stays as small as it came."""
    bomb = gzip.compress(gzip.compress(bytes(50_000_000)))
    client: WePayClient = client_of(answering(answer(bomb, Content_Encoding="gzip, gzip")))

    tracemalloc.start()
    try:
        with pytest.raises(WePayError):
            client.call("user")
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_answers_before_the_answer_without_end(client_of: Any) -> None:
    """A server that only ever says "continue" has given no answer."""

    def handle(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 102 Processing\r\n\r\n" * 200)

    assert type(raised(client_of(handle))) is OutcomeUnknown


def raised(client: WePayClient) -> WePayError:
    with pytest.raises(WePayError) as caught:
        client.call("checkout/create")
    return caught.value
