"""The /account calls.

See https://developer.wepay.com/api/api-calls/account.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..answers import Refused
from ..arguments import Argument, choice, integer, mapping, pick, text, texts, uri
from ..objects import Account, Checkout, Withdrawal
from .context import Context
from .finding import SORT_ORDER, in_order, matches
from .registry import call
from .shapes import Shape
from .shown import ACCOUNT, ACCOUNT_STATE

UPDATE_URI = Shape(
    "address to update an account at",
    "account_id",
    uri=lambda context, account: f"{context.base_url}/account/{account.account_id}/update",
)
RESERVE = Shape(
    "reserve of an account",
    "account_id",
    currency=lambda context, account: account.currencies[0],
    reserved_amount=lambda context, account: 0,
    withdrawals_schedule=lambda context, account: [],
)

Owned = TypeVar("Owned", Checkout, Withdrawal)

CURRENCIES = ("USD", "CAD", "GBP")

#: The errors of a call about an account.
ACCOUNT_ERRORS = (3001, 3002, 3003)
ACCOUNT_ID = Argument("account_id", integer, required=True)
_CHANGEABLE = (
    Argument("reference_id", text(255)),
    Argument("image_uri", uri),
    Argument("gaq_domains", texts),
    Argument("theme_object", mapping),
    Argument("callback_uri", uri),
    Argument("country_options", mapping),
    Argument("rbits", mapping),
)


@call(
    "account",
    ACCOUNT_ID,
    answer=ACCOUNT,
    permission="manage_accounts",
    errors=(3001, 3002),
)
def look_up_account(context: Context, arguments: dict[str, Any]) -> Account:
    """Return an account of the token's user."""
    return account_of(context, arguments["account_id"], deleted=True)


@call(
    "account/find",
    Argument("name", text(255)),
    Argument("reference_id", text(255)),
    SORT_ORDER,
    answer=ACCOUNT,
    many=True,
    permission="manage_accounts",
)
def find_accounts(context: Context, arguments: dict[str, Any]) -> list[Account]:
    """Return the accounts of the token's user as an array, newest first."""
    found = [
        account
        for account in context.world.ledger.accounts_of(context.token)
        if matches(account, arguments, "name", "reference_id")
    ]
    return in_order(found, arguments)


@call(
    "account/create",
    Argument("name", text(255), required=True),
    Argument("description", text(65535), required=True),
    Argument("type", choice("personal", "business", "nonprofit")),
    Argument("mcc", integer),
    Argument("country", choice("US", "CA", "GB")),
    Argument("currencies", texts),
    Argument("fee_schedule_slot", integer),
    *_CHANGEABLE,
    answer=ACCOUNT,
    permission="manage_accounts",
)
def create_account(context: Context, arguments: dict[str, Any]) -> Account:
    """Open a payment account for the token's user."""
    _check_account(context, arguments)
    kept = _kept(arguments, "name", "description", "type", "country", "currencies")
    # The account of a pending user is pending too.
    state = "pending" if context.user.state == "pending" else "action_required"
    return context.world.ledger.add_account(context.token, state=state, **kept)


@call(
    "account/modify",
    ACCOUNT_ID,
    Argument("name", text(255)),
    Argument("description", text(65535)),
    *_CHANGEABLE,
    answer=ACCOUNT,
    permission="manage_accounts",
    errors=ACCOUNT_ERRORS,
)
def modify_account(context: Context, arguments: dict[str, Any]) -> Account:
    """Change an account of the token's user."""
    account = account_of(context, arguments["account_id"])
    _check_account(context, arguments)
    for name, value in _kept(arguments, "name", "description").items():
        setattr(account, name, value)
    return account


@call(
    "account/delete",
    ACCOUNT_ID,
    Argument("reason", text(255)),
    answer=ACCOUNT_STATE,
    permission="manage_accounts",
    errors=(*ACCOUNT_ERRORS, 3004),
)
def delete_account(context: Context, arguments: dict[str, Any]) -> Account:
    """Delete an account that has no money, neither available nor pending."""
    account = account_of(context, arguments["account_id"])
    balance = context.world.ledger.balance_of(account)
    if balance.available or balance.incoming or balance.outgoing:
        raise Refused(3004, "an account with a balance or pending payments can't be deleted")
    context.world.ledger.change_account(account, "deleted")
    return account


@call(
    "account/get_update_uri",
    ACCOUNT_ID,
    Argument("mode", choice("regular", "iframe")),
    Argument("redirect_uri", uri),
    Argument("prefill_info", mapping),
    answer=UPDATE_URI,
    permission="manage_accounts",
    errors=ACCOUNT_ERRORS,
)
def get_update_uri(context: Context, arguments: dict[str, Any]) -> Account:
    """Return the URL of a page that asks an account's owner for missing details."""
    account = account_of(context, arguments["account_id"])
    account.update_redirect_uri = arguments.get("redirect_uri")
    return account


@call(
    "account/get_reserve_details",
    ACCOUNT_ID,
    Argument("currency", choice(*CURRENCIES)),
    answer=RESERVE,
    permission="manage_accounts",
    errors=ACCOUNT_ERRORS,
)
def get_reserve_details(context: Context, arguments: dict[str, Any]) -> Account:
    """Return the reserve that WePay withholds from an account; in the sandbox it is empty."""
    return account_of(context, arguments["account_id"])


def account_of(context: Context, account_id: int, *, deleted: bool = False) -> Account:
    """Return an account that the token may see; a deleted one only on request."""
    ledger = context.world.ledger
    account = ledger.accounts.get(account_id)
    if account is None:
        raise Refused(3001)
    if not ledger.may_see(context.token, account):
        raise Refused(3002)
    if account.state == "deleted" and not deleted:
        raise Refused(3003)
    return account


def of_account(
    context: Context, find: Callable[[int], Owned], id_: int, *, unknown: int, foreign: int
) -> Owned:
    """Return an object of an account that the token may see, or refuse it."""
    try:
        found = find(id_)
    except LookupError:
        raise Refused(unknown) from None
    ledger = context.world.ledger
    if not ledger.may_see(context.token, ledger.accounts[found.account_id]):
        raise Refused(foreign)
    return found


def _kept(arguments: dict[str, Any], *names: str) -> dict[str, Any]:
    return pick(arguments, *names, "reference_id", "image_uri", "gaq_domains", "callback_uri")


def _check_account(context: Context, arguments: dict[str, Any]) -> None:
    currencies = arguments.get("currencies", CURRENCIES)
    if not currencies or not set(currencies) <= set(CURRENCIES):
        raise Refused(1003, f"currencies parameter must have one of {', '.join(CURRENCIES)}")
    # Against phishing, WePay forbids its own name in the name of an account.
    if "wepay" in arguments.get("name", "").lower():
        raise Refused(1003, "name parameter must not contain the word wepay")
    reference_id = arguments.get("reference_id")
    for account in context.world.ledger.accounts_of(context.token):
        if (
            reference_id is not None
            and account.reference_id == reference_id
            and account.account_id != arguments.get("account_id")
        ):
            raise Refused(1003, "reference_id parameter must be unique")
