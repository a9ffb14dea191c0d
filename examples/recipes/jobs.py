"""A job for any queue: it gets the owner, and looks up the token itself."""

from __future__ import annotations

from typing import Any

from flask_wepay.errors import ConnectionFailed, OutcomeUnknown, StoreUnavailable, Throttled

from .shop import wepay

#: Retry a lookup after these errors; retry a payment only with the same unique_id.
AGAIN = (ConnectionFailed, OutcomeUnknown, StoreUnavailable, Throttled)


def names_of_accounts(owner: str) -> list[Any]:
    """Look accounts up in a worker; `wait` waits for the rate limit instead of failing."""
    accounts = wepay.client_for(owner).call("account/find", wait=30)
    return [account["name"] for account in accounts]
