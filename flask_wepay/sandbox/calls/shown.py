"""Users, accounts and checkouts as the documented answers show them."""

from __future__ import annotations

from ..objects import Account, Checkout
from .context import Context
from .shapes import ABSENT, Shape, number

CARDS = ["visa", "mastercard", "american_express", "discover", "jcb", "diners_club"]

#: https://developer.wepay.com/api/api-calls/user
USER = Shape(
    "user",
    "user_id",
    "user_name",
    "first_name",
    "last_name",
    "email",
    "state",
    # Real answers have an empty string instead of null.
    callback_uri=lambda context, user: context.token.callback_uri or "",
)


def _is_confirmed(account: Account) -> bool:
    return account.state == "active"


def _balances(context: Context, account: Account) -> object:
    balance = context.world.ledger.balance_of(account)
    return [
        {
            "currency": currency,
            "balance": number(balance.available),
            "incoming_pending_amount": number(balance.incoming),
            "outgoing_pending_amount": number(balance.outgoing),
            "reserved_amount": 0,
            "disputed_amount": number(balance.disputed),
            "withdrawal_period": None,
            "withdrawal_type": None,
            "withdrawal_next_time": None,
            "withdrawal_bank_name": None,
        }
        # An account has one currency today.
        for currency in account.currencies[:1]
    ]


def _statuses(context: Context, account: Account) -> object:
    return [
        {
            "currency": currency,
            "incoming_payments_status": "paused" if account.state == "disabled" else "ok",
            "outgoing_payments_status": "ok" if _is_confirmed(account) else "paused",
            "account_review_status": "not_requested",
        }
        for currency in account.currencies
    ]


def _fee_schedule(context: Context, account: Account) -> object:
    schedule = "2.9% + $0.30"
    return [
        {"slot": 0, "description": schedule, "currency": currency}
        for currency in account.currencies
    ]


#: The fields of an observed answer.
ACCOUNT = Shape(
    "account",
    "account_id",
    "name",
    "state",
    "description",
    "owner_user_id",
    "reference_id",
    "type",
    "create_time",
    "country",
    "currencies",
    "image_uri",
    "gaq_domains",
    "callback_uri",
    "disabled_reasons",
    optional=("reference_id", "callback_uri"),
    disablement_time=lambda context, account: None,
    action_reasons=lambda context, account: (
        ["kyc", "bank_account"] if account.state in {"action_required", "pending"} else []
    ),
    fee_schedule=_fee_schedule,
    support_contact_number=lambda context, account: None,
    support_phone_number=lambda context, account: None,
    supported_card_types=lambda context, account: CARDS,
    balances=_balances,
    statuses=_statuses,
)


def _checkout_uri(context: Context, checkout: Checkout) -> object:
    if checkout.hosted_checkout is None:
        return ABSENT
    return f"{context.base_url}/checkout/{checkout.checkout_id}"


def _hosted_checkout(context: Context, checkout: Checkout) -> object:
    if checkout.hosted_checkout is None:
        return None
    return {"checkout_uri": _checkout_uri(context, checkout), **checkout.hosted_checkout}


def _soft_descriptor(context: Context, checkout: Checkout) -> object:
    return f"WPY*{context.world.ledger.accounts[checkout.account_id].name}"[:22]


#: https://developer.wepay.com/api/api-calls/checkout
CHECKOUT = Shape(
    "checkout",
    "checkout_id",
    "account_id",
    "type",
    "short_description",
    "currency",
    "amount",
    "state",
    "auto_release",
    "create_time",
    "gross",
    "reference_id",
    "callback_uri",
    "long_description",
    "delivery_type",
    "payment_method",
    # A transcript of 2017-02-01 doesn't have this field.
    since={"initiated_by": "2017-05-31"},
    soft_descriptor=_soft_descriptor,
    initiated_by=lambda context, checkout: "customer",
    in_review=lambda context, checkout: False,
    fee=lambda context, checkout: {
        "app_fee": number(checkout.app_fee),
        "processing_fee": number(checkout.processing_fee),
        "fee_payer": checkout.fee_payer,
    },
    chargeback=lambda context, checkout: {"amount_charged_back": 0, "dispute_uri": None},
    refund=lambda context, checkout: {
        "amount_refunded": number(checkout.amount_refunded),
        "refund_reason": checkout.refund_reason,
    },
    hosted_checkout=_hosted_checkout,
    payer=lambda context, checkout: {
        "name": checkout.payer_name,
        "email": checkout.payer_email,
        "home_address": None,
    },
    npo_information=lambda context, checkout: None,
    payment_error=lambda context, checkout: None,
)
ACCOUNT_STATE = Shape("state of an account", "account_id", "state")
#: The answer of the first versions to /checkout/create.
CHECKOUT_URI = Shape("address of a checkout", "checkout_id", checkout_uri=_checkout_uri)
CHECKOUT_STATE = Shape("state of a checkout", "checkout_id", "state")
