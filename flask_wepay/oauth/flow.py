"""The flow of a login, from its start in the browser to the grant in the token table."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import NoneType
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from flask import current_app, request, session, url_for

from .. import signals
from ..addresses import check_redirect_uri
from ..api.calls import Call, Deadline
from ..api.client import WePayClient
from ..api.lookup import forget
from ..api.throttle import LOOKUPS
from ..errors import (
    AuthorizationDenied,
    AuthorizationError,
    ConfigurationError,
    NotAuthorized,
    StateMismatch,
    Throttled,
    TokenInvalid,
    TokenRevoked,
    WePayError,
)
from ..foreign import plain, printable
from ..ipns import Origin, signed
from ..state import State, browser_may_own, current_owner
from ..tokens import Secret, Token
from ..tokens.store import Ended, Pending, StateTaken
from . import invitations, logins
from .client import PREFILL
from .cookie import check_cookie

__all__ = [
    "DISCONNECTED",
    "Login",
    "begin",
    "connection_works",
    "finish",
    "login_of",
    "login_owner",
    "refusal",
]

#: Seconds for checking whether the current token works.
CHECK_SECONDS = 5.0
#: The message for a user who disconnects in the middle of a login.
DISCONNECTED = "You were disconnected while WePay was being asked, so nothing was stored."

_logger = logging.getLogger("flask_wepay")


class Login(NamedTuple):
    """The login that a callback ends."""

    state: Secret
    key: logins.LoginKey
    #: Its `next` or "", or None if this browser and owner didn't start it.
    next_path: str | None


def login_owner(state: State, *, make: bool) -> str | None:
    """Return the owner of a login that starts: the current one, or the invited one.

    With `make`, a browser gets a random id as its owner where that is permitted.

    :raises StateMismatch: if another owner is logged in; the invitation is then removed.
    """
    invited = invitations.invited(session)
    if invited is None:
        return current_owner(state, make=make)
    if current_owner(state) not in (None, invited) and not browser_may_own(state):
        invitations.forget(session)
        raise StateMismatch("Somebody else is logged in than the owner whom this login is for.")
    return invited


def connection_works(state: State, owner: str) -> bool:
    """Return whether the owner's token works, which only WePay can tell.

    WePay asks applications to request a new token only if the current one doesn't work.

    :raises WePayError: if WePay doesn't tell; the connection is kept.
    """
    client = WePayClient(state, owner)
    if not client.authorized:
        return False
    state.store.release()
    try:
        client.send(Call.of("user", {}, {}), Deadline(CHECK_SECONDS), LOOKUPS)
    except (NotAuthorized, TokenRevoked):
        return False
    except TokenInvalid as error:
        _logger.error("WePay refused a stored token; the authorization is kept: %s", error)
        return False
    except Throttled:
        return True
    return True


def begin(state: State, owner: str, next_path: str | None, *, popup: bool = False) -> str:
    """Store a login in the session, and return the URL of WePay's authorize page.

    :raises ConfigurationError: if the redirect URI is invalid.
    """
    key = _key(state, owner)
    _check_redirect_uri(state, key.redirect_uri)
    check_cookie(current_app, key.redirect_uri, urlsplit(request.host_url).hostname)
    login_state = logins.new_state(popup=popup)
    authorization = state.oauth.wepay.create_authorization_url(
        key.redirect_uri, state=login_state.value, **_prefill(state)
    )
    logins.remember(session, login_state, key, next_path)
    return str(authorization["url"])


def login_of(state: State, login_state: Secret | None) -> Login | None:
    """Return the login that a callback ends, or None if nobody is logged in or it has no state."""
    owner = _callback_owner(state)
    if owner is None or login_state is None:
        return None
    key = _key(state, owner)
    return Login(login_state, key, logins.recall(session, login_state, key))


def finish(state: State, login: Login | None, code: Secret | None) -> str:
    """Exchange the code of a login that this browser started, once.

    Return the progress of the login: "granted", "pending" or "dead" (failed).

    :raises StateMismatch: if this browser and owner didn't start the login.
    :raises WePayError: if the exchange fails.
    """
    if login is None or code is None:
        raise StateMismatch("The callback has no valid code and state, or nobody is logged in.")
    owner = login.key.owner
    progress = state.store.progress(owner, login.state)
    if progress is not None:
        return progress
    if login.next_path is None:
        raise StateMismatch("This browser did not start this login within the last hour.")
    # Over the rate limit the state is kept, so that a reload finishes the login.
    state.caller.admit_exchange(owner)
    place = state.store.release()
    try:
        pending = state.store.begin(owner, login.state, place)
    except StateTaken:
        return "pending"
    # From now on the row stands for this state.
    logins.forget(session, login.state, login.key)
    token = _exchange(state, pending, code, login.key.redirect_uri)
    forget(state)
    signals.send(signals.wepay_authorized, owner=owner, user_id=token.user_id)
    return "granted"


def refusal(login: Login | None, error: str, description: str | None) -> AuthorizationError:
    """Return the exception for an ``error`` in the callback, which counts only with its state."""
    facts = {"error": error, "description": description}
    if login is not None and login.next_path is not None:
        logins.forget(session, login.state, login.key)
        signals.send(signals.wepay_denied, owner=login.key.owner, **facts)
    if error == "access_denied":
        return AuthorizationDenied("The user denied the connection at WePay.", **facts)
    return AuthorizationError("WePay sent the browser back with an error.", **facts)


def _callback_owner(state: State) -> str | None:
    """Return the owner of a callback: the current one, or one whose invitation was used."""
    owner = current_owner(state)
    if owner is None or browser_may_own(state):
        return invitations.invited(session, ended=True) or owner
    return owner


def _exchange(state: State, pending: Pending, code: Secret, redirect_uri: str) -> Token:
    """Exchange the code without holding a database connection, and store the token."""
    try:
        callback_uri = _callback_uri(state, pending)
        token = state.caller.exchange(
            code, redirect_uri, callback_uri, Deadline(state.settings.timeout)
        )
    except WePayError:
        state.store.abandon(pending)
        raise
    try:
        state.store.grant(pending, token)
    except Ended:
        raise AuthorizationError(DISCONNECTED) from None
    return token


def _key(state: State, owner: str) -> logins.LoginKey:
    """Return what a login is bound to; if any of it changes, the callback is refused."""
    settings = state.settings
    uri = settings.redirect_uri or url_for("wepay.callback", _external=True)
    return logins.LoginKey(owner, settings.client_id, settings.environment, uri)


def _callback_uri(state: State, pending: Pending) -> str | None:
    if not pending.id:
        # With token hooks there is no row for the signature of an IPN.
        return None
    origin = Origin(pending.id, pending.state_hash)
    return signed(state.settings, lambda: url_for("wepay.ipn", _external=True), origin)


def _prefill(state: State) -> Mapping[str, Any]:
    given = (state.hooks.prefill or dict)() or {}
    unknown = set(given) - set(PREFILL)
    if unknown:
        raise ConfigurationError(
            f"'prefill' returned {sorted(unknown)}: use user_name, user_email and user_country."
        )
    texts = {name: plain(value) for name, value in given.items()}
    for name, text in texts.items():
        # A LocalProxy of None equals None, but isn't the object None.
        if text is None and not isinstance(given[name], NoneType):
            kind = type(given[name]).__name__
            raise ConfigurationError(f"'prefill' returned a {name!r} of type {kind}, not a string.")
    return {name: text for name, text in texts.items() if text is not None and _fits(name, text)}


def _fits(name: str, text: str) -> bool:
    """Return whether WePay's form accepts a text, because a user's name must not break a login."""
    if name == "user_country":
        # https://developer.wepay.com/api/api-calls/oauth2
        return text in ("US", "CA")
    return printable(text) == text


def _check_redirect_uri(state: State, uri: str) -> None:
    """Check a URL that Flask derived by the rules for the setting."""
    try:
        check_redirect_uri(uri, state.settings.environment, "WEPAY_REDIRECT_URI")
    except ConfigurationError as error:
        raise ConfigurationError(
            f"{error} It is not set, and Flask sees the callback as {uri!r}: behind a proxy,"
            " did you forget ProxyFix?"
        ) from None
