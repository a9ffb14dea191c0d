"""Serve an application to a browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

from flask import Flask
from sqlalchemy.pool import NullPool
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

#: The engine of what a browser visits: a request may outlive its test, and nobody would close
#: the connection that it gives back to a pool.
UNPOOLED = {"poolclass": NullPool}


class _Quiet(WSGIRequestHandler):
    def log_request(self, *args: object) -> None:
        pass


@contextmanager
def serving(app: Flask) -> Iterator[BaseWSGIServer]:
    """Serve an application on a free port of this machine while a block runs."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
