"""Donations: a checkout at WePay for each, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask import Blueprint, Flask, abort, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required
from sqlalchemy import select

from flask_wepay import current_wepay
from flask_wepay.errors import (
    APIError,
    ConnectionFailed,
    NotAuthorized,
    OutcomeUnknown,
    Throttled,
    TokenRevoked,
    WePayError,
)

from .extensions import db
from .models import STATES, Donation
from .payments import account_of, wepay

bp = Blueprint("donations", __name__, url_prefix="/donations")


@bp.get("/<unique_id>")
def show(unique_id: str) -> ResponseReturnValue:
    """Show a donor how the donation stands; WePay sends them back to here."""
    donation = find(unique_id)
    if donation.state == "new" and donation.checkout_id:
        # Without an answer this page shows what is known, and an IPN brings the rest.
        with suppress(WePayError):
            update(donation)
    return render_template("donation.html", donation=donation)


@bp.post("/<unique_id>/pay")
def pay(unique_id: str) -> ResponseReturnValue:
    """Try again."""
    return send_to_wepay(find(unique_id))


@bp.post("/<unique_id>/give-back")
@login_required
def give_back(unique_id: str) -> ResponseReturnValue:
    """Return the money: cancel what is not captured yet, refund what is."""
    donation = find(unique_id)
    if donation.campaign.owner_id != current_user.id:
        abort(404)
    call, reason = "checkout/refund", "refund_reason"
    if donation.state == "authorized":
        call, reason = "checkout/cancel", "cancel_reason"
    parameters = {"checkout_id": donation.checkout_id, reason: "Given back by the organizer"}
    try:
        # It may have been done all the same. It has no unique_id, so it is not repeated
        # but looked up.
        with suppress(OutcomeUnknown):
            current_wepay.call(call, params=parameters)
        update(donation)
    except WePayError as error:
        current_app.logger.warning("Donation %s was not given back: %s", donation.id, error)
        flash("WePay did not confirm that. Look again in a moment.", "bad")
    return redirect(url_for("campaigns.dashboard", _anchor="donations"))


def find(unique_id: str) -> Donation:
    return db.first_or_404(select(Donation).filter_by(unique_id=unique_id))


def send_to_wepay(donation: Donation) -> ResponseReturnValue:
    """Send the donor to WePay's page to pay on, or to ours, which says why not."""
    here = url_for("donations.show", unique_id=donation.unique_id)
    if donation.state != "new":
        return redirect(here)
    try:
        checkout = begin_checkout(donation)
    except (NotAuthorized, TokenRevoked):
        # The organizer's connection has ended; that is no fault of the donor's.
        flash("This campaign takes no donations at the moment. You have paid nothing.")
        return redirect(url_for("campaigns.show", campaign_id=donation.campaign_id))
    except (ConnectionFailed, OutcomeUnknown, Throttled):
        # "Try again" on that page sends the same unique_id, so nobody pays twice.
        flash("WePay does not answer at the moment. You have paid nothing.", "bad")
        return redirect(here)
    except APIError as error:
        current_app.logger.error("Donation %s was refused: %s", donation.id, error)
        flash("WePay did not accept this donation. You have paid nothing.", "bad")
        return redirect(here)
    return redirect(checkout["hosted_checkout"]["checkout_uri"])


def begin_checkout(donation: Donation) -> Any:
    """Make the donation's checkout at WePay, or get the one that was made already."""
    owner = donation.campaign.owner
    if donation.account_id is None:
        donation.account_id = account_of(owner).id
        db.session.commit()
    parameters = {
        "account_id": donation.account_id,
        "type": "donation",
        "short_description": donation.campaign.title,
        "amount": donation.amount / 100,
        "currency": "USD",
        "unique_id": donation.unique_id,
        "hosted_checkout": {
            "redirect_uri": url_for("donations.show", unique_id=donation.unique_id, _external=True)
        },
    }
    callback_uri = wepay.ipn_url()
    if callback_uri:
        parameters["callback_uri"] = callback_uri
    organizer = wepay.client_for(owner.get_id())
    try:
        checkout = organizer.call("checkout/create", params=parameters)
    except OutcomeUnknown:
        # It may have been made. Asked again with the same unique_id, WePay makes no other one.
        checkout = organizer.call("checkout/create", params=parameters)
    donation.checkout_id = checkout["checkout_id"]
    db.session.commit()
    return checkout


def update(donation: Donation) -> None:
    """Ask WePay how a donation stands, as often as anybody likes."""
    organizer = wepay.client_for(donation.campaign.owner.get_id())
    checkout = organizer.call("checkout", checkout_id=donation.checkout_id)
    db.session.refresh(donation, with_for_update=True)
    # Answers may overtake one another, and a payment takes no step back.
    if checkout["state"] in STATES[STATES.index(donation.state) :]:
        donation.state = checkout["state"]
    refunded = round(checkout["refund"]["amount_refunded"] * 100)
    donation.refunded = max(donation.refunded, refunded)
    db.session.commit()


def hear(app: Flask, fields: Mapping[str, str]) -> None:
    """Look up the checkout of an IPN: a receiver of wepay_ipn_received.

    What is raised here makes the answer a 503, so that WePay delivers the IPN again.
    """
    if "checkout_id" in fields:
        checkout_id = int(fields["checkout_id"])
        donation = db.session.scalar(select(Donation).filter_by(checkout_id=checkout_id))
        if donation is not None:
            update(donation)
