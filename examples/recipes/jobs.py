"""What a job does, whatever the queue: it is given the owner, and asks for the token itself."""

from __future__ import annotations

from typing import Any

from flask_wepay.errors import ConnectionFailed, OutcomeUnknown, StoreUnavailable, Throttled

from .shop import wepay

#: After these a look-up is made again. A payment is too, but only with its unique_id.
AGAIN = (ConnectionFailed, OutcomeUnknown, StoreUnavailable, Throttled)


def names_of_accounts(owner: str) -> list[Any]:
    """Look up, in a worker; `wait` lets it wait for its turn instead of failing."""
    accounts = wepay.client_for(owner).call("account/find", wait=30)
    return [account["name"] for account in accounts]
