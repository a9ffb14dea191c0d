"""The budget of calls, which all workers and machines may share, and the shares in it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient
from limits.storage import SCHEMES, Storage
from servers import Connection, RawServer, answer, echo, free_port

from flask_wepay import WePayClient
from flask_wepay.api.windows import Budget, MovingWindows
from flask_wepay.errors import ConfigurationError, ConnectionFailed, OutcomeUnknown, Throttled

HERE = Path(__file__).parent


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[time_machine.Traveller]:
    """A time that stands still, and passes where this thread sleeps."""
    with time_machine.travel(time.time(), tick=False) as traveller:
        monkeypatch.setattr(time, "sleep", traveller.shift)
        yield traveller


def spend(client: WePayClient, calls: int) -> int:
    """Make so many calls, and give how many of them were sent."""
    sent = 0
    for _ in range(calls):
        try:
            client.call("account/find")
        except Throttled:
            continue
        sent += 1
    return sent


def test_thirty_calls_in_ten_seconds(client_of: Any, clock: time_machine.Traveller) -> None:
    """The default budget is WePay's own rule, as a moving window."""
    client = client_of(echo, WEPAY_THROTTLE="30 per 10 seconds")

    assert spend(client, 20) == 20
    clock.shift(6)
    assert spend(client, 20) == 10
    clock.shift(4.1)
    assert spend(client, 25) == 20
    clock.shift(10.1)
    assert spend(client, 40) == 30


def test_the_default_is_thirty_in_ten_seconds(app: Flask) -> None:
    """Nothing has to be set for it."""
    assert app.config["WEPAY_THROTTLE"] == "30 per 10 seconds"


def test_a_call_over_the_budget(serve: Any, client_at: Any, clock: time_machine.Traveller) -> None:
    """A call over the budget is not sent; Throttled says so, and when to try again."""
    server = serve(echo)
    client = client_at(server.url, WEPAY_THROTTLE="6 per 10 seconds")
    spend(client, 5)
    clock.shift(3)
    client.call("user")
    clock.shift(1)

    with pytest.raises(Throttled, match="local rate limit of 6 calls per 10 second") as caught:
        client.call("checkout/create")

    assert caught.value.retry_after == pytest.approx(6, abs=0.1)
    assert (caught.value.call, caught.value.status, caught.value.error_code) == (
        "checkout/create",
        None,
        None,
    )
    assert len(server.requests) == 6


def test_a_call_can_wait_for_its_turn(client_of: Any, clock: time_machine.Traveller) -> None:
    """With wait= a call over the budget is sent when its turn comes."""
    client = client_of(echo, WEPAY_THROTTLE="6 per 10 seconds", WEPAY_TIMEOUT=5)
    started = time.time()

    for _ in range(18):
        client.call("user", wait=11)

    assert time.time() - started == pytest.approx(20, abs=0.1)


def test_waiting_too_long_for_ones_turn(client_of: Any, clock: time_machine.Traveller) -> None:
    """Where its turn comes later than it may wait, a call is throttled at once."""
    client = client_of(echo, WEPAY_THROTTLE="6 per 10 seconds")
    spend(client, 6)
    started = time.time()

    with pytest.raises(Throttled):
        client.call("user", wait=9)

    assert time.time() == started


def test_waiting_for_nothing(client_of: Any, clock: time_machine.Traveller) -> None:
    """wait=None is no waiting, over the budget too."""
    client = client_of(echo, WEPAY_THROTTLE="6 per 10 seconds")
    spend(client, 6)

    with pytest.raises(Throttled):
        client.call("user", wait=None)


def test_a_repeated_look_up_counts_each_time(client_of: Any, clock: time_machine.Traveller) -> None:
    """Every request counts, those of retries too."""
    client = client_of(Connection.reset, WEPAY_THROTTLE="7 per 10 seconds")
    for _ in range(2):
        with pytest.raises((ConnectionFailed, OutcomeUnknown)):
            client.call("user")

    with pytest.raises(Throttled):
        client.call("user")


def test_no_budget(client_of: Any, clock: time_machine.Traveller) -> None:
    """With WEPAY_THROTTLE None nothing is counted."""
    assert spend(client_of(echo, WEPAY_THROTTLE=None), 100) == 100


def test_a_clock_that_was_set_back(client_of: Any, clock: time_machine.Traveller) -> None:
    """What was spent at a time that is the future now does not stop calls until then."""
    client = client_of(echo, WEPAY_THROTTLE="6 per 10 seconds")
    spend(client, 6)

    clock.shift(-3600)

    assert spend(client, 9) == 6
    with pytest.raises(Throttled) as caught:
        client.call("user")
    assert caught.value.retry_after <= 10


def test_a_batch_counts_once(client_of: Any, clock: time_machine.Traveller) -> None:
    """WePay counts a batch as one call, and so do we."""

    def members(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            calls = [{**call, "response": {}} for call in request.json["calls"]]
            connection.send(answer({"calls": calls}))

    client = client_of(members, WEPAY_THROTTLE="6 per 10 seconds")

    assert client.batch([("user", {})] * 300) == [{}] * 300
    with pytest.raises(Throttled):
        client.batch([("user", {})])


def test_strangers_can_not_stop_payments(
    app: Flask, wepay: Any, wepay_sandbox: Any, wepay_connect: Any, clock: time_machine.Traveller
) -> None:
    """A flood of junk callbacks and logins from several browsers, and a payment goes through."""
    browsers = [app.test_client() for _ in range(8)]
    for number, browser in enumerate(browsers):
        browser.get(f"/as/user{number}")
        wepay_connect(browser, email=f"user{number}@example.com")
        clock.shift(4)
    clock.shift(20)
    wepay_sandbox.log.clear()

    statuses = set()
    for _ in range(10):
        for browser in browsers:
            browser.get("/wepay/login")
            statuses.add(junk_login(browser))
    with app.app_context():
        client = wepay.client_for("user3")
        account = client.call("account/create", name="Shop", description="Shop")
        sent = 1 + spend(client, 30)

    assert account["account_id"]
    assert statuses == {502, 503}
    assert wepay_sandbox.count("oauth2/token") == 10
    assert wepay_sandbox.count("user") == 6
    assert sent == 30 - 10 - 6


def test_logins_over_their_share(
    client: FlaskClient, wepay_sandbox: Any, wepay_connect: Any, clock: time_machine.Traveller
) -> None:
    """An exchange over the share answers 503 with Retry-After; a reload then finishes the login."""
    for _ in range(5):
        junk_login(client)
    back = wepay_sandbox.authorize(client.get("/wepay/login").location)

    throttled = client.get(back)
    clock.shift(float(throttled.headers["Retry-After"]) + 0.1)
    reloaded = client.get(back)

    assert throttled.status_code == 503
    assert 1 <= int(throttled.headers["Retry-After"]) <= 10
    assert reloaded.location == "/"
    assert wepay_sandbox.count("oauth2/token") == 6


def junk_login(browser: FlaskClient) -> int:
    """Begin a login, come back with a made-up code, and return the answer's status."""
    location = browser.get("/wepay/login?force=1").location
    state = location.partition("state=")[2].partition("&")[0]
    return browser.get(f"/wepay/callback?code=junk&state={state}").status_code


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("shared", [False, True])
def test_one_account_starves_no_other(
    make_app: Any,
    wepay_sandbox: Any,
    wepay_connect: Any,
    wepay_ipn: Any,
    start_redis: Callable[[int], str],
    shared: bool,
) -> None:
    """However one account floods logins, others connect, and their IPNs are heard."""
    storage = {"WEPAY_THROTTLE_STORAGE": start_redis(free_port())} if shared else {}
    app = make_app(WEPAY_CALLBACK_URI="http://localhost/wepay/ipn", **storage)
    flood, victim = app.test_client(), app.test_client()
    flood.get("/as/flood")
    victim.get("/as/victim")
    wepay_connect(flood, email="flood@example.com")

    statuses = [junk_login(flood) for _ in range(30)]
    for _ in range(30):
        flood.get("/wepay/login")
    connected = wepay_connect(victim, email="bill@example.com")
    with app.app_context():
        wepay_sandbox.revoke(app.extensions["test"]["wepay"].client_for("victim").user_id)
    heard = wepay_ipn(victim)

    assert (statuses.count(502), statuses.count(503)) == (4, 26)
    assert connected.location == "/"
    assert heard.status_code == 200
    with app.app_context():
        assert not app.extensions["test"]["wepay"].client_for("victim").authorized


def test_a_redis_shared_by_three_processes(serve: Any, start_redis: Callable[[int], str]) -> None:
    """Three processes that share a Redis stay within one budget at the server.

    The window is 5 s, to be quick. What one call takes longer on its way than another
    shows as jitter at the server, so any 3 s are looked at.
    """
    arrivals: list[float] = []

    def note(connection: Connection) -> None:
        while connection.read() is not None:
            arrivals.append(time.monotonic())
            connection.send(answer())

    url, storage = serve(note).url, start_redis(free_port())
    processes = [
        subprocess.Popen([sys.executable, str(HERE / "spending.py"), url, storage, "20"])
        for _ in range(3)
    ]

    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert len(arrivals) == 60
    arrivals.sort()
    gaps = [later - earlier for earlier, later in zip(arrivals, arrivals[30:], strict=False)]
    assert min(gaps) > 3


def test_redis_away_stops_nothing(
    client_at: Any,
    serve: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Without its Redis the budget is off, and a warning is logged once a minute."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    client = client_at(
        serve(echo).url,
        WEPAY_THROTTLE="6 per 10 seconds",
        WEPAY_THROTTLE_STORAGE=f"redis://:secret@127.0.0.1:{free_port()}/0",
    )

    warnings = []
    for seconds in (0, 1, 30, 54, 61, 100, 122):
        now[0] = 1000.0 + seconds
        assert client.call("user")
        warnings.append(len([r for r in caplog.records if r.levelno == logging.WARNING]))

    assert warnings == [1, 1, 1, 1, 2, 2, 3]
    assert "'WEPAY_THROTTLE_STORAGE' does not answer" in caplog.text
    assert "secret" not in caplog.text


def test_redis_that_hangs_stalls_little(
    client_at: Any, serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Redis that accepts and says nothing costs a second once, not every call one."""
    # However slow the machine is, it is too early to try the Redis again.
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0)
    hanging: RawServer = serve(lambda connection: connection.server.stopped.wait())
    client = client_at(
        serve(echo).url,
        WEPAY_THROTTLE="6 per 10 seconds",
        WEPAY_THROTTLE_STORAGE=f"redis://127.0.0.1:{hanging.port}/0",
    )

    started = time.perf_counter()
    for _ in range(20):
        client.call("user")

    assert time.perf_counter() - started < 15
    assert hanging.connections == 1


def test_redis_that_comes_back(
    client_at: Any,
    serve: Any,
    start_redis: Callable[[int], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Once Redis is back, some seconds later the budget holds again."""
    port, offset, monotonic = free_port(), 0.0, time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: monotonic() + offset)
    client = client_at(
        serve(echo).url,
        WEPAY_THROTTLE="6 per 100 seconds",
        WEPAY_THROTTLE_STORAGE=f"redis://127.0.0.1:{port}/0",
    )

    assert spend(client, 9) == 9
    start_redis(port)
    offset = 10

    assert spend(client, 9) == 6


def test_workers_share_what_they_spent(
    client_at: Any, serve: Any, start_redis: Callable[[int], str]
) -> None:
    """Applications with one client id and one Redis share a budget; others have their own."""
    url, storage = serve(echo).url, start_redis(free_port())
    config = {"WEPAY_THROTTLE": "6 per 100 seconds", "WEPAY_THROTTLE_STORAGE": storage}
    other = {"WEPAY_CLIENT_ID": 777, "WEPAY_CLIENT_SECRET": "of the other"}

    sent = [spend(client_at(url, **config, **whose), 4) for whose in ({}, {}, other)]

    assert sent == [4, 2, 4]


@pytest.mark.parametrize(
    "limit",
    [
        "30",
        "",
        "often",
        "0 per second",
        "-1 per second",
        "1 per second; 5 per minute",
        "5 per parsec",
        "1 per second",
        "5 per 10 seconds",
    ],
)
def test_a_limit_that_is_none(make_app: Any, limit: str) -> None:
    """A WEPAY_THROTTLE that says no one limit stops the application, with an example."""
    with pytest.raises(ConfigurationError, match="'WEPAY_THROTTLE'"):
        make_app(WEPAY_THROTTLE=limit)


@pytest.mark.parametrize(
    "uri",
    [
        "localhost:6379",
        "etcd://127.0.0.1",
        "redis://127.0.0.1:port",
        "nonsense://",
        "memcached://x",
    ],
)
def test_a_storage_that_is_none(make_app: Any, uri: str) -> None:
    """A WEPAY_THROTTLE_STORAGE that can't be used stops the application, with an example."""
    with pytest.raises(ConfigurationError, match=r"'WEPAY_THROTTLE_STORAGE' .*redis://localhost"):
        make_app(WEPAY_THROTTLE_STORAGE=uri)


class Windowless(Storage):
    """A storage that knows no moving window, as memcached."""

    def __init__(self, uri: str | None = None, **options: Any) -> None:
        """Connect to nothing."""

    base_exceptions = ValueError
    incr = get = get_expiry = check = reset = clear = None


def test_a_storage_without_a_moving_window(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A storage that limits knows, but not with a moving window, is refused likewise."""
    monkeypatch.setitem(SCHEMES, "windowless", Windowless)

    with pytest.raises(ConfigurationError, match=r"moving window \(NotImplementedError\)"):
        make_app(WEPAY_THROTTLE_STORAGE="windowless://")


def test_a_fork_counts_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child does not take over its parent's lock, which another thread may have held."""
    windows, budget = MovingWindows(), Budget("calls", 1, 10, "10 seconds")
    assert windows.take([budget]) is None
    windows._lock.acquire()
    monkeypatch.setattr(os, "getpid", lambda: -1)

    assert windows.take([budget]) is None
    assert windows.take([budget]) is not None


def test_a_shared_clock_that_was_set_back(
    client_of: Any, clock: time_machine.Traveller, start_redis: Callable[[int], str]
) -> None:
    """What was noted in a Redis at a time that lies in the future is forgotten there too."""
    storage = start_redis(free_port())
    client = client_of(echo, WEPAY_THROTTLE="6 per 10 seconds", WEPAY_THROTTLE_STORAGE=storage)

    assert spend(client, 10) == 6
    clock.shift(-3600)
    assert spend(client, 10) == 6


def test_a_storage_without_its_package(make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra a shared storage is a mistake that is named."""
    monkeypatch.setitem(sys.modules, "limits", None)
    for name in [name for name in sys.modules if name.endswith(".shared_windows")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr("flask_wepay.api.shared_windows", raising=False)

    with pytest.raises(ConfigurationError, match=r"install Flask-WePay\[redis\]"):
        make_app(WEPAY_THROTTLE_STORAGE="redis://localhost")
