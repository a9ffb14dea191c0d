"""Many at once: callbacks in every order, threads, forked workers, and small pools."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from itertools import permutations, product
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import sqlalchemy as sa
from flask.testing import FlaskClient
from store import mariadb
from store.owners import BILL, MARY, Platform
from store.postgresql import database_url
from werkzeug.test import TestResponse

from flask_wepay import current_wepay, signals
from flask_wepay.errors import NotAuthorized, TokenRevoked
from flask_wepay.sandbox import Sandbox
from flask_wepay.sandbox.server import LiveSandbox

THIRD = "carl@example.com"
SMALL_POOL = {"pool_size": 5, "max_overflow": 0, "pool_timeout": 60}

Order = tuple[int, ...]

#: Tracing every line would cost half the time, and other tests cover the same ones.
pytestmark = pytest.mark.no_cover
#: How many callbacks overlap.
overlapping = pytest.mark.parametrize("number", [2, 3])
#: What must hold at every isolation level.
everywhere = pytest.mark.parametrize(
    "platform", ["sqlite", "postgresql", "serializable", "mariadb"], indirect=True
)


def orders(number: int) -> Iterator[tuple[Order, Order]]:
    """Give every order in which WePay can process, and can answer, so many exchanges."""
    return product(permutations(range(number)), repeat=2)


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def platform(
    request: pytest.FixtureRequest, make_app: Any, tmp_path: Path, wepay_sandbox: Sandbox
) -> Platform:
    """A platform with a pool of five connections to a database on disk."""
    return Platform(_app(request.param, make_app, tmp_path), wepay_sandbox)


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a busy machine take its time over what the database is to be asked again."""
    for name in ("READ_SECONDS", "WRITE_SECONDS", "GRANT_SECONDS"):
        monkeypatch.setattr(f"flask_wepay.sqla.database.{name}", 60)


def _app(kind: str, make_app: Any, tmp_path: Path, **config: Any) -> Any:
    options: dict[str, Any] = dict(SMALL_POOL)
    if kind == "sqlite":
        uri = f"sqlite:///{tmp_path}/tokens.db"
        # Who waits for SQLite's one write lock is not served in turn.
        options["connect_args"] = {"timeout": 30}
    elif kind == "mariadb":
        uri = mariadb.database_url()
    else:
        uri = database_url()
        if kind == "serializable":
            options["isolation_level"] = "SERIALIZABLE"
    return make_app(
        SQLALCHEMY_DATABASE_URI=uri,
        SQLALCHEMY_ENGINE_OPTIONS=options,
        WEPAY_THROTTLE=None,
        **config,
    )


# Orders


def overlap(
    platform: Platform, logins: list[tuple[str, str]], processed: Order, answered: Order
) -> None:
    """Let the callbacks of some (owner, mail address) run at once, in these orders at WePay."""
    browsers = [platform.browser(owner) for owner, _ in logins]
    backs = [platform.authorized(b, email) for b, (_, email) in zip(browsers, logins, strict=True)]
    answers: list[Future[TestResponse]] = []
    holds = []
    with ThreadPoolExecutor() as pool, ExitStack() as stack:
        for browser, back in zip(browsers, backs, strict=True):
            hold = platform.sandbox.hold
            before = stack.enter_context(hold("oauth2/token", "before"))
            holds.append((before, stack.enter_context(hold("oauth2/token", "after"))))
            answers.append(pool.submit(browser.get, back))
            before.wait()
        for index in processed:
            holds[index][0].release()
            holds[index][1].wait()
        for index in answered:
            holds[index][1].release()
            assert answers[index].result().location == "/"


@everywhere
@overlapping
def test_orders_of_one_owner(platform: Platform, number: int) -> None:
    """However the logins of one owner overtake each other, the next call works."""
    for count, (processed, answered) in enumerate(orders(number)):
        owner = f"owner{count}"
        overlap(platform, [(owner, BILL)] * number, processed, answered)

        assert platform.use(owner) == BILL, (processed, answered)
        assert platform.use(owner) == BILL


@everywhere
@overlapping
def test_orders_of_different_owners(platform: Platform, number: int) -> None:
    """However the logins of different owners overtake each other, everybody's next call works."""
    people = [("alice", BILL), ("bob", MARY), ("carl", THIRD)][:number]
    for count, (processed, answered) in enumerate(orders(number)):
        logins = [(f"{owner}{count}", email) for owner, email in people]
        overlap(platform, logins, processed, answered)

        emails = [email for _, email in logins]
        assert [platform.use(owner) for owner, _ in logins] == emails, (processed, answered)


@everywhere
@overlapping
def test_orders_of_owners_who_share_a_user(platform: Platform, number: int) -> None:
    """Of owners who connect one WePay user at once, whom WePay answered last for is connected."""
    for count, (processed, answered) in enumerate(orders(number)):
        owners = [f"{owner}{count}" for owner in ("alice", "bob", "carl")[:number]]
        overlap(platform, [(owner, BILL) for owner in owners], processed, answered)

        used = [platform.use(owner) for owner in owners]
        assert used == [BILL if i == processed[-1] else TokenRevoked for i in range(number)]


@everywhere
@overlapping
def test_orders_of_two_wepay_users(platform: Platform, number: int) -> None:
    """An owner who connects several WePay users at once is the one that was saved last."""
    for count, (processed, answered) in enumerate(orders(number)):
        logins = [(f"owner{count}", email) for email in (BILL, MARY, BILL)[:number]]
        overlap(platform, logins, processed, answered)

        assert platform.use(f"owner{count}") == logins[answered[-1]][1], (processed, answered)


@everywhere
def test_answers_at_once(platform: Platform) -> None:
    """Five answers for an owner who was connected are saved at the same time, and all of them."""
    platform.connect("alice")
    browsers = [platform.browser("alice") for _ in range(5)]
    backs = [platform.authorized(browser) for browser in browsers]

    with ThreadPoolExecutor(5) as pool, ExitStack() as stack:
        holds = [stack.enter_context(platform.sandbox.hold("oauth2/token", "after")) for _ in backs]
        answers = [pool.submit(b.get, back) for b, back in zip(browsers, backs, strict=True)]
        for hold in holds:
            hold.wait()

    assert [answer.result().location for answer in answers] == ["/"] * 5
    assert platform.reasons() == ["replaced", *[None] * 5]
    assert [platform.use("alice") for _ in range(2)] == [BILL] * 2


# The same callback many times


@everywhere
def test_identical_callbacks(platform: Platform) -> None:
    """Of 20 identical callbacks one exchanges the code; the others wait for it, or are there."""
    first = platform.browser("alice")
    back = platform.authorized(first)
    cookie = first.get_cookie("session")
    assert cookie is not None
    barrier = Barrier(20, timeout=30)

    def call_back(browser: FlaskClient) -> TestResponse:
        barrier.wait()
        return browser.get(back)

    browsers = [platform.app.test_client() for _ in range(20)]
    for browser in browsers:
        browser.set_cookie("session", cookie.value)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(call_back, browsers))

    assert {answer.status_code for answer in answers} <= {302, 202}
    assert 302 in {answer.status_code for answer in answers}
    assert platform.sandbox.count("oauth2/token") == 1
    assert platform.reasons() == [None]
    assert {browser.get(back).location for browser in browsers} == {"/"}
    assert platform.use("alice") == BILL


# One signal


@pytest.mark.parametrize("logins", [1, 2, 3])
def test_one_signal_for_a_lost_connection(platform: Platform, logins: int) -> None:
    """However many workers find out at once, and of however many tokens, one signal is sent."""
    order = tuple(range(logins))
    overlap(platform, [("alice", BILL)] * logins, order, order)
    assert len(platform.rows()) == logins
    platform.revoke(BILL)

    with (
        platform.received(signals.wepay_token_revoked) as told,
        ThreadPoolExecutor() as pool,
        ExitStack() as stack,
    ):
        holds = [stack.enter_context(platform.sandbox.hold("user", "after")) for _ in range(4)]
        uses = [pool.submit(platform.use, "alice") for _ in holds]
        for hold in holds:
            hold.wait()
        for hold in holds:
            hold.release()
        assert [use.result() for use in uses] == [TokenRevoked] * 4

    assert told == [{"owner": "alice", "user_id": platform.user_id(BILL), "reason": "revoked"}]
    assert platform.use("alice") is TokenRevoked


def test_one_signal_when_workers_begin_at_different_ends(platform: Platform) -> None:
    """Two workers that each mark another of the owner's tokens send one signal, together."""
    overlap(platform, [("alice", BILL)] * 2, (0, 1), (0, 1))
    platform.revoke(BILL)
    state = platform.app.extensions["wepay"]
    barrier = Barrier(2, timeout=30)

    def find_dead(authorization: Any) -> None:
        from flask_wepay.api.candidates import signal_end

        with platform.app.app_context():
            barrier.wait()
            assert state.store.end(authorization, "revoked")
            barrier.wait()
            signal_end(state, authorization, "revoked")

    with platform.app.app_context():
        found = state.store.find("alice", fresh=True).candidates
    with platform.received(signals.wepay_token_revoked) as told, ThreadPoolExecutor() as pool:
        list(pool.map(find_dead, found))

    assert len(told) == 1


# Small pools


def test_wepay_hanging(platform: Platform) -> None:
    """While WePay lets 20 callbacks wait no connection is checked out, and other pages answer."""
    db = platform.app.extensions["test"]["db"]
    # As Flask-Login's would, this leaves a transaction open in each request.
    platform.app.before_request(lambda: db.session.execute(sa.text("SELECT 1")) and None)
    platform.app.add_url_rule(
        "/page", view_func=lambda: str(db.session.scalar(sa.text("SELECT 1")))
    )
    owners = [f"owner{number}" for number in range(20)]
    browsers = [platform.browser(owner) for owner in owners]
    backs = [platform.authorized(b, f"{o}@x.com") for b, o in zip(browsers, owners, strict=True)]
    with platform.app.app_context():
        pool_of_five = db.engine.pool

    with ThreadPoolExecutor(20) as pool, ExitStack() as stack:
        holds = [
            stack.enter_context(platform.sandbox.hold("oauth2/token", "before")) for _ in owners
        ]
        answers = [pool.submit(b.get, back) for b, back in zip(browsers, backs, strict=True)]
        for hold in holds:
            hold.wait()
        assert pool_of_five.checkedout() == 0
        assert [platform.app.test_client().get("/page").text for _ in range(10)] == ["1"] * 10
        stack.close()
        assert [answer.result().location for answer in answers] == ["/"] * 20

    assert [platform.use(owner) for owner in owners] == [f"{owner}@x.com" for owner in owners]


def test_logins_while_wepay_hangs(platform: Platform) -> None:
    """A login that asks WePay whether the connection works holds no connection meanwhile."""
    db = platform.app.extensions["test"]["db"]
    platform.app.before_request(lambda: db.session.execute(sa.text("SELECT 1")) and None)
    platform.connect("alice")
    browser = platform.browser("alice")
    with platform.app.app_context():
        pool_of_five = db.engine.pool

    with ThreadPoolExecutor() as pool, platform.sandbox.hold("user", "before") as hold:
        answer = pool.submit(browser.get, "/wepay/login")
        hold.wait()
        assert pool_of_five.checkedout() == 0

    assert answer.result().location == "/"


def test_views_with_an_open_transaction(platform: Platform) -> None:
    """16 threads on a pool of five, each view with a transaction open: all come through."""
    db = platform.app.extensions["test"]["db"]

    @platform.app.get("/call")
    def call() -> str:
        db.session.execute(sa.text("SELECT 1"))
        return str(current_wepay.call("user")["email"])

    platform.connect("alice")

    def visit(_: int) -> list[str]:
        browser = platform.browser("alice")
        return [browser.get("/call").text for _ in range(10)]

    with ThreadPoolExecutor(16) as pool:
        texts = [text for texts in pool.map(visit, range(16)) for text in texts]

    assert texts == [BILL] * 160


# Everybody's own token


@pytest.fixture
def crowd(
    make_app: Any, tmp_path: Path, wepay_live_sandbox: LiveSandbox
) -> tuple[Platform, dict[str, str]]:
    """200 connected owners, and a WePay on a socket."""
    app = _app("sqlite", make_app, tmp_path, WEPAY_SANDBOX_URL=wepay_live_sandbox.url)
    platform = Platform(app, wepay_live_sandbox)
    app.add_url_rule("/who", view_func=lambda: str(current_wepay.call("user")["email"]))
    owners = {f"owner{number}": f"owner{number}@x.com" for number in range(200)}
    for owner, email in owners.items():
        platform.connect(owner, email)
    return platform, owners


def test_every_answer_belongs_to_its_caller(crowd: tuple[Platform, dict[str, str]]) -> None:
    """64 threads for 200 owners, a forked worker, one context for all: no answer goes astray."""
    platform, owners = crowd
    barrier = Barrier(64, timeout=30)

    def ask(thread: int) -> list[tuple[str, str]]:
        # So two different threads ask for each owner.
        mine = (list(owners) * 2)[thread::64]
        barrier.wait()
        return [(owner, platform.browser(owner).get("/who").text) for owner in mine]

    with ThreadPoolExecutor(64) as pool:
        answers = [answer for answers in pool.map(ask, range(64)) for answer in answers]
    assert sorted(answers) == sorted([*owners.items()] * 2)

    assert _in_children(2, lambda _: all(platform.use(o) == e for o, e in owners.items())) == [0, 0]

    with platform.app.app_context():
        wepay = platform.app.extensions["test"]["wepay"]
        for owner, email in owners.items():
            assert wepay.client_for(owner).call("user")["email"] == email
        for owner, email in list(owners.items())[:20]:
            assert platform.browser(owner).get("/who").text == email


def _in_children(number: int, work: Callable[[int], bool]) -> list[int]:
    """Do some work in forked processes; give 0 for each that returned True."""
    pids = []
    for index in range(number):
        with warnings.catch_warnings():
            # The sandbox has threads; these children touch none of their locks.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            status = 2
            try:
                status = 0 if work(index) else 1
            finally:
                os._exit(status)
        pids.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


# SQLite


@pytest.fixture
def sqlite(make_app: Any, tmp_path: Path, wepay_sandbox: Sandbox) -> Platform:
    """A platform on SQLite, with the patience that several processes need."""
    return Platform(_app("sqlite", make_app, tmp_path), wepay_sandbox)


@pytest.mark.parametrize(("mode", "times"), [("wal", 40), ("delete", 10)])
def test_sqlite_with_eight_processes(sqlite: Platform, mode: str, times: int) -> None:
    """8 processes with 200 callbacks each never meet "database is locked"."""
    sqlite.execute(sa.text(f"PRAGMA journal_mode={mode}"))
    with sqlite.app.app_context():
        engine = sqlite.app.extensions["test"]["db"].engine
    engine.dispose()

    def connect_many_times(process: int) -> bool:
        failures = []
        sa.event.listen(engine, "handle_error", lambda c: failures.append(c.original_exception))
        owners = [f"owner{process}-{number}" for number in range(5)]
        locations = {
            sqlite.connect(owner, f"{owner}@x.com").location
            for owner in owners
            for _ in range(times)
        }
        if failures:
            print(failures, file=sys.stderr, flush=True)  # noqa: T201
        return locations == {"/"} and not failures

    assert _in_children(8, connect_many_times) == [0] * 8
    with sqlite.app.app_context():
        assert sqlite.store.maintenance.count() == 8 * 5 * times
        assert all(len(sqlite.store.find(f"owner{n}-0").candidates) == 1 for n in range(8))
    assert sqlite.use("nobody") is NotAuthorized
