"""Samples of WePay's answers, with their source: which fields there are, and of which types.

A value that is an integer in a sample is one in every answer; a float stands for any number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

CALLS = "https://developer.wepay.com/api/api-calls"
ERRORS = "https://developer.wepay.com/api/general/errors"


@dataclass(frozen=True)
class Sample:
    """An answer of WePay's."""

    #: The page that it is from, or "seen" for a real answer of which no page has all.
    source: str
    answer: Any


TOKEN = {
    "user_id": 54321,
    "access_token": "STAGE_ca8f2d",
    "token_type": "BEARER",
    "expires_in": 7776000,
}
USER = {
    "user_id": 54321,
    "user_name": "Bill Baker",
    "first_name": "Bill",
    "last_name": "Baker",
    "email": "bill@example.com",
    "state": "registered",
    "callback_uri": "https://shop.example/ipn",
}
ACCOUNT = {
    "account_id": 12345,
    "name": "Garden",
    "state": "action_required",
    "description": "Seeds",
    "owner_user_id": 54321,
    "reference_id": "garden-1",
    "type": "personal",
    "create_time": 1367958263,
    "disablement_time": 1367958263,
    "country": "US",
    "currencies": ["USD"],
    "action_reasons": ["bank_account", "kyc"],
    "disabled_reasons": ["fraud"],
    "image_uri": "https://shop.example/garden.png",
    "supported_card_types": ["visa"],
    "fee_schedule": [{"slot": 0, "description": "2.9% + $0.30", "currency": "USD"}],
    "support_contact_number": None,
    "support_phone_number": None,
    "gaq_domains": ["UA-1"],
    "callback_uri": "https://shop.example/ipn",
    "balances": [
        {
            "currency": "USD",
            "balance": 390.5,
            "incoming_pending_amount": 635.3,
            "outgoing_pending_amount": 210.0,
            "reserved_amount": 0.0,
            "disputed_amount": 0.0,
            "withdrawal_period": "daily",
            "withdrawal_type": "ach",
            "withdrawal_next_time": 1370112217,
            "withdrawal_bank_name": "A bank XXXXX3102",
        }
    ],
    "statuses": [
        {
            "currency": "USD",
            "incoming_payments_status": "ok",
            "outgoing_payments_status": "ok",
            "account_review_status": "pending",
        }
    ],
}
CHECKOUT = {
    "checkout_id": 67890,
    "account_id": 12345,
    "type": "donation",
    "short_description": "A bench",
    "currency": "USD",
    "amount": 20.0,
    "state": "authorized",
    "soft_descriptor": "WPY*Garden",
    "auto_release": True,
    "create_time": 1463589958,
    "gross": 20.88,
    "reference_id": "bench-1",
    "callback_uri": "https://shop.example/ipn",
    "long_description": "Of oak.",
    "delivery_type": "none",
    "initiated_by": "customer",
    "in_review": False,
    "fee": {"app_fee": 0.0, "processing_fee": 0.88, "fee_payer": "payer"},
    "chargeback": {"amount_charged_back": 0.0, "dispute_uri": "https://www.wepay.com/dispute"},
    "refund": {"amount_refunded": 0.0, "refund_reason": "Rain"},
    "payment_method": None,
    "hosted_checkout": {
        "checkout_uri": "https://www.wepay.com/api/checkout/67890",
        "redirect_uri": "https://shop.example/thanks",
    },
    "payer": {"name": "Pat", "email": "pat@example.com", "home_address": None},
    "npo_information": None,
    "payment_error": None,
}
CHANGED = {"checkout_id": 67890, "state": "refunded"}
OLD_ERROR = {
    "error": "invalid_request",
    "error_description": "invalid payment method",
    "error_code": 4003,
}
ERROR = {
    **OLD_ERROR,
    "details": [
        {
            "target": ["payment_method", "credit_card"],
            "target_type": "HTTP_REQUEST_BODY",
            "reason_code": "INVALID_CREDIT_CARD_NUMBER",
            "message": "Invalid credit card number",
        }
    ],
    "documentation_url": ERRORS,
}

SAMPLES = {
    "oauth2/token": Sample(f"{CALLS}/oauth2", TOKEN),
    "user": Sample(f"{CALLS}/user", USER),
    "user/register": Sample(f"{CALLS}/user", TOKEN),
    "app": Sample(
        f"{CALLS}/app",
        {"client_id": 12345, "state": "active", "status": "approved", "api_version": "2019-04-03"},
    ),
    "account": Sample("seen", ACCOUNT),
    "account/find": Sample("seen", [ACCOUNT]),
    "checkout": Sample(f"{CALLS}/checkout", CHECKOUT),
    "checkout/find": Sample(f"{CALLS}/checkout", [CHECKOUT]),
    "checkout/refund": Sample(f"{CALLS}/checkout", CHANGED),
    "checkout/cancel": Sample(f"{CALLS}/checkout", CHANGED),
    "batch/create": Sample(
        f"{CALLS}/batch",
        {"calls": [{"call": "/user", "reference_id": "1341351", "response": USER}]},
    ),
    "error": Sample(ERRORS, ERROR),
    "error before 2018-08-29": Sample(ERRORS, OLD_ERROR),
}


def differences(sample: Any, answer: Any, where: str = "answer") -> Iterator[str]:
    """Say where an answer has other fields than a sample, or other types; null is any type."""
    if isinstance(sample, dict) and isinstance(answer, dict):
        for name in sorted(sample.keys() ^ answer.keys()):
            yield f"{where}.{name} is {'missing' if name in sample else 'not in the sample'}"
        for name in sorted(sample.keys() & answer.keys()):
            yield from differences(sample[name], answer[name], f"{where}.{name}")
    elif isinstance(sample, list) and isinstance(answer, list):
        for item in answer:
            yield from differences(sample[0], item, f"{where}[]")
    elif None not in (sample, answer) and not _alike(sample, answer):
        yield f"{where} is {answer!r}, not as {sample!r}"


def _alike(sample: Any, answer: Any) -> bool:
    return type(answer) in ({int, float} if type(sample) is float else {type(sample)})
