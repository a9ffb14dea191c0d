"""The /withdrawal calls.

See https://developer.wepay.com/api/api-calls/withdrawal.
"""

from __future__ import annotations

from typing import Any, get_args

from ..answers import Refused
from ..arguments import Argument, choice, integer, pick, text, uri
from ..objects import Withdrawal, WithdrawalState
from .accounts import ACCOUNT_ERRORS, ACCOUNT_ID, CURRENCIES, account_of, of_account
from .context import Context
from .finding import PAGE, SORT_ORDER, matches, page_of
from .registry import call
from .shapes import Shape

#: The bank account of the sandbox's merchants.
BANK = "Sandbox bank"
LAST_FOUR = "6789"


def _address(context: Context, withdrawal: Withdrawal) -> str:
    return f"{context.base_url}/withdrawal/{withdrawal.withdrawal_id}"


def _data(context: Context, withdrawal: Withdrawal) -> object:
    return {
        "create_time": withdrawal.create_time,
        "capture_time": withdrawal.capture_time,
        "redirect_uri": withdrawal.redirect_uri,
        "callback_uri": withdrawal.callback_uri,
        "withdrawal_uri": _address(context, withdrawal),
    }


WITHDRAWAL = Shape(
    "withdrawal",
    "withdrawal_id",
    "account_id",
    "state",
    "amount",
    "currency",
    type=lambda context, withdrawal: "ach",
    bank_data=lambda context, withdrawal: {
        "name": BANK,
        "account_last_four": LAST_FOUR,
        "note": withdrawal.note,
    },
    check_data=lambda context, withdrawal: None,
    withdrawal_data=_data,
    in_review=lambda context, withdrawal: False,
)
WITHDRAWAL_URI = Shape("address of a withdrawal", "withdrawal_id", withdrawal_uri=_address)

_WITHDRAWAL_ID = Argument("withdrawal_id", integer, required=True)
_WITHDRAWAL_ERRORS = (6001, 6002)


@call(
    "withdrawal",
    _WITHDRAWAL_ID,
    answer=WITHDRAWAL,
    permission="manage_accounts",
    errors=_WITHDRAWAL_ERRORS,
)
def look_up_withdrawal(context: Context, arguments: dict[str, Any]) -> Withdrawal:
    """Return a withdrawal."""
    return withdrawal_of(context, arguments["withdrawal_id"])


@call(
    "withdrawal/find",
    ACCOUNT_ID,
    Argument("state", choice(*get_args(WithdrawalState))),
    *PAGE,
    SORT_ORDER,
    answer=WITHDRAWAL,
    many=True,
    permission="manage_accounts",
    errors=ACCOUNT_ERRORS,
)
def find_withdrawals(context: Context, arguments: dict[str, Any]) -> list[Withdrawal]:
    """Return the withdrawals of an account as an array, 50 at a time, newest first."""
    account = account_of(context, arguments["account_id"])
    found = [
        withdrawal
        for withdrawal in context.world.ledger.withdrawals_of(account)
        if matches(withdrawal, arguments, "state")
    ]
    return page_of(found, arguments)


@call(
    "withdrawal/create",
    ACCOUNT_ID,
    Argument("currency", choice(*CURRENCIES)),
    Argument("redirect_uri", uri),
    Argument("callback_uri", uri),
    Argument("fallback_uri", uri),
    Argument("note", text(255)),
    Argument("mode", choice("regular", "iframe")),
    answer=WITHDRAWAL_URI,
    permission="manage_accounts",
    errors=(*ACCOUNT_ERRORS, 3004),
)
def create_withdrawal(context: Context, arguments: dict[str, Any]) -> Withdrawal:
    """Return the URL of a page on which an account's owner moves the money to their bank."""
    account = account_of(context, arguments["account_id"])
    if account.state != "active":
        raise Refused(3004)
    details = pick(arguments, "currency", "redirect_uri", "callback_uri", "note")
    return context.world.ledger.add_withdrawal(account, **details)


@call(
    "withdrawal/modify",
    _WITHDRAWAL_ID,
    Argument("callback_uri", uri),
    answer=WITHDRAWAL,
    permission="manage_accounts",
    errors=_WITHDRAWAL_ERRORS,
)
def modify_withdrawal(context: Context, arguments: dict[str, Any]) -> Withdrawal:
    """Change the callback_uri of a withdrawal."""
    withdrawal = withdrawal_of(context, arguments["withdrawal_id"])
    withdrawal.callback_uri = arguments.get("callback_uri", withdrawal.callback_uri)
    return withdrawal


def withdrawal_of(context: Context, withdrawal_id: int) -> Withdrawal:
    """Return a withdrawal from an account that the token may see."""
    find = context.world.ledger.withdrawal
    return of_account(context, find, withdrawal_id, unknown=6001, foreign=6002)
