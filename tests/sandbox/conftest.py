"""A sandbox whose clock stands still, and a user's calls to it."""

from __future__ import annotations

from typing import Any

import pytest
from asking import BILL, CALLBACK_URI, Call, Donate
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_wepay.sandbox import Clock, Sandbox, World


@pytest.fixture
def clock() -> Clock:
    """Give a clock that stands still until it is moved."""
    return Clock(lambda: 1_700_000_000.0)


@pytest.fixture
def sandbox(clock: Clock) -> Sandbox:
    return Sandbox(World(clock))


@pytest.fixture
def browser(sandbox: Sandbox) -> FlaskClient:
    return sandbox.app.test_client()


@pytest.fixture
def token(sandbox: Sandbox) -> str:
    return sandbox.issue_token(BILL, callback_uri=CALLBACK_URI)


@pytest.fixture
def call(sandbox: Sandbox, token: str) -> Call:
    """Make calls as Bill: ``call("user")``, ``call("account", account_id=1)``."""
    client = sandbox.app.test_client()

    def post(name: str, _token: str | None = token, /, **arguments: Any) -> TestResponse:
        headers = {} if _token is None else {"Authorization": f"Bearer {_token}"}
        return client.post(f"/v2/{name}", json=arguments, headers=headers)

    return post


@pytest.fixture
def account_id(call: Call) -> int:
    answer = call("account/create", name="Garden", description="Seeds")
    return int(answer.json["account_id"])


@pytest.fixture
def donate(call: Call, account_id: int) -> Donate:
    """Begin a donation of a dollar, and give the checkout; further arguments are keywords."""

    def create(**arguments: Any) -> Any:
        return call(
            "checkout/create",
            account_id=account_id,
            short_description="A bench",
            type="donation",
            amount=1,
            currency="USD",
            **arguments,
        ).json

    return create
