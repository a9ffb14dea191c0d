"""The log of the sandbox's requests and answers."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl

#: The number of exchanges that the log keeps.
KEPT = 1000


@dataclass
class Exchange:
    """One request and its answer.

    .. versionadded:: 1.0
    """

    number: int
    #: Seconds since 1970, by the sandbox's clock.
    at: float
    method: str
    path: str
    query: str
    #: The headers, with names in lower case.
    headers: Mapping[str, str]
    #: The unchanged bytes of the body.
    body: bytes
    #: The HTTP status of the answer; None before the answer, and if it was dropped.
    status: int | None = None
    answer: bytes = b""
    #: What was wrong with the request, and the simulated failures.
    problems: list[str] = field(default_factory=list)

    @property
    def call(self) -> str:
        """The name of the call: "user", "oauth2/token", "oauth2/authorize"."""
        return call_name(self.path.removeprefix("/v2/"))

    @property
    def json(self) -> Any:
        """The decoded body, or None if it isn't JSON."""
        return _decode(self.body)

    @property
    def answer_json(self) -> Any:
        """The decoded answer, or None if it isn't JSON."""
        return _decode(self.answer)

    @property
    def arguments(self) -> dict[str, str]:
        """The query's arguments."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def lacks(self, wanted: Mapping[str, object]) -> list[str]:
        """Return the names of the arguments that are missing or differ."""
        given = self.json if self.body else self.arguments
        given = given if isinstance(given, dict) else {}
        return [name for name in wanted if name not in given or given[name] != wanted[name]]


def call_name(path: str) -> str:
    """Return the call that a path is for, without superfluous slashes."""
    # Most paths have none, and this runs several times per request.
    return (re.sub("/+", "/", path) if "//" in path else path).strip("/")


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


class Log:
    """The latest exchanges, oldest first."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers = count(1)
        self._exchanges: deque[Exchange] = deque(maxlen=KEPT)

    def add(self, **details: Any) -> Exchange:
        """Add a request on its arrival; the answer is added later."""
        with self._lock:
            exchange = Exchange(next(self._numbers), **details)
            self._exchanges.append(exchange)
            return exchange

    def clear(self) -> None:
        """Remove all exchanges."""
        with self._lock:
            self._exchanges.clear()

    def __iter__(self) -> Iterator[Exchange]:
        with self._lock:
            return iter(list(self._exchanges))

    def __len__(self) -> int:
        return len(self._exchanges)

    def __getitem__(self, index: int) -> Exchange:
        return list(self)[index]

    def of(self, call: str) -> list[Exchange]:
        """Return the exchanges of a call, such as "user"."""
        return [exchange for exchange in self if exchange.call == call.strip("/")]
