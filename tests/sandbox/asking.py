"""What an application says to WePay, good unless a test makes it bad."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from werkzeug.test import TestResponse

from flask_wepay.sandbox import Sandbox

CREDENTIALS = {"client_id": 12345, "client_secret": "1a2b3c4d5e6f"}
REDIRECT_URI = "http://localhost:8000/wepay/callback"
SCOPE = "manage_accounts,collect_payments,view_user,preapprove_payments,send_money"
CALLBACK_URI = "http://localhost:8000/wepay/ipn?sig=1"

#: The arguments of /user/register.
REGISTRATION = {
    **CREDENTIALS,
    "email": "pen@example.com",
    "scope": SCOPE,
    "first_name": "Pen",
    "last_name": "Ding",
    "original_ip": "192.0.2.1",
    "original_device": "Mozilla/5.0",
}

#: The arguments of /credit_card/create; the number is one that WePay gave for tests.
CARD = {
    "client_id": 12345,
    "user_name": "Pat Payer",
    "email": "pat@example.com",
    "cc_number": "5496198584584769",
    "cvv": "123",
    "expiration_month": 9,
    "expiration_year": 2030,
    "address": {"country": "US", "postal_code": "94025"},
}

#: The ready-made users.
BILL, MARY = 100001, 100002

Call = Callable[..., TestResponse]
Donate = Callable[..., Any]


def authorize_url(sandbox: Sandbox, **changes: Any) -> str:
    """Give a good authorize address, with arguments changed, or left out by None."""
    arguments = {
        "client_id": 12345,
        "redirect_uri": REDIRECT_URI,
        "scope": SCOPE,
        "state": "opaque",
    }
    given = {name: value for name, value in (arguments | changes).items() if value is not None}
    return f"{sandbox.url}/v2/oauth2/authorize?{urlencode(given)}"


def exchange(sandbox: Sandbox, code: str, **changes: Any) -> TestResponse:
    """Make the token call, with arguments changed, or left out by None."""
    arguments = {**CREDENTIALS, "redirect_uri": REDIRECT_URI, "code": code} | changes
    given = {name: value for name, value in arguments.items() if value is not None}
    return sandbox.app.test_client().post("/v2/oauth2/token", json=given)


def problem(answer: TestResponse) -> tuple[int, int]:
    """Give the HTTP status and the error_code of a refusal."""
    return answer.status_code, answer.json["error_code"]
