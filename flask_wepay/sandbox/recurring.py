"""The payments that preapprovals allow; with ``auto_recur`` they are made automatically."""

from __future__ import annotations

from typing import Any

from .objects import PERIODS, Checkout, Preapproval
from .world import World


def charge_due(world: World) -> None:
    """Make all payments that are due, even long overdue ones."""
    if not world.wallet.preapprovals:
        return
    with world.lock:
        for preapproval in world.wallet.all_preapprovals():
            while (at := _due(preapproval, world.clock())) is not None:
                _charge_period(world, preapproval, at)


def next_charge(preapproval: Preapproval) -> int | None:
    """Return when the next automatic payment is made, or None if there are no more.

    The first is made at ``start_time``, and one after each period.
    https://developer.wepay.com/api/api-calls/preapproval
    """
    length = PERIODS[preapproval.period]
    made = len(preapproval.charges)
    if not preapproval.auto_recur or preapproval.state != "approved" or (made and not length):
        return None
    at = preapproval.start_time + made * (length or 0)
    over = preapproval.end_time is not None and preapproval.end_time <= at
    return None if over else at


def charge(world: World, preapproval: Preapproval, at: float, **details: Any) -> Checkout:
    """Make a payment that a preapproval allows."""
    shown = {"id": preapproval.preapproval_id}
    checkout = world.ledger.add_checkout(
        preapproval.client_id,
        payment_method={"type": "preapproval", "preapproval": shown},
        payer_name=preapproval.payer_name,
        payer_email=preapproval.payer_email,
        **details,
    )
    preapproval.charges.append((at, checkout.amount, checkout.checkout_id))
    world.ledger.change_checkout(checkout, "authorized")
    return checkout


def _due(preapproval: Preapproval, now: float) -> int | None:
    """Return the due time of a payment that is overdue, or None."""
    at = next_charge(preapproval)
    payable = preapproval.account_id is not None and preapproval.amount is not None
    return at if payable and at is not None and at <= now else None


def _charge_period(world: World, preapproval: Preapproval, at: float) -> None:
    charge(
        world,
        preapproval,
        at,
        account_id=preapproval.account_id,
        short_description=preapproval.short_description,
        type="goods",
        currency=preapproval.currency,
        amount=preapproval.amount,
        app_fee=preapproval.app_fee,
        fee_payer=preapproval.fee_payer,
        callback_uri=preapproval.callback_uri,
    )
