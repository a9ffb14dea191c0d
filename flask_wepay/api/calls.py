"""A call that is ready to be sent: its name, parameters and headers, and its deadline."""

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

#: The most seconds for a call: timers don't go beyond it.
A_DAY = 86_400.0

#: Calls that change nothing, so that they are retried if their answer is lost.
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

#: NaN and Infinity are no JSON.
_JSON = json.JSONEncoder(allow_nan=False)
_CALL = re.compile(r"/?([a-z][a-z0-9_]*(?:/[a-z][a-z0-9_]*)*)")


def check_call(call: object) -> str:
    """Return a call's name without a leading slash.

    :raises InvalidCall: if the name isn't lower-case words joined by slashes.
    """
    match = _CALL.fullmatch(plain(call) or "")
    if match is None:
        raise InvalidCall(
            f"{call!r} is not the name of a call: give words joined by slashes, such as"
            " 'user' or 'account/create', without a host, version or query."
        )
    return match[1]


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is ready to be sent; :meth:`of` checks it and returns one."""

    name: str
    parameters: Mapping[str, Any] = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(
        cls, name: str, parameters: Mapping[str, Any], headers: Mapping[str, str | None]
    ) -> Call:
        """Check and encode a call.

        :raises InvalidCall: if the call can't be sent, or must not be.
        """
        name = check_call(name)
        parameters = _check_parameters(name, parameters)
        try:
            body = _JSON.encode(parameters).encode()
        except (TypeError, ValueError, RecursionError) as error:
            kind = str(error)
        else:
            return cls(name, parameters, body, _check_headers(name, headers))
        raise InvalidCall(
            f"The parameters of {name!r} can't be encoded as JSON: {kind}. Convert a Decimal"
            " with float() and a date with isoformat()."
        )

    @property
    def unique_id(self) -> str | None:
        """The idempotency key of a payment, with which it can be retried."""
        unique_id = self.parameters.get("unique_id")
        return None if unique_id is None else str(unique_id)


class Deadline:
    """The deadline of a whole call, in seconds; waiting for the rate limit comes on top."""

    def __init__(self, seconds: float, wait: float = 0.0) -> None:
        self._end = time.monotonic() + seconds
        self._wait = wait

    def remaining(self) -> float:
        """Return the remaining seconds, but never less than a small amount."""
        return max(0.01, self._end - time.monotonic())

    def passed(self) -> bool:
        """Return whether there is no time for another attempt."""
        return time.monotonic() >= self._end

    def wait(self, seconds: float) -> bool:
        """Sleep and return True if the caller allows a wait of that length."""
        if not 0 < seconds <= self._wait:
            return False
        self._wait -= seconds
        self._end += seconds
        time.sleep(seconds)
        return True


def deadline_of(default: float, timeout: Any, wait: Any) -> Deadline:
    """Return the deadline of a call, from its keywords or the default.

    :raises InvalidCall: if a keyword isn't a number of seconds.
    """
    for name, seconds in ("timeout", timeout), ("wait", wait):
        if seconds is not None and not (isinstance(seconds, int | float) and 0 <= seconds <= A_DAY):
            raise InvalidCall(f"'{name}' is {seconds!r}: give seconds, such as 20.")
    return Deadline(default if timeout is None else timeout, wait or 0.0)


def _check_parameters(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse parameters that contain a token, or that aren't a mapping by name.

    :raises InvalidCall: if it refuses them.
    """
    given = parameters.items() if isinstance(parameters, Mapping) else [(None, parameters)]
    named = {plain(key) or "": value for key, value in given}
    if "" in named:
        raise InvalidCall(f"The parameters of {name!r} are not a mapping whose keys are names.")
    if "access_token" in named:
        raise InvalidCall(
            f"{name!r} was given 'access_token' as a parameter: a token travels in the"
            " Authorization header only. Use client_for(owner) to act for another owner."
        )
    return named


def _check_headers(name: str, headers: Mapping[str, str | None]) -> dict[str, str]:
    given = {"Content-Type": "application/json"}
    for header, value in headers.items():
        if value is None:
            continue
        text = plain(value)
        if text is None or not (text.isascii() and text.isprintable()) or text != text.strip():
            raise InvalidCall(f"{name!r} has a value that the header {header!r} can't carry.")
        given[header] = text
    return given
