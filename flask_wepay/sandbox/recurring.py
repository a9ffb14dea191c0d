"""The payments that preapprovals with ``auto_recur`` make automatically."""

from __future__ import annotations

from typing import Any

from .objects import PERIODS, Preapproval
from .world import World


def charge_due(world: World) -> None:
    """Make every payment whose time has come, however long ago that was."""
    if not world.wallet.preapprovals:
        return
    with world.lock:
        for preapproval in world.wallet.all_preapprovals():
            while _is_due(preapproval, world.clock()):
                _charge(world, preapproval)


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


def paid_by(preapproval: Preapproval) -> dict[str, Any]:
    """Say what a checkout that a preapproval pays keeps of it."""
    shown = {"id": preapproval.preapproval_id}
    return {
        "payment_method": {"type": "preapproval", "preapproval": shown},
        "payer_name": preapproval.payer_name,
        "payer_email": preapproval.payer_email,
    }


def _is_due(preapproval: Preapproval, now: float) -> bool:
    at = next_charge(preapproval)
    payable = preapproval.account_id is not None and preapproval.amount is not None
    return payable and at is not None and at <= now


def _charge(world: World, preapproval: Preapproval) -> None:
    assert preapproval.amount is not None
    at = next_charge(preapproval)
    assert at is not None
    checkout = world.ledger.add_checkout(
        preapproval.client_id,
        account_id=preapproval.account_id,
        short_description=preapproval.short_description,
        type="goods",
        currency=preapproval.currency,
        amount=preapproval.amount,
        app_fee=preapproval.app_fee,
        fee_payer=preapproval.fee_payer,
        callback_uri=preapproval.callback_uri,
        **paid_by(preapproval),
    )
    preapproval.charges.append((at, preapproval.amount, checkout.checkout_id))
    world.ledger.change_checkout(checkout, "authorized")
