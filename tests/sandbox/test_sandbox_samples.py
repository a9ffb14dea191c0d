"""The sandbox's answers have the fields and types of WePay's."""

from __future__ import annotations

from typing import Any

import pytest
from asking import CALLBACK_URI, CREDENTIALS, REDIRECT_URI, REGISTRATION, Call, exchange
from wepay_samples import SAMPLES, differences

from flask_wepay.sandbox import Sandbox


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
    cancelled, refunded = [ask("checkout/create", **payment)["checkout_id"] for _ in range(2)]
    sandbox.pay(refunded, state="captured")
    member = {"call": "/user", "authorization": token["access_token"], "reference_id": "1"}
    answers = {
        "oauth2/token": token,
        "user": ask("user"),
        "user/register": call("user/register", None, **REGISTRATION).json,
        "app": call("app", None, **CREDENTIALS).json,
        "account": ask("account", account_id=account_id),
        "account/find": ask("account/find"),
        "checkout/refund": ask("checkout/refund", checkout_id=refunded, refund_reason="Rain"),
        "checkout/cancel": ask("checkout/cancel", checkout_id=cancelled, cancel_reason="Sun"),
        "checkout": ask("checkout", checkout_id=refunded),
        "checkout/find": ask("checkout/find", account_id=account_id),
        "batch/create": call("batch/create", None, **CREDENTIALS, calls=[member]).json,
        "error": ask("account"),
    }
    sandbox.world.applications[12345].api_version = "2016-08-10"
    return {**answers, "error before 2018-08-29": ask("account")}


@pytest.mark.parametrize("name", SAMPLES)
def test_answer_is_like_the_sample(name: str, answers: dict[str, Any]) -> None:
    """Each answer has the fields of its sample, no others, and their types."""
    assert list(differences(SAMPLES[name].answer, answers[name])) == []


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
