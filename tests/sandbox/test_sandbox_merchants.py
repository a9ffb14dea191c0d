"""What merchants do with their accounts: verify them, withdraw from them, close them."""

from __future__ import annotations

from typing import Any

import pytest
from asking import MARY, Call, problem
from flask.testing import FlaskClient

from flask_wepay.sandbox import Clock, Sandbox

PAYMENT = {"short_description": "A bench", "type": "goods", "amount": 20, "currency": "USD"}
BACK = "https://shop.example/back?a=b"


@pytest.fixture
def rich(sandbox: Sandbox, call: Call, account_id: int) -> int:
    """Give an active account with 20 dollars, which hears of what happens to it."""
    call("account/modify", account_id=account_id, callback_uri="http://a/ipn")
    sandbox.verify_account(account_id)
    checkout_id = call("checkout/create", account_id=account_id, **PAYMENT).json["checkout_id"]
    sandbox.pay(checkout_id, state="released")
    return account_id


def balance_of(call: Call, account_id: int) -> tuple[float, float]:
    (shown,) = call("account", account_id=account_id).json["balances"]
    return shown["balance"], shown["outgoing_pending_amount"]


# Accounts


def test_update_uri(sandbox: Sandbox, browser: FlaskClient, call: Call, account_id: int) -> None:
    """A merchant verifies the account on a page, and goes back to the application."""
    call("account/modify", account_id=account_id, callback_uri="http://a/ipn")

    answer = call("account/get_update_uri", account_id=account_id, redirect_uri=BACK).json
    path = f"/account/{account_id}/update"
    page = browser.get(path).text
    back = browser.post(path).location

    assert answer == {"account_id": account_id, "uri": f"http://localhost{path}"}
    assert "Garden" in page
    assert back == BACK
    assert call("account", account_id=account_id).json["state"] == "active"
    assert sandbox.ipns[-1].fields == {"account_id": str(account_id)}
    browser.post(path)
    assert len(sandbox.ipns) == 1
    assert "Your account is active" in browser.get(path).text


def test_page_without_a_way_back(browser: FlaskClient, call: Call, account_id: int) -> None:
    """Without a redirect_uri the page itself says thank you."""
    call("account/get_update_uri", account_id=account_id)

    page = browser.post(f"/account/{account_id}/update", follow_redirects=True).text

    assert "Thank you" in page
    assert "Go back" not in page


@pytest.mark.parametrize(("state", "status"), [("disabled", 200), ("deleted", 404)])
def test_page_of_a_closed_account(
    sandbox: Sandbox, browser: FlaskClient, account_id: int, state: Any, status: int
) -> None:
    """Nobody verifies an account that is out of business."""
    sandbox.change_account(account_id, state)

    browser.post(f"/account/{account_id}/update")
    page = browser.get(f"/account/{account_id}/update")

    assert page.status_code == status
    assert ("is disabled" in page.text) == (state == "disabled")
    assert sandbox.world.ledger.accounts[account_id].state == state


def test_update_at(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A test verifies where it was sent to."""
    uri = call("account/get_update_uri", account_id=account_id, redirect_uri=BACK).json["uri"]

    assert sandbox.update_at(uri.replace("http://localhost", sandbox.url)) == BACK
    with pytest.raises(LookupError, match="Nothing to update"):
        sandbox.update_at(f"{sandbox.url}/account/1/update")


def test_reserve(call: Call, account_id: int) -> None:
    """The sandbox keeps nothing back."""
    # The fields are those of WePay's Java SDK.
    assert call("account/get_reserve_details", account_id=account_id).json == {
        "account_id": account_id,
        "currency": "USD",
        "reserved_amount": 0,
        "withdrawals_schedule": [],
    }


def test_delete(sandbox: Sandbox, call: Call, account_id: int) -> None:
    """A deleted account is not found any more, nor changed, nor paid."""
    call("account/modify", account_id=account_id, callback_uri="http://a/ipn")

    deleted = call("account/delete", account_id=account_id, reason="Moved").json

    assert deleted == {"account_id": account_id, "state": "deleted"}
    assert call("account/find").json == []
    assert call("account", account_id=account_id).json["state"] == "deleted"
    assert sandbox.ipns[-1].fields == {"account_id": str(account_id)}
    for name, arguments in {
        "account/delete": {},
        "account/modify": {"name": "Park"},
        "account/get_update_uri": {},
        "checkout/create": PAYMENT,
        "withdrawal/find": {},
    }.items():
        assert problem(call(name, account_id=account_id, **arguments)) == (400, 3003)


def test_delete_an_account_with_money(call: Call, rich: int) -> None:
    """An account with money can't be deleted."""
    assert problem(call("account/delete", account_id=rich)) == (400, 3004)


@pytest.mark.parametrize("currencies", [[], ["EUR"], ["USD", "EUR"]])
def test_currencies(call: Call, currencies: list[str]) -> None:
    """An account has a currency of WePay's."""
    answer = call("account/create", name="A", description="a", currencies=currencies)

    assert problem(answer) == (400, 1003)


# Withdrawals


def test_withdraw(
    sandbox: Sandbox, clock: Clock, browser: FlaskClient, call: Call, rich: int
) -> None:
    """A merchant sends all the money to the bank, which has it some time later."""
    made = call(
        "withdrawal/create",
        account_id=rich,
        redirect_uri=BACK,
        callback_uri="http://w/ipn",
        note="Rent",
    ).json
    withdrawal_id = made["withdrawal_id"]
    path = f"/withdrawal/{withdrawal_id}"
    page = browser.get(path).text
    back = browser.post(path).location
    on_its_way, outgoing = balance_of(call, rich)
    clock.move(60)
    sandbox.change_withdrawal(withdrawal_id, "captured")

    assert made == {"withdrawal_id": withdrawal_id, "withdrawal_uri": f"http://localhost{path}"}
    assert all(text in page for text in ("Withdraw from Garden", "$20.00", "Rent"))
    assert back == f"{BACK}&withdrawal_id={withdrawal_id}"
    assert (on_its_way, outgoing) == (0, 20)
    assert balance_of(call, rich) == (0, 0)
    told = [ipn.fields for ipn in sandbox.ipns if ipn.callback_uri == "http://w/ipn"]
    assert told == [{"withdrawal_id": str(withdrawal_id)}] * 2
    # https://developer.wepay.com/api/api-calls/withdrawal
    assert call("withdrawal", withdrawal_id=withdrawal_id).json == {
        "withdrawal_id": withdrawal_id,
        "account_id": rich,
        "state": "captured",
        "amount": 20,
        "currency": "USD",
        "type": "ach",
        "bank_data": {"name": "Sandbox bank", "account_last_four": "6789", "note": "Rent"},
        "check_data": None,
        "withdrawal_data": {
            "create_time": 1_700_000_000,
            "capture_time": 1_700_000_060,
            "redirect_uri": BACK,
            "callback_uri": "http://w/ipn",
            "withdrawal_uri": f"http://localhost{path}",
        },
        "in_review": False,
    }


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("started", "on its way"),
        ("captured", "Your bank has it"),
        ("failed", "is failed"),
    ],
)
def test_page_of_a_withdrawal(
    sandbox: Sandbox, browser: FlaskClient, call: Call, rich: int, state: Any, text: str
) -> None:
    """The page says how it stands, and a second click changes nothing."""
    withdrawal_id = call("withdrawal/create", account_id=rich).json["withdrawal_id"]
    sandbox.change_withdrawal(withdrawal_id, state)

    page = browser.post(f"/withdrawal/{withdrawal_id}", follow_redirects=True).text

    assert text in page
    assert call("withdrawal", withdrawal_id=withdrawal_id).json["state"] == state


def test_failed_withdrawal(sandbox: Sandbox, call: Call, rich: int) -> None:
    """Money that the bank would not take is in the account again."""
    withdrawal_id = call("withdrawal/create", account_id=rich).json["withdrawal_id"]
    sandbox.change_withdrawal(withdrawal_id, "started")
    sandbox.change_withdrawal(withdrawal_id, "failed")

    assert balance_of(call, rich) == (20, 0)
    with pytest.raises(ValueError, match="state must be one of new, started"):
        sandbox.change_withdrawal(withdrawal_id, "gone")  # type: ignore[arg-type]


def test_withdraw_at(sandbox: Sandbox, call: Call, rich: int) -> None:
    """A test withdraws where it was sent to."""
    made = call("withdrawal/create", account_id=rich, redirect_uri=BACK).json

    back = sandbox.withdraw_at(f"{sandbox.url}/withdrawal/{made['withdrawal_id']}")

    assert back.startswith(BACK)
    with pytest.raises(LookupError, match="Nothing to withdraw"):
        sandbox.withdraw_at(f"{sandbox.url}/withdrawal/1")


def test_find_and_modify(sandbox: Sandbox, clock: Clock, call: Call, rich: int) -> None:
    """Withdrawals are found by state, newest first; one that nobody confirmed expires."""
    first, second = [
        call("withdrawal/create", account_id=rich).json["withdrawal_id"] for _ in range(2)
    ]
    sandbox.change_withdrawal(first, "started")
    changed = call("withdrawal/modify", withdrawal_id=first, callback_uri="http://b/i").json

    def found(**arguments: Any) -> list[int]:
        answer = call("withdrawal/find", account_id=rich, **arguments).json
        return [withdrawal["withdrawal_id"] for withdrawal in answer]

    assert changed["withdrawal_data"]["callback_uri"] == "http://b/i"
    assert found() == [second, first]
    assert found(state="started") == found(start=1) == [first]
    clock.move(3600)
    assert found(state="expired") == [second]


def test_withdrawals_out_of_bounds(sandbox: Sandbox, call: Call, rich: int) -> None:
    """A withdrawal wants an active account, and is its owner's business."""
    withdrawal_id = call("withdrawal/create", account_id=rich).json["withdrawal_id"]
    mary = sandbox.issue_token(MARY)
    theirs = call("account/create", name="Other", description="o").json["account_id"]

    assert problem(call("withdrawal", mary, withdrawal_id=withdrawal_id)) == (401, 6002)
    assert problem(call("withdrawal", withdrawal_id=4711)) == (400, 6001)
    assert problem(call("withdrawal/create", account_id=theirs)) == (400, 3004)
