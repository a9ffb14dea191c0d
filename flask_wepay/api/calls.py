"""A call as it will be sent: its name, its parameters, its headers, and the time it has."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InvalidCall
from ..foreign import plain

__all__ = ["LOOKUPS_REPEATED", "Call", "Deadline", "check_call", "deadline_of"]

#: Seconds that a call can be given: beyond it no timer goes.
A_DAY = 86_400.0

#: Calls that change nothing, so that one whose answer was lost is made again.
LOOKUPS_REPEATED = frozenset(
    {
        "account",
        "account/find",
        "account/get_reserve_details",
        "account/get_update_uri",
        "app",
        "checkout",
        "checkout/find",
        "credit_card",
        "credit_card/find",
        "preapproval",
        "preapproval/find",
        "subscription",
        "subscription/find",
        "subscription_plan",
        "subscription_plan/find",
        "user",
        "withdrawal",
        "withdrawal/find",
    }
)

_CALL = re.compile(r"/?([a-z][a-z0-9_]*(?:/[a-z][a-z0-9_]*)*)")


def check_call(call: object) -> str:
    """Return a call's name without the leading slash, which is forgiven.

    :raises InvalidCall: if it is not lower-case words joined by slashes.
    """
    match = _CALL.fullmatch(plain(call) or "")
    if match is None:
        raise InvalidCall(
            f"{call!r} is not the name of a call: give words joined by slashes, such as"
            " 'user' or 'account/create', without host, version or query."
        )
    return match[1]


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it will be sent; made by :meth:`of`, which checks it."""

    name: str
    parameters: Mapping[str, Any] = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(
        cls, name: str, parameters: Mapping[str, Any], headers: Mapping[str, str | None]
    ) -> Call:
        """Check a call and encode it.

        :raises InvalidCall: if WePay must not or could not be sent this.
        """
        name = check_call(name)
        parameters = _check_parameters(name, parameters)
        try:
            body = json.dumps(parameters, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            kind = str(error)
        else:
            return cls(name, parameters, body, _check_headers(name, headers))
        raise InvalidCall(
            f"The parameters of {name!r} can't be written as JSON: {kind}. Convert a Decimal"
            " with float() and a date with isoformat()."
        )

    @property
    def unique_id(self) -> str | None:
        """The caller's own id of a payment, with which it can be repeated."""
        unique_id = self.parameters.get("unique_id")
        return None if unique_id is None else str(unique_id)


class Deadline:
    """Seconds that a whole call has; waiting for one's turn comes on top."""

    def __init__(self, seconds: float, wait: float = 0.0) -> None:
        self._end = time.monotonic() + seconds
        self._wait = wait

    def remaining(self) -> float:
        """Return the seconds that are left, never less than a small amount."""
        return max(0.01, self._end - time.monotonic())

    def passed(self) -> bool:
        """Tell whether there is no time for another try."""
        return time.monotonic() >= self._end

    def wait(self, seconds: float) -> bool:
        """Sleep and return True if the caller allowed for so long a wait."""
        if not 0 < seconds <= self._wait:
            return False
        self._wait -= seconds
        self._end += seconds
        time.sleep(seconds)
        return True


def deadline_of(default: float, timeout: Any, wait: Any) -> Deadline:
    """Return the time that a call has, by its keywords or by default.

    :raises InvalidCall: if a keyword is no number of seconds.
    """
    for name, seconds in ("timeout", timeout), ("wait", wait):
        if seconds is not None and not (isinstance(seconds, int | float) and 0 <= seconds <= A_DAY):
            raise InvalidCall(f"'{name}' is {seconds!r}: give seconds, such as 20.")
    return Deadline(default if timeout is None else timeout, wait or 0.0)


def _check_parameters(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse parameters that a token or a mistake would travel in.

    :raises InvalidCall: for ``access_token``, and for what is not a mapping by name.
    """
    named: dict[str, Any] = {}
    if isinstance(parameters, Mapping):
        named = {plain(key) or "": value for key, value in parameters.items()}
    if not isinstance(parameters, Mapping) or "" in named:
        raise InvalidCall(f"The parameters of {name!r} are not a mapping with names as keys.")
    if "access_token" in named:
        raise InvalidCall(
            f"{name!r} was given 'access_token' as a parameter: a token travels in the"
            " Authorization header only. Use client_for(owner) to act for somebody else."
        )
    return named


def _check_headers(name: str, headers: Mapping[str, str | None]) -> dict[str, str]:
    given = {"Content-Type": "application/json"}
    for header, value in headers.items():
        if value is None:
            continue
        text = plain(value)
        if text is None or not (text.isascii() and text.isprintable()) or text != text.strip():
            raise InvalidCall(f"{name!r} can't carry this value in the header {header!r}.")
        given[header] = text
    return given
