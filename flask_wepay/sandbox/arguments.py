"""The arguments of a call: which there are, of which type, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from .answers import Refused
from .objects import Application, Environment

#: Says what is wrong with a value, or gives None.
Check = Callable[[Any], str | None]

#: The longest address, in characters. https://developer.wepay.com/api/api-calls/oauth2
MAX_URI = 2083

#: More than anybody pays; and infinity and NaN are no amounts at all.
MAX_AMOUNT = 10**12


@dataclass(frozen=True)
class Argument:
    """One documented argument of a call."""

    name: str
    check: Check
    required: bool = False


def check_arguments(arguments: Mapping[str, Any], documented: Iterable[Argument]) -> None:
    """Refuse undocumented arguments (1003), missing ones (1004) and bad values (1003)."""
    documented = list(documented)
    for name in arguments.keys() - {argument.name for argument in documented}:
        raise Refused(1003, f"{name} is not a parameter of this call")
    for argument in documented:
        if arguments.get(argument.name) is None:
            if argument.required:
                raise Refused(1004, f"{argument.name} parameter is required")
            continue
        problem = argument.check(arguments[argument.name])
        if problem:
            raise Refused(1003, f"{argument.name} parameter {problem}")


def integer(value: Any) -> str | None:
    """Want a JSON integer of 64 bits; digits in quotes are none."""
    # JSON's true is no number, though Python's True is an int.
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
        return "must be a 64-bit integer"
    return None


def decimal(value: Any) -> str | None:
    """Want an amount of at most two decimal places, which may be nothing."""
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        return "must be a number"
    amount = Decimal(str(value))
    if not 0 <= amount < MAX_AMOUNT or amount != amount.quantize(Decimal("0.01")):
        return "must be an amount of at most two decimal places"
    return None


def positive(value: Any) -> str | None:
    """Want an amount that is more than nothing."""
    return decimal(value) or (None if value else "must be a positive amount")


def boolean(value: Any) -> str | None:
    """Want true or false."""
    return None if isinstance(value, bool) else "must be true or false"


def mapping(value: Any) -> str | None:
    """Want a JSON object."""
    return None if isinstance(value, dict) else "must be an object"


def texts(value: Any) -> str | None:
    """Want a list of strings."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return "must be an array of strings"
    return None


def array(value: Any) -> str | None:
    """Want a list."""
    return None if isinstance(value, list) else "must be an array"


def text(limit: int = 255) -> Check:
    """Want a string of at most `limit` characters that is not empty."""

    def check(value: Any) -> str | None:
        if not isinstance(value, str):
            return "must be a string"
        if any("\ud800" <= character <= "\udfff" for character in value):
            return "must be Unicode, without half a pair of surrogates"
        return None if 0 < len(value) <= limit else f"must have 1 to {limit} characters"

    return check


def choice(*values: str) -> Check:
    """Want one of these strings."""

    def check(value: Any) -> str | None:
        return None if value in values else f"must be one of {', '.join(values)}"

    return check


def uri(value: Any) -> str | None:
    """Want a full http or https address."""
    problem = text(MAX_URI)(value)
    if problem:
        return problem
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return "must be a full URI"
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        return "must be a full URI"
    if not value.isascii() or not value.isprintable() or " " in value:
        return "must be a full URI"
    return None


def redirect_uri_problem(value: str, application: Application) -> str | None:
    """Say what is wrong with a redirect_uri for an application."""
    problem = uri(value)
    if problem:
        return problem
    host = urlsplit(value).hostname or ""
    if "_" in host:
        return "must have no underscore in its host, which breaks the domain match"
    if application.hosts is not None and host not in application.hosts:
        return "must be on the application's domain"
    return None


def callback_uri_problem(value: str, environment: Environment) -> str | None:
    """Say what is wrong with a callback_uri: production allows no ports."""
    problem = uri(value)
    if problem is None and environment == "production" and urlsplit(value).port is not None:
        return "must have no port in production"
    return problem
