"""Faults on purpose, in process and through a real socket."""

from __future__ import annotations

import gc
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import requests_mock
from asking import BILL, MARY, authorize_url
from authlib.integrations.requests_client import OAuth2Session
from urllib3 import Timeout
from urllib3.exceptions import NewConnectionError

from flask_wepay.sandbox import Clock, Sandbox, World
from flask_wepay.sandbox.faults import Hold
from flask_wepay.sandbox.gate import Patience
from flask_wepay.sandbox.server import LiveSandbox


@pytest.fixture(params=["in process", "live"])
def anywhere(request: pytest.FixtureRequest) -> Sandbox:
    """Give a sandbox without sockets, and then one with."""
    name = "wepay_sandbox" if request.param == "in process" else "wepay_live_sandbox"
    sandbox: Sandbox = request.getfixturevalue(name)
    return sandbox


def ask(sandbox: Sandbox, call: str = "user", **options: Any) -> requests.Response:
    living = [token.access_token for token in sandbox.tokens(BILL)]
    headers = {"Authorization": f"Bearer {living[0] if living else sandbox.issue_token(BILL)}"}
    return requests.post(f"{sandbox.url}/v2/{call}", json={}, headers=headers, **options)


def test_answer(anywhere: Sandbox) -> None:
    """Without a fault the sandbox answers as WePay."""
    answer = ask(anywhere)

    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json()["user_id"] == BILL


def test_answer_with_an_error_code(anywhere: Sandbox) -> None:
    """The next answer is a line of the error table; the one after it is normal."""
    anywhere.answer_next("/user", error_code=1011)

    assert ask(anywhere).json()["error_code"] == 1011
    assert ask(anywhere).status_code == 200


def test_fault_of_another_call(anywhere: Sandbox) -> None:
    """A fault waits for its own call, and lets others pass."""
    anywhere.answer_next("app", status=418)
    anywhere.answer_next("user", status=503)

    assert ask(anywhere).status_code == 503
    assert ask(anywhere, "app").status_code == 418


def test_answer_of_any_kind(anywhere: Sandbox) -> None:
    """Status, body and headers can be anything."""
    headers = {"Content-Type": "text/html", "X-More": "1"}
    anywhere.answer_next("user", status=502, body=b"<h1>Bad\xff", headers=headers)

    answer = ask(anywhere)

    assert (answer.status_code, answer.content) == (502, b"<h1>Bad\xff")
    assert (answer.headers["Content-Type"], answer.headers["X-More"]) == ("text/html", "1")


@pytest.mark.parametrize(
    ("body", "content"),
    [
        (None, b""),
        ("ä", b"\xc3\xa4"),
        ({"a": 1}, b'{"a": 1}'),
        ([1], b"[1]"),
        (7, b"7"),
        ((b"a", b"b"), b"ab"),
    ],
)
def test_bodies(anywhere: Sandbox, body: Any, content: bytes) -> None:
    """A body is bytes, text, chunks or anything that becomes JSON."""
    anywhere.answer_next("user", body=body)

    assert ask(anywhere).content == content


def test_header_left_out(anywhere: Sandbox) -> None:
    """A header of None is not sent."""
    anywhere.answer_next("user", body={}, headers={"Content-Type": None})

    assert "Content-Type" not in ask(anywhere).headers


def test_answer_several_times(anywhere: Sandbox) -> None:
    """A fault can be for several requests, and for any call."""
    anywhere.answer_next("*", status=503, times=2)

    assert [ask(anywhere, call).status_code for call in ("user", "app", "user")] == [503, 503, 200]


def test_redirect(anywhere: Sandbox) -> None:
    """A redirect is one."""
    anywhere.answer_next("user", status=302, headers={"Location": "http://localhost/"})

    answer = ask(anywhere, allow_redirects=False)

    assert (answer.status_code, answer.headers["Location"]) == (302, "http://localhost/")


@pytest.mark.parametrize("work", [False, True])
def test_answer_hides_the_work(anywhere: Sandbox, work: bool) -> None:
    """A scripted answer keeps the work from being done, or hides that it was."""
    anywhere.answer_next("user/modify", status=500, work=work)
    headers = {"Authorization": f"Bearer {anywhere.issue_token()}"}
    body = {"callback_uri": "http://localhost/ipn"}

    requests.post(f"{anywhere.url}/v2/user/modify", json=body, headers=headers)

    (token,) = anywhere.tokens(BILL)
    assert token.callback_uri == ("http://localhost/ipn" if work else None)


@pytest.mark.parametrize("before", [True, False])
def test_drop(anywhere: Sandbox, before: bool) -> None:
    """A dropped connection is an error, whether or not the work was done."""
    anywhere.drop_next("user/modify", before=before)
    headers = {"Authorization": f"Bearer {anywhere.issue_token()}"}
    body = {"callback_uri": "http://localhost/ipn"}

    with pytest.raises(requests.ConnectionError, match="Connection aborted"):
        requests.post(f"{anywhere.url}/v2/user/modify", json=body, headers=headers)

    (token,) = anywhere.tokens(BILL)
    assert token.callback_uri == (None if before else "http://localhost/ipn")
    assert anywhere.last("user/modify").status is None
    assert "as scripted" in anywhere.last("user/modify").problems[0]


def test_garbage(anywhere: Sandbox) -> None:
    """What does not begin as HTTP is an error."""
    anywhere.drop_next("user", raw=b"garbage\r\n\r\n")

    with pytest.raises(requests.ConnectionError, match="garbage"):
        ask(anywhere)


def test_garbage_as_text(anywhere: Sandbox) -> None:
    """What is sent before the end can be text, which is all that JSON can carry."""
    anywhere.drop_next("user", raw="gärbage\r\n\r\n")

    with pytest.raises(requests.ConnectionError, match="bage"):
        ask(anywhere)


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (lambda s: s.answer_next("user", error_code="1011"), "error_code must be int or None"),
        (lambda s: s.answer_next("user", error_code=1), "error_code 1 is none of WePay's"),
        (lambda s: s.answer_next("user", status="503"), "status must be int or None, not '503'"),
        (lambda s: s.answer_next("user", status=True), "status must be int or None, not True"),
        (lambda s: s.answer_next("user", status=99), "status must be 100 to 999, not 99"),
        (lambda s: s.answer_next("user", headers=["X"]), "headers must be Mapping or None"),
        (lambda s: s.answer_next("user", delay="1"), "delay must be int or float"),
        (lambda s: s.answer_next("user", pause=-1), "pause must be 0 or more"),
        (lambda s: s.answer_next("user", times="2"), "times must be int"),
        (lambda s: s.answer_next("user", times=0), "times must be 1 or more"),
        (lambda s: s.answer_next(7), "call must be str"),
        (lambda s: s.delay_next("user", "soon"), "seconds must be int or float, not 'soon'"),
        (lambda s: s.delay_next("user", float("inf")), "seconds must be 0 or more, and finite"),
        (lambda s: s.drop_next("user", raw=7), "raw must be bytes or str"),
        (lambda s: s.drop_next("user", before="after"), "before must be bool"),
        (lambda s: s.hold("user", "sometime"), "when must be 'before' or 'after', not 'sometime'"),
        (lambda s: s.hold(7), "call must be str"),
    ],
)
def test_unusable_script(sandbox: Sandbox, script: Callable[[Any], Any], message: str) -> None:
    """What can't be done to a request is refused at once, and the request goes well."""
    with pytest.raises((TypeError, ValueError), match=message):
        script(sandbox)

    assert sandbox.faults.take("user").answer is None
    assert sandbox.faults.take_holds("user") == {}


def test_body_that_breaks_off(anywhere: Sandbox) -> None:
    """A connection can be cut in the middle of a body."""

    def broken() -> Iterator[bytes]:
        yield b"{"
        raise ConnectionResetError

    anywhere.answer_next("user", body=broken(), headers={"Content-Length": "100"})

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask(anywhere)


def test_truncated_body(anywhere: Sandbox) -> None:
    """A body shorter than its Content-Length breaks off."""
    anywhere.answer_next("user", body=b"{", headers={"Content-Length": "100"})

    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        ask(anywhere)


def test_endless_body(anywhere: Sandbox) -> None:
    """A body is read only as far as the client wants."""

    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1000

    anywhere.answer_next("user", body=endless())

    answer = ask(anywhere, stream=True)

    assert len(answer.raw.read(5000)) == 5000
    answer.close()


def test_raw_answer(anywhere: Sandbox) -> None:
    """A caller that streams reads the answer's bytes itself."""
    answer = ask(anywhere, stream=True)

    assert answer.raw.read().startswith(b'{"user_id":')


def test_live_delay() -> None:
    """A delay is real where there is a socket; the client's timeout ends it."""
    with LiveSandbox() as sandbox:
        waited: list[float] = []
        arrived, released = threading.Event(), threading.Event()

        def wait(seconds: float) -> None:
            waited.append(seconds)
            arrived.set()
            released.wait(10)

        sandbox.patience.wait = wait  # type: ignore[method-assign]
        sandbox.delay_next("user", 30)

        with pytest.raises(requests.ReadTimeout):
            ask(sandbox, timeout=(5, 0.05))
        # On a busy machine the request may be taken up only after the client has left.
        assert arrived.wait(10)
        released.set()

        assert waited == [30]


def test_real_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a test without sockets, waiting is sleeping."""
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)

    Patience(lambda seconds: None).wait(3)

    assert slept == [3]


@pytest.mark.parametrize(
    "timeout", [20, (5, 20), Timeout(connect=5, read=20), Timeout(total=20, connect=5)]
)
def test_delay_in_process(wepay_sandbox: Sandbox, timeout: Any) -> None:
    """In process nobody waits: a timeout comes at once, and less only moves the clock."""
    wepay_sandbox.delay_next("user", 20)
    wepay_sandbox.delay_next("user", 19)

    with pytest.raises(requests.ReadTimeout):
        ask(wepay_sandbox, timeout=timeout)
    before = wepay_sandbox.clock()
    answer = ask(wepay_sandbox, timeout=timeout)

    assert answer.status_code == 200
    assert wepay_sandbox.clock() - before >= 19


@pytest.mark.parametrize("timeout", [None, (5, None), Timeout(connect=5)])
def test_delay_without_a_timeout(wepay_sandbox: Sandbox, timeout: Any) -> None:
    """A client without patience for nothing waits for anything."""
    wepay_sandbox.delay_next("user", 10_000)

    assert ask(wepay_sandbox, timeout=timeout).status_code == 200


@pytest.mark.parametrize(("timeout", "comes"), [(20, True), (3, False), (Timeout(total=20), False)])
def test_dripping_body(wepay_sandbox: Sandbox, timeout: Any, comes: bool) -> None:
    """A body may come slowly: too slowly for each read, or for all of them together."""
    wepay_sandbox.answer_next("user", body=[b"{", b"\n"] * 5 + [b"}"], pause=5)

    if comes:
        assert len(ask(wepay_sandbox, timeout=timeout).content) == 11
    else:
        with pytest.raises(requests.ConnectionError, match="timed out"):
            ask(wepay_sandbox, timeout=timeout)


def test_unreachable(wepay_sandbox: Sandbox) -> None:
    """A WePay that is away refuses connections, so that nothing was sent."""
    wepay_sandbox.unreachable = True

    with pytest.raises(requests.ConnectionError) as raised:
        ask(wepay_sandbox)

    assert isinstance(raised.value.args[0].reason, NewConnectionError)
    assert wepay_sandbox.count("user") == 0


def test_stopped_server(wepay_live_sandbox: LiveSandbox) -> None:
    """A stopped server refuses connections, and may start again in its place."""
    url = wepay_live_sandbox.url
    wepay_live_sandbox.stop()

    with pytest.raises(requests.ConnectionError):
        requests.post(f"{url}/v2/user", json={})
    wepay_live_sandbox.start()

    assert wepay_live_sandbox.url == url
    assert ask(wepay_live_sandbox).status_code == 200


def test_connections_are_kept(wepay_live_sandbox: LiveSandbox) -> None:
    """One session makes one connection for many calls."""
    with requests.Session() as session:
        for _ in range(5):
            session.post(f"{wepay_live_sandbox.url}/v2/app", json={})

    assert wepay_live_sandbox.connections == 1


def test_answers_go_out_in_one_piece(wepay_live_sandbox: LiveSandbox) -> None:
    """Headers and body are one write, so no client waits between them."""
    request = b"POST /v2/app HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
    address = urlsplit(wepay_live_sandbox.url)

    with socket.create_connection((address.hostname, address.port)) as connection:
        pieces = []
        for _ in range(50):
            connection.sendall(request)
            pieces.append(connection.recv(65536))

    assert all(piece.rstrip().endswith(b"}") for piece in pieces)


def test_client_that_asks_first(wepay_live_sandbox: LiveSandbox) -> None:
    """A client that asks whether to send its body is told to go on."""
    head = b"POST /v2/app HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n"
    address = urlsplit(wepay_live_sandbox.url)

    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(head + b"Expect: 100-continue\r\n\r\n")
        told = connection.recv(65536)
        connection.sendall(b"{}")
        answer = connection.recv(65536)

    assert told.startswith(b"HTTP/1.1 100 ")
    assert answer.startswith(b"HTTP/1.1 401 ")


def test_files_are_closed(wepay_live_sandbox: LiveSandbox) -> None:
    """What a page reads is closed after it, which Python would warn of otherwise."""
    page = requests.get(f"{wepay_live_sandbox.url}/static/sandbox.css", timeout=5)

    gc.collect()
    assert ":root" in page.text


def test_kept_connection_ends_with_the_server(wepay_live_sandbox: LiveSandbox) -> None:
    """A stopped server serves nobody, not even on a connection that was kept."""
    with requests.Session() as session:
        session.post(f"{wepay_live_sandbox.url}/v2/app", json={})
        wepay_live_sandbox.stop()

        with pytest.raises(requests.ConnectionError):
            session.post(f"{wepay_live_sandbox.url}/v2/app", json={})

    assert wepay_live_sandbox.connections == 0


@pytest.mark.parametrize("when", ["before", "after"])
def test_hold(anywhere: Sandbox, when: Any) -> None:
    """A held request waits before or after its work, and then goes on."""
    token = anywhere.issue_token()
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{anywhere.url}/v2/user/modify"
    body = {"callback_uri": "http://localhost/ipn"}

    with ThreadPoolExecutor() as pool, anywhere.hold("user/modify", when) as held:
        answer = pool.submit(requests.post, url, json=body, headers=headers)
        held.wait()
        done = anywhere.world.tokens[token].callback_uri is not None
        held.release()

    assert done == (when == "after")
    assert answer.result().status_code == 200


def test_many_holds(anywhere: Sandbox) -> None:
    """Each hold takes one request, in order, so that answers may overtake one another."""
    first, second = anywhere.hold("app", "after"), anywhere.hold("app", "after")
    assert anywhere.faults.find_hold(second.number) is second
    done: list[str] = []

    def ask_app(name: str) -> None:
        requests.post(f"{anywhere.url}/v2/app", json={})
        done.append(name)

    with ThreadPoolExecutor() as pool:
        one = pool.submit(ask_app, "one")
        first.wait()
        two = pool.submit(ask_app, "two")
        second.wait()
        second.release()
        two.result(10)
        first.release()
        one.result(10)

    assert done == ["two", "one"]


def test_hold_that_nobody_reaches(sandbox: Sandbox) -> None:
    """Waiting for a request that does not come ends."""
    held = sandbox.hold("user")

    with pytest.raises(TimeoutError, match="No request to 'user'"):
        held.wait(timeout=0)


def test_hold_that_nobody_releases(monkeypatch: pytest.MonkeyPatch) -> None:
    """A held request does not hang for ever."""
    monkeypatch.setattr("flask_wepay.sandbox.faults.HOLD_LIMIT", 0)

    with pytest.raises(TimeoutError, match="never released"):
        Hold("user", "before").stop_here()


def test_clear_releases(sandbox: Sandbox) -> None:
    """Clearing lets go of everything that is held or would be."""
    taken, waiting = sandbox.hold("user"), sandbox.hold("user")
    sandbox.faults.take_holds("user")
    sandbox.drop_next("user")

    sandbox.faults.clear()

    taken.stop_here()
    waiting.stop_here()
    assert sandbox.faults.take("user").drop is None


def test_log(wepay_sandbox: Sandbox) -> None:
    """The log has each request to the byte, its answer, and what was wrong."""
    body = b'{ "client_id":12345 }'
    headers = {"Content-Type": "application/json", "X-More": "1"}
    requests.post(f"{wepay_sandbox.url}/v2/app", data=body, headers=headers)

    exchange = wepay_sandbox.last("app")

    assert (exchange.method, exchange.path, exchange.query) == ("POST", "/v2/app", "")
    assert (exchange.body, exchange.json) == (body, {"client_id": 12345})
    assert exchange.headers["x-more"] == "1"
    assert (exchange.status, exchange.answer_json["error_code"]) == (400, 1004)
    assert exchange.problems == ["1004: client_secret parameter is required"]
    assert exchange is wepay_sandbox.log[0]


def test_log_of_an_authorize_request(sandbox: Sandbox) -> None:
    """The authorize page is in the log with its arguments; a body may be no JSON."""
    sandbox.app.test_client().get("/v2/oauth2/authorize?client_id=1&scope=")

    exchange = sandbox.last("oauth2/authorize")

    assert exchange.arguments == {"client_id": "1", "scope": ""}
    assert exchange.json is None


def test_count(wepay_sandbox: Sandbox) -> None:
    """Requests can be counted by call, and forgotten."""
    ask(wepay_sandbox)
    ask(wepay_sandbox)

    assert (wepay_sandbox.count("user"), wepay_sandbox.count("/app")) == (2, 0)
    assert len(wepay_sandbox.log) == 2
    with pytest.raises(LookupError, match="no request to 'app'"):
        wepay_sandbox.last("app")
    wepay_sandbox.log.clear()
    assert wepay_sandbox.count("user") == 0


def test_authlib_session(wepay_sandbox: Sandbox) -> None:
    """A session of Authlib's, which is one of requests, is answered too."""
    token = {"access_token": wepay_sandbox.issue_token(), "token_type": "Bearer"}

    with OAuth2Session(token=token) as session:
        answer = session.post(f"{wepay_sandbox.url}/v2/user", json={})

    assert answer.json()["user_id"] == BILL


def test_session_with_an_adapter_of_its_own(wepay_sandbox: Sandbox) -> None:
    """A mounted adapter, or another way to choose one, does not lead past the sandbox."""

    class Session(requests.Session):
        def get_adapter(self, url: str) -> Any:
            raise AssertionError(url)

    with Session() as session:
        session.mount(wepay_sandbox.url, requests.adapters.HTTPAdapter())
        answer = session.post(f"{wepay_sandbox.url}/v2/app", json={})

    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("data", "seen"),
    [("{}", b"{}"), (b"{}", b"{}"), (iter([b"{", b"}"]), b"{}"), (None, b"")],
)
def test_bodies_of_requests(wepay_sandbox: Sandbox, data: Any, seen: bytes) -> None:
    """Whatever requests takes as a body arrives as its bytes."""
    requests.post(f"{wepay_sandbox.url}/v2/app", data=data)

    assert wepay_sandbox.last("app").body == seen


def test_other_addresses_are_left_alone(wepay_sandbox: Sandbox) -> None:
    """The sandbox takes nobody else's place, and gives its own back at the end."""
    with requests_mock.Mocker() as mocker:
        mocker.get("https://shop.example/", text="shop")
        assert requests.get("https://shop.example/").text == "shop"

    other = Sandbox(url="http://127.0.0.1:8020")
    with other.joined():
        assert ask(other).status_code == 200
        assert ask(wepay_sandbox).status_code == 200
    assert other.count("user") == wepay_sandbox.count("user") == 1


@pytest.mark.parametrize("first", ["sandbox", "mocker"])
def test_beside_requests_mock(first: str) -> None:
    """It works together with requests-mock, whichever begins first."""
    sandbox = Sandbox()
    joined, mocker = sandbox.joined(), requests_mock.Mocker(real_http=True)
    outer, inner = (joined, mocker) if first == "sandbox" else (mocker, joined)

    with outer, inner, requests.Session() as session:
        mocker.get("https://shop.example/", text="shop")
        mine = session.post(f"{sandbox.url}/v2/app", json={})
        other = session.get("https://shop.example/")

    assert (mine.status_code, other.text) == (400, "shop")


def test_session_outlives_the_sandbox() -> None:
    """A session that was answered once is an ordinary one again afterwards."""
    sandbox = Sandbox(url="http://127.0.0.1:9")

    with requests.Session() as session:
        with sandbox.joined():
            session.post(f"{sandbox.url}/v2/app", json={})
        with pytest.raises(requests.ConnectionError):
            session.post(f"{sandbox.url}/v2/app", json={}, timeout=5)

    assert sandbox.count("app") == 1


def test_cookies_and_encoding(wepay_sandbox: Sandbox) -> None:
    """Headers mean to the client what they always do."""
    wepay_sandbox.answer_next("app", body="ä", headers={"Set-Cookie": "a=b; Path=/"})

    with requests.Session() as session:
        answer = session.post(f"{wepay_sandbox.url}/v2/app", json={})

    assert answer.text == "ä"
    assert answer.cookies["a"] == session.cookies["a"] == "b"


def test_two_users_at_once(anywhere: Sandbox) -> None:
    """Many threads are served at once, and each gets its own user's answer."""
    tokens = {anywhere.issue_token(user): user for user in (BILL, MARY)}

    def who(token: str) -> bool:
        headers = {"Authorization": f"Bearer {token}"}
        answer = requests.post(f"{anywhere.url}/v2/user", json={}, headers=headers)
        return bool(answer.json()["user_id"] == tokens[token])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(who, list(tokens) * 20))


def test_a_clock_of_ones_own() -> None:
    """A world may have any clock; then there is nothing to move."""
    sandbox = Sandbox(World(lambda: 1.0))

    sandbox.move_clock(5)

    assert sandbox.world.clock() == 1.0
    with pytest.raises(TypeError, match="can't be moved"):
        sandbox.clock.move(5)


def test_reset(sandbox: Sandbox, clock: Clock) -> None:
    """A reset begins everything anew: the world, the switches, the faults, the log, the time."""
    at_first = clock()
    sandbox.issue_token()
    sandbox.delete_user(BILL, shows_state=True)
    sandbox.hold("user")
    sandbox.authorize(authorize_url(sandbox))
    sandbox.answer_next("*", error_code=1008, times=None)
    sandbox.set_clock(5, frozen=True)
    sandbox.state_on_denial, sandbox.unreachable = False, True
    sandbox.world.throttled = sandbox.world.ipn_on_replacement = True
    sandbox.world.expires_in = 60

    sandbox.reset()

    fresh = World()
    assert sandbox.world.users == fresh.users
    assert not sandbox.world.tokens
    assert not sandbox.log
    assert sandbox.faults.take("user").answer is None
    assert sandbox.clock is clock
    assert (clock(), clock.frozen) == (at_first, False)
    assert (sandbox.state_on_denial, sandbox.unreachable) == (True, False)
    switches = ("throttled", "ipn_on_replacement", "expires_in", "shows_deleted_users")
    assert [getattr(sandbox.world, name) for name in switches] == [False, False, None, False]


def test_reset_of_another_world() -> None:
    """A reset makes a world as it was made, not the ready-made one."""
    production = Sandbox(World(lambda: 1.0, environment="production", ready_made=False))
    production.make_user("bill@example.com")

    production.reset()

    assert production.world.environment == "production"
    assert not production.world.users
    assert production.world.clock() == 1.0


def test_empty_world() -> None:
    """A world may begin with nothing."""
    world = World(ready_made=False)

    assert not world.applications
    assert not world.users


@pytest.mark.parametrize(
    "make",
    [
        lambda sandbox: sandbox.make_user("bill@example.com"),
        lambda sandbox: sandbox.make_user(user_id=BILL),
    ],
)
def test_make_user_twice(sandbox: Sandbox, make: Callable[[Sandbox], Any]) -> None:
    """Two users never share a mail address or an id."""
    with pytest.raises(ValueError, match="There is a user"):
        make(sandbox)
