"""Whose login a browser carries out where a navigation does not tell: an API's user has a token.

The application says it in an answer to that user's own browser. It is kept in the session and
not in the address, for an address can be forwarded, and whoever opened it would connect their
WePay account for somebody else.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from ..tokens.store import LOGIN_LIFETIME

__all__ = ["end", "forget", "invite", "invited"]

SESSION_KEY = "_wepay_invited"


def invite(session: MutableMapping[str, Any], owner: str) -> None:
    """Let this browser connect an owner, once and within the hour."""
    session[SESSION_KEY] = [owner, int(time.time()), False]


def invited(session: MutableMapping[str, Any], *, ended: bool = False) -> str | None:
    """Return whom this browser may connect, or None; with `ended` one that has connected counts.

    Its callback may be loaded again.
    """
    # Anything may stand there that another version wrote.
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
    """Let this browser begin no more logins by its invitation."""
    owner = invited(session)
    if owner is not None:
        session[SESSION_KEY] = [owner, session[SESSION_KEY][1], True]


def forget(session: MutableMapping[str, Any]) -> None:
    """Forget whom this browser may connect."""
    session.pop(SESSION_KEY, None)
