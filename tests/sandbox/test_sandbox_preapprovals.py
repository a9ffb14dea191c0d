"""Consent to payments that are made later: its page, its limits and its end."""

from __future__ import annotations

from typing import Any

import pytest
from asking import BILL, CARD, CREDENTIALS, MARY, Call, problem
from flask.testing import FlaskClient

from flask_wepay.sandbox import Clock, Sandbox

NOW = 1_700_000_000
DAY = 24 * 3600
CONSENT = {"short_description": "A magazine", "period": "monthly", "amount": 20}
PAYMENT = {"short_description": "An issue", "type": "goods", "currency": "USD"}


@pytest.fixture
def consent(call: Call, account_id: int) -> dict[str, Any]:
    """Ask for consent, with all that an application may have to say about it."""
    return dict(
        call(
            "preapproval/create",
            account_id=account_id,
            callback_uri="http://a/ipn",
            redirect_uri="https://shop.example/thanks?a=b",
            reference_id="r",
            long_description="Of trees.",
            frequency=2,
            end_time=NOW + 365 * DAY,
            **CONSENT,
        ).json
    )


def approved(sandbox: Sandbox, consent: dict[str, Any]) -> int:
    sandbox.change_preapproval(consent["preapproval_id"], "approved")
    return int(consent["preapproval_id"])


def charge(call: Call, account_id: int, preapproval_id: int, amount: float = 5) -> Any:
    method = {"type": "preapproval", "preapproval": {"id": preapproval_id}}
    payment = {**PAYMENT, "account_id": account_id, "amount": amount, "payment_method": method}
    return call("checkout/create", **payment)


def test_create(sandbox: Sandbox, call: Call, account_id: int, consent: dict[str, Any]) -> None:
    """A new preapproval is an id and a page to send the payer to."""
    preapproval_id = consent["preapproval_id"]

    assert consent == {
        "preapproval_id": preapproval_id,
        "preapproval_uri": f"http://localhost/preapproval/{preapproval_id}",
    }
    # https://developer.wepay.com/api/api-calls/preapproval
    assert call("preapproval", preapproval_id=preapproval_id).json == {
        "preapproval_id": preapproval_id,
        "preapproval_uri": consent["preapproval_uri"],
        "manage_uri": consent["preapproval_uri"],
        "account_id": account_id,
        "short_description": "A magazine",
        "long_description": "Of trees.",
        "currency": "USD",
        "amount": 20,
        "fee_payer": "payer",
        "state": "new",
        "redirect_uri": "https://shop.example/thanks?a=b",
        "callback_uri": "http://a/ipn",
        "app_fee": 0,
        "period": "monthly",
        "frequency": 2,
        "start_time": NOW,
        "end_time": NOW + 365 * DAY,
        "reference_id": "r",
        "shipping_address": None,
        "shipping_fee": None,
        "tax": 0,
        "auto_recur": False,
        "create_time": NOW,
        "next_due_time": None,
        "last_checkout_id": None,
        "last_checkout_time": None,
    }


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"account_id": None}, (400, 1004)),
        ({"account_id": 4711}, (400, 3001)),
        ({"period": "sometimes"}, (400, 1003)),
        ({"end_time": "soon"}, (400, 1003)),
        ({"end_time": 1.5}, (400, 1003)),
        ({"payment_method_id": 4711}, (400, 10001)),
    ],
)
def test_create_refused(
    call: Call, account_id: int, changes: dict[str, Any], refusal: tuple[int, int]
) -> None:
    """What is documented of the arguments is checked."""
    arguments = {"account_id": account_id, **CONSENT, **changes}

    assert problem(call("preapproval/create", **arguments)) == refusal


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (NOW + 1, NOW + 1),
        ("2026-12-25", 1_798_156_800),
        ("2026-12-25T01:00:00+01:00", 1_798_156_800),
    ],
)
def test_times(call: Call, account_id: int, given: Any, seconds: int) -> None:
    """A time is a timestamp or a date."""
    made = call("preapproval/create", account_id=account_id, end_time=given, **CONSENT).json

    shown = call("preapproval", preapproval_id=made["preapproval_id"]).json
    assert shown["end_time"] == seconds


# The page


def test_page(sandbox: Sandbox, browser: FlaskClient, call: Call, consent: dict[str, Any]) -> None:
    """The page says what is asked for, and takes the payer's consent."""
    path = f"/preapproval/{consent['preapproval_id']}"
    page = browser.get(path).text
    for text in ("A magazine", "to Garden", "$20.00", "every month", "up to 2 times", "Of trees."):
        assert text in page

    form = {"decision": "approve", "name": "Pat", "email": "pat@example.com"}
    back = browser.post(path, data=form).location

    assert back == f"https://shop.example/thanks?a=b&preapproval_id={consent['preapproval_id']}"
    shown = call("preapproval", preapproval_id=consent["preapproval_id"]).json
    assert (shown["state"], shown["payer_name"]) == ("approved", "Pat")
    assert sandbox.ipns[-1].fields == {"preapproval_id": str(consent["preapproval_id"])}


def test_page_to_take_it_back(
    sandbox: Sandbox, browser: FlaskClient, call: Call, consent: dict[str, Any]
) -> None:
    """A payer takes the consent back on the same page, once."""
    preapproval_id = approved(sandbox, consent)
    path = f"/preapproval/{preapproval_id}"
    assert "You have agreed to this" in browser.get(path).text

    page = browser.post(path, data={"decision": "revoke"}, follow_redirects=True).text
    browser.post(path, data={"decision": "approve"})

    assert "is revoked" in page
    assert call("preapproval", preapproval_id=preapproval_id).json["state"] == "revoked"


def test_approve_at(sandbox: Sandbox, call: Call, account_id: int, consent: dict[str, Any]) -> None:
    """A test consents where it was sent to, and goes on where the payer would."""
    back = sandbox.approve_at(f"{sandbox.url}/preapproval/{consent['preapproval_id']}")
    nowhere = call("preapproval/create", account_id=account_id, **CONSENT).json

    assert back.startswith("https://shop.example/thanks")
    for path in (f"/preapproval/{nowhere['preapproval_id']}", "/preapproval/1"):
        with pytest.raises(LookupError, match="Nothing to approve"):
            sandbox.approve_at(f"{sandbox.url}{path}")
    assert sandbox.app.test_client().get("/preapproval/1").status_code == 404


# Payments


def test_charge(sandbox: Sandbox, call: Call, account_id: int, consent: dict[str, Any]) -> None:
    """A consent pays an application's checkouts, which name it."""
    preapproval_id = int(consent["preapproval_id"])
    sandbox.approve_at(f"{sandbox.url}/preapproval/{preapproval_id}")

    paid = charge(call, account_id, preapproval_id).json

    assert paid["state"] == "authorized"
    assert paid["payment_method"] == {"type": "preapproval", "preapproval": {"id": preapproval_id}}
    shown = call("preapproval", preapproval_id=preapproval_id).json
    assert (shown["last_checkout_id"], shown["last_checkout_time"]) == (paid["checkout_id"], NOW)
    (found,) = call("checkout/find", account_id=account_id, preapproval_id=preapproval_id).json
    assert found["checkout_id"] == paid["checkout_id"]
    (found,) = call("preapproval/find", last_checkout_id=paid["checkout_id"]).json
    assert found["preapproval_id"] == preapproval_id


@pytest.mark.parametrize(
    ("amounts", "error_codes"),
    [
        ([5, 5, 5], [None, None, 5009]),
        ([21], [5010]),
        ([15, 6, 5], [None, 5010, None]),
    ],
)
def test_limits(
    sandbox: Sandbox,
    clock: Clock,
    call: Call,
    account_id: int,
    consent: dict[str, Any],
    amounts: list[float],
    error_codes: list[int | None],
) -> None:
    """In each period so many payments, and so much money, and no more."""
    preapproval_id = approved(sandbox, consent)

    answers = [charge(call, account_id, preapproval_id, amount) for amount in amounts]
    clock.move(30 * DAY)
    later = charge(call, account_id, preapproval_id, 20)

    assert [answer.json.get("error_code") for answer in answers] == error_codes
    assert later.status_code == 200


def test_once(sandbox: Sandbox, clock: Clock, call: Call, account_id: int) -> None:
    """A consent for once is for once."""
    made = call("preapproval/create", account_id=account_id, **CONSENT | {"period": "once"}).json
    preapproval_id = approved(sandbox, made)
    charge(call, account_id, preapproval_id)

    clock.move(1000 * DAY)

    assert problem(charge(call, account_id, preapproval_id)) == (400, 5009)


def test_without_an_amount(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A consent without an amount is for any."""
    arguments = {"short_description": "Gas", "period": "monthly", "account_id": account_id}
    preapproval_id = approved(sandbox, call("preapproval/create", **arguments).json)

    assert charge(call, account_id, preapproval_id, 1000).status_code == 200
    assert (
        'class="amount"' not in sandbox.app.test_client().get(f"/preapproval/{preapproval_id}").text
    )


@pytest.mark.parametrize(
    ("state", "error_code"),
    [("new", 5006), ("revoked", 5006), ("stopped", 5006), ("completed", 5005)],
)
def test_charge_in_a_wrong_state(
    sandbox: Sandbox,
    call: Call,
    account_id: int,
    consent: dict[str, Any],
    state: Any,
    error_code: int,
) -> None:
    """Without a payer's consent, or after it, nothing is charged."""
    sandbox.change_preapproval(consent["preapproval_id"], state)

    refused = charge(call, account_id, consent["preapproval_id"])

    assert problem(refused) == (400, error_code)
    assert call("checkout/find", account_id=account_id).json == []
    with pytest.raises(ValueError, match="state must be one of new, approved"):
        sandbox.change_preapproval(consent["preapproval_id"], "yes")  # type: ignore[arg-type]


def test_charge_too_early_or_elsewhere(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A consent is for its account, and from its time on."""
    other = call("account/create", name="Other", description="o").json["account_id"]
    arguments = {**CONSENT, "account_id": account_id, "start_time": NOW + 60}
    preapproval_id = approved(sandbox, call("preapproval/create", **arguments).json)

    assert problem(charge(call, account_id, preapproval_id)) == (400, 5004)
    assert problem(charge(call, other, preapproval_id)) == (400, 5008)
    assert problem(charge(call, account_id, 4711)) == (400, 5001)


def test_with_a_card(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A card that the application has already is consent enough."""
    card = call("credit_card/create", None, **CARD).json["credit_card_id"]
    arguments = {
        **CONSENT,
        "account_id": account_id,
        "payment_method_id": card,
        "payment_method_type": "credit_card",
    }

    made = call("preapproval/create", **arguments).json

    shown = call("preapproval", preapproval_id=made["preapproval_id"]).json
    assert (shown["state"], shown["payer_email"]) == ("approved", "pat@example.com")
    assert charge(call, account_id, made["preapproval_id"]).json["payer"]["name"] == "Pat Payer"


# Payments that make themselves


@pytest.fixture
def recurring(call: Call, account_id: int) -> dict[str, Any]:
    """Ask for ten dollars a week, four times."""
    arguments = {
        "account_id": account_id,
        "short_description": "Vegetables",
        "period": "weekly",
        "amount": 10,
        "auto_recur": True,
        "start_time": NOW + DAY,
        "end_time": NOW + 29 * DAY,
        "callback_uri": "http://a/ipn",
        "app_fee": 1,
        "fee_payer": "payee",
    }
    return dict(call("preapproval/create", **arguments).json)


def test_recurring(
    sandbox: Sandbox, clock: Clock, call: Call, account_id: int, recurring: dict[str, Any]
) -> None:
    """A recurring preapproval pays at its start, after each period, and until its end."""
    preapproval_id = approved(sandbox, recurring)

    def look() -> tuple[int, int | None, str]:
        paid = call("checkout/find", account_id=account_id, preapproval_id=preapproval_id).json
        shown = call("preapproval", preapproval_id=preapproval_id).json
        return len(paid), shown["next_due_time"], shown["state"]

    assert look() == (0, NOW + DAY, "approved")
    clock.move(DAY)
    assert look() == (1, NOW + 8 * DAY, "approved")
    clock.move(15 * DAY)
    assert look() == (3, NOW + 22 * DAY, "approved")
    clock.move(6 * DAY)
    assert look() == (4, None, "approved")
    clock.move(1000 * DAY)
    assert look() == (4, None, "completed")
    paid = call("checkout/find", account_id=account_id).json[0]
    assert (paid["amount"], paid["short_description"], paid["state"]) == (
        10,
        "Vegetables",
        "authorized",
    )
    assert (paid["fee"]["app_fee"], paid["fee"]["fee_payer"]) == (1, "payee")


def test_recurring_payments_are_told(
    sandbox: Sandbox, clock: Clock, recurring: dict[str, Any]
) -> None:
    """The application hears of them without asking."""
    approved(sandbox, recurring)

    clock.move(DAY)
    delivered = sandbox.deliver_ipns(lambda address, fields: 200)
    clock.move(7 * DAY)
    second = len(sandbox.ipns)
    sandbox.move_clock(7 * DAY)

    assert [list(ipn.fields) for ipn in delivered] == [["preapproval_id"], ["checkout_id"]]
    assert (second, len(sandbox.world.ipns.all())) == (3, 4)


@pytest.mark.parametrize("state", ["new", "revoked", "stopped"])
def test_nothing_recurs_without_consent(
    sandbox: Sandbox, clock: Clock, call: Call, recurring: dict[str, Any], state: Any
) -> None:
    """Without a payer's consent, or after it, nothing is charged."""
    sandbox.change_preapproval(recurring["preapproval_id"], state)

    clock.move(10 * DAY)

    shown = call("preapproval", preapproval_id=recurring["preapproval_id"]).json
    assert (shown["last_checkout_id"], shown["next_due_time"]) == (None, None)


@pytest.mark.parametrize(
    ("changes", "payments"),
    [({}, 13), ({"period": "once"}, 1), ({"amount": None}, 0), ({"auto_recur": False}, 0)],
)
def test_what_recurs(
    sandbox: Sandbox,
    clock: Clock,
    call: Call,
    account_id: int,
    changes: dict[str, Any],
    payments: int,
) -> None:
    """What is for once is paid once, and without an amount nothing is."""
    arguments = {**CONSENT, "account_id": account_id, "auto_recur": True, **changes}
    approved(sandbox, call("preapproval/create", **arguments).json)

    clock.move(365 * DAY)

    found = call("checkout/find", account_id=account_id).json
    assert len(found) == payments


# Its end


@pytest.mark.parametrize(
    ("state", "seconds", "end"),
    [("new", 1800, "expired"), ("approved", 365 * DAY, "completed")],
)
def test_its_time_ends(
    sandbox: Sandbox,
    clock: Clock,
    call: Call,
    consent: dict[str, Any],
    state: Any,
    seconds: int,
    end: str,
) -> None:
    """A preapproval that nobody gave, or whose time is over, is of no use."""
    sandbox.change_preapproval(consent["preapproval_id"], state)
    clock.move(seconds - 1)
    before = call("preapproval", preapproval_id=consent["preapproval_id"]).json["state"]
    clock.move(1)

    after = call("preapproval", preapproval_id=consent["preapproval_id"]).json["state"]

    assert (before, after) == (state, end)


def test_cancel(sandbox: Sandbox, call: Call, account_id: int, consent: dict[str, Any]) -> None:
    """An application gives a consent up, once."""
    preapproval_id = approved(sandbox, consent)

    cancelled = call("preapproval/cancel", preapproval_id=preapproval_id).json
    again = call("preapproval/cancel", preapproval_id=preapproval_id)

    assert cancelled == {"preapproval_id": preapproval_id, "state": "cancelled"}
    assert problem(again) == (400, 5006)
    assert problem(charge(call, account_id, preapproval_id)) == (400, 5006)


def test_modify(sandbox: Sandbox, call: Call, consent: dict[str, Any]) -> None:
    """Where IPNs go can be changed."""
    preapproval_id = consent["preapproval_id"]

    answer = call("preapproval/modify", preapproval_id=preapproval_id, callback_uri="http://b/i")
    sandbox.change_preapproval(preapproval_id, "approved")

    assert answer.json["callback_uri"] == "http://b/i"
    assert sandbox.ipns[-1].callback_uri == "http://b/i"


def test_find(sandbox: Sandbox, call: Call, account_id: int, consent: dict[str, Any]) -> None:
    """Preapprovals are found by state, account and reference, newest first."""
    other = call("preapproval/create", account_id=account_id, **CONSENT).json["preapproval_id"]
    approved(sandbox, consent)

    def found(**arguments: Any) -> list[int]:
        return [one["preapproval_id"] for one in call("preapproval/find", **arguments).json]

    assert found() == found(account_id=account_id) == [other, consent["preapproval_id"]]
    assert found(state="new") == found(limit=1) == [other]
    assert found(reference_id="r") == found(start=1) == [consent["preapproval_id"]]
    assert problem(call("preapproval/find", account_id=4711)) == (400, 3001)


# Whose it is


def test_foreign(sandbox: Sandbox, call: Call, consent: dict[str, Any]) -> None:
    """Other users' and other applications' preapprovals are out of bounds."""
    sandbox.world.add_application(77, "secret")
    preapproval_id = consent["preapproval_id"]
    other_app = {"client_id": 77, "client_secret": "secret"}

    for stranger in (sandbox.issue_token(MARY), sandbox.issue_token(BILL, client_id=77)):
        assert problem(call("preapproval", stranger, preapproval_id=preapproval_id)) == (401, 5002)
        assert call("preapproval/find", stranger).json == []
    refused = call("preapproval", None, **other_app, preapproval_id=preapproval_id)
    assert problem(refused) == (401, 5003)
    assert problem(call("preapproval", preapproval_id=4711)) == (400, 5001)


def test_without_a_token(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """An application may ask for itself: for one account, or for any of its own."""
    sandbox.world.add_application(77, "secret")
    other_app = {"client_id": 77, "client_secret": "secret"}

    anywhere = call("preapproval/create", None, **CREDENTIALS, **CONSENT).json
    here = call("preapproval/create", None, **CREDENTIALS, **CONSENT, account_id=account_id).json
    nowhere = call("preapproval/create", None, **CREDENTIALS, **CONSENT, account_id=4711)
    foreign = call("preapproval/create", None, **other_app, **CONSENT, account_id=account_id)

    assert problem(nowhere) == (400, 3001)
    assert problem(foreign) == (401, 3002)
    for made in (anywhere, here):
        preapproval_id = approved(sandbox, made)
        assert charge(call, account_id, preapproval_id).status_code == 200
        shown = call("preapproval", None, **CREDENTIALS, preapproval_id=preapproval_id).json
        assert shown["state"] == "approved"


def test_in_a_batch(call: Call, account_id: int, token: str) -> None:
    """In a batch too, a token or the credentials say whose call it is."""
    members = [
        {"call": "/preapproval/create", "parameters": {**CREDENTIALS, **CONSENT}},
        {
            "call": "/preapproval/create",
            "authorization": token,
            "parameters": {**CONSENT, "account_id": account_id},
        },
        {"call": "/preapproval/create", "parameters": CONSENT},
    ]

    results = call("batch/create", None, **CREDENTIALS, calls=members).json["calls"]

    codes = [result["response"].get("error_code") for result in results]
    assert codes == [None, None, 1004]
