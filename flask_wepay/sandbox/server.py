"""The sandbox as a server, on a port of the loopback interface."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from types import TracebackType
from typing import TYPE_CHECKING, Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler
from werkzeug.wsgi import ClosingIterator

from .faults import Dropped
from .sandbox import Sandbox
from .world import World

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

HOST = "127.0.0.1"

#: Seconds between checks for IPNs that are due.
DELIVERY_PAUSE = 0.5


class _Handler(WSGIRequestHandler):
    """Serve without a log line per request: the control panel has the log, with all codes."""

    # Headers and body go out in one write: between two of them a client that delays its
    # acknowledgements would see 40 ms pass.
    wbufsize = -1
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request, and keep the connection if that is safe.

        Werkzeug's own never keeps one: it discards what else the client has sent.
        """
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Any:
            started[:] = [status, headers]

        environ = self.make_environ()
        try:
            body = self.server.app(environ, start_response)
            status, headers = started
            known_size = any(name.lower() == "content-length" for name, _ in headers)
            self.close_connection |= not (
                known_size and environ.get("wepay_sandbox.keep_alive", False)
            )
            self._write(status, headers, body)
        except Dropped as dropped:
            self.wfile.write(dropped.raw)
            self.wfile.flush()
            self.close_connection = True
        except ConnectionError:
            # The client has timed out, or a scripted body broke off.
            self.close_connection = True

    def _write(self, status: str, headers: list[tuple[str, str]], body: Iterable[bytes]) -> None:
        code, _, phrase = status.partition(" ")
        self.send_response(int(code), phrase)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        with closing(ClosingIterator(body)) as chunks:
            for chunk in chunks:
                self.wfile.write(chunk)
                # A scripted body may be slow.
                self.wfile.flush()
        self.wfile.flush()

    def handle_expect_100(self) -> bool:
        """Answer ``Expect: 100-continue``."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""


class _Server(ThreadedWSGIServer):
    """A server that tracks its connections, to count and to close them."""

    def __init__(
        self, listener: socket.socket, app: WSGIApplication, context: ssl.SSLContext | None
    ) -> None:
        host, port = listener.getsockname()[:2]
        super().__init__(host, port, app, handler=_Handler, fd=listener.fileno())
        self.ssl_context = context
        self.accepted = 0
        self._open: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        if self.ssl_context is not None:
            # The handshake happens in the connection's own thread: a slow client blocks no other.
            connection = self.ssl_context.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        return connection, address

    def process_request(self, request: Any, client_address: Any) -> None:
        self.accepted += 1
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def end(self) -> None:
        """Stop listening, and close the connections that clients keep."""
        self.shutdown()
        self.server_close()
        for connection in list(self._open):
            # It may be closed already.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class LiveSandbox(Sandbox):
    """A sandbox as a server in a thread, for other processes and browsers.

    As a context manager it starts on entry and stops on exit.

    :param port: the port to listen on; 0 means any free one.
    :param delivers: deliver IPNs automatically when they are due; otherwise you call
        :meth:`deliver_ipns`.
    :param names: hosts that requests may address it by, besides those of loopback and `host`.
    :param host: the address to listen on; anyone who reaches an address other than loopback's
        can do everything that you can.
    :param tls: the file to write the certificate to that clients must trust; the server then
        speaks TLS, with a new certificate at each start.

    .. versionadded:: 1.0
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        port: int = 0,
        delivers: bool = False,
        names: Iterable[str] = (),
        host: str = HOST,
        tls: str | Path | None = None,
    ) -> None:
        super().__init__(world, names=names)
        self._host = host
        self._port = port
        self._tls = None if tls is None else Path(tls)
        self._delivers = delivers
        self._server: _Server | None = None
        self._threads: list[Thread] = []
        self._stopped = Event()

    def start(self) -> None:
        """Start to listen.

        :raises OSError: if the port is taken, or the certificate can't be written.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        with socket.socket(family) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._host, self._port))
            listener.listen(128)
            # Keep the port after a stop and another start.
            self._port = listener.getsockname()[1]
            self.url = self._make_url()
            self._server = _Server(listener, self.app, self._make_context())
        self._stopped.clear()
        work = [partial(self._server.serve_forever, poll_interval=0.02)]
        if self._delivers:
            work.append(partial(self._keep_delivering))
        self._threads = [Thread(target=target, daemon=True) for target in work]
        for thread in self._threads:
            thread.start()

    def _make_context(self) -> ssl.SSLContext | None:
        if self._tls is None:
            return None
        # Rarely needed, and slow to import.
        from .tls import make_context

        return make_context(self.names, self._tls)

    def _make_url(self) -> str:
        # If it listens on all addresses, it is reachable at loopback's too.
        host = {"0.0.0.0": HOST, "::": "::1"}.get(self._host, self._host)  # noqa: S104
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self._port}"

    def stop(self) -> None:
        """Stop listening, and release all held requests."""
        self.faults.clear()
        self._stopped.set()
        if self._server is not None:
            self._server.end()
            self._server = None
        for thread in self._threads:
            # Don't wait for a receiver of IPNs that doesn't answer.
            thread.join(timeout=1)

    @property
    def connections(self) -> int:
        """The number of connections that were made since the start."""
        return self._server.accepted if self._server else 0

    def wait(self) -> None:
        """Wait until it is stopped."""
        self._stopped.wait()

    def _keep_delivering(self) -> None:
        while not self._stopped.wait(DELIVERY_PAUSE):
            self.deliver_ipns()

    def __enter__(self) -> LiveSandbox:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
