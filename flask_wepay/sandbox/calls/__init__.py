"""The API calls, a module for each of WePay's objects."""

from . import accounts, apps, checkouts, credit_cards, oauth2, preapprovals, users, withdrawals
from .context import Context
from .others import OTHER_CALLS
from .registry import CALLS, Call

__all__ = [
    "CALLS",
    "OTHER_CALLS",
    "Call",
    "Context",
    "accounts",
    "apps",
    "checkouts",
    "credit_cards",
    "oauth2",
    "preapprovals",
    "users",
    "withdrawals",
]
