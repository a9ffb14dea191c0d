"""Fixtures for tests of the API client: connected owners, odd servers, a Redis of one's own."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trustme
from authorizations import hooked
from flask import Flask
from flask.testing import FlaskClient
from servers import Handle, RawServer, await_port

from flask_wepay import WePay, WePayClient


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """List the seconds that the test's own thread would have slept, without doing it."""
    seconds: list[float] = []
    main, sleep = threading.current_thread(), time.sleep

    def note(for_seconds: float) -> None:
        if threading.current_thread() is not main:
            sleep(for_seconds)
        elif for_seconds:
            seconds.append(for_seconds)

    monkeypatch.setattr(time, "sleep", note)
    return seconds


@pytest.fixture
def config() -> dict[str, Any]:
    """The settings of the application, beside the usual ones."""
    return {}


@pytest.fixture
def app(make_app: Callable[..., Flask], config: dict[str, Any]) -> Flask:
    """An application in the sandbox, with a view at "/view" that the test gives it."""
    app = make_app(**config)
    app.add_url_rule(
        "/view", view_func=lambda: app.extensions["test"]["view"](), methods=["GET", "POST"]
    )
    return app


@pytest.fixture
def view(app: Flask) -> Callable[[Callable[[], Any]], None]:
    """Say what the view at "/view" does: ``view(lambda: current_wepay.call("user"))``."""
    return lambda function: app.extensions["test"].update(view=function)


@pytest.fixture
def alice(
    app: Flask, client: FlaskClient, wepay: WePay, wepay_sandbox: Any, wepay_connect: Any
) -> Iterator[WePayClient]:
    """The client of alice, who is connected as bill@example.com, outside of a request."""
    wepay_connect(client)
    wepay_sandbox.log.clear()
    with app.app_context():
        yield wepay.client_for("alice")


@pytest.fixture
def serve() -> Iterator[Callable[..., RawServer]]:
    """Start servers of one's own: ``serve(handle)``, with a TLS ``context`` if given."""
    with ExitStack() as stack:
        yield lambda handle, context=None: stack.enter_context(RawServer(handle, context))


@pytest.fixture
def client_at(make_app: Callable[..., Flask]) -> Iterator[Callable[..., WePayClient]]:
    """Make clients of an application whose WePay is at any address: ``client_at(url)``.

    Every owner has the token "STAGE_<owner>"; the budget is off unless it is given.
    """
    with ExitStack() as stack:

        def make(url: str, owner: str = "alice", **config: Any) -> WePayClient:
            app = make_app(hooked(), WEPAY_SANDBOX_URL=url, **{"WEPAY_THROTTLE": None, **config})
            stack.enter_context(app.app_context())
            return app.extensions["test"]["wepay"].client_for(owner)

        yield make


@pytest.fixture
def client_of(
    serve: Callable[..., RawServer], client_at: Callable[..., WePayClient]
) -> Callable[..., WePayClient]:
    """Make a client whose WePay is a server of one's own: ``client_of(handle)``."""

    def make(handle: Handle, **config: Any) -> WePayClient:
        return client_at(serve(handle).url, **config)

    return make


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority of the tests' own."""
    return trustme.CA()


@pytest.fixture
def ca_bundle(authority: trustme.CA, tmp_path: Path) -> str:
    """The path of the authority's certificate."""
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture
def start_redis(tmp_path: Path) -> Iterator[Callable[[int], str]]:
    """Start a Redis or Valkey server on a port of loopback, and give its address."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        pytest.skip("neither redis-server nor valkey-server is installed")
    with ExitStack() as stack:

        def start(port: int) -> str:
            options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", "."]
            process = stack.enter_context(
                subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, cwd=tmp_path)
            )
            stack.callback(process.terminate)
            await_port(port)
            return f"redis://127.0.0.1:{port}/0"

        yield start
