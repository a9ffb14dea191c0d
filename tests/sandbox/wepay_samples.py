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
CARD = {
    "credit_card_id": 3322208138,
    "credit_card_name": "MasterCard xxxxxx4769",
    "state": "authorized",
    "user_name": "Bob Smith",
    "email": "test@example.com",
    "create_time": 1367958263,
    "input_source": "card_keyed",
    "virtual_terminal_mode": "none",
    "reference_id": "card-1",
    "expiration_month": 4,
    "expiration_year": 2030,
    "bin": "549619",
    "last_four": "4769",
    "backing_instrument_name": None,
}
CARD_STATE = {"credit_card_id": 3322208138, "state": "new"}
PREAPPROVAL = {
    "preapproval_id": 12345,
    "preapproval_uri": "https://www.wepay.com/api/preapproval/12345",
    "manage_uri": "https://www.wepay.com/api/preapproval/12345/manage",
    "account_id": 12345,
    "short_description": "A magazine",
    "long_description": "Of trees.",
    "currency": "USD",
    "amount": 20.0,
    "fee_payer": "payer",
    "state": "approved",
    "redirect_uri": "https://shop.example/thanks",
    "callback_uri": "https://shop.example/ipn",
    "app_fee": 1.0,
    "period": "monthly",
    "frequency": 1,
    "start_time": 1367958263,
    "end_time": 1367958263,
    "reference_id": "magazine-1",
    "shipping_address": None,
    "shipping_fee": 0.0,
    "tax": 0.0,
    "auto_recur": False,
    "payer_name": "Pat",
    "payer_email": "pat@example.com",
    "create_time": 1367958263,
    "next_due_time": 1367958263,
    "last_checkout_id": 67890,
    "last_checkout_time": 1367958263,
}
WITHDRAWAL = {
    "withdrawal_id": 54321,
    "account_id": 12345,
    "state": "started",
    "amount": 100.0,
    "currency": "USD",
    "type": "ach",
    "bank_data": {"name": "A bank", "account_last_four": "6789", "note": "Rent"},
    "check_data": None,
    "withdrawal_data": {
        "create_time": 1367958263,
        "capture_time": 1367958263,
        "redirect_uri": "https://shop.example/back",
        "callback_uri": "https://shop.example/ipn",
        "withdrawal_uri": "https://www.wepay.com/api/withdrawal/54321",
    },
    "in_review": False,
}
APP = {"client_id": 12345, "state": "active", "status": "approved", "api_version": "2019-04-03"}

#: Where an answer is known from, where no page of WePay's that shows it is left.
ACTIVE_MERCHANT = "github.com/activemerchant/active_merchant test/unit/gateways/wepay_test.rb"
JAVA_SDK = "github.com/wepay/WePay-Java-SDK src/main/java/com/wepay/model"
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
    "user/modify": Sample(f"{CALLS}/user", USER),
    "user/register": Sample(f"{CALLS}/user", TOKEN),
    "user/send_confirmation": Sample(f"{CALLS}/user", USER),
    "user/resend_confirmation": Sample(f"{CALLS}/user", USER),
    "app": Sample(f"{CALLS}/app", APP),
    "app/modify": Sample(f"{CALLS}/app", APP),
    "account": Sample("seen", ACCOUNT),
    "account/find": Sample("seen", [ACCOUNT]),
    "account/create": Sample("seen", ACCOUNT),
    "account/modify": Sample("seen", ACCOUNT),
    "account/delete": Sample(f"{CALLS}/account", {"account_id": 12345, "state": "deleted"}),
    "account/get_update_uri": Sample(
        f"{CALLS}/account", {"account_id": 12345, "uri": "https://www.wepay.com/account/12345"}
    ),
    "account/get_reserve_details": Sample(
        f"{JAVA_SDK}/data/AccountReserveData.java",
        {
            "account_id": 12345,
            "currency": "USD",
            "reserved_amount": 100.0,
            "withdrawals_schedule": [{"time": 1370112217, "amount": 100.0}],
        },
    ),
    "checkout": Sample(f"{CALLS}/checkout", CHECKOUT),
    "checkout/find": Sample(f"{CALLS}/checkout", [CHECKOUT]),
    "checkout/create": Sample(f"{CALLS}/checkout", CHECKOUT),
    "checkout/modify": Sample(f"{CALLS}/checkout", CHECKOUT),
    "checkout/capture": Sample(f"{CALLS}/checkout", CHECKOUT),
    "checkout/release": Sample(f"{CALLS}/checkout", CHECKOUT),
    "checkout/refund": Sample(f"{CALLS}/checkout", CHANGED),
    "checkout/cancel": Sample(f"{CALLS}/checkout", CHANGED),
    "credit_card": Sample(f"{CALLS}/credit_card", CARD),
    "credit_card/find": Sample(f"{CALLS}/credit_card", [CARD]),
    "credit_card/create": Sample(ACTIVE_MERCHANT, CARD_STATE),
    "credit_card/transfer": Sample(ACTIVE_MERCHANT, CARD_STATE),
    "credit_card/authorize": Sample(f"{CALLS}/credit_card", CARD),
    "credit_card/modify": Sample(f"{CALLS}/credit_card", CARD),
    "credit_card/delete": Sample(f"{CALLS}/credit_card", CARD_STATE),
    "preapproval": Sample(f"{JAVA_SDK}/Preapproval.java", PREAPPROVAL),
    "preapproval/find": Sample(f"{JAVA_SDK}/Preapproval.java", [PREAPPROVAL]),
    "preapproval/modify": Sample(f"{JAVA_SDK}/Preapproval.java", PREAPPROVAL),
    "preapproval/create": Sample(
        f"{CALLS}/preapproval",
        {name: PREAPPROVAL[name] for name in ("preapproval_id", "preapproval_uri")},
    ),
    "preapproval/cancel": Sample(
        f"{CALLS}/preapproval", {"preapproval_id": 12345, "state": "cancelled"}
    ),
    "withdrawal": Sample(f"{CALLS}/withdrawal", WITHDRAWAL),
    "withdrawal/find": Sample(f"{CALLS}/withdrawal", [WITHDRAWAL]),
    "withdrawal/modify": Sample(f"{CALLS}/withdrawal", WITHDRAWAL),
    "withdrawal/create": Sample(
        f"{JAVA_SDK}/Withdrawal.java",
        {"withdrawal_id": 54321, "withdrawal_uri": "https://www.wepay.com/api/withdrawal/54321"},
    ),
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
