"""The /preapproval calls, and the payments that they allow.

See https://developer.wepay.com/api/api-calls/preapproval.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args

from ..answers import Refused
from ..arguments import (
    Argument,
    anything,
    boolean,
    choice,
    decimal,
    integer,
    mapping,
    moment,
    positive,
    text,
    uri,
)
from ..objects import PERIODS, Preapproval, PreapprovalState
from ..recurring import next_charge
from .accounts import ACCOUNT_ERRORS, CURRENCIES, account_of
from .context import Context
from .credit_cards import card_of, usable
from .finding import PAGE, SORT_ORDER, matches, page_of
from .registry import CREDENTIALS, call
from .shapes import Shape, number


def _address(context: Context, preapproval: Preapproval) -> str:
    return f"{context.base_url}/preapproval/{preapproval.preapproval_id}"


def _last(index: int) -> Any:
    def show(context: Context, preapproval: Preapproval) -> object:
        return int(preapproval.charges[-1][index]) if preapproval.charges else None

    return show


PREAPPROVAL = Shape(
    "preapproval",
    "preapproval_id",
    "account_id",
    "short_description",
    "long_description",
    "currency",
    "amount",
    "fee_payer",
    "state",
    "redirect_uri",
    "callback_uri",
    "app_fee",
    "period",
    "frequency",
    "start_time",
    "end_time",
    "reference_id",
    "shipping_fee",
    "auto_recur",
    "payer_name",
    "payer_email",
    "create_time",
    optional=("account_id", "callback_uri", "redirect_uri", "payer_name", "payer_email"),
    preapproval_uri=_address,
    manage_uri=_address,
    shipping_address=lambda context, preapproval: None,
    tax=lambda context, preapproval: 0,
    next_due_time=lambda context, preapproval: next_charge(preapproval),
    last_checkout_id=_last(2),
    last_checkout_time=_last(0),
)
PREAPPROVAL_URI = Shape("address of a preapproval", "preapproval_id", preapproval_uri=_address)
PREAPPROVAL_STATE = Shape("state of a preapproval", "preapproval_id", "state")

#: https://developer.wepay.com/api/general/structures
FEE_PAYER = Argument("fee_payer", choice("payer", "payee", "payer_from_app", "payee_from_app"))
_PREAPPROVAL_ID = Argument("preapproval_id", integer, required=True)
_PREAPPROVAL_ERRORS = (5001, 5002, 5003)

#: The errors of a preapproval that can't be charged.
CHARGE_ERRORS = (*_PREAPPROVAL_ERRORS, 5004, 5005, 5006, 5008, 5009, 5010)


@call(
    "preapproval",
    _PREAPPROVAL_ID,
    answer=PREAPPROVAL,
    permission="preapprove_payments",
    credentials=CREDENTIALS,
    errors=_PREAPPROVAL_ERRORS,
)
def look_up_preapproval(context: Context, arguments: dict[str, Any]) -> Preapproval:
    """Return a preapproval."""
    return preapproval_of(context, arguments["preapproval_id"])


@call(
    "preapproval/find",
    Argument("account_id", integer),
    Argument("state", choice(*get_args(PreapprovalState))),
    Argument("reference_id", text(255)),
    Argument("last_checkout_id", integer),
    Argument("shipping_fee", decimal),
    *PAGE,
    SORT_ORDER,
    answer=PREAPPROVAL,
    many=True,
    permission="preapprove_payments",
    credentials=CREDENTIALS,
    errors=ACCOUNT_ERRORS,
)
def find_preapprovals(context: Context, arguments: dict[str, Any]) -> list[Preapproval]:
    """Return preapprovals as an array, 50 at a time, newest first."""
    if "account_id" in arguments:
        _check_account(context, arguments["account_id"])
    found = [
        preapproval
        for preapproval in context.world.wallet.all_preapprovals()
        if _may_see(context, preapproval) is None
        and matches(preapproval, arguments, "account_id", "state", "reference_id")
        and arguments.get("last_checkout_id") in (None, _last(2)(context, preapproval))
    ]
    return page_of(found, arguments)


@call(
    "preapproval/create",
    Argument("account_id", integer),
    Argument("short_description", text(255), required=True),
    Argument("period", choice(*PERIODS), required=True),
    Argument("amount", positive),
    Argument("currency", choice(*CURRENCIES)),
    Argument("reference_id", text(255)),
    Argument("app_fee", decimal),
    FEE_PAYER,
    Argument("redirect_uri", uri),
    Argument("callback_uri", uri),
    Argument("fallback_uri", uri),
    Argument("require_shipping", boolean),
    Argument("shipping_fee", decimal),
    Argument("charge_tax", boolean),
    Argument("payer_email_message", text(65535)),
    Argument("long_description", text(2047)),
    Argument("frequency", integer),
    Argument("start_time", moment),
    Argument("end_time", moment),
    Argument("auto_recur", boolean),
    Argument("mode", choice("regular", "iframe")),
    Argument("prefill_info", mapping),
    Argument("funding_sources", anything),
    Argument("theme_object", mapping),
    Argument("payment_method_id", integer),
    Argument("payment_method_type", choice("credit_card")),
    answer=PREAPPROVAL_URI,
    permission="preapprove_payments",
    credentials=CREDENTIALS,
    errors=(*ACCOUNT_ERRORS, 2009, 10001),
)
def create_preapproval(context: Context, arguments: dict[str, Any]) -> Preapproval:
    """Create a preapproval, to which the payer consents on a page or by a stored card."""
    account_id = arguments.get("account_id")
    if context.authorized and account_id is None:
        raise Refused(1004, "account_id parameter is required")
    if account_id is not None:
        _check_account(context, account_id)
    card = None
    if "payment_method_id" in arguments:
        card = usable(card_of(context, arguments["payment_method_id"]))
    kept = {
        name: value
        for name, value in arguments.items()
        if name in Preapproval.__dataclass_fields__ and name != "account_id"
    }
    preapproval = context.world.wallet.add_preapproval(
        context.application.client_id, account_id=account_id, **kept
    )
    if card:
        preapproval.payer_name, preapproval.payer_email = card.user_name, card.email
        context.world.wallet.change_preapproval(preapproval, "approved")
    return preapproval


@call(
    "preapproval/cancel",
    _PREAPPROVAL_ID,
    answer=PREAPPROVAL_STATE,
    permission="preapprove_payments",
    credentials=CREDENTIALS,
    errors=(*_PREAPPROVAL_ERRORS, 5006),
)
def cancel_preapproval(context: Context, arguments: dict[str, Any]) -> Preapproval:
    """Cancel a preapproval."""
    preapproval = preapproval_of(context, arguments["preapproval_id"])
    if preapproval.state not in {"new", "approved", "retrying"}:
        raise Refused(5006, f"this preapproval is {preapproval.state}")
    context.world.wallet.change_preapproval(preapproval, "cancelled")
    return preapproval


@call(
    "preapproval/modify",
    _PREAPPROVAL_ID,
    Argument("callback_uri", uri),
    answer=PREAPPROVAL,
    permission="preapprove_payments",
    credentials=CREDENTIALS,
    errors=_PREAPPROVAL_ERRORS,
)
def modify_preapproval(context: Context, arguments: dict[str, Any]) -> Preapproval:
    """Change the callback_uri of a preapproval."""
    preapproval = preapproval_of(context, arguments["preapproval_id"])
    preapproval.callback_uri = arguments.get("callback_uri", preapproval.callback_uri)
    return preapproval


def _check_account(context: Context, account_id: int) -> None:
    if context.authorized:
        account_of(context, account_id)
        return
    account = context.world.ledger.accounts.get(account_id)
    if account is None:
        raise Refused(3001)
    if account.client_id != context.application.client_id:
        raise Refused(3002)


def preapproval_of(context: Context, preapproval_id: int) -> Preapproval:
    """Return a preapproval that the token, or else the application, may see."""
    wallet = context.world.wallet
    if preapproval_id not in wallet.preapprovals:
        raise Refused(5001)
    preapproval = wallet.preapproval(preapproval_id)
    refusal = _may_see(context, preapproval)
    if refusal is not None:
        raise Refused(refusal)
    return preapproval


def _may_see(context: Context, preapproval: Preapproval) -> int | None:
    if preapproval.client_id != context.application.client_id:
        return 5002 if context.authorized else 5003
    if context.authorized and preapproval.account_id is not None:
        account = context.world.ledger.accounts[preapproval.account_id]
        if not context.world.ledger.may_see(context.token, account):
            return 5002
    return None


def chargeable(context: Context, preapproval_id: int, arguments: dict[str, Any]) -> Preapproval:
    """Return a preapproval that allows this payment now, or refuse it with its error."""
    preapproval = preapproval_of(context, preapproval_id)
    now = context.world.clock()
    if preapproval.state == "completed":
        raise Refused(5005)
    if preapproval.state != "approved":
        raise Refused(5006, f"this preapproval is {preapproval.state}")
    if preapproval.account_id not in (None, arguments["account_id"]):
        raise Refused(5008)
    if now < preapproval.start_time:
        raise Refused(5004)
    charged = preapproval.charges_of_period(now)
    if len(charged) >= preapproval.frequency:
        raise Refused(5009)
    left = None if preapproval.amount is None else preapproval.amount - sum(charged, Decimal(0))
    if left is not None and arguments["amount"] > left:
        raise Refused(5010, f"this preapproval has {number(left)} left for the period")
    return preapproval
