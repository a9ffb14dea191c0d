"""Everything about WePay: how organizers connect, and what happens when they can't."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, flash, redirect, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from flask_wepay import WePay, current_wepay
from flask_wepay.errors import (
    APIError,
    AuthorizationDenied,
    ConnectionFailed,
    NotAuthorized,
    OutcomeUnknown,
    TokenInvalid,
    TokenRevoked,
)

from .models import WePayToken

bp = Blueprint("payments", __name__)

# Authorizations belong to the user who is logged in with Flask-Login: current_user.get_id().
wepay = WePay(token_model=WePayToken)


@wepay.prefill
def prefill() -> dict[str, str]:
    """Save the user some typing on WePay's page."""
    return {"user_name": current_user.name, "user_email": current_user.email}


def look_up_merchant() -> tuple[Any, str | None]:
    """Ask WePay who the current user is there; give the answer and what is wrong, if anything."""
    if not current_wepay.authorized:
        return None, None
    try:
        return current_wepay.call("user", timeout=5), None
    except (NotAuthorized, TokenRevoked):
        # The user took the access back at WePay. Flask-WePay has forgotten the token already.
        flash("Your connection to WePay has ended. Connect again to receive donations.")
        return None, None
    except TokenInvalid:
        return None, "WePay does not know your connection. Try again to connect anew."
    except (ConnectionFailed, OutcomeUnknown, APIError):
        # Whatever this is, it says nothing of the connection, which is kept.
        return None, "WePay does not answer at the moment. Your connection is kept."


@bp.post("/payments/disconnect")
@login_required
def disconnect() -> ResponseReturnValue:
    current_wepay.disconnect()
    flash("Disconnected. Your campaigns receive no donations until you connect again.")
    return redirect(url_for("campaigns.dashboard"))


@bp.app_errorhandler(AuthorizationDenied)
def denied(error: AuthorizationDenied) -> ResponseReturnValue:
    """Take a no for an answer. Never send the user back to WePay from here."""
    flash("You did not connect WePay. You can do so whenever you like.")
    return redirect(url_for("campaigns.dashboard"))
