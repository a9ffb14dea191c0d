"""What the logger flask_wepay says of a call, and what no log says."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from authorizations import USER_ID
from flask.testing import FlaskClient
from servers import answer, answering, echo, free_port

from flask_wepay import WePayClient
from flask_wepay.errors import ConnectionFailed, OutcomeUnknown, WePayError


@pytest.fixture(autouse=True)
def everything(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Take in every logger's every line."""
    with caplog.at_level(logging.DEBUG):
        yield


def calls(caplog: pytest.LogCaptureFixture) -> list[Any]:
    """Give the lines about calls."""
    return [record for record in caplog.records if hasattr(record, "wepay_call")]


def test_one_line_per_call(alice: WePayClient, caplog: pytest.LogCaptureFixture) -> None:
    """A call is one INFO line, with its details as fields of the record too."""
    caplog.clear()

    alice.call("user")

    (record,) = calls(caplog)
    assert (record.name, record.levelno) == ("flask_wepay", logging.INFO)
    assert record.getMessage() == (
        f"user status=200 error_code=None ms={record.wepay_milliseconds} owner=alice error=None"
    )
    assert (record.wepay_call, record.wepay_status, record.wepay_owner) == ("user", 200, "alice")
    assert (record.wepay_error_code, record.wepay_error) == (None, None)
    assert 0 <= record.wepay_milliseconds < 60_000


def test_a_refusal_is_logged(
    alice: WePayClient, wepay_sandbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The line of a call that WePay refused says so."""
    caplog.clear()
    with pytest.raises(WePayError):
        alice.call("account/create")

    (record,) = calls(caplog)
    assert (record.wepay_status, record.wepay_error_code) == (400, 1004)
    assert record.wepay_error == "InvalidRequest"


@pytest.mark.parametrize("kind", [OutcomeUnknown, ConnectionFailed])
def test_what_was_not_answered_is_logged(
    alice: WePayClient, wepay_sandbox: Any, caplog: pytest.LogCaptureFixture, kind: type[Exception]
) -> None:
    """A line tells a call that was not sent from one that may have been executed."""
    caplog.clear()
    wepay_sandbox.unreachable = kind is ConnectionFailed
    wepay_sandbox.drop_next("checkout/create")

    with pytest.raises(kind):
        alice.call("checkout/create")

    (record,) = calls(caplog)
    assert (record.wepay_status, record.wepay_error) == (None, kind.__name__)


def test_retries_are_one_line(
    alice: WePayClient, wepay_sandbox: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A look-up that was made three times is one line."""
    caplog.clear()
    wepay_sandbox.drop_next("user", times=2)

    alice.call("user")

    assert len(calls(caplog)) == 1


def test_a_batch_is_one_line(alice: WePayClient, caplog: pytest.LogCaptureFixture) -> None:
    """A batch is one line per request."""
    caplog.clear()

    alice.batch([("user", {})] * 3)

    assert [record.wepay_call for record in calls(caplog)] == ["batch/create"]


def test_no_log_has_a_secret(
    client: FlaskClient,
    wepay: Any,
    app: Any,
    wepay_sandbox: Any,
    wepay_connect: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A login, calls, a batch, errors and a revocation: no line at any level has a secret."""
    wepay_connect(client)
    with app.app_context():
        alice = wepay.client_for("alice")
        alice.call("user")
        alice.batch([("user", {})])
        wepay_sandbox.answer_next("user", status=500, times=3)
        wepay_sandbox.drop_next("checkout/create")
        wepay_sandbox.revoke(USER_ID)
        for call in ("user", "checkout/create", "account/find"):
            with pytest.raises(WePayError):
                alice.call(call)

    logged = written(caplog)
    world = wepay_sandbox.world
    secrets = [*world.tokens, *world.codes, wepay_sandbox.client_secret, app.secret_key]
    secrets += [
        exchange.arguments["state"]
        for exchange in wepay_sandbox.log
        if "state" in exchange.arguments
    ]
    assert len(secrets) >= 5
    assert not [secret for secret in secrets if secret in logged]


@pytest.mark.parametrize(
    "handle",
    [echo, answering(answer(b"<html>")), answering(answer({"error_code": 1003}, "400 Bad"))],
)
def test_no_line_of_a_real_connection_has_a_secret(
    client_of: Any, handle: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """urllib3's lines about connections have none either."""
    client = client_of(handle)
    for call in (lambda: client.call("user"), lambda: client.batch([("user", {})])):
        try:
            call()
        except WePayError:
            continue

    logged = written(caplog)
    assert "urllib3" in {record.name.partition(".")[0] for record in caplog.records}
    assert "STAGE_alice" not in logged
    assert "1a2b3c4d5e6f" not in logged


def test_no_line_of_a_failed_connection_has_a_secret(
    client_at: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """A proxy's password is not in the lines and errors of a connection that failed."""
    proxies = {"http": f"http://user:opensesame@127.0.0.1:{free_port()}"}
    client = client_at("http://127.0.0.1:9", WEPAY_PROXIES=proxies)

    with pytest.raises(ConnectionFailed) as caught:
        client.call("user")

    assert "opensesame" not in written(caplog)
    assert "opensesame" not in f"{caught.value}{caught.value!r}"


def written(caplog: pytest.LogCaptureFixture) -> str:
    """Give all that was logged, with tracebacks and extra fields."""
    formatter = logging.Formatter()
    lines = [formatter.format(record) + repr(vars(record)) for record in caplog.records]
    return "\n".join(lines)
