"""A request that is open around others, as tests hold one, sees what they change at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_wepay import WePay, WePayClient, current_wepay
from flask_wepay.errors import NotAuthorized, TokenRevoked
from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import Sandbox

BILL = 100001


@pytest.fixture
def app(app: Flask) -> Flask:
    app.add_url_rule("/call", "call", lambda: current_wepay.call("user")["email"])
    app.add_url_rule("/leave", "leave", lambda: current_wepay.disconnect() or "")
    return app


@pytest.fixture
def alice(app: Flask, wepay: WePay) -> Iterator[WePayClient]:
    """Alice, looked up within a request that stays open, as pytest-flask and Flask-Testing do."""
    with app.test_request_context():
        alice = wepay.client_for("alice")
        assert not alice.authorized
        yield alice


def test_grant(
    alice: WePayClient, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A connection is there at once."""
    wepay_connect(client)

    assert alice.authorized
    assert alice.call("user")["email"] == "bill@example.com"


def test_disconnect(
    alice: WePayClient, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A disconnect is there at once, and nothing is sent after it."""
    wepay_connect(client)
    assert alice.authorized
    client.get("/leave")
    sent = wepay_sandbox.count("user")

    assert not alice.authorized
    with pytest.raises(NotAuthorized):
        alice.call("user")
    assert wepay_sandbox.count("user") == sent


def test_revoked(
    alice: WePayClient, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """What another request finds dead is known to be dead at once."""
    wepay_connect(client)
    assert alice.authorized
    wepay_sandbox.revoke(BILL)
    with pytest.raises(TokenRevoked):
        client.get("/call")

    assert not alice.authorized


def test_ipn(
    alice: WePayClient,
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    wepay_ipn: DeliverIPN,
) -> None:
    """What an IPN leads to is known at once."""
    wepay_connect(client)
    assert alice.authorized
    wepay_sandbox.revoke(BILL)
    assert wepay_ipn(client, BILL).status_code == 200

    assert not alice.authorized
