"""A browser's pending logins, kept in its session with their targets.

https://datatracker.ietf.org/doc/html/rfc6749#section-10.12
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import posixpath
import secrets
import time
from collections.abc import Iterable, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urlsplit

from ..tokens import Secret
from ..tokens.store import LOGIN_LIFETIME

__all__ = [
    "SAFE",
    "LoginKey",
    "forget",
    "is_in_popup",
    "local_path",
    "new_state",
    "recall",
    "remember",
]

SESSION_KEY = "_wepay_logins"
MOST_LOGINS = 5
#: The most bytes of JSON for all pending logins in the session.
COOKIE_BUDGET = 1000
LONGEST_NEXT = 600

#: The prefix of the state of a login in a pop-up.
POPUP = "popup."

#: The characters of a URL, besides letters and digits, that need no percent-encoding.
SAFE = "%/?#:@!$&'()*+,;=-._~[]"


class LoginKey(NamedTuple):
    """What a login is bound to in addition to its state."""

    owner: str
    client_id: int
    environment: str
    redirect_uri: str


def new_state(*, popup: bool = False) -> Secret:
    """Return a state that can't be guessed, and that marks a login in a pop-up.

    The session no longer knows that when a callback is reloaded.
    """
    return Secret((POPUP if popup else "") + secrets.token_urlsafe(32))


def is_in_popup(state: Secret | None) -> bool:
    """Return whether a login is in a pop-up, whose opener waits."""
    return state is not None and state.value.startswith(POPUP)


def remember(
    session: MutableMapping[str, Any], state: Secret, key: LoginKey, next_path: str | None
) -> None:
    """Store a login in the session; if needed, drop the oldest ones, first their `next`."""
    logins = [*_logins(session), [_digest(state, key), int(time.time()), next_path or ""]]
    logins = logins[-MOST_LOGINS:]
    for login in logins:
        if len(json.dumps(logins)) > COOKIE_BUDGET:
            login[2] = ""
    session[SESSION_KEY] = logins


def recall(session: MutableMapping[str, Any], state: Secret, key: LoginKey) -> str | None:
    """Return the `next` of a login or "", or None if this browser didn't start it."""
    digest = _digest(state, key)
    for known, began, next_path in _logins(session):
        if (
            hmac.compare_digest(known, digest)
            and time.time() - began < LOGIN_LIFETIME.total_seconds()
        ):
            return str(next_path)
    return None


def forget(session: MutableMapping[str, Any], state: Secret, key: LoginKey) -> None:
    """Remove a login that has ended."""
    digest = _digest(state, key)
    logins = _logins(session)
    kept = [login for login in logins if login[0] != digest]
    if kept:
        session[SESSION_KEY] = kept
    else:
        session.pop(SESSION_KEY, None)


def local_path(target: str | None, own_paths: Iterable[str]) -> str | None:
    """Return a `next` that stays on this site, percent-encoded, or None.

    A target among the extension's own routes is dropped too.
    """
    if not target or not target.startswith("/") or target.startswith("//"):
        return None
    # Browsers treat a backslash as a slash, and drop tabs and newlines.
    if "\\" in target or any(ord(character) < 0x20 for character in target):
        return None
    encoded = quote(target, safe=SAFE, errors="replace")
    if len(encoded) > LONGEST_NEXT or _resolved(encoded) in map(_resolved, own_paths):
        return None
    return encoded


def _resolved(target: str) -> str:
    """Return the path as the server sees it, because browsers resolve dots first."""
    return posixpath.normpath("/" + unquote(urlsplit(target).path).lstrip("/"))


def _logins(session: MutableMapping[str, Any]) -> list[list[Any]]:
    """Read the pending logins from the session, in which another version may have written."""
    logins = session.get(SESSION_KEY)
    if not isinstance(logins, list):
        return []
    return [
        list(login)
        for login in logins
        if isinstance(login, list | tuple)
        and [type(part) for part in login] == [str, int, str]
        and login[0].isascii()
    ]


def _digest(state: Secret, key: LoginKey) -> str:
    # The cookie, which is signed but readable, does not contain the state itself.
    material = json.dumps([state.value, *key]).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(material).digest()[:18]).decode()
