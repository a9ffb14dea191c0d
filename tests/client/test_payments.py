"""Payments: sent once, and every doubt about one is said."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest
from authorizations import hooked
from flask import Flask
from servers import Connection, RawServer, answer, server_context

from flask_wepay import WePayClient
from flask_wepay.errors import ConnectionFailed, OutcomeUnknown

#: Tracing every line would cost half the time, and other tests cover the same ones.
pytestmark = pytest.mark.no_cover

PAYMENTS, THREADS = 2_000, 8


@dataclass
class Unreliable(RawServer):
    """A WePay that ends some connections in the handshake, and a tenth before or after the work."""

    arrived: Counter[str] = field(default_factory=Counter)
    executed: Counter[str] = field(default_factory=Counter)

    def _serve(self, sock: socket.socket) -> None:
        if self.connections % 10 in (1, 2, 3):
            sock.close()
        else:
            super()._serve(sock)

    def _hand_over(self, sock: socket.socket) -> None:
        connection = Connection(self, sock)
        while (request := connection.read()) is not None:
            unique_id = request.json["unique_id"]
            self.arrived[unique_id] += 1
            if int(unique_id) % 20 == 0:
                return
            self.executed[unique_id] += 1
            if int(unique_id) % 20 == 1:
                return
            connection.send(answer({"checkout_id": int(unique_id)}))


def test_2000_payments_over_bad_connections(make_app: Any, authority: Any, ca_bundle: str) -> None:
    """None is sent twice, each lost one is OutcomeUnknown, and none that arrived "not sent"."""
    outcomes: dict[str, Any] = {}
    with Unreliable(context=server_context(authority, "127.0.0.1")) as server:
        app: Flask = make_app(
            wepay := hooked(),
            WEPAY_SANDBOX_URL=server.url,
            WEPAY_CA_BUNDLE=ca_bundle,
            WEPAY_THROTTLE=None,
        )

        def pay(number: int) -> None:
            unique_id = str(number)
            with app.app_context():
                try:
                    outcomes[unique_id] = wepay.client_for("alice").call(
                        "checkout/create", unique_id=unique_id, amount=10
                    )
                except (ConnectionFailed, OutcomeUnknown) as error:
                    outcomes[unique_id] = error

        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(pay, range(PAYMENTS)))

    assert len(outcomes) == PAYMENTS
    assert set(server.arrived.values()) == {1}
    unsent = {key for key, value in outcomes.items() if isinstance(value, ConnectionFailed)}
    unknown = {key for key, value in outcomes.items() if isinstance(value, OutcomeUnknown)}
    paid = outcomes.keys() - unsent - unknown
    assert not unsent & server.arrived.keys()
    assert paid <= server.executed.keys()
    assert unknown == {key for key in server.arrived if int(key) % 20 in (0, 1)}
    assert all(outcomes[key].unique_id == key for key in unknown)
    assert all(outcomes[key] == {"checkout_id": int(key)} for key in paid)
    assert len(unknown) > PAYMENTS * 0.09


@pytest.fixture
def payment(alice: WePayClient, wepay_sandbox: Any) -> dict[str, Any]:
    """A payment to an account of alice's, with an id of our own."""
    account = alice.call("account/create", name="Shop", description="A shop")
    wepay_sandbox.verify_account(account["account_id"])
    return {
        "account_id": account["account_id"],
        "short_description": "A book",
        "type": "goods",
        "amount": 25.5,
        "currency": "USD",
        "unique_id": "order-7",
    }


@pytest.mark.parametrize("before", [True, False])
def test_a_lost_payment_is_repeated_with_its_unique_id(
    alice: WePayClient, payment: dict[str, Any], wepay_sandbox: Any, before: bool
) -> None:
    """A payment whose answer is lost is repeated by the caller, and made once all the same."""
    wepay_sandbox.drop_next("checkout/create", before=before)

    with pytest.raises(OutcomeUnknown) as caught:
        alice.call("checkout/create", **payment)
    assert (caught.value.unique_id, caught.value.call) == ("order-7", "checkout/create")
    alice.call("checkout/create", **payment)

    found = alice.call("checkout/find", account_id=payment["account_id"])
    assert [checkout["short_description"] for checkout in found] == ["A book"]
    assert wepay_sandbox.count("checkout/create") == 2


def test_a_payment_without_a_unique_id(alice: WePayClient, wepay_sandbox: Any) -> None:
    """Where the caller gave no unique_id there is none to repeat with."""
    wepay_sandbox.drop_next("checkout/create", before=False)

    with pytest.raises(OutcomeUnknown) as caught:
        alice.call("checkout/create", amount=10)

    assert caught.value.unique_id is None
    assert wepay_sandbox.count("checkout/create") == 1


def test_the_answer_of_another_payment_is_impossible(
    serve: Callable[..., RawServer], client_at: Any
) -> None:
    """After a call timed out, its late answer is not taken for the next call's."""

    def late(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            unique_id = request.json["unique_id"]
            if unique_id == "1":
                # Until the client has left, or, were the connection kept, sends its next call.
                connection.sock.recv(1, socket.MSG_PEEK)
            connection.send(answer({"unique_id": unique_id}))

    client = client_at(serve(late).url)

    with pytest.raises(OutcomeUnknown):
        client.call("checkout/create", unique_id="1", timeout=1)
    assert client.call("checkout/create", unique_id="2") == {"unique_id": "2"}
    assert client.call("checkout/create", unique_id="3") == {"unique_id": "3"}
