"""The /checkout calls.

See https://developer.wepay.com/api/api-calls/checkout.
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
    pick,
    positive,
    structure,
    text,
    uri,
)
from ..objects import Checkout, CheckoutState
from ..old_versions import STRUCTURED_SINCE
from ..recurring import charge
from .accounts import ACCOUNT_ERRORS, CURRENCIES, account_of, of_account
from .context import Context
from .credit_cards import usable
from .finding import PAGE, SORT_ORDER, matches, page_of
from .preapprovals import CHARGE_ERRORS, FEE_PAYER, chargeable
from .registry import call
from .shown import CHECKOUT, CHECKOUT_STATE, CHECKOUT_URI

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
CHECKOUT_ERRORS = (4001, 4002)

#: https://developer.wepay.com/api/general/structures
FEE = structure(
    Argument("app_fee", decimal),
    FEE_PAYER,
)
HOSTED_CHECKOUT = structure(
    Argument("redirect_uri", uri),
    Argument("fallback_uri", uri),
    Argument("mode", choice("regular", "iframe")),
    Argument("prefill_info", mapping),
    Argument("shipping_fee", decimal),
    Argument("require_shipping", boolean),
    Argument("funding_sources", anything),
    Argument("theme_object", mapping),
)

#: The errors of a payment method that can't be charged.
PAYMENT_METHOD_ERRORS = (2009, 4003, *CHARGE_ERRORS)
PAYMENT_METHOD = structure(
    Argument("type", choice("credit_card", "preapproval", "payment_bank"), required=True),
    Argument(
        "credit_card",
        structure(
            Argument("id", integer, required=True),
            Argument("auto_capture", boolean),
            Argument("data", anything),
            Argument("additional_data", anything),
        ),
    ),
    Argument("preapproval", structure(Argument("id", integer, required=True))),
    Argument("payment_bank", mapping),
)

_CHECKOUT_ID = Argument("checkout_id", integer, required=True)


@call(
    "checkout",
    _CHECKOUT_ID,
    answer=CHECKOUT,
    permission="collect_payments",
    errors=CHECKOUT_ERRORS,
)
def look_up_checkout(context: Context, arguments: dict[str, Any]) -> Checkout:
    """Return a checkout."""
    return checkout_of(context, arguments["checkout_id"])


@call(
    "checkout/find",
    Argument("account_id", integer, required=True),
    *PAGE,
    Argument("reference_id", text(255)),
    Argument("state", choice(*get_args(CheckoutState))),
    Argument("preapproval_id", integer),
    Argument("start_time", integer),
    Argument("end_time", integer),
    SORT_ORDER,
    Argument("shipping_fee", decimal),
    answer=CHECKOUT,
    many=True,
    errors=ACCOUNT_ERRORS,
    permission="collect_payments",
)
def find_checkouts(context: Context, arguments: dict[str, Any]) -> list[Checkout]:
    """Return the checkouts of an account as an array, 50 at a time, newest first."""
    account = account_of(context, arguments["account_id"])
    found = [
        checkout
        for checkout in context.world.ledger.checkouts_of(account)
        if matches(checkout, arguments, "reference_id", "state")
        and arguments.get("preapproval_id") in (None, _preapproval_id(checkout))
        and arguments.get("start_time", 0) <= checkout.create_time
        and checkout.create_time <= arguments.get("end_time", checkout.create_time)
    ]
    return page_of(found, arguments)


@call(
    "checkout/create",
    Argument("account_id", integer, required=True),
    Argument("short_description", text(255), required=True),
    Argument("type", choice(*TYPES), required=True),
    Argument("amount", positive, required=True),
    Argument("currency", choice(*CURRENCIES), required=True),
    Argument("long_description", text(2047)),
    Argument("email_message", mapping),
    Argument("fee", FEE),
    Argument("callback_uri", uri),
    Argument("auto_release", boolean),
    Argument("reference_id", text(255)),
    Argument("unique_id", text(255)),
    Argument("hosted_checkout", HOSTED_CHECKOUT),
    Argument("payment_method", PAYMENT_METHOD),
    Argument("delivery_type", choice(*DELIVERY_TYPES)),
    Argument("payer_rbits", anything),
    Argument("transaction_rbits", anything),
    answer=CHECKOUT,
    errors=(*ACCOUNT_ERRORS, 3004, *PAYMENT_METHOD_ERRORS),
    permission="collect_payments",
)
def create_checkout(context: Context, arguments: dict[str, Any]) -> object:
    """Create a checkout; the same ``unique_id`` again returns the existing one."""
    checkout = _create(context, arguments)
    if context.api_version < STRUCTURED_SINCE:
        return CHECKOUT_URI.show(context, checkout)
    return checkout


def _create(context: Context, arguments: dict[str, Any]) -> Checkout:
    account = account_of(context, arguments["account_id"])
    if account.state == "disabled":
        raise Refused(3004)
    fee = arguments.get("fee", {})
    if "hosted_checkout" in arguments and "payment_method" in arguments:
        raise Refused(1003, "send either hosted_checkout or payment_method, not both")
    if arguments["currency"] not in account.currencies:
        raise Refused(1003, "currency parameter is not one of the account's")
    earlier = _earlier(context, arguments)
    if earlier:
        return earlier
    details = _details(arguments, fee)
    ledger = context.world.ledger
    if "payment_method" not in arguments:
        return ledger.add_checkout(context.token.client_id, **details)
    method = arguments["payment_method"]
    asked = method.get(method["type"])
    if not asked or method["type"] == "payment_bank":
        raise Refused(4003)
    if method["type"] == "preapproval":
        preapproval = chargeable(context, asked["id"], arguments)
        return charge(context.world, preapproval, context.world.clock(), **details)
    details |= _charge_card(context, asked)
    checkout = ledger.add_checkout(context.token.client_id, **details)
    ledger.change_checkout(checkout, "authorized")
    return checkout


@call(
    "checkout/cancel",
    _CHECKOUT_ID,
    Argument("cancel_reason", text(255), required=True),
    answer=CHECKOUT_STATE,
    errors=(*CHECKOUT_ERRORS, 4004),
    permission="collect_payments",
)
def cancel_checkout(context: Context, arguments: dict[str, Any]) -> Checkout:
    """Cancel a checkout that is not released yet."""
    checkout = checkout_of(context, arguments["checkout_id"])
    if checkout.state == "cancelled":
        raise Refused(4004)
    want_state(checkout, "new", "authorized", "captured", to="cancel")
    checkout.cancel_reason = arguments["cancel_reason"]
    context.world.ledger.change_checkout(checkout, "cancelled")
    return checkout


@call(
    "checkout/refund",
    _CHECKOUT_ID,
    Argument("refund_reason", text(255), required=True),
    Argument("amount", positive),
    Argument("app_fee", decimal),
    Argument("payer_email_message", text(65535)),
    Argument("payee_email_message", text(65535)),
    answer=CHECKOUT_STATE,
    errors=(*CHECKOUT_ERRORS, 4004),
    permission="collect_payments",
)
def refund_checkout(context: Context, arguments: dict[str, Any]) -> Checkout:
    """Refund a captured checkout, in full or in part."""
    checkout = checkout_of(context, arguments["checkout_id"])
    want_state(checkout, "captured", "released", to="refund")
    left = checkout.amount - checkout.amount_refunded
    amount = arguments.get("amount", left)
    if not 0 < amount <= left:
        raise Refused(1003, f"amount parameter must be at most {left}")
    context.world.ledger.refund(checkout, amount, arguments["refund_reason"])
    return checkout


@call(
    "checkout/capture",
    _CHECKOUT_ID,
    answer=CHECKOUT,
    errors=(*CHECKOUT_ERRORS, 4004),
    permission="collect_payments",
)
def capture_checkout(context: Context, arguments: dict[str, Any]) -> object:
    """Capture a checkout that was created with ``auto_capture: false``."""
    checkout = checkout_of(context, arguments["checkout_id"])
    want_state(checkout, "authorized", to="capture")
    # The recorded answer shows the payment as it was: WePay captures a little later.
    shown = CHECKOUT.show(context, checkout)
    context.world.ledger.change_checkout(checkout, "captured")
    return shown


@call(
    "checkout/release",
    _CHECKOUT_ID,
    answer=CHECKOUT,
    errors=(*CHECKOUT_ERRORS, 4004),
    permission="collect_payments",
)
def release_checkout(context: Context, arguments: dict[str, Any]) -> Checkout:
    """Release a checkout that was created with ``auto_release: false`` to the account."""
    checkout = checkout_of(context, arguments["checkout_id"])
    want_state(checkout, "captured", to="release")
    context.world.ledger.change_checkout(checkout, "released")
    return checkout


@call(
    "checkout/modify",
    _CHECKOUT_ID,
    Argument("callback_uri", uri),
    Argument("payer_rbits", anything),
    Argument("transaction_rbits", anything),
    answer=CHECKOUT,
    errors=CHECKOUT_ERRORS,
    permission="collect_payments",
)
def modify_checkout(context: Context, arguments: dict[str, Any]) -> Checkout:
    """Change the callback_uri of a checkout."""
    checkout = checkout_of(context, arguments["checkout_id"])
    checkout.callback_uri = arguments.get("callback_uri", checkout.callback_uri)
    return checkout


def checkout_of(context: Context, checkout_id: int) -> Checkout:
    """Return a checkout of an account that the token may see."""
    find = context.world.ledger.checkout
    return of_account(context, find, checkout_id, unknown=4001, foreign=4002)


def want_state(checkout: Checkout, *states: CheckoutState, to: str) -> None:
    """Refuse with 4004 what a checkout's state doesn't allow, in the observed words."""
    if checkout.state not in states:
        wanted = " or ".join(f"'{state.capitalize()}'" for state in states)
        raise Refused(
            4004,
            f"Checkout object must be in state {wanted} to {to}. "
            f"Currently it is in state {checkout.state}",
        )


def _charge_card(context: Context, asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkout stores about the card to charge."""
    wallet = context.world.wallet
    if asked["id"] not in wallet.cards:
        raise Refused(4003)
    card = wallet.card(asked["id"])
    if card.client_id != context.application.client_id:
        raise Refused(4003)
    if usable(card).state == "new":
        wallet.change_card(card, "authorized")
    auto_capture = asked.get("auto_capture", True)
    shown = {
        "id": card.credit_card_id,
        "data": {"emv_receipt": None, "signature_url": None},
        "auto_capture": auto_capture,
    }
    return {
        "payment_method": {"type": "credit_card", "credit_card": shown},
        "auto_capture": auto_capture,
        "payer_name": card.user_name,
        "payer_email": card.email,
    }


def _earlier(context: Context, arguments: dict[str, Any]) -> Checkout | None:
    unique_id = arguments.get("unique_id")
    if unique_id is None:
        return None
    for checkout in context.world.ledger.checkouts.values():
        if (checkout.client_id, checkout.unique_id) == (context.token.client_id, unique_id):
            differing = {
                name
                for name in {*checkout.arguments, *arguments}
                if checkout.arguments.get(name) != arguments.get(name)
            }
            problem = "unique_id parameter was used for another checkout"
            # WePay compares these two and the application.
            if differing & {"account_id", "amount"}:
                raise Refused(1003, problem)
            if differing:
                context.strictness.object_to(problem)
            return checkout
    return None


def _preapproval_id(checkout: Checkout) -> int | None:
    preapproval: dict[str, int] = (checkout.payment_method or {}).get("preapproval", {})
    return preapproval.get("id")


def _details(arguments: dict[str, Any], fee: dict[str, Any]) -> dict[str, Any]:
    details = pick(
        arguments,
        "account_id",
        "short_description",
        "type",
        "currency",
        "long_description",
        "callback_uri",
        "auto_release",
        "reference_id",
        "unique_id",
        "delivery_type",
    )
    if "payment_method" not in arguments:
        details["hosted_checkout"] = arguments.get("hosted_checkout", {})
    return {
        **details,
        "amount": arguments["amount"],
        "app_fee": fee.get("app_fee", Decimal(0)),
        "fee_payer": fee.get("fee_payer", "payer"),
        "arguments": arguments,
    }
