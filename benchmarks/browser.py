"""A browser of few parts: it calls the WSGI application itself, and times that alone."""

from __future__ import annotations

import io
import sys
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    location: str
    body: bytes
    nanoseconds: int


class Browser:
    def __init__(self, app: Any) -> None:
        self._app = app
        self._cookies: dict[str, str] = {}

    def get(self, address: str) -> Answer:
        path, _, query = address.partition("?")
        environ = _environ(path, query)
        if self._cookies:
            environ["HTTP_COOKIE"] = "; ".join(f"{n}={v}" for n, v in self._cookies.items())
        said: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> None:
            said[:] = status, headers

        started = time.perf_counter_ns()
        iterable = self._app(environ, start_response)
        body = b"".join(iterable)
        if hasattr(iterable, "close"):
            iterable.close()
        taken = time.perf_counter_ns() - started
        status, headers = said
        self._keep_cookies(headers)
        location = dict(headers).get("Location", "")
        return Answer(int(status[:3]), location, body, taken)

    def _keep_cookies(self, headers: list[tuple[str, str]]) -> None:
        for name, value in headers:
            if name == "Set-Cookie":
                cookie, _, content = value.split(";", 1)[0].partition("=")
                self._cookies[cookie] = content


def _environ(path: str, query: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
