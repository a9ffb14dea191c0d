"""The API calls, a module per object of WePay's."""

from . import accounts, apps, checkouts, oauth2, users
from .registry import CALLS, Call, Context

__all__ = ["CALLS", "Call", "Context", "accounts", "apps", "checkouts", "oauth2", "users"]
