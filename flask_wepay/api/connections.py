"""Connections that keep a deadline, and know whether a request was sent.

The timeouts of requests restart with every byte, and its exceptions don't say whether
anything was sent.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

__all__ = ["Attempt", "Pool", "TLSPool", "attempted", "nothing_was_sent", "watched"]

#: The most seconds of a call's deadline for connecting.
CONNECT_TIMEOUT = 5.0
#: Seconds after which a call that is never retried opens a new connection. Common servers close
#: an idle connection after 5 seconds, and a middlebox may drop it silently.
LONGEST_IDLE = 4.0
#: Seconds after which WePay aborts a call.
SERVER_LIMIT = 60.0
#: The most interim responses (1xx).
MOST_INTERIM = 100
#: Packages whose code above our connections sends a request once, or only observes it.
_KNOWN_CODE = {"flask_wepay", "requests", "urllib3", "contextlib", "opentelemetry", "wrapt"}
#: The mark on an exception that was raised before any byte of its request was sent.
UNSENT = "wepay_nothing_was_sent"


@dataclass(slots=True)
class Attempt:
    """What is known about one request."""

    #: Whether it may be sent again if its connection turns out to be closed.
    repeatable: bool = False
    #: Whether bytes of it were sent.
    sent: bool = False
    #: Its deadline, on the monotonic clock.
    ends: float = math.inf


_attempt: ContextVar[Attempt] = ContextVar("flask_wepay_attempt")


def _current() -> Attempt:
    """Return what is known about the current request.

    A wrapper that sends in its own thread loses that context. The request then has WePay's
    own limit, and proves nothing to the thread that waits.
    """
    return _attempt.get(None) or Attempt(ends=time.monotonic() + SERVER_LIMIT)


def _remaining(ends: float) -> float:
    """Return the seconds until a deadline.

    :raises TimeoutError: if the deadline has passed.
    """
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the deadline of this request has passed")
    return seconds


class _DeadlineReader(io.RawIOBase):
    """Read a socket until a deadline, however slowly the bytes arrive.

    To http.client it is the socket.
    """

    def __init__(self, sock: Any, ends: float) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        self._ends = ends

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

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
        reader: Any = _DeadlineReader(sock, _current().ends)
        super().__init__(reader, *args, **kwargs)

    def begin(self) -> None:
        """Skip all interim responses; http.client skips 100 only."""
        super().begin()
        for _ in range(MOST_INTERIM):
            if not 100 <= self.status < 200:
                break
            self.headers = None  # type: ignore[assignment]
            super().begin()
        if self.status in (204, 304):
            # A body that arrives nevertheless must not answer the next request.
            self.will_close = True


class _Watched(HTTPConnection):
    """Keep the deadline in every step, and record when bytes of the request are sent."""

    response_class = _Response
    _connecting = False
    #: When it was last returned to the pool, on the monotonic clock.
    idle_since = math.inf

    def connect(self) -> None:
        self._connecting = True
        try:
            super().connect()
        except Exception as error:
            _mark_if_unsent(error)
            raise
        finally:
            self._connecting = False

    def _new_conn(self) -> socket.socket:
        """Connect to the first of the host's addresses that answers.

        All addresses and the TLS handshake share the timeout that urllib3 would allow
        each of them. DNS resolution has no timeout other than the system's.
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
            attempt = _current()
            try:
                self.sock.settimeout(_remaining(attempt.ends))
            except Exception as error:
                _mark_if_unsent(error)
                raise
            attempt.sent = True
        super().send(data)


def _mark_if_unsent(error: Exception) -> None:
    """Mark an exception, if it is raised before any byte of the current request was sent."""
    attempt = _current()
    setattr(error, UNSENT, None if attempt.sent else attempt)


def _limited(sock: socket.socket, ends: float) -> socket.socket:
    """Set the remaining time on a new connection, or close it if the deadline has passed."""
    try:
        sock.settimeout(_remaining(ends))
    except BaseException:
        sock.close()
        raise
    return sock


class _WatchedTLS(_Watched, HTTPSConnection):
    pass


class _Keeping(HTTPConnectionPool):
    """Keep connections, but replace an idle one for calls that are never retried."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        idle = time.monotonic() - connection.idle_since
        if idle > LONGEST_IDLE and not _current().repeatable:
            # The connection reopens when it is used.
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class Pool(_Keeping):
    """The connection pool of one host."""

    ConnectionCls = _Watched


class TLSPool(_Keeping, HTTPSConnectionPool):
    """The connection pool of one host, over TLS."""

    ConnectionCls = _WatchedTLS


@contextmanager
def attempted(seconds: float) -> Iterator[None]:
    """Set a deadline for the request made in a block, in `seconds` from now."""
    # If Authlib's client is used directly, nothing watches the request.
    attempt = _attempt.get(None) or Attempt()
    attempt.ends = time.monotonic() + seconds
    reset = _attempt.set(attempt)
    try:
        yield
    finally:
        _attempt.reset(reset)


@contextmanager
def watched(*, repeatable: bool = False) -> Iterator[Attempt]:
    """Watch the requests made in a block."""
    attempt = Attempt(repeatable)
    reset = _attempt.set(attempt)
    try:
        yield attempt
    finally:
        _attempt.reset(reset)


def nothing_was_sent(error: BaseException, attempt: Attempt) -> bool:
    """Return whether a failed request provably never left this machine.

    Only the connection that would have sent it knows, and marks its exceptions. An exception
    that passed through third-party code proves nothing: that code may have sent the request
    in another way.
    """
    return not attempt.sent and _is_proof(error, attempt, set())


def _is_proof(error: BaseException, attempt: Attempt, seen: set[int]) -> bool:
    """Look for the mark in an exception, and in those that requests and urllib3 wrapped.

    Its cause and its context don't count: they may belong to an earlier attempt.
    """
    mark = getattr(error, UNSENT, None)
    if mark is True:
        # From the sandbox, which has no connections.
        return True
    if id(error) in seen or not _passed_only_known_code(error):
        return False
    seen.add(id(error))
    about = [*error.args, getattr(error, "reason", None)]
    if type(error).__module__.startswith("urllib3."):
        # A slow handshake is a ReadTimeoutError, whose cause is the original exception.
        about.append(error.__cause__)
    return mark is attempt or any(
        _is_proof(other, attempt, seen) for other in about if isinstance(other, BaseException)
    )


def _passed_only_known_code(error: BaseException) -> bool:
    """Return whether an exception passed only through code that sends a request once."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if isinstance(frame.f_locals.get("self"), _Watched):
            break
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _KNOWN_CODE:
            return False
    return True
