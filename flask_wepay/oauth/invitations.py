"""Permit a browser to connect an owner whom only a token identifies, as in an API.

The owner is stored in the browser's session and not in the URL: a URL can be forwarded, and
anyone who opened it would connect their WePay account for another user.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from ..tokens.store import LOGIN_LIFETIME

__all__ = ["end", "forget", "invite", "invited"]

SESSION_KEY = "_wepay_invited"


def invite(session: MutableMapping[str, Any], owner: str) -> None:
    """Permit this browser to connect an owner, once and within an hour."""
    session[SESSION_KEY] = [owner, int(time.time()), False]


def invited(session: MutableMapping[str, Any], *, ended: bool = False) -> str | None:
    """Return the owner whom this browser may connect, or None.

    With `ended` it includes one who has connected, because a callback may be reloaded.
    """
    # Another version may have written anything here.
    invitation = session.get(SESSION_KEY)
    if not isinstance(invitation, list | tuple):
        return None
    if [type(part) for part in invitation] != [str, int, bool]:
        return None
    owner, since, has_ended = invitation
    if time.time() - since >= LOGIN_LIFETIME.total_seconds() or (has_ended and not ended):
        return None
    return str(owner)


def end(session: MutableMapping[str, Any]) -> None:
    """End the permission, so that it starts no other login."""
    owner = invited(session)
    if owner is not None:
        session[SESSION_KEY] = [owner, session[SESSION_KEY][1], True]


def forget(session: MutableMapping[str, Any]) -> None:
    """Remove the permission."""
    session.pop(SESSION_KEY, None)
