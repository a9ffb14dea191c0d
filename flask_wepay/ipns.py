"""Handle IPNs, WePay's webhooks: verify the signature in callback_uri, and look up the user.

WePay doesn't sign IPNs, by design. An IPN never decides anything; it only triggers a lookup.
https://developer.wepay.com/docs/articles/ipn
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from itsdangerous import BadData, URLSafeSerializer

from . import signals
from .addresses import LONGEST_URI, check_callback_uri, is_local
from .api.answers import end_of_token
from .api.calls import Call, Deadline
from .api.candidates import signal_end
from .api.lookup import forget
from .api.throttle import IPNS
from .errors import (
    APIError,
    ConfigurationError,
    ServerError,
    StoreUnavailable,
    Throttled,
    TokenUnreadable,
)
from .settings import Settings
from .state import State
from .tokens import Token
from .tokens.store import Authorization

__all__ = ["PARAMETER", "Origin", "handle", "read_fields", "read_signature", "settle", "signed"]

#: The query parameter of callback_uri that carries the signature.
PARAMETER = "wepay_signature"
#: Seconds for all lookups of one IPN together.
LOOKUP_SECONDS = 5.0
LONGEST_VALUE = 255
MOST_FIELDS = 20

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ID = re.compile(r"[0-9]{1,19}")

_logger = logging.getLogger("flask_wepay")


class Origin(NamedTuple):
    """The content of a signature: the row of a callback_uri, or no row for other objects."""

    row_id: int | None = None
    #: The start of the row's state hash, because SQLite reuses ids.
    state_hash: str = ""


def read_signature(settings: Settings, signature: str) -> Origin | None:
    """Return the content of a signature, or None if none of the keys made it."""
    try:
        client_id, row_id, state_hash = _serializer(settings).loads(signature)
    except (BadData, ValueError, TypeError):
        return None
    return Origin(row_id, state_hash) if client_id == settings.client_id else None


def signed(settings: Settings, route: Callable[[], str], origin: Origin) -> str | None:
    """Return the callback_uri for an origin, or None if IPNs can't reach the application.

    `route` returns the URL of the IPN route, as the current request sees it.

    :raises ConfigurationError: if WePay would refuse the URL in production.
    """
    base = _base(settings, route)
    if base is None:
        return None
    if settings.environment != "sandbox" and is_local(urlsplit(base).hostname or ""):
        return None
    try:
        check_callback_uri(base, settings.environment, "WEPAY_CALLBACK_URI")
    except ConfigurationError as error:
        # The setting itself is validated when the application starts.
        raise ConfigurationError(
            f"{error} It is not set, and Flask sees the URL of IPNs as {base!r}: behind a proxy,"
            " did you forget ProxyFix, and outside a request 'PREFERRED_URL_SCHEME'?"
        ) from None
    signature = _serializer(settings).dumps(
        [settings.client_id, origin.row_id, origin.state_hash[:16]]
    )
    uri = f"{base}{'&' if '?' in base else '?'}{urlencode({PARAMETER: signature})}"
    return uri if len(uri) <= LONGEST_URI else None


def _base(settings: Settings, route: Callable[[], str]) -> str | None:
    if isinstance(settings.callback_uri, str):
        return settings.callback_uri
    if settings.callback_uri is False:
        return None
    if settings.redirect_uri is not None and settings.redirect_uri.endswith("/callback"):
        return settings.redirect_uri.removesuffix("callback") + "ipn"
    try:
        address = route()
    except RuntimeError:
        raise ConfigurationError(
            "Outside a request the URL of IPNs is unknown: set 'WEPAY_CALLBACK_URI',"
            " 'WEPAY_REDIRECT_URI', or Flask's 'SERVER_NAME'."
        ) from None
    if settings.redirect_uri is None:
        return address
    public = urlsplit(settings.redirect_uri)
    return urlsplit(address)._replace(scheme=public.scheme, netloc=public.netloc).geturl()


def _serializer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(list(settings.keyring.signing_keys), salt="flask_wepay.ipn")


def read_fields(body: Mapping[str, object]) -> dict[str, str] | None:
    """Return an IPN's fields as strings, or None if they aren't in WePay's format."""
    fields = {
        name: str(value)
        for name, value in body.items()
        if isinstance(name, str) and _NAME.fullmatch(name) and type(value) in (str, int)
    }
    if len(fields) != len(body) or len(fields) > MOST_FIELDS:
        return None
    if any(len(value) > LONGEST_VALUE or not value.isprintable() for value in fields.values()):
        return None
    ids = _ids(fields)
    return fields if ids and all(_ID.fullmatch(fields[name]) for name in ids) else None


def _ids(fields: Mapping[str, str]) -> list[str]:
    # The reference_id of a checkout or preapproval is the application's own, in any format.
    return [name for name in fields if name.endswith("_id") and name != "reference_id"]


def handle(state: State, origin: Origin, fields: Mapping[str, str]) -> bool:
    """Handle an IPN with a valid signature, and return whether that succeeded.

    If it didn't, or if this raises, WePay has to deliver the IPN again.

    :raises WePayError: for a temporary failure.
    """
    if _ids(fields) != ["user_id"]:
        if origin.row_id is not None:
            # WePay uses the URL of a row only for the user of that row.
            return True
        return signals.send(signals.wepay_ipn_received, fields=dict(fields))
    if origin.row_id is None:
        return True
    user_id = int(fields["user_id"])
    state.store.recover()
    if state.store.user_of_row(origin.row_id, origin.state_hash) != user_id:
        return True
    living = state.store.living(user_id)
    state.store.release()
    deadline = Deadline(LOOKUP_SECONDS)
    # All of them first: a row that no key decrypts must not hide the ones after it.
    handled = [_look(state, authorization, deadline) for authorization in living]
    return all(handled)


def _look(state: State, authorization: Authorization, deadline: Deadline) -> bool:
    """Ask WePay about one token; return False if no key decrypts it.

    :raises WePayError: if WePay's answer isn't conclusive.
    """
    try:
        token = authorization.token
    except TokenUnreadable as error:
        _logger.error("An IPN can't be handled, because its token is unreadable: %s", error)
        return False
    if token.expired:
        return True
    outcome = _ask(state, authorization, token, deadline)
    if not settle(state, authorization, outcome) and isinstance(outcome, APIError):
        _logger.error("WePay refused the lookup for an IPN; the authorization is kept: %s", outcome)
    return True


def _ask(state: State, authorization: Authorization, token: Token, deadline: Deadline) -> Any:
    outcome = state.caller.send(
        Call.of("user", {}, {}), token, deadline, share=IPNS, owner=authorization.owner
    )
    if isinstance(outcome, ServerError | Throttled):
        raise outcome
    if isinstance(outcome, APIError) and outcome.error_code is None:
        # It may be a proxy's page, and proves nothing about the token.
        raise outcome
    return outcome


def settle(state: State, authorization: Authorization, outcome: Any) -> bool:
    """End an authorization if its ``/user`` says so, send the signal, and return whether it ended.

    :raises StoreUnavailable: if the row can't be updated now.
    """
    reason = end_of_token("user", outcome)
    if reason is None:
        return False
    ended = state.store.end(authorization, reason)
    forget(state)
    if ended:
        found = state.store.find(authorization.owner, fresh=True)
        if found.user_id == authorization.user_id and not found.candidates:
            signal_end(state, authorization, reason)
    elif authorization in state.store.living(authorization.user_id or 0):
        raise StoreUnavailable("A row that is revoked at WePay can't be updated right now.")
    return True
