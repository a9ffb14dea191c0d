"""Which calls are made again, how often, and when a call waits for its turn."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from authorizations import overlapping_logins
from flask import Flask
from servers import Connection, answer, answering

from flask_wepay import WePay, WePayClient
from flask_wepay.api.calls import LOOKUPS_REPEATED
from flask_wepay.errors import (
    APIError,
    ConnectionFailed,
    OutcomeUnknown,
    ServerError,
    Throttled,
)

#: Calls that change something, or may.
ACTING = [
    "account/create",
    "account/modify",
    "app/modify",
    "batch/create",
    "checkout/cancel",
    "checkout/capture",
    "checkout/create",
    "checkout/refund",
    "credit_card/create",
    "preapproval/create",
    "subscription/create",
    "user/modify",
    "user/register",
    "user/send_confirmation",
    "withdrawal/create",
    "some/unknown_call",
]


@pytest.fixture
def config() -> dict[str, Any]:
    """No budget, so that it is tries alone that are counted."""
    return {"WEPAY_THROTTLE": None}


def test_the_documented_look_ups_are_repeated() -> None:
    """The list is short, and all of it are calls that change nothing."""
    assert {"user", "app", "account", "account/find", "checkout", "checkout/find"} <= set(
        LOOKUPS_REPEATED
    )
    assert not LOOKUPS_REPEATED & set(ACTING)
    verbs = {name.split("/")[1] for name in LOOKUPS_REPEATED if "/" in name}
    assert verbs == {"find", "get_reserve_details", "get_update_uri"}


def test_a_look_up_that_is_lost_is_made_again(
    alice: WePayClient, wepay_sandbox: Any, slept: list[float]
) -> None:
    """A look-up whose answer is lost twice is made three times, and its answer returned."""
    for call in LOOKUPS_REPEATED:
        wepay_sandbox.drop_next(call, times=2)
        wepay_sandbox.answer_next(call, body={"found": call})

        assert alice.call(call) == {"found": call}

    assert {call: wepay_sandbox.count(call) for call in LOOKUPS_REPEATED} == dict.fromkeys(
        LOOKUPS_REPEATED, 3
    )
    assert len(slept) == 2 * len(LOOKUPS_REPEATED)
    assert all(0 <= seconds <= 0.5 for seconds in slept)


@pytest.mark.parametrize("before", [True, False])
def test_a_look_up_is_made_three_times_at_most(
    alice: WePayClient, wepay_sandbox: Any, before: bool
) -> None:
    """After the third loss the error is raised."""
    wepay_sandbox.drop_next("user", before=before, times=5)

    with pytest.raises(OutcomeUnknown):
        alice.call("user")

    assert wepay_sandbox.count("user") == 3


@pytest.mark.parametrize(
    "fault",
    [{"status": 500}, {"status": 502, "body": "<html>"}, {"status": 503}, {"error_code": 1008}],
)
def test_a_look_up_is_repeated_after_a_fault_of_wepays(
    alice: WePayClient, wepay_sandbox: Any, fault: dict[str, Any]
) -> None:
    """So it is after a 5xx and after 1008."""
    wepay_sandbox.answer_next("user", times=2, **fault)

    assert alice.call("user")["email"] == "bill@example.com"
    assert wepay_sandbox.count("user") == 3

    wepay_sandbox.answer_next("user", times=3, **fault)
    with pytest.raises(ServerError):
        alice.call("user")
    assert wepay_sandbox.count("user") == 6


@pytest.mark.parametrize(
    "fault",
    [
        {"error_code": 1003},
        {"error_code": 1006},
        {"error_code": 1007},
        {"error_code": 1001, "status": 501},
        {"status": 404},
        {"status": 302, "headers": {"Location": "/v2/app"}},
        {"status": 200, "body": "<html>"},
        {"status": 204},
    ],
)
def test_a_look_up_that_was_answered_is_not_repeated(
    alice: WePayClient, wepay_sandbox: Any, fault: dict[str, Any], slept: list[float]
) -> None:
    """An answer, even an odd one, is the answer."""
    wepay_sandbox.answer_next("user", **fault)

    with pytest.raises((APIError, OutcomeUnknown)):
        alice.call("user")

    assert (wepay_sandbox.count("user"), slept) == (1, [])


@pytest.mark.parametrize("before", [True, False])
def test_no_other_call_is_sent_twice(
    alice: WePayClient, wepay_sandbox: Any, before: bool, slept: list[float]
) -> None:
    """A call that may have been executed is sent once, whatever becomes of it."""
    for call in ACTING:
        wepay_sandbox.drop_next(call, before=before)

        with pytest.raises(OutcomeUnknown):
            alice.call(call)

    assert {call: wepay_sandbox.count(call) for call in ACTING} == dict.fromkeys(ACTING, 1)
    assert slept == []


@pytest.mark.parametrize("fault", [{"status": 500}, {"error_code": 1008}, {"status": 503}])
def test_no_payment_is_repeated_after_a_fault_of_wepays(
    alice: WePayClient, wepay_sandbox: Any, fault: dict[str, Any]
) -> None:
    """Nor is it after a 5xx."""
    wepay_sandbox.answer_next("checkout/create", **fault)

    with pytest.raises(ServerError) as caught:
        alice.call("checkout/create", unique_id=7)

    assert wepay_sandbox.count("checkout/create") == 1
    assert caught.value.unique_id == "7"


@pytest.mark.parametrize("call", ["user", "checkout/create"])
def test_nothing_that_was_not_sent_is_lost(
    alice: WePayClient,
    wepay_sandbox: Any,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
) -> None:
    """Any call is tried again where nothing was sent, and sent once when WePay is back."""
    wepay_sandbox.unreachable = True
    wepay_sandbox.answer_next(call, body={"done": True})
    monkeypatch.setattr(
        time, "sleep", lambda seconds: vars(wepay_sandbox).update(unreachable=False)
    )

    assert alice.call(call) == {"done": True}
    assert wepay_sandbox.count(call) == 1


def test_wepay_away_is_tried_three_times(
    alice: WePayClient, wepay_sandbox: Any, slept: list[float]
) -> None:
    """While WePay stays away, a call fails after its third try."""
    wepay_sandbox.unreachable = True

    with pytest.raises(ConnectionFailed):
        alice.call("checkout/create")

    assert len(slept) == 2


def test_retries_have_jitter(alice: WePayClient, wepay_sandbox: Any, slept: list[float]) -> None:
    """Workers that failed together do not come back together."""
    wepay_sandbox.unreachable = True
    for _ in range(5):
        with pytest.raises(ConnectionFailed):
            alice.call("user")

    assert len(set(slept)) == 10


@pytest.mark.parametrize("call", ["user", "checkout/create"])
def test_retries_end_with_the_deadline(
    alice: WePayClient, wepay_sandbox: Any, slept: list[float], call: str
) -> None:
    """What would have hardly any time left is not tried again."""
    wepay_sandbox.unreachable = True

    with pytest.raises(ConnectionFailed):
        alice.call(call, timeout=0.4)

    assert slept == []


def test_nothing_is_sent_when_the_time_is_up(
    app: Flask, wepay: WePay, wepay_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payment whose first token was revoked at the last moment is not sent with the next."""
    overlapping_logins(app, "alice", "STAGE_1", "STAGE_2")
    wepay_sandbox.answer_next("checkout/create", error_code=1011)
    now = [time.monotonic()]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    wepay_sandbox.app.wsgi_app = late(wepay_sandbox.app.wsgi_app, now)

    with app.app_context(), pytest.raises(ConnectionFailed, match="no time left"):
        wepay.client_for("alice").call("checkout/create", timeout=5)

    assert wepay_sandbox.count("checkout/create") == 1


def late(wsgi_app: Any, now: list[float]) -> Any:
    """Let ten seconds pass in each request."""

    def pass_on(environ: Any, start_response: Any) -> Any:
        now[0] += 10
        return wsgi_app(environ, start_response)

    return pass_on


def test_no_try_after_the_deadline(serve: Any, client_at: Any, slept: list[float]) -> None:
    """A look-up that hung until the deadline is not made again."""
    arrived = threading.Event()

    def silent(connection: Connection) -> None:
        connection.read()
        arrived.set()
        connection.server.stopped.wait()

    server = serve(silent)

    with pytest.raises(OutcomeUnknown):
        client_at(server.url).call("user", timeout=1)

    assert arrived.wait(10)
    assert (len(server.requests), slept) == (1, [])


def test_throttling_is_raised(alice: WePayClient, wepay_sandbox: Any, slept: list[float]) -> None:
    """1007 is raised at once, and says when to try again: WePay's window is ten seconds."""
    wepay_sandbox.answer_next("user", error_code=1007)

    with pytest.raises(Throttled) as caught:
        alice.call("user")

    assert (caught.value.retry_after, caught.value.error_code) == (10, 1007)
    assert (wepay_sandbox.count("user"), slept) == (1, [])


def test_throttling_can_be_waited_out(
    alice: WePayClient, wepay_sandbox: Any, slept: list[float]
) -> None:
    """With wait= a call that WePay throttled, which it did not execute, is made again in time."""
    wepay_sandbox.answer_next("checkout/create", error_code=1007, times=2)
    wepay_sandbox.answer_next("checkout/create", body={"checkout_id": 1})

    assert alice.call("checkout/create", wait=25) == {"checkout_id": 1}
    assert wepay_sandbox.count("checkout/create") == 3
    assert slept == [10, 10]


def test_waiting_ends(alice: WePayClient, wepay_sandbox: Any, slept: list[float]) -> None:
    """A call waits no longer than it may in all."""
    wepay_sandbox.answer_next("user", error_code=1007, times=3)

    with pytest.raises(Throttled):
        alice.call("user", wait=25)

    assert slept == [10, 10]


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("3", 3), ("0", 1), ("soon", 10), ("-5", 10), ("99999999", 10), (None, 10)],
)
def test_wepays_retry_after(client_of: Any, header: str | None, seconds: float) -> None:
    """A Retry-After in seconds is believed, should WePay ever send one."""
    headers = {} if header is None else {"Retry_After": header}
    refusal = answer({"error_code": 1007}, "429 Too Many Requests", **headers)

    with pytest.raises(Throttled) as caught:
        client_of(answering(refusal)).call("user")

    assert caught.value.retry_after == seconds
