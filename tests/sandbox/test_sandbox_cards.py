"""Cards that a platform keeps, and the payments that are made with them."""

from __future__ import annotations

from typing import Any

import pytest
from asking import CARD, CREDENTIALS, Call, problem

from flask_wepay.sandbox import Clock, Sandbox

PAYMENT = {"short_description": "A bench", "type": "goods", "amount": 20, "currency": "USD"}


@pytest.fixture
def card_id(call: Call) -> int:
    return int(call("credit_card/create", None, **CARD).json["credit_card_id"])


def of(card_id: int, **arguments: Any) -> dict[str, Any]:
    """Give the arguments of a call about a card."""
    return {**CREDENTIALS, "credit_card_id": card_id, **arguments}


def pay_with(call: Call, account_id: int, card_id: int, **details: Any) -> Any:
    method = {"type": "credit_card", "credit_card": {"id": card_id, **details.pop("card", {})}}
    return call(
        "checkout/create", account_id=account_id, payment_method=method, **PAYMENT, **details
    )


def test_create(call: Call) -> None:
    """A card is taken for its id and state, as recorded, and with the client_id alone."""
    # https://github.com/activemerchant/active_merchant test/unit/gateways/wepay_test.rb
    answer = call("credit_card/create", None, **CARD).json

    assert answer == {"credit_card_id": answer["credit_card_id"], "state": "new"}


def test_look_up(call: Call, card_id: int) -> None:
    """A card shows its name, and never its number."""
    # https://developer.wepay.com/api/api-calls/credit_card
    assert call("credit_card", None, **of(card_id)).json == {
        "credit_card_id": card_id,
        "credit_card_name": "MasterCard xxxxxx4769",
        "state": "new",
        "user_name": "Pat Payer",
        "email": "pat@example.com",
        "create_time": 1_700_000_000,
        "input_source": "card_keyed",
        "virtual_terminal_mode": "none",
        "reference_id": None,
        "expiration_month": 9,
        "expiration_year": 2030,
        "bin": "549619",
        "last_four": "4769",
        "backing_instrument_name": None,
    }


@pytest.mark.parametrize(
    ("changes", "error_code", "text"),
    [
        ({"cc_number": "5496198584584768"}, 1003, "Invalid credit card number"),
        ({"cc_number": "٤٤٤٤٤٤٤٤٤٤٤٤٤٤٤٤"}, 1003, "Invalid credit card number"),
        ({"cc_number": "4"}, 1003, "Invalid credit card number"),
        ({"cc_number": "9999999999999995"}, 2002, "card type is not supported"),
        ({"expiration_month": 13}, 1003, "must be 1 to 12"),
        ({"expiration_year": 2023, "expiration_month": 10}, 2007, "expired"),
        ({"email": None}, 1004, "email parameter is required"),
        ({"address": {"planet": "x"}}, 1003, "planet is not a parameter"),
        ({"client_id": 999}, 1003, "invalid client_id"),
    ],
)
def test_unusable_card(call: Call, changes: dict[str, Any], error_code: int, text: str) -> None:
    """A card that nobody could charge is not taken."""
    answer = call("credit_card/create", None, **CARD | changes)

    assert problem(answer) == (400, error_code)
    assert text in answer.json["error_description"]


@pytest.mark.parametrize(
    ("number", "name"),
    [
        ("4003830171874018", "Visa xxxxxx4018"),
        ("4003-8301 7187-4018", "Visa xxxxxx4018"),
        ("2223003122003222", "MasterCard xxxxxx3222"),
        ("378282246310005", "American Express xxxxxx0005"),
        ("6011111111111117", "Discover xxxxxx1117"),
    ],
)
def test_names(call: Call, number: str, name: str) -> None:
    """A card is called by its brand and its last four digits."""
    card_id = call("credit_card/create", None, **CARD | {"cc_number": number}).json

    shown = call("credit_card", None, **of(card_id["credit_card_id"])).json

    assert shown["credit_card_name"] == name


def test_expires(clock: Clock, call: Call, card_id: int) -> None:
    """A card that nobody charged or authorized in 30 minutes is of no use."""
    kept = call("credit_card/create", None, **CARD).json["credit_card_id"]
    assert call("credit_card/authorize", None, **of(kept)).json["state"] == "authorized"

    clock.move(1800)

    assert call("credit_card", None, **of(card_id)).json["state"] == "expired"
    assert call("credit_card", None, **of(kept)).json["state"] == "authorized"
    assert problem(call("credit_card/authorize", None, **of(card_id))) == (400, 2009)


def test_find(call: Call, card_id: int) -> None:
    """Cards are found by reference_id, newest first, and deleted ones are not."""
    named = call("credit_card/create", None, **CARD, reference_id="r").json["credit_card_id"]
    deleted = call("credit_card/create", None, **CARD).json["credit_card_id"]
    call("credit_card/delete", None, **of(deleted))

    def found(**arguments: Any) -> list[int]:
        cards = call("credit_card/find", None, **CREDENTIALS, **arguments).json
        return [card["credit_card_id"] for card in cards]

    assert found() == [named, card_id]
    assert found(sort_order="ASC") == [card_id, named]
    assert found(reference_id="r") == found(limit=1) == [named]
    assert found(start=1) == [card_id]


def test_delete(call: Call, account_id: int, card_id: int) -> None:
    """A deleted card can't be charged, nor deleted again."""
    answer = call("credit_card/delete", None, **of(card_id)).json

    assert answer == {"credit_card_id": card_id, "state": "deleted"}
    assert problem(call("credit_card/delete", None, **of(card_id))) == (400, 2009)
    assert problem(pay_with(call, account_id, card_id)) == (400, 2009)


def test_modify(sandbox: Sandbox, call: Call, card_id: int) -> None:
    """A card's changes are told to the address that it was given."""
    call("credit_card/modify", None, **of(card_id, callback_uri="http://a/ipn", auto_update=True))
    sandbox.change_card(card_id, "invalid")

    assert sandbox.ipns[0].fields == {"credit_card_id": str(card_id)}
    assert call("credit_card", None, **of(card_id)).json["state"] == "invalid"
    assert sandbox.world.wallet.cards[card_id].auto_update
    with pytest.raises(ValueError, match="state must be one of new, authorized, expired"):
        sandbox.change_card(card_id, "lost")  # type: ignore[arg-type]


@pytest.mark.parametrize(("authorized", "state"), [(True, "authorized"), (False, "new")])
def test_transfer(call: Call, authorized: bool, state: str) -> None:
    """A card that was kept elsewhere is taken over with the application's secret."""
    card = {name: value for name, value in CARD.items() if name != "cvv"}
    secret = CREDENTIALS["client_secret"]

    answer = call("credit_card/transfer", None, **card, client_secret=secret)
    refused = call("credit_card/transfer", None, **card)
    other = call(
        "credit_card/transfer", None, **card, client_secret=secret, auto_authorize=authorized
    )

    shown = call("credit_card", None, **of(answer.json["credit_card_id"])).json
    assert (shown["input_source"], shown["state"]) == ("card_transfer", "new")
    assert problem(refused) == (400, 1004)
    assert other.json["state"] == state


def test_card_of_another_application(
    sandbox: Sandbox, call: Call, account_id: int, card_id: int
) -> None:
    """An application knows its own cards only."""
    sandbox.world.add_application(77, "secret")
    other = {"client_id": 77, "client_secret": "secret"}
    theirs = call("credit_card/create", None, **CARD | {"client_id": 77}).json["credit_card_id"]

    assert problem(call("credit_card", None, **other, credit_card_id=card_id)) == (400, 10001)
    assert problem(call("credit_card", None, **of(4711))) == (400, 10001)
    assert call("credit_card/find", None, **other).json[0]["credit_card_id"] == theirs
    assert problem(pay_with(call, account_id, theirs)) == (400, 4003)


# Payments


def test_pay(call: Call, account_id: int, card_id: int) -> None:
    """A payment with a card is authorized at once, with the card's name, and without a page."""
    answer = pay_with(call, account_id, card_id).json

    assert answer["state"] == "authorized"
    assert answer["payment_method"] == {
        "type": "credit_card",
        "credit_card": {
            "id": card_id,
            "data": {"emv_receipt": None, "signature_url": None},
            "auto_capture": True,
        },
    }
    assert answer["hosted_checkout"] is None
    payer = {"name": "Pat Payer", "email": "pat@example.com", "home_address": None}
    assert answer["payer"] == payer
    assert call("credit_card", None, **of(card_id)).json["state"] == "authorized"
    assert pay_with(call, account_id, card_id).json["state"] == "authorized"


def test_payment_is_repeated(call: Call, account_id: int, card_id: int) -> None:
    """The same unique_id charges a card once, even one that can't be charged any more."""
    first = pay_with(call, account_id, card_id, unique_id="u").json
    call("credit_card/delete", None, **of(card_id))

    assert pay_with(call, account_id, card_id, unique_id="u").json == first


@pytest.mark.parametrize(
    ("strict", "changes", "refused"),
    [
        (True, {"amount": 21}, True),
        (False, {"amount": 21}, True),
        (True, {"reference_id": "r"}, True),
        (False, {"reference_id": "r"}, False),
    ],
)
def test_unique_id(
    sandbox: Sandbox,
    call: Call,
    account_id: int,
    strict: bool,
    changes: dict[str, Any],
    refused: bool,
) -> None:
    """WePay compares amount and account, a strict sandbox all that was sent."""
    payment = {**PAYMENT, "account_id": account_id, "unique_id": "u"}
    first = call("checkout/create", **payment).json
    sandbox.world.strict = strict

    again = call("checkout/create", **payment | changes)

    if refused:
        assert problem(again) == (400, 1003)
    else:
        assert again.json == first


def test_capture(sandbox: Sandbox, call: Call, account_id: int, card_id: int) -> None:
    """A payment with ``auto_capture: false`` is captured by its call, and by nothing else."""
    made = pay_with(call, account_id, card_id, card={"auto_capture": False}).json
    checkout_id = made["checkout_id"]
    for state in ("captured", "released"):
        with pytest.raises(ValueError, match="by the call checkout/capture only"):
            sandbox.pay(checkout_id, state=state)  # type: ignore[arg-type]

    captured = call("checkout/capture", checkout_id=checkout_id).json
    again = call("checkout/capture", checkout_id=checkout_id)

    # As recorded, the answer still shows it as authorized.
    assert captured == made
    assert problem(again) == (400, 4004)
    assert again.json["error_description"] == (
        "Checkout object must be in state 'Authorized' to capture. "
        "Currently it is in state captured"
    )
    assert sandbox.pay(checkout_id, state="released").state == "released"


def test_release(sandbox: Sandbox, call: Call, account_id: int, card_id: int) -> None:
    """A payment with ``auto_release: false`` is released by its call, and by nothing else."""
    checkout_id = pay_with(call, account_id, card_id, auto_release=False).json["checkout_id"]
    too_early = call("checkout/release", checkout_id=checkout_id)
    sandbox.pay(checkout_id, state="captured")
    with pytest.raises(ValueError, match="by the call checkout/release only"):
        sandbox.pay(checkout_id, state="released")

    released = call("checkout/release", checkout_id=checkout_id)

    assert problem(too_early) == (400, 4004)
    assert released.json["state"] == "released"


def test_panel_waits_too(sandbox: Sandbox, call: Call, account_id: int, card_id: int) -> None:
    """The panel offers no button for what a call has to do."""
    browser = sandbox.app.test_client()
    made = pay_with(call, account_id, card_id, card={"auto_capture": False}).json

    assert "waits for checkout/capture" in browser.get("/").text
    form = {"id": made["checkout_id"], "state": "captured"}
    assert browser.post("/panel/move", data=form).status_code == 404


@pytest.mark.parametrize(
    ("details", "state", "days", "end"),
    [
        ({"card": {"auto_capture": False}}, "authorized", 7, "cancelled"),
        ({"auto_release": False}, "captured", 14, "refunded"),
        ({}, "captured", 100, "captured"),
    ],
)
def test_nobody_calls(
    sandbox: Sandbox,
    clock: Clock,
    call: Call,
    account_id: int,
    card_id: int,
    details: dict[str, Any],
    state: Any,
    days: int,
    end: str,
) -> None:
    """A payment that waits for its call too long is given up, and told of."""
    made = pay_with(call, account_id, card_id, callback_uri="http://a/ipn", **details).json
    checkout_id = made["checkout_id"]
    sandbox.pay(checkout_id, state=state)

    clock.move(days * 24 * 3600 - 1)
    before = call("checkout", checkout_id=checkout_id).json["state"]
    clock.move(1)
    after = call("checkout", checkout_id=checkout_id).json

    assert (before, after["state"]) == (state, end)
    assert after["refund"]["amount_refunded"] == (20 if end == "refunded" else 0)


def test_modify_a_checkout(sandbox: Sandbox, call: Call, account_id: int, card_id: int) -> None:
    """Where IPNs about a payment go can be changed."""
    checkout_id = pay_with(call, account_id, card_id).json["checkout_id"]

    answer = call("checkout/modify", checkout_id=checkout_id, callback_uri="http://b/ipn")
    sandbox.pay(checkout_id, state="captured")

    assert answer.json["callback_uri"] == "http://b/ipn"
    assert [ipn.callback_uri for ipn in sandbox.ipns] == ["http://b/ipn"]


@pytest.mark.parametrize("by", ["payment_method", "preapproval"])
def test_first_versions(
    sandbox: Sandbox, call: Call, account_id: int, card_id: int, by: str
) -> None:
    """The first versions named a card or a preapproval beside the rest, and had no currency."""
    sandbox.world.applications[12345].api_version = "2015-08-15"
    consent = {"account_id": account_id, "short_description": "x", "period": "monthly"}
    agreed = call("preapproval/create", payment_method_id=card_id, **consent).json
    method = {
        "payment_method": {"payment_method_id": card_id, "payment_method_type": "credit_card"},
        "preapproval": {"preapproval_id": agreed["preapproval_id"]},
    }[by]
    payment = {
        "account_id": account_id,
        "short_description": "A bench",
        "type": "goods",
        "amount": 20,
        "auto_capture": False,
        "redirect_uri": "https://shop.example/thanks",
    }

    made = call("checkout/create", **payment, **method).json

    assert made.keys() == {"checkout_id"}
    paid = sandbox.world.ledger.checkouts[made["checkout_id"]]
    assert (paid.state, paid.currency, paid.payer_name) == ("authorized", "USD", "Pat Payer")
    assert (paid.auto_release, paid.hosted_checkout) == (False, None)


def test_first_versions_of_the_page(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """The first versions answered with the address of the page alone."""
    payment = {"account_id": account_id, **PAYMENT}
    sandbox.world.applications[12345].api_version = "2015-08-15"

    made = call("checkout/create", **payment).json

    address = f"http://localhost/checkout/{made['checkout_id']}"
    assert made == {"checkout_id": made["checkout_id"], "checkout_uri": address}
