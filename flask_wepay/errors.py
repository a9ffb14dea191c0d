"""Every exception of the package, in one tree that is split by what the caller does next.

WePayError
    ConfigurationError            fix the settings
        TokenUnreadable           restore the old key; the row is kept
    AuthorizationError            offer the user another login
        AuthorizationDenied       respect the user's decision
        StateMismatch             start a new login in this browser
        ExchangeFailed            start a new login
    NotAuthorized                 send the user to wepay.login
    StoreUnavailable              retry once the database is back; nothing was sent
    InvalidCall (ValueError)      fix the call; nothing was sent
    ConnectionFailed              retry; nothing was sent
    OutcomeUnknown                check first: the call may have been executed
    APIError                      decide by error_code
        InvalidRequest            fix the call (1001 to 1005)
        TokenInvalid              compare the environments (1006); the row is kept
        Throttled                 retry after retry_after seconds (1007, or the local limit)
        PermissionDenied          ask WePay for the permission (1010)
        TokenRevoked              send the owner to wepay.login (1011)
        ServerError               as OutcomeUnknown (1008, or a 5xx without a code)
"""

from __future__ import annotations

from typing import Any, Self

__all__ = [
    "APIError",
    "AuthorizationDenied",
    "AuthorizationError",
    "ConfigurationError",
    "ConnectionFailed",
    "ExchangeFailed",
    "InvalidCall",
    "InvalidRequest",
    "NotAuthorized",
    "OutcomeUnknown",
    "PermissionDenied",
    "ServerError",
    "StateMismatch",
    "StoreUnavailable",
    "Throttled",
    "TokenInvalid",
    "TokenRevoked",
    "TokenUnreadable",
    "WePayError",
]


class WePayError(Exception):
    """Base class of every exception that this package raises.

    Keyword arguments become attributes. Each attribute has a default, so that an
    exception survives pickling by a job queue.

    .. versionadded:: 1.0
    """

    #: Where the login wanted to go (str), a path of this site; set on the errors of ``wepay.login``
    #: and ``wepay.callback``, None elsewhere and where it wanted nowhere in particular.
    next_url: str | None = None
    #: Whether the login is in a pop-up, whose opener waits (bool).
    popup: bool = False

    def __init__(self, message: str = "", **facts: Any) -> None:
        super().__init__(message)
        for name, value in facts.items():
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no attribute {name!r}")
            setattr(self, name, value)


class ConfigurationError(WePayError):
    """Raised when a setting, a hook or the application's setup is invalid.

    The message names the setting, what is wrong with it, and the most likely mistake.

    .. versionadded:: 1.0
    """

    @classmethod
    def of(cls, key: str, what: str, mistake: str) -> Self:
        """Return the error for one setting: its key, what is wrong, the most likely mistake."""
        return cls(f"'{key}' {what}: {mistake}.")


class TokenUnreadable(ConfigurationError):
    """Raised when no key decrypts a stored token; the row is kept.

    The most likely cause is a changed SECRET_KEY or WEPAY_TOKEN_KEYS without the
    old key among the fallbacks. Put the old key back behind the new one.

    .. versionadded:: 1.0
    """

    #: The owner of the token (str), or None.
    owner: str | None = None


class AuthorizationError(WePayError):
    """Raised when a login fails; existing connections are kept.

    Offer the user another login.

    .. versionadded:: 1.0
    """

    #: The ``error`` parameter of the callback (str), or None.
    error: str | None = None
    #: The ``error_description`` parameter (str), or None. Anyone can forge the URL
    #: of a callback, so don't show it on a page.
    description: str | None = None


class AuthorizationDenied(AuthorizationError):
    """Raised when the user denies the connection at WePay.

    Don't send the user back to WePay automatically.

    .. versionadded:: 1.0
    """


class StateMismatch(AuthorizationError):
    """Raised when a callback doesn't match a login that this browser and owner started.

    The user starts a new login. If every login fails like this, the session is lost on the
    way: SECRET_KEY differs between workers, or the browser drops the cookie.

    .. versionadded:: 1.0
    """


class ExchangeFailed(AuthorizationError):
    """Raised when WePay refuses to exchange the code for a token.

    The user starts a new login. If every login fails like this, run ``flask wepay check``.

    .. versionadded:: 1.0
    """

    #: WePay's ``error_code`` (int), or None.
    error_code: int | None = None


class NotAuthorized(WePayError):
    """Raised when the owner has no active authorization: none yet, disconnected or expired.

    Send the user to ``wepay.login``.

    .. versionadded:: 1.0
    """

    #: The owner who isn't connected (str), or None if nobody is logged in.
    owner: str | None = None
    #: Where a browser is to go (str), a path of this site that leads to WePay and back to the
    #: page that asked; None where no view with ``wepay_required`` refused.
    connect_url: str | None = None


class StoreUnavailable(WePayError):
    """Raised when the application's database doesn't answer; nothing was sent to WePay.

    Retry once the database is back. If the table is missing, run your migrations.

    .. versionadded:: 1.0
    """


class InvalidCall(WePayError, ValueError):
    """Raised when a call's name or parameters are invalid; nothing was sent.

    Fix the call.

    .. versionadded:: 1.0
    """


class ConnectionFailed(WePayError):
    """Raised when WePay can't be reached; nothing was sent, so it is safe to retry.

    .. versionadded:: 1.0
    """

    #: The call's name (str).
    call: str | None = None


class OutcomeUnknown(WePayError):
    """Raised when a call was sent and no usable answer arrived; it may have been executed.

    Retry ``checkout/create`` with the same ``unique_id``, its idempotency key. For any other
    call, look up whether it was executed before you retry it.

    .. versionadded:: 1.0
    """

    #: The call's name (str).
    call: str | None = None
    #: HTTP status (int), or None if no status line was read.
    status: int | None = None
    #: The idempotency key (str) among the call's parameters, or None.
    unique_id: str | None = None


class APIError(WePayError):
    """Raised when WePay refuses a call.

    Decide by :attr:`error_code`, never by the status or the text:
    https://developer.wepay.com/api/general/errors

    .. versionadded:: 1.0
    """

    #: The call's name (str).
    call: str | None = None
    #: HTTP status (int), or None if WePay wasn't asked.
    status: int | None = None
    #: WePay's category (str), such as ``"invalid_request"``, or None.
    error: str | None = None
    #: WePay's code (int), or None.
    error_code: int | None = None
    #: WePay's text (str), or None.
    description: str | None = None
    #: WePay's ``details`` (list), since Api-Version 2018-08-29, or None.
    details: Any = None


class InvalidRequest(APIError):
    """Raised when the call, a header or a parameter is invalid (1001 to 1005).

    Fix the call; the description names the parameter.

    .. versionadded:: 1.0
    """


class TokenInvalid(APIError):
    """Raised when WePay doesn't know the token (1006); the authorization is kept.

    The most likely cause is a stage token used in production, or the reverse. Compare
    WEPAY_ENVIRONMENT with where the token was issued.

    .. versionadded:: 1.0
    """


class Throttled(APIError):
    """Raised when a rate limit is reached; the call was not executed.

    With :attr:`error_code` 1007 it is WePay's limit, without one the local limit of
    WEPAY_THROTTLE. Retry after :attr:`retry_after` seconds, or pass ``wait=seconds``.

    .. versionadded:: 1.0
    """

    #: When to try again, in seconds from now (float).
    retry_after: float = 10.0


class PermissionDenied(APIError):
    """Raised when the user or the application isn't permitted to make the call (1010).

    Ask WePay for the permission, or make the call as another owner.

    .. versionadded:: 1.0
    """


class TokenRevoked(APIError):
    """Raised when the owner's authorization is revoked; the call was not executed.

    WePay said so of every active token of the owner: by 1011, or, at ``/user``, by 7003 or
    the state "deleted". Send the owner to ``wepay.login``.

    .. versionadded:: 1.0
    """

    #: The owner of the authorization (str).
    owner: str | None = None


class ServerError(APIError, OutcomeUnknown):
    """Raised when WePay fails (1008, or a 5xx without a code); the call may have been executed.

    Treat it as :exc:`OutcomeUnknown`, which it is too.

    .. versionadded:: 1.0
    """
