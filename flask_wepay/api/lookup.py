"""What a request has looked up of an owner, so that it looks once."""

from __future__ import annotations

import time
from typing import NamedTuple

from flask import has_request_context, request

from ..state import State, checked_owner
from ..tokens.store import Found

__all__ = ["find", "forget"]

#: Seconds for which a request believes what it looked up: a stream may go on for hours.
LONGEST_MEMORY = 10.0


class _Seen(NamedTuple):
    """What was looked up, when, and after which change."""

    at: float
    after: object
    found: Found


def find(state: State, owner: str | None) -> Found:
    """Look an owner up, once per request that is no long one; outside of one every time anew.

    :raises ConfigurationError: if the owner is no string.
    """
    owner = checked_owner(owner, "The caller")
    if owner is None:
        return Found()
    seen = _seen(state)
    if seen is None:
        return state.store.find(owner)
    now, latest = time.monotonic(), state.changes.latest
    if owner not in seen or now - seen[owner].at > LONGEST_MEMORY or seen[owner].after != latest:
        seen[owner] = _Seen(now, latest, state.store.find(owner))
    return seen[owner].found


def forget(state: State) -> None:
    """Have every request of this process look anew, after something has changed.

    Not this one alone: a test may hold a request open around those that its client makes.
    """
    state.changes.latest = object()


def _seen(state: State) -> dict[str, _Seen] | None:
    """Return what this request has looked up by owner, or None outside of a request."""
    if not has_request_context():
        return None
    # Not in g, for an outer application context may serve many requests; nor in the environ,
    # which a socket's events share.
    this = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    seen: dict[int, dict[str, _Seen]] = vars(this).setdefault("_wepay_found", {})
    return seen.setdefault(id(state), {})
