"""IPNs: when they are queued, delivered, tried again and given up."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Event
from urllib.parse import parse_qsl

import pytest
import requests_mock
from asking import BILL, CALLBACK_URI, MARY

from flask_wepay.sandbox import IPN, Clock, Sandbox
from flask_wepay.sandbox.server import LiveSandbox


@pytest.fixture
def ipn(sandbox: Sandbox, token: str) -> IPN:
    """Let Bill revoke, which queues one."""
    sandbox.revoke(BILL)
    return sandbox.ipns[0]


def refuse(address: str, fields: Mapping[str, str]) -> int:
    return 503


def test_revoke_queues_one(ipn: IPN) -> None:
    """A revoked token's address is told of the user, and of nothing else."""
    assert (ipn.callback_uri, ipn.fields) == (CALLBACK_URI, {"user_id": str(BILL)})
    assert ipn.state == "waiting"


def test_revoke_one_application(sandbox: Sandbox, token: str) -> None:
    """A user may revoke one application and keep the other."""
    sandbox.world.add_application(77, "secret")
    sandbox.issue_token(BILL, client_id=77, callback_uri="http://localhost/77")

    revoked = sandbox.revoke(BILL, client_id=77)

    assert [token.client_id for token in revoked] == [77]
    assert [ipn.callback_uri for ipn in sandbox.ipns] == ["http://localhost/77"]
    assert len(sandbox.tokens(BILL)) == 1


def test_nothing_to_revoke(sandbox: Sandbox) -> None:
    """Who has no tokens revokes nothing."""
    assert sandbox.revoke(MARY) == []
    assert sandbox.ipns == []


def test_delivery(sandbox: Sandbox, ipn: IPN) -> None:
    """A receiver that says 200 hears of it once."""
    seen: list[tuple[str, Mapping[str, str]]] = []

    def take(address: str, fields: Mapping[str, str]) -> int:
        seen.append((address, fields))
        return 200

    delivered = sandbox.deliver_ipns(take)

    assert delivered == [ipn]
    assert seen == [(CALLBACK_URI, {"user_id": str(BILL)})]
    assert ipn.state == "delivered"
    assert sandbox.deliver_ipns(take) == []


def test_retries(sandbox: Sandbox, clock: Clock, ipn: IPN) -> None:
    """Anything but 200 is tried again after 15 min, 30 min, 1 h, 6 h, 12 h and 24 h."""
    sandbox.deliver_ipns(refuse)

    for seconds in (900, 1800, 3600, 21600, 43200, 86400):
        assert ipn.state == "retrying"
        clock.move(seconds - 1)
        assert sandbox.deliver_ipns(refuse) == []
        clock.move(1)
        assert sandbox.deliver_ipns(refuse) == [ipn]

    assert ipn.state == "given up"
    assert len(ipn.attempts) == 7
    clock.move(10**6)
    assert sandbox.deliver_ipns(refuse) == []


@pytest.mark.parametrize("status", [201, 204, 302, 403, 500])
def test_only_200_is_good(sandbox: Sandbox, ipn: IPN, status: int) -> None:
    """Every other status is a failure, the friendly ones too."""
    sandbox.deliver_ipns(lambda address, fields: status)

    assert ipn.state == "retrying"
    assert ipn.attempts[0].problem == f"HTTP {status}"


def test_receiver_away(sandbox: Sandbox, ipn: IPN) -> None:
    """A receiver that can't be reached is a failure."""

    def away(address: str, fields: Mapping[str, str]) -> int:
        raise ConnectionRefusedError

    sandbox.deliver_ipns(away)

    assert ipn.attempts[0].status is None
    assert ipn.attempts[0].problem == "ConnectionRefusedError"


def test_over_http(sandbox: Sandbox, ipn: IPN) -> None:
    """An IPN is a form, posted to the address with its query; no redirect is followed."""
    with requests_mock.Mocker() as mocker:
        mocker.post(CALLBACK_URI, status_code=302, headers={"Location": "http://localhost/"})
        sandbox.deliver_ipns()

    (sent,) = mocker.request_history
    assert sent.url == CALLBACK_URI
    assert parse_qsl(sent.text) == [("user_id", str(BILL))]
    assert sent.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert ipn.attempts[0].status == 302


def test_replay(sandbox: Sandbox, ipn: IPN) -> None:
    """An IPN can come a second time."""
    sandbox.deliver_ipns(lambda address, fields: 200)

    copy = sandbox.world.ipns.replay(ipn)

    assert (copy.callback_uri, copy.fields) == (ipn.callback_uri, ipn.fields)
    assert sandbox.world.ipns.due() == [copy]
    assert sandbox.world.ipns.get(copy.ipn_id) is copy


def test_unknown_ipn(sandbox: Sandbox) -> None:
    """An IPN that there is not can't be found."""
    with pytest.raises(LookupError, match="no IPN 1"):
        sandbox.world.ipns.get(1)


def test_sandbox_that_delivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that runs by itself delivers by itself."""
    monkeypatch.setattr("flask_wepay.sandbox.server.DELIVERY_PAUSE", 0.01)
    heard = Event()

    def take(address: str, fields: Mapping[str, str]) -> int:
        heard.set()
        return 200

    monkeypatch.setattr("flask_wepay.sandbox.ipns.post_over_http", take)

    with LiveSandbox(delivers=True) as sandbox:
        sandbox.issue_token(BILL, callback_uri=CALLBACK_URI)
        sandbox.revoke(BILL)
        assert heard.wait(10)
