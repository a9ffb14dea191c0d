"""The sandbox's answers have the fields and types of WePay's."""

from __future__ import annotations

from typing import Any

import pytest
from asking import CALLBACK_URI, CARD, CREDENTIALS, REDIRECT_URI, REGISTRATION, Call, exchange
from wepay_samples import SAMPLES, differences

from flask_wepay.sandbox import Sandbox
from flask_wepay.sandbox.calls import CALLS


@pytest.fixture
def answers(sandbox: Sandbox, call: Call) -> dict[str, Any]:
    """Connect, take a donation and give it back, with every field filled that can be."""
    token = exchange(sandbox, sandbox.issue_code(REDIRECT_URI), callback_uri=CALLBACK_URI).json

    def ask(name: str, /, **arguments: Any) -> Any:
        return call(name, token["access_token"], **arguments).json

    account = {
        "name": "Garden",
        "description": "Seeds",
        "reference_id": "garden-1",
        "image_uri": "https://shop.example/garden.png",
        "gaq_domains": ["UA-1"],
        "callback_uri": CALLBACK_URI,
    }
    account_id = ask("account/create", **account)["account_id"]
    payment = {
        "account_id": account_id,
        "short_description": "A bench",
        "long_description": "Of oak.",
        "type": "donation",
        "amount": 20,
        "currency": "USD",
        "delivery_type": "none",
        "reference_id": "bench-1",
        "callback_uri": CALLBACK_URI,
        "hosted_checkout": {"redirect_uri": "https://shop.example/thanks"},
    }
    created = ask("checkout/create", **payment)
    cancelled, refunded, captured = [
        ask("checkout/create", **payment)["checkout_id"] for _ in range(3)
    ]
    held = ask("checkout/create", **payment, auto_release=False)["checkout_id"]
    sandbox.pay(refunded, state="captured")
    sandbox.pay(captured)
    sandbox.pay(held, state="captured")
    registered = call("user/register", None, **REGISTRATION).json
    made = call("credit_card/create", None, **CARD, reference_id="card-1").json
    card = {**CREDENTIALS, "credit_card_id": made["credit_card_id"]}
    consent = {
        "account_id": account_id,
        "short_description": "A magazine",
        "long_description": "Of trees.",
        "period": "monthly",
        "amount": 20,
        "app_fee": 1,
        "shipping_fee": 0,
        "reference_id": "magazine-1",
        "redirect_uri": "https://shop.example/thanks",
        "callback_uri": CALLBACK_URI,
        "end_time": 2_000_000_000,
        "payment_method_id": made["credit_card_id"],
        "payment_method_type": "credit_card",
    }
    agreed = ask("preapproval/create", **consent)
    agreement = {"preapproval_id": agreed["preapproval_id"]}
    sandbox.verify_account(account_id)
    bank = {"redirect_uri": "https://shop.example/back", "callback_uri": CALLBACK_URI}
    withdrawn = ask("withdrawal/create", account_id=account_id, note="Rent", **bank)
    withdrawal = {"withdrawal_id": withdrawn["withdrawal_id"]}
    secret = CREDENTIALS["client_secret"]
    other = {name: text for name, text in account.items() if name != "reference_id"}
    member = {"call": "/user", "authorization": token["access_token"], "reference_id": "1"}
    answers = {
        "oauth2/token": token,
        "user": ask("user"),
        "user/modify": ask("user/modify", callback_uri=CALLBACK_URI),
        "user/register": registered,
        "app": call("app", None, **CREDENTIALS).json,
        "app/modify": call("app/modify", None, **CREDENTIALS).json,
        "account": ask("account", account_id=account_id),
        "account/create": ask("account/create", **other, reference_id="r"),
        "account/find": ask("account/find"),
        "account/modify": ask("account/modify", account_id=account_id, name="Park"),
        "account/get_update_uri": ask("account/get_update_uri", account_id=account_id),
        "account/get_reserve_details": ask("account/get_reserve_details", account_id=account_id),
        "account/delete": ask(
            "account/delete", account_id=ask("account/create", **other)["account_id"]
        ),
        "checkout/create": created,
        "checkout/capture": ask("checkout/capture", checkout_id=captured),
        "checkout/release": ask("checkout/release", checkout_id=held),
        "checkout/modify": ask("checkout/modify", checkout_id=captured),
        "checkout/refund": ask("checkout/refund", checkout_id=refunded, refund_reason="Rain"),
        "checkout/cancel": ask("checkout/cancel", checkout_id=cancelled, cancel_reason="Sun"),
        "checkout": ask("checkout", checkout_id=refunded),
        "checkout/find": ask("checkout/find", account_id=account_id),
        "credit_card/create": made,
        "credit_card": call("credit_card", None, **card).json,
        "credit_card/find": call("credit_card/find", None, **CREDENTIALS).json,
        "credit_card/modify": call("credit_card/modify", None, **card).json,
        "credit_card/authorize": call("credit_card/authorize", None, **card).json,
        "credit_card/delete": call("credit_card/delete", None, **card).json,
        "credit_card/transfer": call(
            "credit_card/transfer",
            None,
            **{name: value for name, value in CARD.items() if name != "cvv"},
            client_secret=secret,
        ).json,
        "preapproval/create": agreed,
        "preapproval": ask("preapproval", **agreement),
        "preapproval/find": ask("preapproval/find"),
        "preapproval/modify": ask("preapproval/modify", **agreement),
        "preapproval/cancel": ask("preapproval/cancel", **agreement),
        "withdrawal/create": withdrawn,
        "withdrawal": ask("withdrawal", **withdrawal),
        "withdrawal/find": ask("withdrawal/find", account_id=account_id),
        "withdrawal/modify": ask("withdrawal/modify", **withdrawal),
        "batch/create": call("batch/create", None, **CREDENTIALS, calls=[member]).json,
        "error": ask("account"),
    }
    for name in ("user/send_confirmation", "user/resend_confirmation"):
        answers[name] = call(name, registered["access_token"]).json
    sandbox.world.applications[12345].api_version = "2016-08-10"
    return {**answers, "error before 2018-08-29": ask("account")}


@pytest.mark.parametrize("name", SAMPLES)
def test_answer_is_like_the_sample(name: str, answers: dict[str, Any]) -> None:
    """Each answer has the fields of its sample, no others, and their types."""
    assert list(differences(SAMPLES[name].answer, answers[name])) == []


def test_every_answer_has_a_sample() -> None:
    """No call's answer goes uncompared."""
    assert CALLS.keys() - SAMPLES.keys() == set()


@pytest.mark.parametrize(
    ("answer", "difference"),
    [
        ({"id": 1, "amount": 2, "names": []}, None),
        ({"id": None, "amount": None, "names": None}, None),
        ({"id": 1, "amount": 2.5}, "answer.names is missing"),
        ({"id": 1, "amount": 2.5, "names": [], "more": 1}, "answer.more is not in the sample"),
        ({"id": "1", "amount": 2.5, "names": []}, "answer.id is '1', not as 7"),
        ({"id": 1.0, "amount": 2.5, "names": []}, "answer.id is 1.0, not as 7"),
        ({"id": 1, "amount": True, "names": []}, "answer.amount is True, not as 1.5"),
        ({"id": 1, "amount": 2.5, "names": ["a", 1]}, "answer.names[] is 1, not as 'x'"),
        ([], "answer is [], not as {'id': 7, 'amount': 1.5, 'names': ['x']}"),
    ],
)
def test_differences(answer: Any, difference: str | None) -> None:
    """A field that is missing, made up or of another type does not go unseen."""
    sample = {"id": 7, "amount": 1.5, "names": ["x"]}

    assert list(differences(sample, answer)) == ([difference] if difference else [])
