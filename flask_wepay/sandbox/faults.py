"""Simulated failures: scripted answers, delays, dropped connections and holds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from math import inf
from threading import Event, Lock
from types import NoneType, TracebackType
from typing import Any, Literal, get_args

from werkzeug.datastructures import Headers
from werkzeug.wrappers import Response

When = Literal["before", "after"]

#: Seconds after which a held request gives up, so that no test hangs.
HOLD_LIMIT = 60.0


class Dropped(ConnectionAbortedError):
    """Raised to close the connection, after these bytes, which need not be HTTP."""

    def __init__(self, raw: bytes = b"") -> None:
        super().__init__("dropped on purpose")
        self.raw = raw


@dataclass
class Fault:
    """What to do with one request instead of, or besides, answering it."""

    #: The answer to send; None for the sandbox's own.
    answer: Response | None = None
    #: Whether the request is executed although another answer is sent.
    work: bool = True
    #: Seconds to wait before the answer.
    delay: float = 0.0
    #: Close the connection before or after the request is executed.
    drop: When | None = None
    #: The bytes to send before it is closed.
    raw: bytes = b""


@dataclass
class Hold:
    """A request that is stopped on its way until it is released.

    As a context manager it releases at the end, whatever happens.

    .. versionadded:: 1.0
    """

    call: str
    when: When
    #: Identifies the hold in the control API.
    number: int = 0
    #: Set once a request is held.
    arrived: Event = field(default_factory=Event)
    _released: Event = field(default_factory=Event)

    def wait(self, timeout: float = 10.0) -> None:
        """Wait until a request is held; fail after `timeout` seconds."""
        if not self.arrived.wait(timeout):
            raise TimeoutError(f"No request to {self.call!r} came within {timeout} s.")

    def release(self) -> None:
        """Let the request go on."""
        self._released.set()

    def stop_here(self) -> None:
        """Signal that a request has arrived, and hold it until it is released."""
        self.arrived.set()
        if not self._released.wait(HOLD_LIMIT):
            raise TimeoutError(f"The request to {self.call!r} was never released.")

    def __enter__(self) -> Hold:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


class Faults:
    """The faults and holds that are waiting for their requests, in order."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._faults: list[tuple[str, Fault]] = []
        self._standing: list[tuple[str, Fault]] = []
        self._holds: list[Hold] = []
        self._held: list[Hold] = []
        self._numbers = count(1)

    def add(self, call: str, fault: Fault, times: int | None = 1) -> None:
        """Add a fault for the next requests to a call, or for all; "*" is any call."""
        check_type("call", call, str)
        check_type("times", times, int, NoneType)
        if times is not None and times < 1:
            raise ValueError(f"times must be 1 or more, not {times}.")
        with self._lock:
            if times is None:
                self._standing.insert(0, (call.strip("/"), fault))
            else:
                self._faults += [(call.strip("/"), fault)] * times

    def take(self, call: str) -> Fault:
        """Return the fault for this request, which may be none."""
        with self._lock:
            for entry in self._faults:
                if entry[0] in {call, "*"}:
                    self._faults.remove(entry)
                    return entry[1]
            for named, fault in self._standing:
                if named in {call, "*"}:
                    return fault
        return Fault()

    def hold(self, call: str, when: When) -> Hold:
        """Add a hold for the next request to a call that no other hold takes."""
        check_type("call", call, str)
        if when not in get_args(When):
            raise ValueError(f"when must be 'before' or 'after', not {when!r}.")
        with self._lock:
            hold = Hold(call.strip("/"), when, next(self._numbers))
            self._holds.append(hold)
            return hold

    def take_holds(self, call: str) -> dict[When, Hold]:
        """Return the holds for this request, at most one before and one after it is executed."""
        taken: dict[When, Hold] = {}
        with self._lock:
            for hold in list(self._holds):
                if hold.call == call and hold.when not in taken:
                    taken[hold.when] = hold
                    self._holds.remove(hold)
                    self._held.append(hold)
        return taken

    def find_hold(self, number: int) -> Hold:
        """Return a hold by its id, or raise :exc:`LookupError`."""
        with self._lock:
            for hold in self._holds + self._held:
                if hold.number == number:
                    return hold
        raise LookupError(f"There is no hold {number}.")

    def clear(self) -> None:
        """Remove all pending faults, and release all held requests."""
        with self._lock:
            self._faults.clear()
            self._standing.clear()
            for hold in self._holds + self._held:
                hold.release()
            self._holds.clear()
            self._held.clear()


def check_type(name: str, value: object, *kinds: type) -> None:
    """Raise :exc:`TypeError` if an argument has none of these types; True isn't a number."""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        wanted = " or ".join(kind.__name__ for kind in kinds).replace("NoneType", "None")
        raise TypeError(f"{name} must be {wanted}, not {value!r}.")


def check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    """Raise :exc:`ValueError` if an argument is none of these values; the message lists them."""
    if value not in choices:
        listed = ", ".join(map(str, choices))
        raise ValueError(f"{name} must be one of {listed}, not {value!r}.")


def check_seconds(name: str, value: object) -> None:
    """Raise :exc:`TypeError` or :exc:`ValueError` unless one can wait so many seconds."""
    check_type(name, value, int, float)
    if not 0 <= value < inf:  # type: ignore[operator]
        raise ValueError(f"{name} must be 0 or more, and finite, not {value!r}.")


def make_answer(
    status: int, body: object, headers: Mapping[str, str | None] | None = None
) -> Response:
    """Return an HTTP answer: bytes, text, chunks of bytes, or an object sent as JSON.

    A header of None is omitted, even one that is set by default.
    """
    content: bytes | Iterable[bytes]
    content_type = "text/plain; charset=utf-8"
    if isinstance(body, bytes):
        content = body
    elif isinstance(body, str):
        content = body.encode()
    elif isinstance(body, Iterable) and not isinstance(body, dict | list):
        content = body
    else:
        content, content_type = json.dumps(body).encode(), "application/json"
    response = RawResponse(content, status, content_type=content_type)
    for name, value in (headers or {}).items():
        response.replaced[name] = value
    return response


class RawResponse(Response):
    """An answer with exactly the given headers, even if they are invalid."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.replaced: dict[str, str | None] = {}

    def get_wsgi_headers(self, environ: Any) -> Headers:
        """Return WSGI's headers, with the given ones in place of the default ones."""
        headers = super().get_wsgi_headers(environ)
        for name, value in self.replaced.items():
            headers.remove(name)
            if value is not None:
                headers.add(name, value)
        return headers
