"""Look up an owner's authorizations once per request."""

from __future__ import annotations

import time
from typing import NamedTuple

from flask import has_request_context, request

from ..state import State, checked_owner
from ..tokens.store import Found

__all__ = ["find", "forget"]

#: Seconds for which a request keeps a lookup, because a stream may go on for hours.
LONGEST_MEMORY = 10.0


class _Seen(NamedTuple):
    """A lookup: its result, its time, and the change it came after."""

    at: float
    after: object
    found: Found


def find(state: State, owner: str | None) -> Found:
    """Look an owner up: once per short request, and every time outside a request.

    :raises ConfigurationError: if the owner isn't a string.
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
    """Make every request of this process look up again after a change.

    Every request, because a test may keep one open around those that its client makes.
    """
    state.changes.latest = object()


def _seen(state: State) -> dict[str, _Seen] | None:
    """Return this request's lookups by owner, or None outside a request."""
    if not has_request_context():
        return None
    # Not in g, because an outer application context may serve many requests; not in the
    # environ, which the events of a socket share.
    this = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    seen: dict[int, dict[str, _Seen]] = vars(this).setdefault("_wepay_found", {})
    return seen.setdefault(id(state), {})
