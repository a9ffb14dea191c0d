"""The pages of users and payers: the settings, and the hosted checkout."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from .addresses import add_to_query
from .objects import Checkout, User
from .running import current_sandbox

routes = Blueprint("pages", __name__)


@routes.get("/settings")
def users() -> str:
    """Ask whose settings to open; the sandbox has no passwords."""
    return render_template("users.html", users=list(current_sandbox().world.users.values()))


@routes.get("/settings/<int:user_id>")
def settings(user_id: int) -> str:
    """Show a user which applications may act for them."""
    world = current_sandbox().world
    user = _user(user_id)
    connections = [
        (world.applications[token.client_id], token) for token in world.living_tokens(user_id)
    ]
    return render_template("settings.html", user=user, connections=connections)


@routes.post("/settings/<int:user_id>/revoke")
def revoke(user_id: int) -> Response:
    """Take an application's access away."""
    _user(user_id)
    current_sandbox().revoke(user_id, request.form.get("client_id", type=int))
    return redirect(url_for(".settings", user_id=user_id))


@routes.get("/checkout/<int:checkout_id>")
def checkout(checkout_id: int) -> str:
    """Ask the payer to pay."""
    payment = _checkout(checkout_id)
    account = current_sandbox().world.ledger.accounts[payment.account_id]
    back = _way_back(payment)
    return render_template("checkout.html", payment=payment, account=account, back=back)


@routes.post("/checkout/<int:checkout_id>")
def pay(checkout_id: int) -> Response:
    """Take the payer's decision and go back to the application."""
    world = current_sandbox().world
    with world.lock:
        payment = _checkout(checkout_id)
        if payment.state == "new":
            payment.payer_name = request.form.get("name") or None
            payment.payer_email = request.form.get("email") or None
            paid = request.form.get("decision") == "pay"
            world.ledger.change_checkout(payment, "authorized" if paid else "failed")
    return redirect(_way_back(payment) or url_for(".checkout", checkout_id=checkout_id))


def _user(user_id: int) -> User:
    user = current_sandbox().world.users.get(user_id)
    return user or abort(404)


def _checkout(checkout_id: int) -> Checkout:
    try:
        payment = current_sandbox().world.ledger.checkout(checkout_id)
    except LookupError:
        abort(404)
    if payment.hosted_checkout is None:
        abort(404)
    return payment


def _way_back(payment: Checkout) -> str | None:
    redirect_uri = (payment.hosted_checkout or {}).get("redirect_uri")
    if not redirect_uri:
        return None
    # https://developer.wepay.com/api/api-calls/checkout: the id comes back in the query.
    return add_to_query(redirect_uri, {"checkout_id": payment.checkout_id})
