"""The pages of payers: the hosted checkout, and the consent to later payments."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from .addresses import add_to_query
from .objects import Checkout, Preapproval
from .running import current_sandbox

routes = Blueprint("payers", __name__)

#: The periods of a preapproval, in words.
OFTEN = {
    "hourly": "every hour",
    "daily": "every day",
    "weekly": "every week",
    "biweekly": "every two weeks",
    "monthly": "every month",
    "bimonthly": "every two months",
    "quarterly": "every three months",
    "yearly": "every year",
    "once": "once",
}


@routes.get("/checkout/<int:checkout_id>")
def checkout(checkout_id: int) -> str:
    """Ask the payer to pay."""
    payment = _checkout(checkout_id)
    account = current_sandbox().world.ledger.accounts[payment.account_id]
    return render_template(
        "checkout.html", payment=payment, account=account, back=_way_back(payment)
    )


@routes.post("/checkout/<int:checkout_id>")
def pay(checkout_id: int) -> Response:
    """Execute the payer's decision, and redirect to the application."""
    world = current_sandbox().world
    with world.lock:
        payment = _checkout(checkout_id)
        if payment.state == "new":
            payment.payer_name = request.form.get("name") or None
            payment.payer_email = request.form.get("email") or None
            paid = request.form.get("decision") == "pay"
            world.ledger.change_checkout(payment, "authorized" if paid else "failed")
    return redirect(_way_back(payment) or url_for(".checkout", checkout_id=checkout_id))


@routes.get("/preapproval/<int:preapproval_id>")
def preapproval(preapproval_id: int) -> str:
    """Ask the payer for consent, or show what they consented to."""
    asked = _preapproval(preapproval_id)
    account = current_sandbox().world.ledger.accounts.get(asked.account_id or 0)
    return render_template("preapproval.html", asked=asked, account=account, often=OFTEN)


@routes.post("/preapproval/<int:preapproval_id>")
def approve(preapproval_id: int) -> Response:
    """Record the payer's consent or its revocation, and redirect to the application."""
    world = current_sandbox().world
    with world.lock:
        asked = _preapproval(preapproval_id)
        decision = request.form.get("decision")
        if asked.state == "new" and decision == "approve":
            asked.payer_name = request.form.get("name") or None
            asked.payer_email = request.form.get("email") or None
            world.wallet.change_preapproval(asked, "approved")
            if asked.redirect_uri:
                back = {"preapproval_id": preapproval_id}
                return redirect(add_to_query(asked.redirect_uri, back))
        elif asked.state == "approved" and decision == "revoke":
            world.wallet.change_preapproval(asked, "revoked")
    return redirect(url_for(".preapproval", preapproval_id=preapproval_id))


def _checkout(checkout_id: int) -> Checkout:
    try:
        payment = current_sandbox().world.ledger.checkout(checkout_id)
    except LookupError:
        abort(404)
    if payment.hosted_checkout is None:
        abort(404)
    return payment


def _preapproval(preapproval_id: int) -> Preapproval:
    try:
        return current_sandbox().world.wallet.preapproval(preapproval_id)
    except LookupError:
        abort(404)


def _way_back(payment: Checkout) -> str | None:
    redirect_uri = (payment.hosted_checkout or {}).get("redirect_uri")
    if not redirect_uri:
        return None
    # https://developer.wepay.com/api/api-calls/checkout: the id is added to the query.
    return add_to_query(redirect_uri, {"checkout_id": payment.checkout_id})
