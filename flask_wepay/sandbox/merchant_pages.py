"""The pages of merchants: the details of an account, and withdrawals."""

from __future__ import annotations

from flask import Blueprint, abort, redirect, render_template, url_for
from werkzeug.wrappers import Response

from .addresses import add_to_query
from .objects import Account, Withdrawal
from .running import current_sandbox

routes = Blueprint("merchants", __name__)


@routes.get("/account/<int:account_id>/update")
def update(account_id: int) -> str:
    """Ask the merchant for the missing details."""
    account = _account(account_id)
    owner = current_sandbox().world.users[account.owner_user_id]
    return render_template("account_update.html", account=account, owner=owner)


@routes.post("/account/<int:account_id>/update")
def verify(account_id: int) -> Response:
    """Accept the details, and redirect to the application."""
    world = current_sandbox().world
    with world.lock:
        account = _account(account_id)
        if account.state in {"action_required", "pending"}:
            world.ledger.change_account(account, "active")
    back = account.update_redirect_uri
    return redirect(back or url_for(".update", account_id=account_id))


@routes.get("/withdrawal/<int:withdrawal_id>")
def withdrawal(withdrawal_id: int) -> str:
    """Ask the merchant to confirm the withdrawal."""
    asked = _withdrawal(withdrawal_id)
    ledger = current_sandbox().world.ledger
    account = ledger.accounts[asked.account_id]
    balance = ledger.balance_of(account).available
    return render_template("withdrawal.html", asked=asked, account=account, balance=balance)


@routes.post("/withdrawal/<int:withdrawal_id>")
def withdraw(withdrawal_id: int) -> Response:
    """Withdraw all available money, and redirect to the application."""
    world = current_sandbox().world
    with world.lock:
        asked = _withdrawal(withdrawal_id)
        if asked.state == "new":
            world.ledger.change_withdrawal(asked, "started")
    if asked.redirect_uri:
        return redirect(add_to_query(asked.redirect_uri, {"withdrawal_id": withdrawal_id}))
    return redirect(url_for(".withdrawal", withdrawal_id=withdrawal_id))


def _account(account_id: int) -> Account:
    account = current_sandbox().world.ledger.accounts.get(account_id)
    if account is None or account.state == "deleted":
        abort(404)
    return account


def _withdrawal(withdrawal_id: int) -> Withdrawal:
    try:
        return current_sandbox().world.ledger.withdrawal(withdrawal_id)
    except LookupError:
        abort(404)
