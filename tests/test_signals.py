"""Signals tell what happened, once and after the commit, and undo nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_wepay import WePay, signals
from flask_wepay.errors import TokenRevoked
from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import Sandbox

MakeApp = Callable[..., Flask]
Rows = Callable[[], list[Any]]
Told = list[tuple[str, dict[str, Any]]]

ALL = (
    signals.wepay_authorized,
    signals.wepay_denied,
    signals.wepay_token_revoked,
    signals.wepay_user_deleted,
    signals.wepay_ipn_received,
)


@pytest.fixture
def told(app: Flask) -> Iterator[Told]:
    """Every signal that the application sent, by name and arguments."""
    heard: Told = []

    def listen(name: str) -> Callable[..., None]:
        def receive(sender: Flask, **facts: Any) -> None:
            assert sender is app
            heard.append((name, facts))

        return receive

    with ExitStack() as stack:
        for signal in ALL:
            stack.enter_context(signal.connected_to(listen(signal.name)))
        yield heard


def test_authorized(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, rows: Rows, told: Told
) -> None:
    """A connection is told of with its owner and WePay's user."""
    wepay_connect(client)

    assert told == [("wepay-authorized", {"owner": "alice", "user_id": rows()[0].user_id})]


def test_authorized_once(client: FlaskClient, wepay_sandbox: Sandbox, told: Told) -> None:
    """A reload of the callback, and a login that asks for nothing, tell nobody."""
    back = wepay_sandbox.authorize(client.get("/wepay/login").location)
    for _ in range(3):
        client.get(back)

    client.get("/wepay/login")

    assert [name for name, _ in told] == ["wepay-authorized"]


def test_after_the_commit(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, rows: Rows
) -> None:
    """A receiver finds the connection in the database, and can use it at once."""
    seen: list[Any] = []

    def receive(sender: Flask, owner: str, user_id: int) -> None:
        wepay: WePay = app.extensions["test"]["wepay"]
        seen.append((rows()[0].granted_at is not None, wepay.client_for(owner).call("user")))

    with signals.wepay_authorized.connected_to(receive, sender=app):
        wepay_connect(client)

    assert [(granted, user["state"]) for granted, user in seen] == [(True, "registered")]


def test_refused_exchange(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, told: Told
) -> None:
    """A login that brings no token is not told of."""
    wepay_sandbox.answer_next("oauth2/token", error_code=1012)

    wepay_connect(client)

    assert told == []


@pytest.mark.parametrize("shows_state", [True, False])
def test_deleted(
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    rows: Rows,
    told: Told,
    shows_state: bool,
) -> None:
    """That WePay deleted the user is told of instead of a revocation, once."""
    wepay_connect(client)
    told.clear()
    wepay_sandbox.delete_user(rows()[0].user_id, shows_state=shows_state)

    for _ in range(3):
        client.get("/wepay/login")

    facts = {"owner": "alice", "user_id": rows()[0].user_id}
    assert told == [("wepay-user-deleted", facts)]


def test_revoked(
    app: Flask,
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    rows: Rows,
    told: Told,
) -> None:
    """A revocation is told of when a call finds it out, once however many calls follow."""
    wepay_connect(client)
    told.clear()
    wepay_sandbox.revoke(rows()[0].user_id)

    with app.app_context():
        wepay_client = app.extensions["test"]["wepay"].client_for("alice")
        for _ in range(3):
            with pytest.raises(TokenRevoked):
                wepay_client.call("user")

    facts = {"owner": "alice", "user_id": rows()[0].user_id, "reason": "revoked"}
    assert told == [("wepay-token-revoked", facts)]


def test_disconnected(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, told: Told
) -> None:
    """A disconnect is the application's own doing, and is not told of."""
    wepay_connect(client)
    told.clear()

    with app.app_context():
        app.extensions["test"]["wepay"].client_for("alice").disconnect()

    assert told == []


def test_only_own_application(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A receiver of one application hears nothing of another."""
    heard: list[Flask] = []
    apps = make_app(), make_app()

    def receive(sender: Flask, **facts: Any) -> None:
        heard.append(sender)

    with signals.wepay_authorized.connected_to(receive, sender=apps[1]):
        for app in apps:
            client = app.test_client()
            client.get("/as/alice")
            wepay_connect(client)

    assert heard == [apps[1]]


def broken(sender: Flask, **facts: Any) -> None:
    raise ValueError("a bug in a receiver")


@pytest.mark.parametrize("deny", [True, False])
def test_receiver_that_raises(
    app: Flask,
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    told: Told,
    caplog: pytest.LogCaptureFixture,
    deny: bool,
) -> None:
    """A receiver that raises is logged, and neither undoes anything nor silences the others."""
    signal = signals.wepay_denied if deny else signals.wepay_authorized
    with signal.connected_to(broken, sender=app):
        answer = wepay_connect(client, deny=deny)

    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert answer.status_code == (403 if deny else 302)
    assert [name for name, _ in told] == [signal.name]
    assert record.getMessage().startswith(f"A receiver of {signal.name} raised")
    assert "ValueError: a bug in a receiver" in caplog.text
    assert client.get("/wepay/login?next=/x").location.startswith("/x") is not deny


def test_receiver_that_is_async(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """An async receiver runs to its end, as an async view does."""
    heard = []

    async def receive(sender: Flask, owner: str, user_id: int) -> None:
        heard.append(owner)

    with signals.wepay_authorized.connected_to(receive, sender=app):
        wepay_connect(client)

    assert heard == ["alice"]


def test_receiver_of_an_ipn_that_raises(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_ipn: DeliverIPN, wepay: WePay
) -> None:
    """Of an IPN about another object WePay is asked for another delivery."""
    with app.test_request_context():
        address = wepay.ipn_url()
    assert address is not None

    with signals.wepay_ipn_received.connected_to(broken, sender=app):
        failed = wepay_ipn(client, callback_uri=address, checkout_id=7)
    heard = wepay_ipn(client, callback_uri=address, checkout_id=7)

    assert (failed.status_code, heard.status_code) == (503, 200)


def test_ipn_of_another_object(
    app: Flask,
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_ipn: DeliverIPN,
    wepay: WePay,
    told: Told,
) -> None:
    """An IPN about another object is told of with its fields."""
    with app.test_request_context():
        address = wepay.ipn_url()

    wepay_ipn(client, callback_uri=address, checkout_id=7)

    assert told == [("wepay-ipn-received", {"fields": {"checkout_id": "7"}})]


def test_receiver_of_a_merchant_that_raises(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    """The same holds for a merchant with a token of its own, who has no client secret."""
    app = make_app(
        WePay(),
        owner_loader=False,
        WEPAY_ENVIRONMENT="stage",
        # WePay's older tokens have no prefix to know them by.
        WEPAY_ACCESS_TOKEN="0ldstyle4f9a77token",
        WEPAY_CALLBACK_URI="https://shop.example/wepay/ipn",
    )
    with app.test_request_context():
        address = app.extensions["test"]["wepay"].ipn_url()

    def broken(sender: Flask, fields: Any) -> None:
        raise ValueError("a bug with Token 0ldstyle4f9a77token")

    with signals.wepay_ipn_received.connected_to(broken, sender=app):
        answer = app.test_client().post(address, data={"checkout_id": "7"})

    assert answer.status_code == 503
    assert "ValueError: a bug with Token [redacted]" in caplog.text
    assert "0ldstyle4f9a77token" not in caplog.text
