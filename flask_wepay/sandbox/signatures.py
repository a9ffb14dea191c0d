"""The signatures of functions, for callers that send JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal, InvalidOperation
from inspect import Parameter, signature
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

_NAMES = {
    str: "string",
    bytes: "string",
    int: "integer",
    float: "number",
    Decimal: "number",
    bool: "boolean",
    dict: "object",
    Mapping: "object",
    list: "array",
    tuple: "array",
    Iterable: "array",
    NoneType: "null",
    Any: "anything",
}


def check_fit(function: Callable[..., Any], arguments: Mapping[str, object]) -> None:
    """Raise :exc:`TypeError`, which names the argument, if a function doesn't accept one."""
    hints = get_type_hints(function)
    for name, value in arguments.items():
        # An unknown name is refused by the call itself.
        if name in hints and not fits(value, hints[name]):
            raise TypeError(f"{name} must be {describe(hints[name])}, not {value!r}.")


def fits(value: object, hint: Any) -> bool:
    """Return whether a JSON value has a type; true isn't a number."""
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in inner)
    if origin is Literal:
        return value in inner
    if origin in (list, tuple, Iterable):
        return isinstance(value, list) and all(fits(item, inner[0]) for item in value)
    if origin in (dict, Mapping):
        return isinstance(value, dict)
    if origin is Any or isinstance(value, bool):
        return origin in (Any, bool)
    if origin is Decimal:
        return _is_amount(value)
    return isinstance(value, int | float if origin is float else origin)


def describe(hint: Any) -> str:
    """Return JSON's name for a type."""
    origin, inner = get_origin(hint) or hint, get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(describe(one) for one in inner))
    if origin is Literal:
        return " or ".join(json.dumps(one) for one in inner)
    return _NAMES[origin]


def describe_arguments(function: Callable[..., Any]) -> dict[str, tuple[str, Any]]:
    """Return the type and the default, or ``Parameter.empty``, of each argument but the first."""
    hints = get_type_hints(function)
    return {
        name: (describe(hints[name]), "" if parameter.default == b"" else parameter.default)
        for name, parameter in list(signature(function).parameters.items())[1:]
        if parameter.kind is not Parameter.VAR_KEYWORD
    }


def _is_amount(value: object) -> bool:
    try:
        return isinstance(value, int | float | str) and Decimal(str(value)).is_finite()
    except InvalidOperation:
        return False
