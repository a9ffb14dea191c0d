"""What the commands share: their state, and their output."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import click
from flask import current_app, url_for

from ..foreign import printable
from ..ipns import Origin, signed
from ..state import State
from ..tokens.store import HookStore

if TYPE_CHECKING:
    from ..sqla import Maintenance, SQLAlchemyStore

__all__ = [
    "FAIL",
    "NOTE",
    "OK",
    "WARN",
    "Finding",
    "Problem",
    "WrongUsage",
    "address_of_ipns",
    "chunks",
    "counted",
    "in_production",
    "printable",
    "progress",
    "state_here",
    "table_of",
]

OK, NOTE, WARN, FAIL = "ok", "note", "warn", "fail"

_T = TypeVar("_T")


class Finding(NamedTuple):
    """The result of one check."""

    name: str
    status: str
    text: str


class Problem(click.ClickException):
    """Raised to end a command with a message."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class WrongUsage(Problem):
    """Raised when a command can't be used like this, or in this application."""

    exit_code = 2


def state_here() -> State:
    """Return the state of the application that Flask has loaded."""
    state: State | None = current_app.extensions.get("wepay")
    if state is None:
        raise WrongUsage(
            "This application has no Flask-WePay. Did you forget to call 'init_app' on it?"
        )
    return state


def in_production(state: State) -> str:
    """Return the status of a finding that matters only in production."""
    return WARN if state.settings.environment == "production" else NOTE


def table_of(state: State) -> Maintenance:
    """Return the token table, which some commands require."""
    store = state.store
    if isinstance(store, HookStore):
        kept = "'WEPAY_ACCESS_TOKEN'" if state.settings.access_token else "'token_getter'"
        raise WrongUsage(
            "This command needs the token table, but this application doesn't have one: its tokens"
            f" come from {kept}."
        )
    return cast("SQLAlchemyStore", store).maintenance


def address_of_ipns(state: State, origin: Origin) -> str | None:
    """Return the callback_uri for an origin, or None if IPNs can't reach the application.

    :raises ConfigurationError: if only a request can tell it.
    """
    return signed(state.settings, lambda: url_for("wepay.ipn", _external=True), origin)


def counted(number: int, what: str) -> str:
    """Format a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def progress(length: int, label: str) -> Any:
    """Return a progress bar on stderr, apart from the output."""
    return click.progressbar(length=length, label=label, file=sys.stderr)


def chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Yield `size` items at a time, without reading ahead."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
