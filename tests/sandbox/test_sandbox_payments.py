"""Accounts, checkouts and the page where somebody pays."""

from __future__ import annotations

from typing import Any

import pytest
from asking import BILL, CARD, MARY, Call, problem
from flask.testing import FlaskClient

from flask_wepay.sandbox import Clock, Sandbox

DONATION = {
    "short_description": "A bench",
    "type": "donation",
    "amount": 20.5,
    "currency": "USD",
}

# Accounts


def test_account_create(call: Call) -> None:
    """A new account has the fields that a real answer was seen to have."""
    answer = call("account/create", name="Garden", description="Seeds").json

    assert {name: type(value).__name__ for name, value in answer.items()} == {
        "account_id": "int",
        "name": "str",
        "state": "str",
        "description": "str",
        "owner_user_id": "int",
        "type": "str",
        "create_time": "int",
        "disablement_time": "NoneType",
        "country": "str",
        "currencies": "list",
        "action_reasons": "list",
        "disabled_reasons": "list",
        "image_uri": "NoneType",
        "supported_card_types": "list",
        "gaq_domains": "list",
        "fee_schedule": "list",
        "support_contact_number": "NoneType",
        "support_phone_number": "NoneType",
        "balances": "list",
        "statuses": "list",
    }
    assert (answer["state"], answer["owner_user_id"]) == ("action_required", BILL)


def test_account_look_up(call: Call, account_id: int) -> None:
    """An account can be looked up by its id."""
    assert call("account", account_id=account_id).json["name"] == "Garden"


@pytest.mark.parametrize("name", ["account", "account/modify"])
def test_foreign_account(sandbox: Sandbox, call: Call, account_id: int, name: str) -> None:
    """Other users' accounts are out of bounds, and so are those of other applications."""
    sandbox.world.add_application(77, "secret")
    strangers = [sandbox.issue_token(MARY), sandbox.issue_token(BILL, client_id=77)]

    for stranger in strangers:
        refused = call(name, stranger, account_id=account_id)
        assert problem(refused) == (401, 3002)
        assert refused.json["error"] == "access_denied"
    assert problem(call(name, account_id=4711)) == (400, 3001)


@pytest.mark.parametrize(
    ("state", "shown", "error_code"),
    [("disabled", "disabled", 3004), ("deleted", "deleted", 3003), ("pending", "pending", None)],
)
def test_account_states(
    sandbox: Sandbox, call: Call, account_id: int, state: Any, shown: str, error_code: int | None
) -> None:
    """An account can be taken out of business, which its address hears of."""
    call("account/modify", account_id=account_id, callback_uri="http://a/ipn")

    sandbox.change_account(account_id, state, reason="tos_violation")

    look = call("account", account_id=account_id).json
    assert look["state"] == shown
    assert look["disabled_reasons"] == (["tos_violation"] if state == "disabled" else [])
    assert (call("account/find").json == []) == (state == "deleted")
    assert sandbox.ipns[-1].fields == {"account_id": str(account_id)}
    payment = call("checkout/create", account_id=account_id, **DONATION).json
    assert payment.get("error_code") == error_code


def test_no_such_account_state(sandbox: Sandbox, account_id: int) -> None:
    """An account has WePay's states only."""
    with pytest.raises(ValueError, match="one of action_required, pending, active"):
        sandbox.change_account(account_id, "closed")  # type: ignore[arg-type]


def test_balances(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """An account's balances follow what is paid, released, given back and charged back."""

    def pay(amount: float, *states: str, **details: Any) -> int:
        arguments = {"account_id": account_id, **DONATION, "amount": amount, **details}
        checkout_id = int(call("checkout/create", **arguments).json["checkout_id"])
        for state in states:
            sandbox.pay(checkout_id, state=state)  # type: ignore[arg-type]
        return checkout_id

    pay(1)
    pay(2, "authorized")
    pay(4, "captured", fee={"fee_payer": "payee", "app_fee": 1})
    released = pay(8, "released")
    pay(16, "released", "charged back")
    pay(32, "failed")
    call("checkout/refund", checkout_id=released, amount=3, refund_reason="Rain")

    (balance,) = call("account", account_id=account_id).json["balances"]
    assert balance["balance"] == 5
    # 2 and 4, of which the payee bears 1 for the application and 0.42 for WePay.
    assert balance["incoming_pending_amount"] == 4.58
    assert balance["disputed_amount"] == 16


def test_account_find(call: Call, account_id: int) -> None:
    """Accounts are found by name and reference_id, newest first, as a bare array."""
    other = call("account/create", name="B", description="b", reference_id="r").json

    def found(**arguments: Any) -> list[int]:
        return [account["account_id"] for account in call("account/find", **arguments).json]

    assert found() == [other["account_id"], account_id]
    assert found(sort_order="ASC") == [account_id, other["account_id"]]
    assert found(name="Garden") == [account_id]
    assert found(reference_id="r") == [other["account_id"]]
    assert found(name="Nothing") == []


def test_account_modify(call: Call, account_id: int) -> None:
    """An account can be changed, and keeps what is not named."""
    call("account/modify", account_id=account_id, name="Park", image_uri="https://a.example/i")
    call("account/modify", account_id=account_id, reference_id="r", callback_uri="http://a/ipn")

    shown = call("account", account_id=account_id).json
    assert (shown["name"], shown["description"]) == ("Park", "Seeds")
    assert (shown["reference_id"], shown["image_uri"]) == ("r", "https://a.example/i")
    assert shown["callback_uri"] == "http://a/ipn"


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "My WePay shop"},
        {"name": "x" * 256},
        {"type": "company"},
        {"country": "DE"},
        {"currencies": "USD"},
        {"reference_id": "taken"},
        {"callback_uri": "localhost/ipn"},
        {"account_id": 1},
    ],
)
def test_account_create_refused(call: Call, arguments: dict[str, Any]) -> None:
    """What is documented of the arguments is checked."""
    call("account/create", name="A", description="a", reference_id="taken")

    answer = call("account/create", **({"name": "B", "description": "b"} | arguments))

    assert problem(answer) == (400, 1003)


def test_account_keeps_its_reference_id(call: Call, account_id: int) -> None:
    """An account may be given the reference_id that it has already."""
    call("account/modify", account_id=account_id, reference_id="r")

    again = call("account/modify", account_id=account_id, reference_id="r")

    assert again.status_code == 200


def test_verify_account(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A verified account is active, and its address hears of it."""
    call("account/modify", account_id=account_id, callback_uri="http://a/ipn")

    sandbox.verify_account(account_id)

    shown = call("account", account_id=account_id).json
    assert (shown["state"], shown["action_reasons"]) == ("active", [])
    assert sandbox.ipns[-1].fields == {"account_id": str(account_id)}


def test_verify_account_without_callback_uri(sandbox: Sandbox, account_id: int) -> None:
    """Without an address nobody hears of it."""
    sandbox.verify_account(account_id)

    assert sandbox.ipns == []


# Checkouts


def test_checkout_create(call: Call, account_id: int) -> None:
    """A new checkout has the documented fields and a page to pay on."""
    # https://developer.wepay.com/api/api-calls/checkout
    answer = call("checkout/create", account_id=account_id, **DONATION).json

    address = f"http://localhost/checkout/{answer['checkout_id']}"
    assert answer == {
        "checkout_id": answer["checkout_id"],
        "account_id": account_id,
        "type": "donation",
        "short_description": "A bench",
        "currency": "USD",
        "amount": 20.5,
        "state": "new",
        "soft_descriptor": "WPY*Garden",
        "auto_release": True,
        "create_time": 1_700_000_000,
        "gross": 0,
        "reference_id": None,
        "callback_uri": None,
        "long_description": None,
        "delivery_type": None,
        "initiated_by": "customer",
        "in_review": False,
        "fee": {"app_fee": 0, "processing_fee": 0, "fee_payer": "payer"},
        "chargeback": {"amount_charged_back": 0, "dispute_uri": None},
        "refund": {"amount_refunded": 0, "refund_reason": None},
        "payment_method": None,
        "hosted_checkout": {"checkout_uri": address},
        "payer": {"name": None, "email": None, "home_address": None},
        "npo_information": None,
        "payment_error": None,
    }


@pytest.mark.parametrize(
    ("fee_payer", "gross"),
    # The documented example: 20 and a processing fee of 0.88 are 20.88.
    [("payer", 20.88), ("payee", 20)],
)
def test_fees(sandbox: Sandbox, call: Call, account_id: int, fee_payer: str, gross: float) -> None:
    """A paid checkout has a processing fee, borne by the payer or the payee."""
    arguments = DONATION | {"amount": 20, "fee": {"fee_payer": fee_payer, "app_fee": 0}}
    checkout_id = call("checkout/create", account_id=account_id, **arguments).json["checkout_id"]

    sandbox.pay(checkout_id)

    shown = call("checkout", checkout_id=checkout_id).json
    assert shown["fee"] == {"app_fee": 0, "processing_fee": 0.88, "fee_payer": fee_payer}
    assert (shown["state"], shown["gross"]) == ("authorized", gross)


def test_unique_id(call: Call, account_id: int) -> None:
    """The same unique_id is the same payment, however often it is sent."""
    first = call("checkout/create", account_id=account_id, unique_id="u", **DONATION)
    other = call("checkout/create", account_id=account_id, unique_id="v", **DONATION)

    again = call("checkout/create", account_id=account_id, unique_id="u", **DONATION)

    assert again.json == first.json
    assert other.json["checkout_id"] != first.json["checkout_id"]


def test_unique_id_of_another_payment(call: Call, account_id: int) -> None:
    """A unique_id with other arguments is refused."""
    call("checkout/create", account_id=account_id, unique_id="u", **DONATION)

    answer = call(
        "checkout/create", account_id=account_id, unique_id="u", **(DONATION | {"amount": 1})
    )

    assert problem(answer) == (400, 1003)


@pytest.mark.parametrize(
    ("changes", "error_code"),
    [
        ({"account_id": 1}, 3001),
        ({"amount": None}, 1004),
        ({"amount": "20"}, 1003),
        ({"amount": True}, 1003),
        ({"amount": -1}, 1003),
        ({"amount": 0}, 1003),
        ({"amount": 0.0}, 1003),
        ({"amount": 1.005}, 1003),
        ({"amount": 1e300}, 1003),
        ({"amount": float("inf")}, 1005),
        ({"short_description": "\ud800"}, 1003),
        ({"currency": "EUR"}, 1003),
        ({"currency": "CAD"}, 1003),
        ({"type": "DONATION"}, 1003),
        ({"app_fee": 1}, 1003),
        ({"fee": {"app_fee": "1"}}, 1003),
        ({"fee": {"amount": 1}}, 1003),
        ({"fee": []}, 1003),
        ({"auto_release": "yes"}, 1003),
        ({"hosted_checkout": {"redirect_uri": "nowhere"}}, 1003),
        ({"hosted_checkout": {}, "payment_method": {"type": "credit_card"}}, 1003),
        ({"payment_method": {"type": "credit_card"}}, 4003),
        ({"payment_method": {"type": "credit_card", "credit_card": {"id": 1}}}, 4003),
        ({"payment_method": {"type": "payment_bank", "payment_bank": {"id": 1}}}, 4003),
        ({"payment_method": {"type": "cash"}}, 1003),
    ],
)
def test_checkout_create_refused(
    call: Call, account_id: int, changes: dict[str, Any], error_code: int
) -> None:
    """What is documented of the arguments is checked."""
    arguments = {"account_id": account_id, **DONATION} | changes

    assert problem(call("checkout/create", **arguments)) == (400, error_code)


def test_checkout_find(sandbox: Sandbox, clock: Clock, call: Call, account_id: int) -> None:
    """Checkouts are found by state, reference and time, newest first."""
    first = call("checkout/create", account_id=account_id, **DONATION).json["checkout_id"]
    clock.move(100)
    second = call("checkout/create", account_id=account_id, reference_id="r", **DONATION).json[
        "checkout_id"
    ]
    sandbox.pay(second)

    def found(**arguments: Any) -> list[int]:
        answer = call("checkout/find", account_id=account_id, **arguments)
        return [checkout["checkout_id"] for checkout in answer.json]

    assert found() == [second, first]
    assert found(sort_order="ASC") == [first, second]
    assert found(start=1) == found(state="new") == [first]
    assert found(limit=1) == found(reference_id="r") == [second]
    assert found(start_time=1_700_000_001) == [second]
    assert found(end_time=1_700_000_001) == [first]


@pytest.mark.parametrize("name", ["checkout", "checkout/cancel", "checkout/refund"])
def test_foreign_checkout(sandbox: Sandbox, call: Call, account_id: int, name: str) -> None:
    """Other users' payments are out of bounds."""
    checkout_id = call("checkout/create", account_id=account_id, **DONATION).json["checkout_id"]
    mary = sandbox.issue_token(MARY)
    reason = {
        "checkout/cancel": {"cancel_reason": "x"},
        "checkout/refund": {"refund_reason": "x"},
    }.get(name, {})

    refused = call(name, mary, checkout_id=checkout_id, **reason)
    assert (problem(refused), refused.json["error"]) == ((401, 4002), "access_denied")
    assert problem(call(name, checkout_id=4711, **reason)) == (400, 4001)


def test_checkout_expires(clock: Clock, call: Call, account_id: int) -> None:
    """A payment that nobody made in 30 minutes is over."""
    checkout_id = call("checkout/create", account_id=account_id, **DONATION).json["checkout_id"]

    clock.move(1800)

    assert call("checkout", checkout_id=checkout_id).json["state"] == "expired"


def test_cancel(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A payment can be cancelled once."""
    checkout_id = call("checkout/create", account_id=account_id, **DONATION).json["checkout_id"]

    answer = call("checkout/cancel", checkout_id=checkout_id, cancel_reason="Changed my mind")
    again = call("checkout/cancel", checkout_id=checkout_id, cancel_reason="Really")

    assert answer.json == {"checkout_id": checkout_id, "state": "cancelled"}
    assert (problem(again), again.json["error"]) == ((400, 4004), "invalid_request")
    # https://github.com/activemerchant/active_merchant test/unit/gateways/wepay_test.rb
    assert again.json["error_description"] == "this checkout has already been cancelled"


def test_refund(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A part of a captured payment leaves it captured, all of it makes it refunded."""
    checkout_id = call("checkout/create", account_id=account_id, **DONATION).json["checkout_id"]
    arguments = {"checkout_id": checkout_id, "refund_reason": "Rain"}
    too_early = call("checkout/refund", **arguments)
    sandbox.pay(checkout_id, state="captured")

    part = call("checkout/refund", amount=5, **arguments)
    too_much = call("checkout/refund", amount=16, **arguments)
    nothing = call("checkout/refund", amount=0, **arguments)
    rest = call("checkout/refund", **arguments)

    assert problem(too_early) == (400, 4004)
    assert too_early.json["error_description"] == (
        "Checkout object must be in state 'Captured' or 'Released' to refund. "
        "Currently it is in state new"
    )
    assert part.json == {"checkout_id": checkout_id, "state": "captured"}
    assert problem(too_much) == (400, 1003)
    assert nothing.json["error_description"] == "amount parameter must be a positive amount"
    assert rest.json == {"checkout_id": checkout_id, "state": "refunded"}
    shown = call("checkout", checkout_id=checkout_id).json["refund"]
    assert shown == {"amount_refunded": 20.5, "refund_reason": "Rain"}


@pytest.mark.parametrize(("state", "error_code"), [("captured", None), ("released", 4004)])
def test_cancel_until_it_is_released(
    sandbox: Sandbox, call: Call, account_id: int, state: Any, error_code: int | None
) -> None:
    """A payment that is not the payee's yet can be called off."""
    checkout_id = call("checkout/create", account_id=account_id, **DONATION).json["checkout_id"]
    sandbox.pay(checkout_id, state=state)

    answer = call("checkout/cancel", checkout_id=checkout_id, cancel_reason="x")

    assert answer.json.get("error_code") == error_code


def test_no_such_state(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A payment has WePay's states only."""
    checkout_id = call("checkout/create", account_id=account_id, **DONATION).json["checkout_id"]

    with pytest.raises(ValueError, match="must be one of new, authorized, captured, released"):
        sandbox.pay(checkout_id, state="paid")  # type: ignore[arg-type]


def test_ipn_with_a_reference_id(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A payment's IPN carries its reference_id, where it has one."""
    for reference in ({"reference_id": "abc567"}, {}):
        made = call(
            "checkout/create",
            account_id=account_id,
            callback_uri="http://a/ipn",
            **reference,
            **DONATION,
        )
        sandbox.pay(made.json["checkout_id"])

    assert [ipn.fields.get("reference_id") for ipn in sandbox.ipns] == ["abc567", None]


@pytest.mark.parametrize(("version", "shown"), [("2017-02-01", False), ("2017-05-31", True)])
def test_initiated_by(
    sandbox: Sandbox, call: Call, account_id: int, version: str, shown: bool
) -> None:
    """A field that came with a later version is not shown in an earlier one."""
    sandbox.world.applications[12345].api_version = version

    answer = call("checkout/create", account_id=account_id, **DONATION).json

    assert ("initiated_by" in answer) == shown


# The hosted page


@pytest.fixture
def checkout_id(call: Call, account_id: int) -> int:
    """A checkout that leads back to the application and tells it."""
    hosted = {"redirect_uri": "http://localhost:8000/thanks?c=1"}
    answer = call(
        "checkout/create",
        account_id=account_id,
        hosted_checkout=hosted,
        callback_uri="http://localhost:8000/ipn",
        long_description="Of oak.",
        **DONATION,
    )
    return int(answer.json["checkout_id"])


def test_checkout_page(browser: FlaskClient, checkout_id: int) -> None:
    """The page says what is paid for, how much and to whom."""
    page = browser.get(f"/checkout/{checkout_id}").text

    for text in ("A bench", "to Garden", "$20.50", "Of oak.", "no real money"):
        assert text in page


@pytest.mark.parametrize(("decision", "state"), [("pay", "authorized"), ("decline", "failed")])
def test_payer_decides(
    sandbox: Sandbox,
    call: Call,
    browser: FlaskClient,
    checkout_id: int,
    decision: str,
    state: str,
) -> None:
    """The payer's decision goes to the application: by IPN, and by the browser."""
    form = {"decision": decision, "name": "Pat", "email": "pat@example.com"}

    back = browser.post(f"/checkout/{checkout_id}", data=form)

    assert back.location == f"http://localhost:8000/thanks?c=1&checkout_id={checkout_id}"
    shown = call("checkout", checkout_id=checkout_id).json
    assert shown["state"] == state
    assert shown["payer"]["name"] == "Pat"
    assert [ipn.fields for ipn in sandbox.ipns] == [{"checkout_id": str(checkout_id)}]


@pytest.mark.parametrize(("decline", "state"), [(False, "authorized"), (True, "failed")])
def test_pay_at(sandbox: Sandbox, checkout_id: int, decline: bool, state: str) -> None:
    """A test pays where it was sent to, and goes on where the payer would."""
    back = sandbox.pay_at(f"{sandbox.url}/checkout/{checkout_id}", decline=decline)

    assert back == f"http://localhost:8000/thanks?c=1&checkout_id={checkout_id}"
    assert sandbox.world.ledger.checkout(checkout_id).state == state


def test_pay_at_a_page_that_leads_nowhere(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A page that is not there, or from which nobody goes back, is an error of the test's."""
    checkout = call("checkout/create", account_id=account_id, hosted_checkout={}, **DONATION).json

    for checkout_id in (checkout["checkout_id"], 1):
        with pytest.raises(LookupError, match="Nothing to pay"):
            sandbox.pay_at(f"{sandbox.url}/checkout/{checkout_id}")


def test_pay_at_another_site(sandbox: Sandbox, checkout_id: int) -> None:
    """Nobody pays at an address that is not the sandbox's."""
    with pytest.raises(LookupError, match="Nothing to pay"):
        sandbox.pay_at(f"https://stage.wepay.com/checkout/{checkout_id}")

    assert sandbox.world.ledger.checkout(checkout_id).state == "new"


def test_payer_pays_once(sandbox: Sandbox, browser: FlaskClient, checkout_id: int) -> None:
    """The second click changes nothing."""
    for decision in ("pay", "decline"):
        browser.post(f"/checkout/{checkout_id}", data={"decision": decision})

    assert sandbox.world.ledger.checkout(checkout_id).state == "authorized"


def test_pay_without_a_way_back(browser: FlaskClient, call: Call, account_id: int) -> None:
    """Without a redirect_uri the page itself says thank you."""
    checkout_id = call("checkout/create", account_id=account_id, **DONATION).json["checkout_id"]

    page = browser.post(f"/checkout/{checkout_id}", data={"decision": "pay"}, follow_redirects=True)

    assert "Thank you" in page.text
    assert "Go back" not in page.text


@pytest.mark.parametrize(
    ("state", "text"),
    [("failed", "declined"), ("expired", "is expired"), ("captured", "Thank you")],
)
def test_page_of_a_finished_checkout(
    sandbox: Sandbox, browser: FlaskClient, checkout_id: int, state: str, text: str
) -> None:
    """A payment that is over says how, and leads back."""
    sandbox.pay(checkout_id, state=state)

    page = browser.get(f"/checkout/{checkout_id}").text

    assert text in page
    assert "Go back" in page


def test_no_such_checkout_page(browser: FlaskClient, call: Call, account_id: int) -> None:
    """There is no page for an unknown payment, or for one with a stored card."""
    card_id = call("credit_card/create", None, **CARD).json["credit_card_id"]
    method = {"type": "credit_card", "credit_card": {"id": card_id}}
    answer = call("checkout/create", account_id=account_id, payment_method=method, **DONATION)

    assert browser.get("/checkout/4711").status_code == 404
    assert browser.get(f"/checkout/{answer.json['checkout_id']}").status_code == 404
