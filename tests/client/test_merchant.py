"""A merchant with a token of its own, WEPAY_ACCESS_TOKEN."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_wepay import WePay, current_wepay
from flask_wepay.errors import ConfigurationError, TokenInvalid, TokenRevoked


@pytest.fixture
def merchant(make_app: Any, wepay_sandbox: Any) -> Iterator[Flask]:
    """An application with a merchant's token, outside of a request."""
    app = make_app(WePay(), WEPAY_ACCESS_TOKEN=wepay_sandbox.issue_token(100001))
    with app.app_context():
        yield app


def test_the_merchants_token_is_used(merchant: Flask, wepay_sandbox: Any) -> None:
    """current_wepay acts as the merchant everywhere: in views, jobs and commands."""
    assert current_wepay.call("user")["user_id"] == 100001
    with merchant.test_request_context():
        assert current_wepay.call("user")["user_id"] == 100001
        assert current_wepay.authorized
    assert current_wepay.user_id is None
    assert len(wepay_sandbox.log) == 2


def test_a_merchants_batch(merchant: Flask) -> None:
    """A merchant's batch works where the application's credentials are known."""
    assert [user["user_id"] for user in current_wepay.batch([("user", {})] * 2)] == [100001] * 2


def test_a_batch_without_credentials(make_app: Any, wepay_sandbox: Any) -> None:
    """Without the credentials that WePay wants of a batch it is refused, and says why."""
    app = make_app(WePay(), WEPAY_ENVIRONMENT="stage", WEPAY_ACCESS_TOKEN="STAGE_x")

    with (
        app.app_context(),
        pytest.raises(ConfigurationError, match="'WEPAY_CLIENT_ID' and 'WEPAY_CLIENT_SECRET'"),
    ):
        current_wepay.batch([("user", {})])


def test_there_are_no_owners(merchant: Flask, wepay_sandbox: Any) -> None:
    """With a merchant's token nobody else can be acted for."""
    wepay: WePay = merchant.extensions["test"]["wepay"]

    with pytest.raises(ConfigurationError, match="can't act for owners"):
        wepay.client_for("alice")
    with pytest.raises(ConfigurationError, match="can't act for owners"):
        wepay.batch([("alice", "user", {})])
    assert len(wepay_sandbox.log) == 0


@pytest.mark.parametrize("path", ["/wepay/login", "/wepay/callback?code=a&state=b"])
def test_there_is_no_login(merchant: Flask, path: str) -> None:
    """Login and callback answer 404."""
    client: FlaskClient = merchant.test_client()

    assert client.get(path).status_code == 404


def test_a_merchants_token_that_is_revoked(merchant: Flask, wepay_sandbox: Any) -> None:
    """The error says which setting to change, and the next call asks WePay again."""
    wepay_sandbox.revoke(100001)

    for _ in range(2):
        with pytest.raises(TokenRevoked, match="'WEPAY_ACCESS_TOKEN'"):
            current_wepay.call("user")

    assert wepay_sandbox.count("user") == 2


def test_a_merchants_token_that_is_unknown(merchant: Flask, wepay_sandbox: Any) -> None:
    """1006 hints at the environment, as for everybody."""
    wepay_sandbox.answer_next("user", error_code=1006)

    with pytest.raises(TokenInvalid, match="'WEPAY_ENVIRONMENT'"):
        current_wepay.call("user")


def test_a_merchant_can_not_disconnect(merchant: Flask) -> None:
    """What is a setting is not forgotten by a call."""
    with pytest.raises(ConfigurationError, match="'WEPAY_ACCESS_TOKEN' is set"):
        current_wepay.disconnect()


def test_a_platform_with_a_merchants_token(make_app: Any) -> None:
    """WEPAY_ACCESS_TOKEN beside a token model stops the application: it may be a stray variable."""
    with pytest.raises(ConfigurationError, match="must not act as itself"):
        make_app(WEPAY_ACCESS_TOKEN="STAGE_x")
