"""What the find calls have in common: filters, an order, and a page of what there is."""

from __future__ import annotations

from typing import Any, TypeVar

from ..arguments import Argument, choice, integer

Thing = TypeVar("Thing")

SORT_ORDER = Argument("sort_order", choice("ASC", "DESC", "asc", "desc"))
PAGE = (Argument("start", integer), Argument("limit", integer))

#: How many are found at a time unless the caller wants more.
LIMIT = 50


def matches(thing: object, arguments: dict[str, Any], *names: str) -> bool:
    """Return whether a thing has the values that are asked for, of attributes of these names."""
    return all(arguments.get(name) in (None, getattr(thing, name)) for name in names)


def in_order(found: list[Thing], arguments: dict[str, Any]) -> list[Thing]:
    """Turn what was found, oldest first, as the caller wants it: newest first by default."""
    return found[::-1] if arguments.get("sort_order", "DESC").upper() == "DESC" else found


def page_of(found: list[Thing], arguments: dict[str, Any]) -> list[Thing]:
    """Give the part of what was found that the caller wants."""
    start = arguments.get("start", 0)
    return in_order(found, arguments)[start : start + arguments.get("limit", LIMIT)]
