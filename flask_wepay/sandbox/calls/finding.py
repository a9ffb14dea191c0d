"""What the find calls share: filters, an order, and pages."""

from __future__ import annotations

from typing import Any, TypeVar

from ..arguments import Argument, choice, integer

Thing = TypeVar("Thing")

SORT_ORDER = Argument("sort_order", choice("ASC", "DESC", "asc", "desc"))
PAGE = (Argument("start", integer), Argument("limit", integer))

#: The default number of results.
LIMIT = 50


def matches(thing: object, arguments: dict[str, Any], *names: str) -> bool:
    """Return whether an object's attributes of these names have the requested values."""
    return all(arguments.get(name) in (None, getattr(thing, name)) for name in names)


def in_order(found: list[Thing], arguments: dict[str, Any]) -> list[Thing]:
    """Return what was found, oldest first, in the requested order: newest first by default."""
    return found[::-1] if arguments.get("sort_order", "DESC").upper() == "DESC" else found


def page_of(found: list[Thing], arguments: dict[str, Any]) -> list[Thing]:
    """Return the requested part of what was found."""
    start = arguments.get("start", 0)
    return in_order(found, arguments)[start : start + arguments.get("limit", LIMIT)]
