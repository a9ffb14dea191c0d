"""Requests to the sandbox without a socket, from ``requests`` to WSGI."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException
from http.client import HTTPResponse as PlainResponse
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError, ReadTimeoutError
from werkzeug.test import EnvironBuilder

from .faults import Dropped
from .gate import Patience, TimedOut, Waiting

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


class Joinable(Protocol):
    """What this module requires of a sandbox."""

    url: str
    #: Whether connections are refused.
    unreachable: bool
    patience: Patience

    @property
    def app(self) -> WSGIApplication:
        """Return the WSGI application."""


# Sessions outlive tests, so their adapters look up the current sandbox here.
_joined: list[tuple[str, SandboxAdapter]] = []

_send = requests.Session.send

#: The domains of the real WePay.
WEPAY = ("wepay.com", "wepayapi.com")


@contextmanager
def join(sandbox: Joinable) -> Iterator[None]:
    """Answer all requests that ``requests`` sends to ``sandbox.url`` while the block runs.

    requests-mock runs one request at a time, so a held request would block the one that its
    test is about.

    The real WePay can't be reached meanwhile.
    """
    entry = (sandbox.url + "/", SandboxAdapter(sandbox))
    previous, previous_adapter = requests.Session.send, HTTPAdapter.send

    def send(
        session: requests.Session, request: requests.PreparedRequest, **kwargs: Any
    ) -> requests.Response:
        if _adapter_for(request.url) is None:
            return previous(session, request, **kwargs)
        # On the instance, so that a subclass with its own get_adapter comes here too.
        vars(session)["get_adapter"] = _Picker(session)
        return _send(session, request, **kwargs)

    def guard(
        adapter: HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        if is_wepay(request.url):
            raise RuntimeError(
                f"A test with the sandbox was about to ask {urlsplit(request.url or '').hostname}:"
                " is 'WEPAY_ENVIRONMENT' something else than 'sandbox'?"
            )
        return previous_adapter(adapter, request, *args, **kwargs)

    _joined.append(entry)
    requests.Session.send = send  # type: ignore[method-assign, assignment]
    HTTPAdapter.send = guard  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        requests.Session.send = previous  # type: ignore[method-assign]
        HTTPAdapter.send = previous_adapter  # type: ignore[method-assign]
        _joined.remove(entry)


def is_wepay(url: str | None) -> bool:
    """Return whether a URL is the real WePay's."""
    host = urlsplit(url or "").hostname or ""
    return any(host == domain or host.endswith(f".{domain}") for domain in WEPAY)


def _adapter_for(url: str | None) -> SandboxAdapter | None:
    for prefix, adapter in reversed(_joined):
        if url and f"{url}/".startswith(prefix):
            return adapter
    return None


class _Picker:
    """Replace a session's ``get_adapter``."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def __call__(self, url: str) -> BaseAdapter:
        return _adapter_for(url) or type(self._session).get_adapter(self._session, url)


class SandboxAdapter(BaseAdapter):
    """A transport of ``requests`` that hands each request to a sandbox."""

    def __init__(self, sandbox: Joinable) -> None:
        super().__init__()
        self._sandbox = sandbox

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Answer as a server would, with the exceptions of a real connection."""
        url = request.url or ""
        if self._sandbox.unreachable:
            refused = NewConnectionError(_NOBODY, "Connection refused")
            # The messages of the extension's own connections.
            vars(refused)["wepay_nothing_was_sent"] = True
            unreachable = MaxRetryError(_NOBODY, url, refused)
            raise requests.ConnectionError(unreachable, request=request) from refused
        environ = _environ(request)
        waiting = _waiting(timeout)
        try:
            with self._sandbox.patience.of(waiting):
                head, body = _run(self._sandbox.app, environ)
            raw = _parse(request, chain([head], self._as_read(body, waiting)))
        except TimedOut as late:
            slow = ReadTimeoutError(_NOBODY, url, str(late))
            raise requests.ReadTimeout(slow, request=request) from None
        except HTTPException as garbled:
            cut = ProtocolError("Connection aborted.", garbled)
            raise requests.ConnectionError(cut, request=request) from None
        return HTTPAdapter().build_response(request, raw)

    def _as_read(self, body: Iterable[bytes], waiting: Waiting) -> Iterator[bytes]:
        chunks = iter(body)
        while True:
            with self._sandbox.patience.of(waiting):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk

    def close(self) -> None:
        """Do nothing, because no connection is kept."""


# The exceptions require a pool or a connection for their message.
_NOBODY: Any = None


def _waiting(timeout: Any) -> Waiting:
    # As requests accepts it: seconds, a pair of them, or urllib3's Timeout.
    if isinstance(timeout, urllib3.Timeout):
        timeout = timeout.clone()
        timeout.start_connect()
        read = timeout.read_timeout
        return Waiting(
            each=read if isinstance(read, int | float) else None,
            left=timeout.total if isinstance(timeout.total, int | float) else None,
        )
    return Waiting(each=timeout[1] if isinstance(timeout, tuple) else timeout)


def _environ(request: requests.PreparedRequest) -> dict[str, Any]:
    body: Any = request.body or b""
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = b"".join(body)
    parts = urlsplit(request.url or "")
    builder = EnvironBuilder(
        method=request.method or "GET",
        base_url=f"{parts.scheme}://{parts.netloc}/",
        path=parts.path or "/",
        query_string=parts.query,
        headers=list((request.headers or {}).items()),
        input_stream=io.BytesIO(body),
    )
    environ = builder.get_environ()
    environ["CONTENT_LENGTH"] = str(len(body))
    # A body that requests would send in chunks is sent as a whole here.
    environ["wsgi.input_terminated"] = True
    environ["REMOTE_ADDR"] = "127.0.0.1"
    return environ


def _run(app: WSGIApplication, environ: WSGIEnvironment) -> tuple[bytes, Iterable[bytes]]:
    # Werkzeug's run_wsgi_app would read the first chunk too early.
    started: list[Any] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
        started[:] = [status, headers]

    try:
        body = app(environ, start_response)
    except Dropped as dropped:
        return dropped.raw, ()
    status, headers = started
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"), body


def _parse(request: requests.PreparedRequest, chunks: Iterator[bytes]) -> urllib3.HTTPResponse:
    """Parse the answer's bytes with http.client, so that invalid ones fail as they would."""
    plain = PlainResponse(_Socket(chunks), method=request.method)  # type: ignore[arg-type]
    plain.begin()
    return urllib3.HTTPResponse(
        body=plain,
        headers=HTTPHeaderDict(plain.headers.items()),
        status=plain.status,
        version=plain.version,
        reason=plain.reason,
        preload_content=False,
        decode_content=False,
        original_response=plain,
        request_method=request.method,
    )


class _Socket:
    """The part of a socket that http.client reads from."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the stream."""
        return io.BufferedReader(_Stream(self._chunks))


class _Stream(io.RawIOBase):
    """A stream over chunks, which reads no further than required."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
