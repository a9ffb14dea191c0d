"""What the commands share: their state, and how they say things."""

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
    """What was found out about one thing."""

    name: str
    status: str
    text: str


class Problem(click.ClickException):
    """End a command with a sentence."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


class WrongUsage(Problem):
    """End a command that can't be used like this, or in this application."""

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
    """Return the status of what only production must have."""
    return WARN if state.settings.environment == "production" else NOTE


def table_of(state: State) -> Maintenance:
    """Return the token table, which some commands are about, if the application has one."""
    store = state.store
    if isinstance(store, HookStore):
        kept = "'WEPAY_ACCESS_TOKEN'" if state.settings.access_token else "'token_getter'"
        raise WrongUsage(
            "This command is about the token table, and this application has none: its tokens come"
            f" from {kept}."
        )
    return cast("SQLAlchemyStore", store).maintenance


def address_of_ipns(state: State, origin: Origin) -> str | None:
    """Return the callback_uri for an origin, or None where no IPN can come.

    :raises ConfigurationError: if only a request would tell.
    """
    return signed(state.settings, lambda: url_for("wepay.ipn", _external=True), origin)


def counted(number: int, what: str) -> str:
    """Write a number of things."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def progress(length: int, label: str) -> Any:
    """Make a progress bar on stderr, where it is in nobody's way."""
    return click.progressbar(length=length, label=label, file=sys.stderr)


def chunks(items: Iterable[_T], size: int) -> Iterator[list[_T]]:
    """Give so many items at a time, without reading on."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
