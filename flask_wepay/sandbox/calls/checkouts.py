"""The /checkout calls.

See https://developer.wepay.com/api/api-calls/checkout.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from ..answers import Refused
from ..arguments import (
    MAX_URI,
    Argument,
    boolean,
    check_arguments,
    choice,
    decimal,
    integer,
    mapping,
    positive,
    text,
    uri,
)
from ..objects import Checkout
from .accounts import account_of
from .registry import Context, call
from .shown import show_checkout

TYPES = ("goods", "service", "donation", "event", "personal")
DELIVERY_TYPES = (
    "none",
    "fully_delivered",
    "point_of_sale",
    "shipping",
    "donation",
    "subscription",
    "partial_prepayment",
    "full_prepayment",
)
STATES = (
    "new",
    "authorized",
    "captured",
    "released",
    "cancelled",
    "refunded",
    "charged back",
    "failed",
    "expired",
)

#: The members of ``fee`` and ``hosted_checkout``.
#: https://developer.wepay.com/api/general/structures
FEE = (
    Argument("app_fee", decimal),
    Argument("fee_payer", choice("payer", "payee", "payer_from_app", "payee_from_app")),
)
HOSTED_CHECKOUT = (
    Argument("redirect_uri", uri),
    Argument("fallback_uri", uri),
    Argument("mode", choice("regular", "iframe")),
    Argument("prefill_info", mapping),
    Argument("shipping_fee", decimal),
    Argument("require_shipping", boolean),
    Argument("funding_sources", lambda value: None),
    Argument("theme_object", mapping),
)

_CHECKOUT_ID = Argument("checkout_id", integer, required=True)


@call("checkout", _CHECKOUT_ID, permission="collect_payments")
def look_up_checkout(context: Context, arguments: dict[str, Any]) -> object:
    """Show one payment."""
    return show_checkout(context, checkout_of(context, arguments["checkout_id"]))


@call(
    "checkout/find",
    Argument("account_id", integer, required=True),
    Argument("start", integer),
    Argument("limit", integer),
    Argument("reference_id", text(255)),
    Argument("state", choice(*STATES)),
    Argument("preapproval_id", integer),
    Argument("start_time", integer),
    Argument("end_time", integer),
    Argument("sort_order", choice("ASC", "DESC")),
    Argument("shipping_fee", decimal),
    permission="collect_payments",
)
def find_checkouts(context: Context, arguments: dict[str, Any]) -> object:
    """List the payments to an account, newest first and 50 at a time, as a bare array."""
    account = account_of(context, arguments["account_id"])
    found = [
        checkout
        for checkout in context.world.ledger.all_checkouts()
        if checkout.account_id == account.account_id
        and arguments.get("reference_id") in (None, checkout.reference_id)
        and arguments.get("state") in (None, checkout.state)
        and arguments.get("start_time", 0) <= checkout.create_time
        and checkout.create_time <= arguments.get("end_time", checkout.create_time)
    ]
    if arguments.get("sort_order", "DESC") == "DESC":
        found.reverse()
    start = arguments.get("start", 0)
    return [
        show_checkout(context, checkout)
        for checkout in found[start : start + arguments.get("limit", 50)]
    ]


@call(
    "checkout/create",
    Argument("account_id", integer, required=True),
    Argument("short_description", text(255), required=True),
    Argument("type", choice(*TYPES), required=True),
    Argument("amount", positive, required=True),
    Argument("currency", choice("USD", "CAD", "GBP"), required=True),
    Argument("long_description", text(2047)),
    Argument("email_message", mapping),
    Argument("fee", mapping),
    Argument("callback_uri", text(MAX_URI)),
    Argument("auto_release", boolean),
    Argument("reference_id", text(255)),
    Argument("unique_id", text(255)),
    Argument("hosted_checkout", mapping),
    Argument("payment_method", mapping),
    Argument("delivery_type", choice(*DELIVERY_TYPES)),
    Argument("payer_rbits", lambda value: None),
    Argument("transaction_rbits", lambda value: None),
    permission="collect_payments",
)
def create_checkout(context: Context, arguments: dict[str, Any]) -> object:
    """Begin a payment; the same unique_id again gives the payment there is."""
    account = account_of(context, arguments["account_id"])
    fee = arguments.get("fee", {})
    check_arguments(fee, FEE)
    check_arguments(arguments.get("hosted_checkout", {}), HOSTED_CHECKOUT)
    if "hosted_checkout" in arguments and "payment_method" in arguments:
        raise Refused(1003, "send either hosted_checkout or payment_method, not both")
    if arguments["currency"] not in account.currencies:
        raise Refused(1003, "currency parameter is not one of the account's")
    earlier = _earlier(context, arguments)
    if earlier:
        return show_checkout(context, earlier)
    checkout = context.world.ledger.add_checkout(context.token, **_details(arguments, fee))
    if checkout.payment_method:
        context.world.ledger.change_checkout(checkout, "authorized")
    return show_checkout(context, checkout)


@call(
    "checkout/cancel",
    _CHECKOUT_ID,
    Argument("cancel_reason", text(255), required=True),
    permission="collect_payments",
)
def cancel_checkout(context: Context, arguments: dict[str, Any]) -> object:
    """Call off a payment that was not captured yet."""
    checkout = checkout_of(context, arguments["checkout_id"])
    if checkout.state not in {"new", "authorized"}:
        raise Refused(4002, f"a checkout that is {checkout.state} can't be cancelled")
    checkout.cancel_reason = arguments["cancel_reason"]
    context.world.ledger.change_checkout(checkout, "cancelled")
    return {"checkout_id": checkout.checkout_id, "state": checkout.state}


@call(
    "checkout/refund",
    _CHECKOUT_ID,
    Argument("refund_reason", text(255), required=True),
    Argument("amount", positive),
    Argument("app_fee", decimal),
    Argument("payer_email_message", text(65535)),
    Argument("payee_email_message", text(65535)),
    permission="collect_payments",
)
def refund_checkout(context: Context, arguments: dict[str, Any]) -> object:
    """Give a captured payment back, all of it or a part."""
    checkout = checkout_of(context, arguments["checkout_id"])
    if checkout.state not in {"captured", "released"}:
        raise Refused(4002, f"a checkout that is {checkout.state} can't be refunded")
    left = checkout.amount - checkout.amount_refunded
    amount = Decimal(str(arguments.get("amount", left)))
    if not 0 < amount <= left:
        raise Refused(1003, f"amount parameter must be at most {left}")
    context.world.ledger.refund(checkout, amount, arguments["refund_reason"])
    return {"checkout_id": checkout.checkout_id, "state": checkout.state}


def checkout_of(context: Context, checkout_id: int) -> Checkout:
    """Find a payment to an account that the token may see."""
    if checkout_id in context.world.ledger.checkouts:
        checkout = context.world.ledger.checkout(checkout_id)
        owned = {account.account_id for account in context.world.ledger.accounts_of(context.token)}
        if checkout.account_id in owned:
            return checkout
    raise Refused(4001)


def _earlier(context: Context, arguments: dict[str, Any]) -> Checkout | None:
    unique_id = arguments.get("unique_id")
    if unique_id is None:
        return None
    for checkout in context.world.ledger.checkouts.values():
        if (checkout.client_id, checkout.unique_id) == (context.token.client_id, unique_id):
            if checkout.arguments != arguments:
                raise Refused(1003, "unique_id parameter was used for another checkout")
            return checkout
    return None


def _details(arguments: dict[str, Any], fee: dict[str, Any]) -> dict[str, Any]:
    kept = (
        "account_id",
        "short_description",
        "type",
        "currency",
        "long_description",
        "callback_uri",
        "auto_release",
        "reference_id",
        "unique_id",
        "payment_method",
        "delivery_type",
    )
    details = {name: arguments[name] for name in kept if name in arguments}
    if "payment_method" not in arguments:
        details["hosted_checkout"] = arguments.get("hosted_checkout", {})
    return {
        **details,
        "amount": Decimal(str(arguments["amount"])),
        "app_fee": Decimal(str(fee.get("app_fee", 0))),
        "fee_payer": fee.get("fee_payer", "payer"),
        "arguments": arguments,
    }
