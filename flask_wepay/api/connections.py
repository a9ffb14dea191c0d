"""Connections that keep a deadline, and know whether a request went out.

The timeouts of requests start anew with every byte, and its errors do not say whether
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
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError

__all__ = ["Attempt", "Pool", "TLSPool", "attempted", "nothing_was_sent", "watched"]

#: Seconds that connecting may take of a call's deadline.
CONNECT_TIMEOUT = 5.0
#: Seconds after which a call that is never repeated takes a new connection: usual servers end an
#: idle one after 5, and what stands in between forgets it without a word.
LONGEST_IDLE = 4.0
#: Seconds after which WePay gives up.
SERVER_LIMIT = 60.0
#: Answers before the answer (1xx) at most.
MOST_INTERIM = 100
#: Packages whose code above our connections sends a request once, or only looks on.
_KNOWN_CODE = {"flask_wepay", "requests", "urllib3", "contextlib", "opentelemetry", "wrapt"}
#: The mark on an exception that was raised before any byte of its request went out.
UNSENT = "wepay_nothing_was_sent"


@dataclass(slots=True)
class Attempt:
    """What is known of one request."""

    #: Whether it may go out again, should its connection turn out to be dead.
    repeatable: bool = False
    #: Whether bytes of it have gone out.
    sent: bool = False
    #: When its time is up, on the monotonic clock.
    ends: float = math.inf


_attempt: ContextVar[Attempt] = ContextVar("flask_wepay_attempt")


def _current() -> Attempt:
    """Return what is known of the request under way.

    A wrapper that sends in a thread of its own leaves that behind: then it has WePay's own limit,
    and nothing of it is proof to whoever waits.
    """
    return _attempt.get(None) or Attempt(ends=time.monotonic() + SERVER_LIMIT)


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
        self.fp = io.BufferedReader(_DeadlineReader(sock, _current().ends))

    def begin(self) -> None:
        """Read up to the answer itself: http.client passes over 100 alone."""
        super().begin()
        for _ in range(MOST_INTERIM):
            if not 100 <= self.status < 200:
                break
            self.headers = None  # type: ignore[assignment]
            super().begin()
        if self.status in (204, 304):
            # A body that comes all the same must not answer somebody else's request.
            self.will_close = True


class _Watched(HTTPConnection):
    """Keep the deadline in every step, and note when bytes of the request go out."""

    response_class = _Response
    _connecting = False
    #: When it was last given back, on the monotonic clock.
    idle_since = math.inf

    def connect(self) -> None:
        self._connecting = True
        try:
            with _unsent():
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
            attempt = _current()
            with nullcontext() if attempt.sent else _unsent():
                self.sock.settimeout(_remaining(attempt.ends))
            attempt.sent = True
        super().send(data)


@contextmanager
def _unsent() -> Iterator[None]:
    """Mark what is raised in a block as raised before anything was sent."""
    try:
        yield
    except Exception as error:
        setattr(error, UNSENT, _current())
        raise


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


class _Keeping(HTTPConnectionPool):
    """Keep connections, but not for calls that must not meet a dead one."""

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        idle = time.monotonic() - connection.idle_since
        if idle > LONGEST_IDLE and not _current().repeatable:
            # It connects anew.
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.idle_since = time.monotonic()
        super()._put_conn(conn)


class Pool(_Keeping):
    """Our connections to one host."""

    ConnectionCls = _Watched


class TLSPool(_Keeping, HTTPSConnectionPool):
    """Our connections to one host, over TLS."""

    ConnectionCls = _WatchedTLS


@contextmanager
def attempted(seconds: float) -> Iterator[None]:
    """Give the request made in a block so many seconds."""
    # Authlib's client can be used directly, where nobody watches.
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
    """Tell whether a request that failed provably never left this machine.

    Only the connection that would have sent it knows: it marks what it raises. What has passed
    through code of somebody else's on its way here is no proof: that may have sent the request
    otherwise.
    """
    return not attempt.sent and _is_proof(error, attempt, set())


def _is_proof(error: BaseException, attempt: Attempt, seen: set[int]) -> bool:
    """Look for the mark in an error and in those that requests and urllib3 say it is about.

    What it was raised during, or from, may be of an earlier way that somebody tried.
    """
    mark = getattr(error, UNSENT, None)
    if mark is True:
        # The sandbox, which has no connections.
        return True
    if id(error) in seen or not _passed_only_known_code(error):
        return False
    seen.add(id(error))
    about = [*error.args, getattr(error, "reason", None)]
    if type(error).__module__.startswith("urllib3."):
        # A handshake that took too long is a ReadTimeoutError "from" what was raised.
        about.append(error.__cause__)
    return mark is attempt or any(
        _is_proof(other, attempt, seen) for other in about if isinstance(other, BaseException)
    )


def _passed_only_known_code(error: BaseException) -> bool:
    """Tell whether only code that sends a request once stands between us and our connection."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if isinstance(frame.f_locals.get("self"), _Watched):
            break
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _KNOWN_CODE:
            return False
    return True
