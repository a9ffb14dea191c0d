"""Accounts and checkouts as the documented answers show them."""

from __future__ import annotations

from decimal import Decimal

from ..objects import Account, Checkout
from .registry import Context

CARDS = ["visa", "mastercard", "american_express", "discover", "jcb", "diners_club"]


def show_account(account: Account) -> dict[str, object]:
    """Show an account as WePay documents it."""
    confirmed = account.state == "active"
    shown: dict[str, object] = {
        "account_id": account.account_id,
        "name": account.name,
        "state": account.state,
        "description": account.description,
        "owner_user_id": account.owner_user_id,
        "type": account.type,
        "create_time": account.create_time,
        "disablement_time": None,
        "country": account.country,
        "currencies": account.currencies,
        "action_reasons": [] if confirmed else ["kyc", "bank_account"],
        "disabled_reasons": [],
        "image_uri": account.image_uri,
        "supported_card_types": CARDS,
        "gaq_domains": account.gaq_domains,
        "balances": [_balance(currency) for currency in account.currencies],
        "statuses": [_status(currency, confirmed) for currency in account.currencies],
    }
    if account.reference_id is not None:
        shown["reference_id"] = account.reference_id
    if account.callback_uri is not None:
        shown["callback_uri"] = account.callback_uri
    return shown


def _balance(currency: str) -> dict[str, object]:
    return {
        "currency": currency,
        "balance": 0,
        "incoming_pending_amount": 0,
        "outgoing_pending_amount": 0,
        "reserved_amount": 0,
        "disputed_amount": 0,
        "withdrawal_period": None,
        "withdrawal_type": None,
        "withdrawal_next_time": None,
        "withdrawal_bank_name": None,
    }


def _status(currency: str, confirmed: bool) -> dict[str, object]:
    return {
        "currency": currency,
        "incoming_payments_status": "ok",
        "outgoing_payments_status": "ok" if confirmed else "paused",
        "account_review_status": "not_requested",
    }


def show_checkout(context: Context, checkout: Checkout) -> dict[str, object]:
    """Show a payment as WePay documents it."""
    hosted = checkout.hosted_checkout
    if hosted is not None:
        address = f"{context.base_url}/checkout/{checkout.checkout_id}"
        hosted = {"checkout_uri": address, **hosted}
    return {
        "checkout_id": checkout.checkout_id,
        "account_id": checkout.account_id,
        "type": checkout.type,
        "short_description": checkout.short_description,
        "currency": checkout.currency,
        "amount": number(checkout.amount),
        "state": checkout.state,
        "soft_descriptor": f"WPY*{context.world.ledger.accounts[checkout.account_id].name}"[:22],
        "auto_release": checkout.auto_release,
        "create_time": checkout.create_time,
        "gross": number(checkout.gross),
        "reference_id": checkout.reference_id,
        "callback_uri": checkout.callback_uri,
        "long_description": checkout.long_description,
        "delivery_type": checkout.delivery_type,
        "initiated_by": "customer",
        "in_review": False,
        "fee": {
            "app_fee": number(checkout.app_fee),
            "processing_fee": number(checkout.processing_fee),
            "fee_payer": checkout.fee_payer,
        },
        "chargeback": {"amount_charged_back": 0, "dispute_uri": None},
        "refund": {
            "amount_refunded": number(checkout.amount_refunded),
            "refund_reason": checkout.refund_reason,
        },
        "payment_method": checkout.payment_method,
        "hosted_checkout": hosted,
        "payer": {
            "name": checkout.payer_name,
            "email": checkout.payer_email,
            "home_address": None,
        },
        "npo_information": None,
        "payment_error": None,
    }


def number(amount: Decimal) -> int | float:
    """Write an amount as JSON does: 20, or 20.88."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)
