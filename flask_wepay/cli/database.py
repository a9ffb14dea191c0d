"""The findings of ``flask wepay check`` about the token table and its database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..errors import ConfigurationError, StoreUnavailable
from ..state import State
from ..tokens.store import HookStore
from .migrations import migration_findings
from .output import FAIL, NOTE, OK, WARN, Finding, counted, in_production, table_of

if TYPE_CHECKING:
    from ..sqla import Maintenance

__all__ = ["database_findings"]

#: The databases that the package supports and is tested on.
SUPPORTED = ("mariadb", "mysql", "postgresql", "sqlite")
#: The most tokens that are decrypted, so that a large table doesn't take long.
SAMPLE = 100


def database_findings(state: State) -> Iterator[Finding]:
    """Check the token store."""
    try:
        store = state.store
    except ConfigurationError as error:
        yield Finding("token table", FAIL, str(error))
        return
    if isinstance(store, HookStore):
        if state.settings.access_token is None:
            yield Finding(
                "token table", NOTE, "none: 'token_getter' and 'token_setter' store the tokens"
            )
        return
    table = table_of(state)
    try:
        yield from _table(state, table)
    except StoreUnavailable as error:
        yield Finding("token table", FAIL, str(error))


def _table(state: State, table: Maintenance) -> Iterator[Finding]:
    found = table.inspect()
    if found.problems:
        text = f"{', '.join(found.problems)}: run your migrations"
        yield Finding("token table", FAIL, text)
        yield from migration_findings(table)
        return
    yield Finding("token table", OK, f"{found.database}, {counted(table.count(), 'row')}")
    if found.database not in SUPPORTED:
        text = f"{found.database} is not supported: take {' or '.join(SUPPORTED)}"
        yield Finding("database", WARN, text)
    yield from migration_findings(table)
    for advice in found.advice:
        yield Finding("database", in_production(state), advice)
    yield from _tokens(table)


def _tokens(table: Maintenance) -> Iterator[Finding]:
    unreadable, tried = table.unreadable(SAMPLE)
    if unreadable:
        text = f"no key opens {unreadable} of the newest {tried}: is an old key missing?"
        yield Finding("tokens", FAIL, text)
