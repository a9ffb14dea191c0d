"""The logins that a browser began, remembered in its session, and where they lead.

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
#: Bytes of JSON that all pending logins together may take in the session.
COOKIE_BUDGET = 1000
LONGEST_NEXT = 600

#: What the state of a login in a pop-up begins with, and no other one.
POPUP = "popup."

#: An address's characters besides letters and digits that need no percent-encoding.
SAFE = "%/?#:@!$&'()*+,;=-._~[]"


class LoginKey(NamedTuple):
    """What a login is bound to besides its state."""

    owner: str
    client_id: int
    environment: str
    redirect_uri: str


def new_state(*, popup: bool = False) -> Secret:
    """Make a state that nobody guesses, and that says whether its login is in a pop-up.

    A session would have forgotten that where a callback is loaded again.
    """
    return Secret((POPUP if popup else "") + secrets.token_urlsafe(32))


def is_in_popup(state: Secret | None) -> bool:
    """Tell whether a login is in a window of its own, whose opener waits."""
    return state is not None and state.value.startswith(POPUP)


def remember(
    session: MutableMapping[str, Any], state: Secret, key: LoginKey, next_path: str | None
) -> None:
    """Note a login in the session; the oldest make room for it, by their `next` first."""
    logins = [*_logins(session), [_digest(state, key), int(time.time()), next_path or ""]]
    logins = logins[-MOST_LOGINS:]
    for login in logins:
        if len(json.dumps(logins)) > COOKIE_BUDGET:
            login[2] = ""
    session[SESSION_KEY] = logins


def recall(session: MutableMapping[str, Any], state: Secret, key: LoginKey) -> str | None:
    """Return the `next` of a login that this browser began, "" for none, or None if it did not."""
    digest = _digest(state, key)
    for known, began, next_path in _logins(session):
        if (
            hmac.compare_digest(known, digest)
            and time.time() - began < LOGIN_LIFETIME.total_seconds()
        ):
            return str(next_path)
    return None


def forget(session: MutableMapping[str, Any], state: Secret, key: LoginKey) -> None:
    """Drop a login that has ended."""
    digest = _digest(state, key)
    logins = _logins(session)
    kept = [login for login in logins if login[0] != digest]
    if kept:
        session[SESSION_KEY] = kept
    else:
        session.pop(SESSION_KEY, None)


def local_path(target: str | None, own_paths: Iterable[str]) -> str | None:
    """Return a `next` that stays on this site, percent-encoded, or None.

    A target that leads back to the extension's own routes is dropped too.
    """
    if not target or not target.startswith("/") or target.startswith("//"):
        return None
    # Browsers read a backslash as a slash, and drop tabs and line ends.
    if "\\" in target or any(ord(character) < 0x20 for character in target):
        return None
    encoded = quote(target, safe=SAFE, errors="replace")
    if len(encoded) > LONGEST_NEXT or _resolved(encoded) in map(_resolved, own_paths):
        return None
    return encoded


def _resolved(target: str) -> str:
    """Return the path that the server sees: the browser resolves dots before it asks."""
    return posixpath.normpath("/" + unquote(urlsplit(target).path).lstrip("/"))


def _logins(session: MutableMapping[str, Any]) -> list[list[Any]]:
    """Read the session, in which anything may stand that another version wrote."""
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
    # The state itself stays out of the cookie, which is signed but not secret.
    material = json.dumps([state.value, *key]).encode()
    return base64.urlsafe_b64encode(hashlib.sha256(material).digest()[:18]).decode()
