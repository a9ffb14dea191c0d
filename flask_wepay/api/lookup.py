"""What a request has looked up of an owner, so that it looks once."""

from __future__ import annotations

import time

from flask import has_request_context, request

from ..state import State, checked_owner
from ..tokens.store import Found

__all__ = ["find", "forget"]

#: Seconds for which a request believes what it looked up: a stream may go on for hours.
LONGEST_MEMORY = 10.0


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
    now = time.monotonic()
    if owner not in seen or now - seen[owner][0] > LONGEST_MEMORY:
        seen[owner] = now, state.store.find(owner)
    return seen[owner][1]


def forget(state: State, owner: str) -> None:
    """Drop what this request has looked up of an owner, after it has changed."""
    seen = _seen(state)
    if seen is not None:
        seen.pop(owner, None)


def _seen(state: State) -> dict[str, tuple[float, Found]] | None:
    """Return what this request has looked up by owner, and when, or None outside of a request."""
    if not has_request_context():
        return None
    # Not in g, for an outer application context may serve many requests; nor in the environ,
    # which a socket's events share.
    this = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    seen: dict[int, dict[str, tuple[float, Found]]] = vars(this).setdefault("_wepay_found", {})
    return seen.setdefault(id(state), {})
