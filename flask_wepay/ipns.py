"""IPNs: the signature in callback_uri, and what one may cause.

WePay does not sign them by design: an IPN is a reason to look, and nothing more.
https://developer.wepay.com/docs/articles/ipn
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
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

#: The parameter of callback_uri that carries the signature.
PARAMETER = "wepay_signature"
#: Seconds for all look-ups of one IPN together.
LOOKUP_SECONDS = 5.0
LONGEST_VALUE = 255
MOST_FIELDS = 20

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_ID = re.compile(r"[0-9]{1,19}")

_logger = logging.getLogger("flask_wepay")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a signature says: the row a callback_uri was made for, or none for other objects."""

    row_id: int | None = None
    #: The first characters of the row's state hash: SQLite gives an id out again.
    state_hash: str = ""


def read_signature(settings: Settings, signature: str) -> Origin | None:
    """Return what a signature says, or None if it is not ours under any of our keys."""
    try:
        client_id, row_id, state_hash = _serializer(settings).loads(signature)
    except (BadData, ValueError, TypeError):
        return None
    return Origin(row_id, state_hash) if client_id == settings.client_id else None


def signed(settings: Settings, route: Callable[[], str], origin: Origin) -> str | None:
    """Return the callback_uri for an origin, or None where no IPN can come.

    `route` gives the address of the IPN route as the current request would have it.

    :raises ConfigurationError: if WePay would refuse the address in production.
    """
    base = _base(settings, route)
    if base is None:
        return None
    if settings.environment != "sandbox" and is_local(urlsplit(base).hostname or ""):
        return None
    try:
        check_callback_uri(base, settings.environment, "WEPAY_CALLBACK_URI")
    except ConfigurationError as error:
        # The setting itself was checked when the application started.
        raise ConfigurationError(
            f"{error} It is not set, and Flask sees the address of IPNs as {base!r}: behind a"
            " proxy, did you forget ProxyFix, and outside of a request 'PREFERRED_URL_SCHEME'?"
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
            "Outside of a request nothing tells where IPNs go: set 'WEPAY_CALLBACK_URI' or"
            " 'WEPAY_REDIRECT_URI', or Flask's 'SERVER_NAME'."
        ) from None
    if settings.redirect_uri is None:
        return address
    public = urlsplit(settings.redirect_uri)
    return urlsplit(address)._replace(scheme=public.scheme, netloc=public.netloc).geturl()


def _serializer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(list(settings.keyring.signing_keys), salt="flask_wepay.ipn")


def read_fields(body: Mapping[str, object]) -> dict[str, str] | None:
    """Return an IPN's fields as strings, or None if they are not what WePay sends."""
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
    # The reference_id of a checkout or preapproval is the application's own, of any form.
    return [name for name in fields if name.endswith("_id") and name != "reference_id"]


def handle(state: State, origin: Origin, fields: Mapping[str, str]) -> bool:
    """Do what an IPN with a valid signature asks for.

    Return whether it was handled; if not, WePay is to deliver it again.

    :raises WePayError: for what may have passed by then: likewise.
    """
    if _ids(fields) != ["user_id"]:
        if origin.row_id is not None:
            # The address of a row, which WePay has for that row's user alone.
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
    # All of them first: a row that no key opens must not hide those behind it.
    handled = [_look(state, authorization, deadline) for authorization in living]
    return all(handled)


def _look(state: State, authorization: Authorization, deadline: Deadline) -> bool:
    """Ask WePay about one token; return False where only we can't.

    :raises WePayError: if WePay's answer is not one to rely upon.
    """
    try:
        token = authorization.open()
    except TokenUnreadable as error:
        _logger.error("An IPN's look-up needs a token: %s", error)
        return False
    if token.expired:
        return True
    outcome = _ask(state, authorization, token, deadline)
    if not settle(state, authorization, outcome) and isinstance(outcome, APIError):
        _logger.error("An IPN's look-up ended otherwise, and the row is kept: %s", outcome)
    return True


def _ask(state: State, authorization: Authorization, token: Token, deadline: Deadline) -> Any:
    outcome = state.caller.send(
        Call.of("user", {}, {}), token, deadline, share=IPNS, owner=authorization.owner
    )
    if isinstance(outcome, ServerError | Throttled):
        raise outcome
    if isinstance(outcome, APIError) and outcome.error_code is None:
        # A proxy's page, say: not WePay's word.
        raise outcome
    return outcome


def settle(state: State, authorization: Authorization, outcome: Any) -> bool:
    """Mark an authorization whose ``/user`` says that it has ended, and tell the application.

    Return whether it has ended.

    :raises StoreUnavailable: if that can't be noted now.
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
        raise StoreUnavailable("A row that WePay says is dead can't be marked just now.")
    return True
