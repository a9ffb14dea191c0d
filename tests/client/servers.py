"""Servers of the tests' own, for answers and silences that no real server gives."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import trustme

#: Seconds for which a server goes on doing something that its client should not wait for.
PATIENCE = 10.0


@dataclass
class Request:
    """One request as it came; the names of headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """One connection of a client."""

    def __init__(self, server: RawServer, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self._reader = sock.makefile("rb")

    def read(self) -> Request | None:
        """Read a request, or None where the client is done."""
        line = self._reader.readline().decode("latin-1").split()
        if not line:
            return None
        headers = {}
        while raw := self._reader.readline().strip():
            name, _, value = raw.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        body = self._reader.read(int(headers.get("content-length", "0")))
        request = Request(line[0], line[1], headers, body)
        self.server.requests.append(request)
        return request

    def send(self, *parts: bytes) -> None:
        for part in parts:
            self.sock.sendall(part)

    def drip(self, parts: Iterable[bytes], pause: float = 0.05) -> None:
        """Send parts one by one, until the client or the test has had enough."""
        for part in parts:
            self.sock.sendall(part)
            if self.server.stopped.wait(pause):
                return

    def reset(self) -> None:
        """End the connection as a crash does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


Handle = Callable[[Connection], None]


@dataclass
class RawServer:
    """Accept connections on loopback, and give each to `handle` in a thread of its own."""

    handle: Handle = lambda connection: None
    context: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    #: How many connections there were.
    connections: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> RawServer:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        scheme = "http" if self.context is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stopped.set()
        for sock in (self._listener, *self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, sock: socket.socket) -> None:
        with suppress(OSError, ValueError), sock:
            if self.context is not None:
                with self.context.wrap_socket(sock, server_side=True) as secure:
                    self._open.append(secure)
                    self._hand_over(secure)
            else:
                self._hand_over(sock)

    def _hand_over(self, sock: socket.socket) -> None:
        connection = Connection(self, sock)
        with connection._reader:
            self.handle(connection)


def answer(body: Any = None, status: str = "200 OK", **headers: str) -> bytes:
    """Give the bytes of an answer; anything but bytes is sent as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(content)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + content


def answering(*answers: bytes) -> Handle:
    """Answer every request with the next of these answers, and for ever with the last."""
    left = list(answers)

    def handle(connection: Connection) -> None:
        while connection.read() is not None:
            connection.send(left.pop(0) if len(left) > 1 else left[0])

    return handle


def echo(connection: Connection) -> None:
    """Answer every request with the token it carried."""
    while (request := connection.read()) is not None:
        connection.send(answer({"token": request.headers.get("authorization")}))


def server_context(authority: trustme.CA, host: str) -> ssl.SSLContext:
    """Make a server's side of TLS with a certificate for a host."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    return context


def pass_on(sock: socket.socket, port: int) -> None:
    """Carry bytes between a connection and a port of loopback, as a proxy's tunnel does."""
    with socket.create_connection(("127.0.0.1", port)) as other:
        back = threading.Thread(target=_copy, args=(other, sock), daemon=True)
        back.start()
        _copy(sock, other)
        back.join(PATIENCE)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def free_port() -> int:
    """Give a port of loopback that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def await_port(port: int) -> None:
    """Wait until somebody listens on a port."""
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            threading.Event().wait(0.02)
        else:
            return
    raise TimeoutError(f"nobody listens on {port}")
