"""A server on a socket of its own that answers with exactly the given bytes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType

#: What a connection is answered: bytes, chunks of them, or a function that gets the socket
#: and an event that is set when the test is done.
Answer = bytes | Iterable[bytes] | Callable[[socket.socket, Event], None]


class RawServer:
    """Take connections one by one, read the request and answer it, until it is left."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        #: Where it is.
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = Thread(target=self._serve, daemon=True)
        #: The requests as they came, head and body.
        self.requests: list[bytes] = []
        #: Set when it is left, for answers that never end.
        self.left = Event()

    def _serve(self) -> None:
        while not self.left.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            # The client may be gone before it has everything.
            with connection, suppress(OSError):
                connection.settimeout(10)
                self.requests.append(read_request(connection))
                self._respond(connection)

    def _respond(self, connection: socket.socket) -> None:
        if callable(self._answer):
            self._answer(connection, self.left)
            return
        chunks = [self._answer] if isinstance(self._answer, bytes) else self._answer
        for chunk in chunks:
            connection.sendall(chunk)

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.left.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(timeout=10)


def read_request(connection: socket.socket) -> bytes:
    """Read a request to its end."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _receive(connection)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    while len(body) < sum(lengths):
        body += _receive(connection)
    return head + b"\r\n\r\n" + body


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the client has left")
    return data


def http(body: bytes, status: str = "200 OK", headers: Iterable[str] | None = None) -> bytes:
    """Make an answer, with the length of its body unless there are other headers."""
    lines = [f"Content-Length: {len(body)}"] if headers is None else headers
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", "Connection: close", *lines]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
