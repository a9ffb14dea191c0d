"""What others put between a call and its socket: mocks, recorders, wrappers, old connections."""

from __future__ import annotations

import ctypes
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import freezegun
import pook
import pytest
import pytest_socket
import requests
import responses
import urllib3
import vcr
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from requests.adapters import HTTPAdapter
from servers import Connection, RawServer, answer, echo
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.exceptions import BadGateway

from flask_wepay import WePayClient
from flask_wepay.errors import ConnectionFailed, OutcomeUnknown, WePayError

URL = "http://127.0.0.1:8010"
PAYMENT = f"{URL}/v2/checkout/create"

FAILURES = [
    requests.ReadTimeout("read timed out"),
    requests.ConnectTimeout("connect timed out"),
    requests.ConnectionError("Remote end closed connection without response"),
    requests.exceptions.ChunkedEncodingError("cut"),
    requests.exceptions.SSLError("no"),
    ConnectionRefusedError("refused"),
    urllib3.exceptions.ProtocolError("Connection aborted."),
]


def pay(client: WePayClient) -> WePayError:
    """Return the error of a payment."""
    with pytest.raises(WePayError) as caught:
        client.call("checkout/create", unique_id="u-1")
    return caught.value


# Mocks


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_responses(client_at: Any, failure: Exception) -> None:
    """A failure that the library responses plays is no proof: the payment is sent once."""
    client = client_at(URL)

    with responses.RequestsMock() as mock:
        mock.post(PAYMENT, body=failure)
        error = pay(client)
        sent = len(mock.calls)

    assert type(error) is OutcomeUnknown
    assert error.unique_id == "u-1"
    assert sent == 1


@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_requests_mock(client_at: Any, requests_mock: Any, failure: Exception) -> None:
    """Nor is one that requests-mock plays."""
    client = client_at(URL)
    requests_mock.post(PAYMENT, exc=failure)

    assert type(pay(client)) is OutcomeUnknown
    assert requests_mock.call_count == 1


def test_pook(client_at: Any) -> None:
    """Nor one of pook, which takes the place of urllib3's pools."""
    client = client_at(URL)

    with pook.use():
        mock = pook.post(PAYMENT).error(TimeoutError("slow")).persist()
        error = pay(client)

    assert type(error) is OutcomeUnknown
    assert mock.calls == 1


def test_mocks_answer(client_at: Any) -> None:
    """Whatever a mock answers is the answer."""
    client = client_at(URL)

    with responses.RequestsMock() as mock:
        mock.post(PAYMENT, json={"checkout_id": 5})
        assert client.call("checkout/create") == {"checkout_id": 5}
    with pook.use():
        pook.post(PAYMENT).reply(200).json({"checkout_id": 6})
        assert client.call("checkout/create") == {"checkout_id": 6}


# Wrappers of an application's own


@pytest.mark.parametrize("layer", ["session", "adapter", "pool", "connection", "getresponse"])
@pytest.mark.parametrize("failure", FAILURES, ids=repr)
def test_wrapper(
    client_at: Any, monkeypatch: pytest.MonkeyPatch, layer: str, failure: Exception
) -> None:
    """Whoever wraps a layer may have sent the request otherwise: it is not sent again."""
    where: Any = {
        "session": (requests.Session, "send"),
        "adapter": (HTTPAdapter, "send"),
        "pool": (urllib3.HTTPConnectionPool, "urlopen"),
        "connection": (urllib3.connection.HTTPConnection, "request"),
        "getresponse": (urllib3.connection.HTTPConnection, "getresponse"),
    }
    calls: list[Any] = []

    def fail(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        raise failure

    client = client_at(URL)
    monkeypatch.setattr(*where[layer], fail)

    # Without a server the last of them is never reached: then it is known that nothing was sent.
    assert type(pay(client)) is (ConnectionFailed if layer == "getresponse" else OutcomeUnknown)
    assert len(calls) == (0 if layer == "getresponse" else 1)


def test_wrapper_that_sends_otherwise(
    client_at: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrapper that goes another way after a failure of ours may have paid already."""
    elsewhere = serve(lambda connection: connection.read())
    client, send = client_at("http://127.0.0.1:9"), HTTPAdapter.send

    def with_a_second_way(adapter: HTTPAdapter, request: Any, **kwargs: Any) -> Any:
        try:
            return send(adapter, request, **kwargs)
        except requests.ConnectionError:
            pass
        return urllib3.request("POST", f"{elsewhere.url}/v2/checkout/create", retries=False)

    monkeypatch.setattr(HTTPAdapter, "send", with_a_second_way)

    assert type(pay(client)) is OutcomeUnknown
    assert len(elsewhere.requests) == 1


def test_wrapper_whose_second_way_fails(
    client_at: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does our failure prove anything of a second way that failed while it was handled."""
    elsewhere = serve(lambda connection: connection.read())
    client, send = client_at("http://127.0.0.1:9"), HTTPAdapter.send

    def with_a_second_way(adapter: HTTPAdapter, request: Any, **kwargs: Any) -> Any:
        try:
            return send(adapter, request, **kwargs)
        except requests.ConnectionError:
            urllib3.request("POST", f"{elsewhere.url}/v2/checkout/create", retries=False)
            raise AssertionError from None

    monkeypatch.setattr(HTTPAdapter, "send", with_a_second_way)

    assert type(pay(client)) is OutcomeUnknown
    assert len(elsewhere.requests) == 1


@pytest.mark.parametrize("where", ["session", "adapter", "pool"])
def test_wrapper_that_keeps_its_first_error(
    client_at: Any, serve: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Our own error proves nothing once a wrapper has gone another way and then raised it again."""
    elsewhere = serve(lambda connection: connection.read())
    client = client_at("http://127.0.0.1:9")
    kind: Any = {
        "session": requests.Session,
        "adapter": HTTPAdapter,
        "pool": urllib3.HTTPConnectionPool,
    }[where]
    name = "urlopen" if where == "pool" else "send"
    send, pool_manager = getattr(kind, name), urllib3.PoolManager
    under_way: list[bool] = []

    def with_a_second_way(*args: Any, **kwargs: Any) -> Any:
        try:
            return send(*args, **kwargs)
        except (requests.ConnectionError, urllib3.exceptions.HTTPError):
            if not under_way:
                under_way.append(True)
                with suppress(urllib3.exceptions.HTTPError), pool_manager() as pools:
                    pools.request("POST", f"{elsewhere.url}/v2/checkout/create", retries=False)
            raise

    monkeypatch.setattr(kind, name, with_a_second_way)

    assert type(pay(client)) is OutcomeUnknown
    assert len(elsewhere.requests) == 1


def test_wrapper_with_a_thread(client_at: Any, serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrapper may send in a thread of its own; what fails there is no proof."""
    send = HTTPAdapter.send

    def in_a_thread(*args: Any, **kwargs: Any) -> Any:
        with ThreadPoolExecutor() as threads:
            return threads.submit(send, *args, **kwargs).result()

    answered, away = client_at(serve(echo).url), client_at("http://127.0.0.1:9")
    monkeypatch.setattr(HTTPAdapter, "send", in_a_thread)

    assert answered.call("checkout/create")
    assert type(pay(away)) is OutcomeUnknown


@pytest.mark.parametrize("name", ["send", "get_adapter"])
def test_wrapper_with_another_signature(
    client_at: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A replaced function that can't be called like this is an error of ours, never a bare one."""
    client = client_at(URL)
    monkeypatch.setattr(requests.Session, name, lambda session: None)

    error = pay(client)

    assert type(error) is OutcomeUnknown
    assert "TypeError" in str(error)


class Unforeseen(Exception):
    """An error that only the application knows."""


@pytest.mark.parametrize("unforeseen", [Unforeseen, BadGateway, SQLAlchemyError])
def test_error_of_the_applications_own(
    client_at: Any, monkeypatch: pytest.MonkeyPatch, unforeseen: type[Exception]
) -> None:
    """An exception that nobody foresaw is one of ours too, whoever defined it."""

    def fail(*_: Any, **__: Any) -> Any:
        try:
            raise unforeseen
        finally:
            time.monotonic()

    client = client_at(URL)
    monkeypatch.setattr(HTTPAdapter, "send", fail)

    assert type(pay(client)) is OutcomeUnknown


class TimeLimitExceeded(Exception):
    """What a job queue raises, from another thread, in a job that takes too long."""

    __module__ = "a_job_queue"


def test_time_limit_of_another_thread(client_at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's time limit that another thread sets goes on to the job."""

    def run_out_of_time(*_: Any, **__: Any) -> Any:
        identity = ctypes.c_long(threading.get_ident())
        limit = ctypes.py_object(TimeLimitExceeded)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(identity, limit)
        while True:
            time.monotonic()

    client = client_at(URL)
    monkeypatch.setattr(HTTPAdapter, "send", run_out_of_time)

    with pytest.raises(TimeLimitExceeded):
        client.call("checkout/create")


def test_error_that_comes_of_another(client_at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever an error came of is looked through once, in circles too."""

    def fail(*_: Any, **__: Any) -> Any:
        first, second = ConnectionError("a"), ConnectionError("b")
        first.args, second.args = (second,), (first,)
        raise second

    client = client_at(URL)
    monkeypatch.setattr(HTTPAdapter, "send", fail)

    assert type(pay(client)) is OutcomeUnknown


def test_keyboard_interrupt(client_at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a call as it ends all else."""

    def interrupt(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    client = client_at(URL)
    monkeypatch.setattr(HTTPAdapter, "send", interrupt)

    with pytest.raises(KeyboardInterrupt):
        client.call("checkout/create")


@pytest.mark.parametrize("wrapped", [False, True])
def test_wrapper_that_only_looks_on(
    client_at: Any, monkeypatch: pytest.MonkeyPatch, wrapped: bool
) -> None:
    """Tracing keeps what our connection knows: nothing was sent where there is no server."""
    client = client_at("http://127.0.0.1:9")
    tracers = [RequestsInstrumentor(), URLLib3Instrumentor()] if wrapped else []
    for tracer in tracers:
        tracer.instrument()

    error = pay(client)

    for tracer in tracers:
        tracer.uninstrument()
    assert type(error) is ConnectionFailed


class CountingPool(urllib3.HTTPConnectionPool):
    """A pool of an application's own."""

    made: ClassVar[list[str]] = []

    def urlopen(self, method: str, url: str, *args: Any, **kwargs: Any) -> Any:
        self.made.append(url)
        return super().urlopen(method, url, *args, **kwargs)


def test_pools_of_the_applications_own(
    client_at: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pools that took the place of urllib3's are used, from the next call on."""
    client = client_at(serve(echo).url)
    client.call("user")
    pools = {**urllib3.poolmanager.pool_classes_by_scheme, "http": CountingPool}
    monkeypatch.setattr(urllib3.poolmanager, "pool_classes_by_scheme", pools)
    CountingPool.made.clear()

    client.call("user")

    assert CountingPool.made == ["/v2/user"]


# Name look-ups and sockets


def test_look_up_that_fails(client_at: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not found was sent nothing."""
    client = client_at("https://wepay.invalid", **READY_MADE)

    def not_found(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)

    assert type(pay(client)) is ConnectionFailed


def test_look_up_replaced_by_another_signature(
    client_at: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up that somebody replaced and that can't be called is one of our errors."""
    client = client_at("https://wepay.invalid", **READY_MADE)
    monkeypatch.setattr(socket, "getaddrinfo", lambda host: [])

    assert type(pay(client)) is ConnectionFailed


def test_pytest_socket(client_at: Any) -> None:
    """A test suite without sockets gets one of our errors."""
    client = client_at(URL)
    pytest_socket.disable_socket()
    try:
        error = pay(client)
    finally:
        pytest_socket.enable_socket()

    assert isinstance(error, ConnectionFailed | OutcomeUnknown)


READY_MADE = {"WEPAY_CLIENT_ID": 12345, "WEPAY_CLIENT_SECRET": "1a2b3c4d5e6f"}


# Recorders


def test_vcr_records_and_plays(client_at: Any, serve: Any, tmp_path: Path) -> None:
    """Vcrpy takes the place of urllib3's connections, and is used."""
    server: RawServer = serve(echo)
    client, tape = client_at(server.url), str(tmp_path / "tape.yaml")
    client.call("user")

    with vcr.use_cassette(tape, record_mode="once") as cassette:
        recorded = client.call("account/find", name="bridge")
        assert len(cassette) == 1
    with vcr.use_cassette(tape, record_mode="none") as cassette:
        assert client.call("account/find", name="bridge") == recorded
        assert cassette.play_count == 1

    assert [request.path for request in server.requests] == ["/v2/user", "/v2/account/find"]
    client.call("user")
    assert len(server.requests) == 3


@pytest.mark.parametrize("warm", [False, True])
def test_vcr_without_a_recording(client_at: Any, serve: Any, tmp_path: Path, warm: bool) -> None:
    """Where nothing may be recorded nothing leaves, whichever connections were open before."""
    server: RawServer = serve(echo)
    client = client_at(server.url)
    if warm:
        client.call("user")
    before = len(server.requests)

    with vcr.use_cassette(str(tmp_path / "none.yaml"), record_mode="none"):
        error = pay(client)

    assert type(error) is OutcomeUnknown
    assert len(server.requests) == before


def test_vcr_and_the_authlib_client(client_at: Any, serve: Any, tmp_path: Path) -> None:
    """The Authlib client, used directly, goes the same way."""
    server: RawServer = serve(echo)
    client = client_at(server.url)
    direct = client._state.oauth.wepay

    with (
        vcr.use_cassette(str(tmp_path / "none.yaml"), record_mode="none"),
        pytest.raises(Exception, match="doesn't record new ones"),
    ):
        direct.post("user", token=client.token, json={})

    assert server.requests == []


# Connections that fell silent


@contextmanager
def later(ahead: timedelta) -> Iterator[None]:
    """Let the monotonic clock be ahead."""
    now = time.monotonic
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: now() + ahead.total_seconds())
        yield


def falls_silent(connection: Connection) -> None:
    """Answer once, and then read without a word, as what a firewall has forgotten."""
    connection.read()
    connection.send(answer(b'{"user_id": 1}'))
    while connection.read():
        pass


@pytest.mark.parametrize("call", ["checkout/create", "account/create"])
def test_idle_connection(client_of: Any, call: str) -> None:
    """A call that is never repeated takes a new connection where the old one was idle for long."""
    client = client_of(falls_silent, WEPAY_TIMEOUT=2)
    client.call("user")

    with later(timedelta(seconds=5)):
        answered = client.call(call, unique_id="u-1")

    assert answered == {"user_id": 1}


def test_idle_connection_and_a_look_up(client_at: Any, serve: Any) -> None:
    """A look-up may take it: one that is lost is made again."""
    server = serve(echo)
    client = client_at(server.url)
    client.call("user")

    with later(timedelta(seconds=5)):
        client.call("user")
        assert server.connections == 1
    with later(timedelta(seconds=10)):
        client.call("checkout/create")

    assert server.connections == 2


def test_connection_in_use_is_kept(client_at: Any, serve: Any) -> None:
    """A connection that was just used is used again, for a payment too."""
    server = serve(echo)
    client = client_at(server.url)

    for _ in range(3):
        client.call("checkout/create")

    assert server.connections == 1


# Clocks that stand still


@pytest.mark.parametrize("call", ["user", "checkout/create"])
def test_frozen_clock(client_at: Any, call: str) -> None:
    """With a clock that stands still the tries end by their count."""
    client = client_at("http://127.0.0.1:9")

    with freezegun.freeze_time("2026-01-01"), pytest.raises(ConnectionFailed):
        client.call(call)


# What comes with an import


def test_imports(tmp_path: Path) -> None:
    """Importing the package imports neither SQLAlchemy nor limits, and starts no thread."""
    code = (
        "import sys, threading, flask_wepay\n"
        "print(sorted({'sqlalchemy', 'limits', 'tenacity', 'redis'} & set(sys.modules)),"
        " threading.active_count())"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert done.stdout == "[] 1\n"


def test_no_thread_is_started(client_of: Callable[..., Any], monkeypatch: Any) -> None:
    """Counting calls in memory costs no thread."""
    client = client_of(echo, WEPAY_THROTTLE="100 per 10 seconds")
    started: list[Any] = []
    start = threading.Thread.start
    monkeypatch.setattr(
        threading.Thread, "start", lambda thread: (started.append(thread), start(thread))
    )

    for _ in range(20):
        client.call("user")

    assert [thread for thread in started if "serve" not in repr(thread).lower()] == []
