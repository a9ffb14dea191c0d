"""Organizers and WePay: how they connect, and the account that they are paid into."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Flask, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from flask_wepay import WePay, current_wepay
from flask_wepay.errors import (
    AuthorizationDenied,
    NotAuthorized,
    TokenInvalid,
    TokenRevoked,
    WePayError,
)

from .extensions import db
from .models import PaymentAccount, User, WePayToken

bp = Blueprint("payments", __name__)

# Authorizations belong to the user who is logged in with Flask-Login: current_user.get_id().
wepay = WePay(token_model=WePayToken)


@wepay.prefill
def prefill() -> dict[str, str]:
    """Save the user some typing on WePay's page."""
    return {"user_name": current_user.name, "user_email": current_user.email}


def look_up_merchant() -> tuple[Any, str | None]:
    """Ask WePay who the current user is there; give the answer and what is wrong, if anything."""
    try:
        return current_wepay.call("user"), None
    except (NotAuthorized, TokenRevoked):
        # Never connected, disconnected, or the access was taken back at WePay.
        return None, None
    except TokenInvalid:
        return None, "WePay does not know your connection. Try again to connect anew."
    except WePayError:
        # Whatever this is, it says nothing of the connection, which is kept.
        return None, "WePay does not answer at the moment. Your connection is kept."


def can_receive(user: User) -> bool:
    """Tell whether donations to a user can be taken, without asking WePay."""
    try:
        return wepay.client_for(user.get_id()).authorized
    except WePayError:
        return False


def account_of(user: User) -> PaymentAccount:
    """Give the account at WePay that a user is paid into; open one if there is none."""
    organizer = wepay.client_for(user.get_id())
    mine = select(PaymentAccount).filter_by(owner_id=user.id, user_id=organizer.user_id)
    account = db.session.scalar(mine)
    if account is None:
        opened = find_or_create(organizer, user)
        account = PaymentAccount(
            id=opened["account_id"], owner_id=user.id, user_id=opened["owner_user_id"]
        )
        db.session.add(account)
        try:
            db.session.commit()
        except IntegrityError:
            # Another request was quicker.
            db.session.rollback()
            account = db.session.get_one(PaymentAccount, opened["account_id"])
    return account


def find_or_create(organizer: Any, user: User) -> Any:
    """Open an account at WePay, unless that was done and we have not heard the answer."""
    reference_id = f"lantern-street-{user.id}-{organizer.user_id}"
    found = organizer.call("account/find", reference_id=reference_id)
    if found:
        return found[0]
    description = f"Donations to the campaigns of {user.name}"
    return organizer.call(
        "account/create", name=user.name, description=description, reference_id=reference_id
    )


def open_account(app: Flask, owner: str, user_id: int) -> None:
    """Open the account as soon as somebody has connected: a receiver of wepay_authorized.

    An error is logged and does no harm: the first donation opens the account then.
    """
    account_of(db.session.get_one(User, int(owner)))


@bp.post("/payments/disconnect")
@login_required
def disconnect() -> ResponseReturnValue:
    current_wepay.disconnect()
    flash("Disconnected. To take the access back for good, remove this site at WePay too.")
    return redirect(url_for("campaigns.dashboard"))


@bp.app_errorhandler(AuthorizationDenied)
def denied(error: AuthorizationDenied) -> ResponseReturnValue:
    """Take a no for an answer. Never send the user back to WePay from here."""
    if error.popup:
        # The page that opened the window is told, and says it there.
        return wepay.error_response(error)
    flash("You did not connect WePay. You can do so whenever you like.")
    return redirect(url_for("campaigns.dashboard"))
