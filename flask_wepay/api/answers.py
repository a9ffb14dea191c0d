"""Turn WePay's HTTP answers into values and exceptions. Pure: no Flask, no I/O.

https://developer.wepay.com/api/general/errors
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..errors import (
    APIError,
    ExchangeFailed,
    InvalidRequest,
    OutcomeUnknown,
    PermissionDenied,
    ServerError,
    Throttled,
    TokenInvalid,
    TokenRevoked,
)
from ..foreign import clean
from ..tokens import MalformedToken, Token

__all__ = ["Answer", "decipher", "decipher_member", "decipher_token", "end_of_token", "members_of"]

#: Seconds to wait after a 1007, which comes without a Retry-After: the length of WePay's window.
THROTTLE_WINDOW = 10.0

_REVOKED = 1011
_USER_DELETED = 7003
_CLASSES: dict[int, type[APIError]] = {
    1001: InvalidRequest,
    1002: InvalidRequest,
    1003: InvalidRequest,
    1004: InvalidRequest,
    1005: InvalidRequest,
    1006: TokenInvalid,
    1007: Throttled,
    1008: ServerError,
    1010: PermissionDenied,
    _REVOKED: TokenRevoked,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer that was read completely; the repr leaves the body out."""

    status: int
    body: bytes = field(repr=False)
    #: The Retry-After header in seconds (float), or None.
    retry_after: float | None = None


def decipher(call: str, answer: Answer, secrets: Sequence[str] = ()) -> Any:
    """Return the decoded JSON of an answer, or raise the error that it stands for.

    The strings in `secrets` are removed from the error's text, in case WePay echoes them.

    :raises OutcomeUnknown: if the answer is neither usable nor a refusal by WePay.
    :raises APIError: if WePay refused the call; the error_code decides the class.
    """
    return _decipher(call, answer, _load(answer.body, _PLAIN), secrets)


def _decipher(call: str, answer: Answer, value: Any, secrets: Sequence[str]) -> Any:
    if isinstance(value, dict) and _is_error(answer.status, value):
        raise _error(call, answer.status, value, secrets, answer.retry_after)
    if 200 <= answer.status < 300 and isinstance(value, dict | list):
        return value
    if 400 <= answer.status < 500:
        raise APIError(
            f"WePay refused {call!r} with HTTP {answer.status} and no error_code.",
            call=call,
            status=answer.status,
        )
    if answer.status >= 500:
        raise ServerError(
            f"WePay failed at {call!r} with HTTP {answer.status}; it may have been executed.",
            call=call,
            status=answer.status,
        )
    raise OutcomeUnknown(
        f"WePay answered {call!r} with HTTP {answer.status} and no usable body; "
        "it may have been executed.",
        call=call,
        status=answer.status,
    )


def members_of(value: Any) -> list[dict[str, Any]]:
    """Return the members of an answer to /batch/create, without invalid ones."""
    calls = value.get("calls") if isinstance(value, dict) else None
    return [call for call in calls if isinstance(call, dict)] if isinstance(calls, list) else []


def decipher_member(call: str, response: Any, secrets: Sequence[str] = ()) -> Any:
    """Return the value of one member of a batch, or its exception."""
    if isinstance(response, dict) and _is_error(200, response):
        return _error(call, 200, response, secrets, None)
    return response


def decipher_token(answer: Answer, secrets: Sequence[str]) -> Token:
    """Return the token of an answer to /oauth2/token.

    :raises ExchangeFailed: if WePay refused the code.
    :raises OutcomeUnknown: if the answer has no usable token; WePay may have issued one.
    :raises Throttled: if WePay's rate limit is reached.
    """
    call = "oauth2/token"
    try:
        value = _load(answer.body, _STRICT)
        _decipher(call, answer, value, secrets)
        if not isinstance(value, dict) or "error" in value or _DOUBLES in value:
            raise MalformedToken("it is not an object with a token")
        return Token.from_answer(value)
    except MalformedToken as error:
        raise OutcomeUnknown(
            f"WePay's answer to {call!r} is not as documented: {error}.",
            call=call,
            status=answer.status,
        ) from error
    except (OutcomeUnknown, Throttled):
        raise
    except APIError as error:
        raise ExchangeFailed(
            f"WePay gave no token for the code: {error}",
            error=error.error,
            error_code=error.error_code,
            description=error.description,
        ) from error


def end_of_token(call: str, outcome: Any) -> str | None:
    """Return why an outcome ends the token it was called with, or None if it doesn't.

    1011 means "revoked" on every call. "deleted" is accepted from ``/user`` only, where
    7003 and the state "deleted" can't be about another user.
    """
    if isinstance(outcome, TokenRevoked):
        return "revoked"
    if call == "user":
        if isinstance(outcome, APIError) and outcome.error_code == _USER_DELETED:
            return "deleted"
        if isinstance(outcome, dict) and outcome.get("state") == "deleted":
            return "deleted"
    return None


def _load(body: bytes, decoder: json.JSONDecoder) -> Any:
    try:
        return decoder.decode(body.decode())
    except (ValueError, RecursionError):
        return None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


#: Marks an object that has a name twice; no name in an answer can equal it.
_DOUBLES = object()


def _noting_doubles(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    # With two tokens or user_ids in one answer, nothing says which one counts.
    value = dict(pairs)
    if len(value) != len(pairs):
        value[_DOUBLES] = True
    return value


_PLAIN = json.JSONDecoder(parse_constant=_refuse_constant)
_STRICT = json.JSONDecoder(parse_constant=_refuse_constant, object_pairs_hook=_noting_doubles)


def _code(value: Mapping[str, Any]) -> int | None:
    # "1011" in quotes, 1011.0 and true don't revoke anything.
    code = value.get("error_code")
    return code if type(code) is int else None


def _is_error(status: int, value: Mapping[str, Any]) -> bool:
    if _code(value) is not None:
        return not 300 <= status < 400
    return 400 <= status < 500 or (200 <= status < 300 and isinstance(value.get("error"), str))


def _text(value: object, secrets: Sequence[str]) -> str | None:
    return clean(value, secrets) if isinstance(value, str) else None


def _error(
    call: str,
    status: int,
    value: Mapping[str, Any],
    secrets: Sequence[str],
    retry_after: float | None,
) -> APIError:
    code = _code(value)
    kind = _CLASSES.get(code, APIError) if code is not None else APIError
    description = _text(value.get("error_description"), secrets)
    number = f"error_code {code}" if code is not None else f"HTTP {status} and no error_code"
    error = kind(
        f"WePay refused {call!r} with {number}: {description or 'no description'}.{_hint(kind)}",
        call=call,
        status=status,
        error=_text(value.get("error"), secrets),
        error_code=code,
        description=description,
        details=clean(value.get("details"), secrets),
    )
    if isinstance(error, Throttled):
        error.retry_after = THROTTLE_WINDOW if retry_after is None else max(1.0, retry_after)
    return error


def _hint(kind: type[APIError]) -> str:
    if kind is TokenInvalid:
        return (
            " WePay does not know this token. Most likely a stage token is used in production,"
            " or the reverse: compare 'WEPAY_ENVIRONMENT' with where it was issued."
        )
    if kind is PermissionDenied:
        return " The user or the application isn't permitted to make this call."
    return ""
