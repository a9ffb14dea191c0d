"""WePay's own Python SDK against the sandbox: a client that nobody here wrote."""

from __future__ import annotations

import urllib
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import wepay
from asking import BILL, CREDENTIALS, REDIRECT_URI, REGISTRATION, SCOPE

from flask_wepay.sandbox import AuthorizeRefused, Sandbox


@pytest.fixture
def sdk(wepay_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the SDK after a login as Bill."""
    # It was written for Python 2, and is told where WePay is by two attributes.
    monkeypatch.setattr(urllib, "urlencode", urlencode, raising=False)
    sdk = wepay.WePay(production=False, api_version="2019-04-03")
    sdk.api_endpoint = sdk.browser_endpoint = f"{wepay_sandbox.url}/v2"
    url = sdk.get_authorization_url(REDIRECT_URI, 12345, {"state": "opaque"}, SCOPE)
    query = parse_qs(urlsplit(wepay_sandbox.authorize(url)).query)
    sdk.get_token(REDIRECT_URI, 12345, CREDENTIALS["client_secret"], query["code"][0])
    return sdk


def test_login(sdk: Any) -> None:
    """The SDK's login gives a token that works."""
    assert sdk.call("/user")["user_id"] == BILL


def test_scope_of_the_sdk_itself(sdk: Any, wepay_sandbox: Sandbox) -> None:
    """The SDK's own scope has a permission that WePay's documentation has not."""
    url = sdk.get_authorization_url(REDIRECT_URI, 12345)

    with pytest.raises(AuthorizeRefused, match="unknown permission: manage_subscriptions"):
        wepay_sandbox.authorize(url)


def test_failed_login(sdk: Any) -> None:
    """The SDK reads the sandbox's errors as WePay's."""
    with pytest.raises(wepay.exceptions.WePayError) as raised:
        sdk.get_token(REDIRECT_URI, 12345, CREDENTIALS["client_secret"], "unknown")

    assert raised.value.error_code == 1003


def test_users_and_apps(sdk: Any) -> None:
    """The calls about users and applications are answered."""
    modified = sdk.call("/user/modify", {"callback_uri": "https://shop.example/ipn"})
    registered = sdk.call("/user/register", REGISTRATION)
    confirmed = sdk.call("/user/send_confirmation", token=registered["access_token"])

    assert modified["callback_uri"] == "https://shop.example/ipn"
    assert confirmed["state"] == "pending"
    assert sdk.call("/app", CREDENTIALS)["state"] == "active"
    assert sdk.call("/app/modify", CREDENTIALS | {"gaq_domains": ["UA-1"]})["gaq_domains"]


def test_payments(sdk: Any, wepay_sandbox: Sandbox) -> None:
    """The calls about accounts and payments are answered."""
    account = sdk.call("/account/create", {"name": "Garden", "description": "Seeds"})
    account_id = {"account_id": account["account_id"]}
    sdk.call("/account/modify", {**account_id, "name": "Park"}, risk_token="1")
    payment = {
        **account_id,
        "short_description": "A bench",
        "type": "donation",
        "amount": 20,
        "currency": "USD",
        "unique_id": "bench-1",
        "callback_uri": "https://shop.example/ipn",
        "hosted_checkout": {"redirect_uri": "https://shop.example/thanks"},
    }
    paid = sdk.call("/checkout/create", payment)
    again = sdk.call("/checkout/create", payment)
    checkout_id = {"checkout_id": paid["checkout_id"]}
    back = wepay_sandbox.pay_at(paid["hosted_checkout"]["checkout_uri"])
    wepay_sandbox.pay(paid["checkout_id"], state="captured")

    refunded = sdk.call("/checkout/refund", {**checkout_id, "refund_reason": "Rain"})
    other = sdk.call("/checkout/create", payment | {"unique_id": "bench-2"})
    cancelled = sdk.call(
        "/checkout/cancel", {"checkout_id": other["checkout_id"], "cancel_reason": "Sun"}
    )

    assert again == paid
    assert back == f"https://shop.example/thanks?checkout_id={paid['checkout_id']}"
    assert {ipn.callback_uri for ipn in wepay_sandbox.ipns} == {"https://shop.example/ipn"}
    assert sdk.call("/account", account_id)["name"] == "Park"
    assert len(sdk.call("/account/find")) == 1
    assert (refunded["state"], cancelled["state"]) == ("refunded", "cancelled")
    assert sdk.call("/checkout", checkout_id)["refund"]["amount_refunded"] == 20
    assert len(sdk.call("/checkout/find", account_id)) == 2


def test_batch(sdk: Any) -> None:
    """A batch is answered."""
    calls = [{"call": "/user", "authorization": sdk.access_token, "reference_id": "1"}]

    answer = sdk.call("/batch/create", {**CREDENTIALS, "calls": calls})

    assert answer["calls"][0]["response"]["user_id"] == BILL
