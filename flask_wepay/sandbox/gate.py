"""The middleware for every request: the check of its origin, the log, the faults and the holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from werkzeug.datastructures import EnvironHeaders
from werkzeug.wrappers import Response
from werkzeug.wsgi import get_input_stream

from .answers import Refused
from .faults import Dropped, Fault, Faults, make_answer
from .log import Exchange, Log
from .origins import find_refusal

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


class TimedOut(TimeoutError):
    """Raised when a client without a socket would have timed out by now."""


@dataclass
class Waiting:
    """The timeout of a client without a socket, in seconds; None is none."""

    #: Of each part of the answer.
    each: float | None = None
    #: Of the rest of the answer.
    left: float | None = None

    def through(self, seconds: float) -> None:
        """Subtract a wait of so many seconds, or raise :exc:`TimedOut`."""
        for limit in (self.each, self.left):
            if limit is not None and seconds >= limit:
                raise TimedOut(f"no answer within {limit} s")
        if self.left is not None:
            self.left -= seconds


class Patience:
    """How a delay passes: in real time, or at once for a client with a known timeout."""

    def __init__(self, move: Callable[[float], None]) -> None:
        self._move = move
        self._thread = threading.local()

    @contextmanager
    def of(self, waiting: Waiting) -> Iterator[None]:
        """Replace real waits in this thread by the client's timeout."""
        self._thread.waiting = waiting
        try:
            yield
        finally:
            self._thread.waiting = None

    def wait(self, seconds: float) -> None:
        """Wait; or, without real time, move the clock or raise :exc:`TimedOut`."""
        if not seconds:
            # Even sleep(0) costs a switch to another thread.
            return
        waiting: Waiting | None = getattr(self._thread, "waiting", None)
        if waiting is None:
            time.sleep(seconds)
        else:
            waiting.through(seconds)
            self._move(seconds)

    def drip(self, chunks: Iterable[bytes], pause: float) -> Iterator[bytes]:
        """Yield chunks of a body, each after a pause in seconds."""
        for chunk in chunks:
            self.wait(pause)
            yield chunk


class Gate:
    """WSGI middleware around the sandbox's application."""

    def __init__(
        self,
        app: WSGIApplication,
        *,
        log: Log,
        faults: Faults,
        clock: Callable[[], float],
        patience: Patience,
        names: Callable[[], Collection[str]],
    ) -> None:
        self._app = app
        self._names = names
        self._log = log
        self._faults = faults
        self._clock = clock
        self._patience = patience

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Serve a request; a dropped one raises :exc:`Dropped`, which ends the connection."""
        refusal = find_refusal(environ, self._names())
        if refusal is not None:
            # Read the whole body, or the client might see a reset instead of the answer.
            get_input_stream(environ).read()
            # For the control API's clients, and in WePay's format, which its SDKs show.
            body = {"problem": refusal, **Refused(1010, refusal).body()}
            return make_answer(403, body)(environ, start_response)
        if not environ["PATH_INFO"].startswith("/v2/"):
            return self._app(environ, start_response)
        exchange = self._note(environ)
        environ["wepay_sandbox.exchange"] = exchange
        fault = self._faults.take(exchange.call)
        # Only our own answers leave the connection usable for the next request.
        environ["wepay_sandbox.keep_alive"] = fault.answer is None
        holds = self._faults.take_holds(exchange.call)
        if "before" in holds:
            holds["before"].stop_here()
        response = self._respond(environ, exchange, fault)
        if "after" in holds:
            holds["after"].stop_here()
        self._patience.wait(fault.delay)
        return response(environ, start_response)

    def _note(self, environ: WSGIEnvironment) -> Exchange:
        body = get_input_stream(environ).read()
        environ["wsgi.input"] = BytesIO(body)
        environ["CONTENT_LENGTH"] = str(len(body))
        return self._log.add(
            at=self._clock(),
            method=environ["REQUEST_METHOD"],
            path=environ["PATH_INFO"],
            query=environ.get("QUERY_STRING", ""),
            headers={name.lower(): value for name, value in EnvironHeaders(environ)},
            body=body,
        )

    def _respond(self, environ: WSGIEnvironment, exchange: Exchange, fault: Fault) -> Response:
        if fault.drop == "before":
            exchange.problems.append("dropped before the work, as scripted")
            raise Dropped(fault.raw)
        response = fault.answer
        if response is None or fault.work:
            done = Response.from_app(self._app, environ, buffered=True)
            response = response or done
        if fault.drop == "after":
            exchange.problems.append("dropped after the work, as scripted")
            raise Dropped(fault.raw)
        exchange.status = response.status_code
        if fault.answer is not None:
            exchange.problems.append("answered as scripted")
        if response.is_sequence:
            exchange.answer = response.get_data()
        return response
