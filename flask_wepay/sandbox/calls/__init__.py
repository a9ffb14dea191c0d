"""The API calls, a module per object of WePay's."""

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
