"""Every error of the package, in one tree, split by what the caller does next.

WePayError
    ConfigurationError            fix the settings
        TokenUnreadable           no key opens the stored token; the row stays
    AuthorizationError            the login did not end well
        AuthorizationDenied       the user said no
        StateMismatch             not a login this browser and owner began
        ExchangeFailed            WePay refused the code
    NotAuthorized                 nobody connected, disconnected or expired: connect
    StoreUnavailable              our database; nothing was sent, try later
    InvalidCall (ValueError)      not a call name, or access_token as a parameter
    ConnectionFailed              nothing was sent: safe to repeat
    OutcomeUnknown                sent, no usable answer: a payment may have happened
    APIError                      WePay said no, and why
        InvalidRequest            1001 to 1005
        TokenInvalid              1006: keep the row, suspect the environment
        Throttled                 1007, or our own budget
        PermissionDenied          1010
        TokenRevoked              1011; 7003 and state "deleted" from /user
        ServerError               1008, or a 5xx without a code; an OutcomeUnknown too
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
    """Stand at the root of everything this package raises.

    Facts are keyword arguments and become attributes; all of them have a
    default, so that an error survives pickling by a job queue.

    .. versionadded:: 1.0
    """

    def __init__(self, message: str = "", **facts: Any) -> None:
        super().__init__(message)
        for name, value in facts.items():
            if not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} has no attribute {name!r}")
            setattr(self, name, value)


class ConfigurationError(WePayError):
    """Say which setting is wrong, and the likeliest mistake.

    .. versionadded:: 1.0
    """

    @classmethod
    def of(cls, key: str, what: str, mistake: str) -> Self:
        """Make the error of one setting: its key, what is wrong, the likeliest mistake."""
        return cls(f"'{key}' {what}: {mistake}.")


class TokenUnreadable(ConfigurationError):
    """Say that no key opens a stored token; the row stays as it is.

    The likeliest cause is a changed SECRET_KEY or WEPAY_TOKEN_KEYS without the
    old key among the fallbacks.

    .. versionadded:: 1.0
    """

    #: Whose token it is (str), or None.
    owner: str | None = None


class AuthorizationError(WePayError):
    """Say that a login did not end well; nothing that was connected is lost.

    .. versionadded:: 1.0
    """

    #: What WePay put into ``error`` of the callback (str), or None.
    error: str | None = None
    #: What WePay put into ``error_description`` (str), or None. Anybody can make
    #: up the address of a callback, so it is not shown on the page.
    description: str | None = None


class AuthorizationDenied(AuthorizationError):
    """Say that the user pressed "deny" at WePay.

    .. versionadded:: 1.0
    """


class StateMismatch(AuthorizationError):
    """Say that a callback is not of a login that this browser and owner began.

    .. versionadded:: 1.0
    """


class ExchangeFailed(AuthorizationError):
    """Say that WePay did not give a token for the code.

    .. versionadded:: 1.0
    """

    #: WePay's ``error_code`` (int), or None.
    error_code: int | None = None


class NotAuthorized(WePayError):
    """Say that the owner has to connect: nobody did, or disconnected, or it expired.

    .. versionadded:: 1.0
    """

    #: Who is not connected (str), or None for nobody.
    owner: str | None = None


class StoreUnavailable(WePayError):
    """Say that our own database did not answer; nothing was sent to WePay.

    .. versionadded:: 1.0
    """


class InvalidCall(WePayError, ValueError):
    """Say that a call can't be made as it is written; nothing was sent.

    .. versionadded:: 1.0
    """


class ConnectionFailed(WePayError):
    """Say that WePay was not reached: nothing was sent, so it is safe to repeat.

    .. versionadded:: 1.0
    """

    #: The call's name (str).
    call: str | None = None


class OutcomeUnknown(WePayError):
    """Say that a call was sent and no usable answer came: it may have been executed.

    Repeat ``checkout/create`` with the same ``unique_id``; look anything else up.

    .. versionadded:: 1.0
    """

    #: The call's name (str).
    call: str | None = None
    #: HTTP status (int), or None where none was read.
    status: int | None = None
    #: The caller's ``unique_id`` (str), where the parameters had one.
    unique_id: str | None = None


class APIError(WePayError):
    """Carry what WePay said when it refused a call.

    Decide on :attr:`error_code`, never on status or text:
    https://developer.wepay.com/api/general/errors

    .. versionadded:: 1.0
    """

    #: The call's name (str).
    call: str | None = None
    #: HTTP status (int); None where no answer was had.
    status: int | None = None
    #: WePay's category (str), such as ``"invalid_request"``.
    error: str | None = None
    #: WePay's code (int); None where there was none.
    error_code: int | None = None
    #: WePay's text (str).
    description: str | None = None
    #: WePay's ``details`` (list), from Api-Version 2018-08-29 on.
    details: Any = None


class InvalidRequest(APIError):
    """Say that the call, a header or a parameter is wrong (1001 to 1005).

    .. versionadded:: 1.0
    """


class TokenInvalid(APIError):
    """Say that WePay does not know the token (1006), which revokes nothing.

    The likeliest cause is a token of stage used in production, or the reverse.

    .. versionadded:: 1.0
    """


class Throttled(APIError):
    """Say that there were too many calls (1007, or our own budget); none was made.

    .. versionadded:: 1.0
    """

    #: When to try again, in seconds from now (float).
    retry_after: float = 10.0


class PermissionDenied(APIError):
    """Say that the user or the application may not do this (1010).

    .. versionadded:: 1.0
    """


class TokenRevoked(APIError):
    """Say that the owner's authorization has ended at WePay; the call was not executed.

    .. versionadded:: 1.0
    """

    #: Whose authorization ended (str).
    owner: str | None = None


class ServerError(APIError, OutcomeUnknown):
    """Say that WePay failed (1008, or a 5xx without a code): it may have been executed.

    .. versionadded:: 1.0
    """
