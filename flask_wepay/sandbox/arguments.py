"""The arguments of a call: their names, their types, and what is wrong with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from .answers import Refused
from .objects import Application
from .strictness import Strictness

#: The longest URL, in characters. https://developer.wepay.com/api/api-calls/oauth2
MAX_URI = 2083

#: More than anyone pays; infinity and NaN are not amounts.
MAX_AMOUNT = 10**12

_CENT = Decimal("0.01")


class WrongType(ValueError):
    """Raised when a value has another JSON type than its argument."""


@dataclass(frozen=True)
class Kind:
    """A type of arguments.

    ``read`` returns the value for the call, or raises :exc:`ValueError` with what is wrong,
    or :exc:`WrongType` with the expected type.
    """

    name: str
    read: Callable[[Any, Strictness], Any]


@dataclass(frozen=True)
class Argument:
    """One documented argument of a call."""

    name: str
    kind: Kind
    required: bool = False


def pick(arguments: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return the arguments of a call that have these names."""
    return {name: arguments[name] for name in names if name in arguments}


def read_arguments(
    arguments: Mapping[str, Any], documented: Iterable[Argument], strictness: Strictness
) -> dict[str, Any]:
    """Return the converted arguments, without null and what is ignored.

    Undocumented arguments and bad values are 1003, missing arguments 1004.
    """
    documented = list(documented)
    for name in arguments.keys() - {argument.name for argument in documented}:
        strictness.object_to(f"{name} is not a parameter of this call")
    given = {}
    for argument in documented:
        value = arguments.get(argument.name)
        if value == "" and strictness.passes_over(f"{argument.name} parameter is empty"):
            value = None
        if value is not None:
            given[argument.name] = _read(argument, value, strictness)
        elif argument.required:
            raise Refused(1004, f"{argument.name} parameter is required")
    return given


def _read(argument: Argument, value: Any, strictness: Strictness) -> Any:
    try:
        return argument.kind.read(value, strictness)
    except WrongType as wrong:
        raise Refused(1003, f"Parameter '{argument.name}' expected {wrong}") from None
    except ValueError as problem:
        raise Refused(1003, f"{argument.name} parameter {problem}") from None


def _read_integer(value: Any, strictness: Strictness) -> int:
    quoted = isinstance(value, str) and re.fullmatch("[0-9]{1,19}", value)
    if quoted and strictness.passes_over(f"an integer in quotes: {value}"):
        value = int(value)
    # JSON's true isn't a number, although Python's True is an int.
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongType("integer")
    if not 0 <= value < 2**63:
        raise ValueError("must be an integer of 64 bits")
    return value


def _read_decimal(value: Any, strictness: Strictness) -> Decimal:
    quoted = isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,20})?", value)
    if quoted and strictness.passes_over(f"an amount in quotes: {value}"):
        value = Decimal(value)
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        raise WrongType("decimal")
    amount = Decimal(str(value))
    if not 0 <= amount < MAX_AMOUNT or amount != amount.quantize(_CENT):
        raise ValueError("must be an amount of at most two decimal places")
    return amount


def _read_positive(value: Any, strictness: Strictness) -> Decimal:
    amount = _read_decimal(value, strictness)
    if not amount:
        raise ValueError("must be a positive amount")
    return amount


#: How forms and old clients write true and false.
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}


def _read_boolean(value: Any, strictness: Strictness) -> bool:
    if isinstance(value, bool):
        return value
    truth = _TRUTHS.get(str(value).lower())
    if truth is None or not strictness.passes_over(f"a boolean as {value!r}"):
        raise WrongType("boolean")
    return truth


def _read_object(value: Any, strictness: Strictness) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise WrongType("object")
    return value


def _read_array(value: Any, strictness: Strictness) -> list[Any]:
    if not isinstance(value, list):
        raise WrongType("array")
    return value


def _read_texts(value: Any, strictness: Strictness) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WrongType("array of strings")
    return value


def _read_string(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongType("string")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("must be Unicode, without half a pair of surrogates")
    return value


def _read_uri(value: Any, strictness: Strictness) -> str:
    problem = uri_problem(_text(value, MAX_URI))
    if problem:
        raise ValueError(problem)
    return str(value)


def _text(value: Any, limit: int) -> str:
    text = _read_string(value)
    if not 0 < len(text) <= limit:
        raise ValueError(f"must have 1 to {limit} characters")
    return text


def _read_moment(value: Any, strictness: Strictness) -> int:
    if not isinstance(value, str) or value.isdecimal():
        return _read_integer(value, strictness)
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("must be a Unix timestamp or a date") from None
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp())


integer = Kind("integer", _read_integer)
#: A Unix timestamp, or a date such as "2026-12-25".
moment = Kind("timestamp or date", _read_moment)
#: An amount of at most two decimal places, which may be 0.
decimal = Kind("decimal", _read_decimal)
#: An amount greater than 0.
positive = Kind("decimal", _read_positive)
boolean = Kind("boolean", _read_boolean)
#: A JSON object with any members.
mapping = Kind("object", _read_object)
array = Kind("array", _read_array)
texts = Kind("array of strings", _read_texts)
#: A full http or https URL.
uri = Kind("URI", _read_uri)
#: Any value; the sandbox ignores it.
anything = Kind("anything", lambda value, strictness: value)


def text(limit: int = 255) -> Kind:
    """Require a string of 1 to `limit` characters."""
    return Kind(f"string, {limit}", lambda value, strictness: _text(value, limit))


def choice(*values: str) -> Kind:
    """Require one of these strings; older versions of the API had some in capitals."""

    def read(value: Any, strictness: Strictness) -> str:
        if value in values:
            return str(value)
        for known in values:
            same = isinstance(value, str) and value.lower() == known.lower()
            if same and strictness.passes_over(f"{value} for {known}"):
                return known
        raise ValueError(f"must be one of {', '.join(values)}")

    return Kind(" or ".join(values), read)


def structure(*members: Argument) -> Kind:
    """Require an object with these members.

    See https://developer.wepay.com/api/general/structures.
    """

    def read(value: Any, strictness: Strictness) -> dict[str, Any]:
        return read_arguments(_read_object(value, strictness), members, strictness)

    return Kind("object", read)


def uri_problem(value: str) -> str | None:
    """Return why a text is not a full http or https URL, or None."""
    if not 0 < len(value) <= MAX_URI:
        return f"must have 1 to {MAX_URI} characters"
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
    """Return what is wrong with a redirect_uri of an application, or None."""
    problem = uri_problem(value)
    if problem:
        return problem
    host = urlsplit(value).hostname or ""
    if "_" in host:
        return "must have no underscore in its host, which breaks the domain match"
    if application.hosts is not None and host not in application.hosts:
        return "must be on the application's domain"
    return None
