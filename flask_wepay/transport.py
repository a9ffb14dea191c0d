"""Connections that are kept, a deadline that holds, and what is known to have been sent.

The parts that requests leaves open: its sessions close their pools, its timeouts
start anew with every byte, and its errors do not say whether the request went out.
"""

from __future__ import annotations

import http.client
import io
import math
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError
from urllib3.util import Timeout

__all__ = ["Attempt", "Transport", "deadline", "nothing_was_sent", "read_body", "watched"]

#: Seconds that connecting may take of a call's deadline.
CONNECT_TIMEOUT = 5.0
#: Bytes of an answer; WePay's largest, a batch of 50, stays far below.
LARGEST_BODY = 8 * 1024 * 1024
CHUNK = 64 * 1024
#: Connections kept per process and host.
POOL_SIZE = 100


@dataclass(slots=True)
class Attempt:
    """What is known of one request."""

    #: Whether our own connections carry it, so that the rest can be relied upon.
    tracked: bool = False
    #: Whether bytes of it have gone out.
    sent: bool = False
    #: When its time is up, on the monotonic clock.
    ends: float = math.inf


_attempt: ContextVar[Attempt] = ContextVar("flask_wepay_attempt")


def _remaining(ends: float) -> float:
    """Return the seconds until a point in time.

    :raises TimeoutError: if it has passed.
    """
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time for this request is up")
    return seconds


class _DeadlineReader(io.RawIOBase):
    """Read a socket until a point in time, however slowly the bytes drip in."""

    def __init__(self, sock: Any, ends: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._ends = ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(_remaining(self._ends))
        return self._raw.readinto(buffer)  # type: ignore[no-any-return]

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_DeadlineReader(sock, _attempt.get().ends))

    def begin(self) -> None:
        """Read up to the answer itself: http.client passes over 100 alone."""
        super().begin()
        while 100 <= self.status < 200:
            self.headers = None  # type: ignore[assignment]
            super().begin()
        if self.status in (204, 304):
            # A body that comes all the same must not answer somebody else's request.
            self.will_close = True


class _Watched(HTTPConnection):
    """Keep the deadline in every step, and note when bytes of the request go out."""

    response_class = _Response
    _connecting = False

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()
        finally:
            self._connecting = False

    def _new_conn(self) -> socket.socket:
        """Connect to the first of the host's addresses that answers.

        All of them together, and the TLS handshake, have the time that urllib3 would
        give to each; only looking up the name is left to the system.
        """
        name, ends = self.host, time.monotonic() + float(self.timeout or CONNECT_TIMEOUT)
        try:
            found = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise NameResolutionError(name, self, error) from error
        failure: Exception = NewConnectionError(self, f"{name} has no address")
        try:
            for *_, address in found:
                self.host, self.timeout = str(address[0]), _remaining(ends)
                try:
                    sock = super()._new_conn()
                except HTTPError as error:
                    failure = error
                else:
                    return _limited(sock, ends)
        finally:
            self.host = name
        raise failure

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        if not self._connecting:
            attempt = _attempt.get()
            self.sock.settimeout(_remaining(attempt.ends))
            attempt.sent = True
        super().send(data)


def _limited(sock: socket.socket, ends: float) -> socket.socket:
    """Give a new connection the time that is left, or close it if there is none."""
    try:
        sock.settimeout(_remaining(ends))
    except BaseException:
        sock.close()
        raise
    return sock


class _WatchedTLS(_Watched, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Watched


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTLS


class _KeptAdapter(HTTPAdapter):
    """An adapter whose pool outlives the sessions that use it."""

    def __init__(self) -> None:
        super().__init__(pool_maxsize=POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager

    def send(self, *args: Any, **kwargs: Any) -> requests.Response:
        # Authlib's client can be used directly, where nobody watches.
        attempt = _attempt.get(None) or Attempt()
        attempt.tracked = True
        attempt.ends = time.monotonic() + kwargs["timeout"].total
        reset = _attempt.set(attempt)
        try:
            return super().send(*args, **kwargs)
        finally:
            _attempt.reset(reset)

    def close(self) -> None:
        """Keep the pool: every session that is done calls this."""


class Transport:
    """The kept connections of one application, one pool per process."""

    def __init__(self) -> None:
        self._kept: tuple[int, HTTPAdapter] = (os.getpid(), _KeptAdapter())

    def adapter(self) -> HTTPAdapter:
        """Return this process's adapter: a fork must not read its parent's answers."""
        pid, adapter = self._kept
        if pid != os.getpid():
            # Two threads may both come by here; then the later adapter stays.
            adapter = _KeptAdapter()
            self._kept = (os.getpid(), adapter)
        return adapter


def deadline(seconds: float) -> Timeout:
    """Return a timeout that bounds connecting, and all of sending and reading together."""
    return Timeout(total=seconds, connect=min(CONNECT_TIMEOUT, seconds))


@contextmanager
def watched() -> Iterator[Attempt]:
    """Watch the requests made in a block."""
    attempt = Attempt()
    reset = _attempt.set(attempt)
    try:
        yield attempt
    finally:
        _attempt.reset(reset)


def nothing_was_sent(error: BaseException, attempt: Attempt) -> bool:
    """Tell whether a request that failed provably never left this machine.

    On a connection that is not our own (a mock, say) only the two errors prove
    it that are raised before there is a connection.
    """
    if attempt.tracked:
        return not attempt.sent
    if isinstance(error, requests.ConnectTimeout):
        return True
    cause: Any = error.args[0] if error.args else None
    return isinstance(getattr(cause, "reason", cause), NewConnectionError)


def read_body(response: requests.Response) -> bytes:
    """Read an answer's body, at most :data:`LARGEST_BODY` bytes of it, undecoded.

    :raises requests.RequestException: if it is larger, cut short, or comes too slowly.
    """
    body = bytearray()
    try:
        # identity was asked for; a compressed body is not JSON, and so no bomb either.
        while chunk := response.raw.read(CHUNK, decode_content=False):
            body += chunk
            if len(body) > LARGEST_BODY:
                raise OSError("the answer is too large")
    except (HTTPError, OSError) as error:
        response.close()
        raise requests.ConnectionError("the answer broke off") from error
    response.raw.release_conn()
    return bytes(body)
