"""A hunt for secrets in everything that a program shows, keeps or raises."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from types import FrameType, TracebackType
from typing import Any

import requests
import urllib3
from flask import Flask
from flask.testing import FlaskClient

#: What reaches into these is looked at attribute by attribute, as whoever has them can do.
OPEN = (
    BaseException,
    requests.Request,
    requests.PreparedRequest,
    requests.Response,
    requests.Session,
    requests.auth.AuthBase,
    urllib3.BaseHTTPResponse,
    logging.LogRecord,
)
DEEPEST = 12


class Hunter:
    """Look for secrets and note where they were found.

    As a handler of the root logger it sees what everybody logs.
    """

    def __init__(self, *secrets: str) -> None:
        self.secrets = set(secrets)
        #: Where a secret was, in words.
        self.found: list[str] = []
        #: How many things were looked at: a hunt that saw nothing has found nothing.
        self.looked = 0
        self._records: list[logging.LogRecord] = []

    def look(self, where: str, thing: Any) -> None:
        """Look at a text, or at anything as its repr, its items and its parts show it."""
        for path, text in _texts(thing, where, DEEPEST, {}):
            self.looked += 1
            if any(secret in text for secret in self.secrets):
                self.found.append(path)

    def look_at_frames(self, where: str, error: BaseException) -> None:
        """Look at the locals of all frames, from the first of the package on."""
        for link in chain(error):
            for frame in frames(link.__traceback__):
                here = f"{where}: {type(link).__name__} in {frame.f_code.co_qualname}"
                for name, value in frame.f_locals.items():
                    self.look(f"{here}: {name}", value)

    def look_at_error(self, where: str, error: BaseException) -> None:
        """Look at an exception, at what caused it, and at the frames of both."""
        for link in chain(error):
            self.look(f"{where}: {type(link).__name__}", link)
        self.look_at_frames(where, error)

    def look_at_cookies(self, browser: FlaskClient, app: Flask) -> None:
        """Look at the session's cookie, as it is and opened."""
        cookie = browser.get_cookie("session")
        if cookie is not None:
            self.look("cookie", cookie.value)
            serializer: Any = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined]
            self.look("session", serializer.loads(cookie.value))

    def look_at_logs(self) -> None:
        """Look at everything that was logged since the last time."""
        for record in self._records:
            where = f"log of {record.name}"
            self.look(where, record.getMessage())
            self.look(where, record)
            if record.exc_info and record.exc_info[1]:
                self.look_at_error(where, record.exc_info[1])
        self._records.clear()

    def __enter__(self) -> Hunter:
        hunter = self

        class Listening(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                hunter._records.append(record)

        self._handler = Listening(logging.DEBUG)
        root = logging.getLogger()
        self._level = root.level
        root.setLevel(logging.DEBUG)
        root.addHandler(self._handler)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        root = logging.getLogger()
        root.removeHandler(self._handler)
        root.setLevel(self._level)

    @property
    def loggers(self) -> set[str]:
        """Who has logged since the last look."""
        return {record.name for record in self._records}


def chain(error: BaseException) -> list[BaseException]:
    """Return an exception with all that led to it."""
    links: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None and link not in links:
            links.append(link)
            waiting += [link.__cause__, link.__context__]
    return links


def frames(traceback: TracebackType | None) -> Iterator[FrameType]:
    """Return the package's frames and those below; the application's and Flask's are above."""
    ours = False
    while traceback is not None:
        module = traceback.tb_frame.f_globals.get("__name__", "")
        ours = ours or module.startswith("flask_wepay")
        if ours:
            yield traceback.tb_frame
        traceback = traceback.tb_next


def _texts(thing: Any, path: str, depth: int, seen: dict[int, Any]) -> Iterator[tuple[str, str]]:
    if isinstance(thing, bytes | bytearray):
        yield path, thing.decode("latin-1")
        return
    if isinstance(thing, str):
        yield path, thing
        return
    if depth == 0 or id(thing) in seen:
        return
    # The thing is kept, so that its id is not given out again.
    seen[id(thing)] = thing
    yield path, repr(thing)
    for name, part in _parts(thing):
        yield from _texts(part, f"{path}.{name}", depth - 1, seen)


def _parts(thing: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(thing, Mapping):
        yield from ((f"key {key!r:.40}", key) for key in list(thing))
        yield from ((f"{key!r:.40}", thing[key]) for key in list(thing))
    elif isinstance(thing, list | tuple | set | frozenset):
        yield from ((str(number), part) for number, part in enumerate(list(thing)))
    elif isinstance(thing, OPEN):
        yield "text", str(thing)
        yield "args", getattr(thing, "args", ())
        yield from list(vars(thing).items())
