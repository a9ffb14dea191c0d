"""What an application's transaction was told of its tenant, and how far ours can know it.

All that an event or an engine tells each transaction, ours are told as well. What was told to
one transaction alone ends with it: PostgreSQL's search path and role can be asked for, other
settings can't, and so a table that they guard is not written.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..errors import StoreUnavailable
from .session import Bind, holds_connection, unprepared

__all__ = ["Place", "is_guarded", "is_told", "move", "place_of", "refuse_guarded"]


class Place(NamedTuple):
    """Where a transaction finds its tables, and as whom."""

    search_path: str
    role: str


_ASK = sa.select(sa.func.current_setting("search_path"), sa.func.current_setting("role"))
_SET = sa.select(
    sa.func.set_config("search_path", sa.bindparam("search_path"), True),
    sa.func.set_config("role", sa.bindparam("role"), True),
)
_IS_GUARDED = sa.text(
    "SELECT row_security_active(pg_class.oid) AND EXISTS ("
    " SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND"
    " concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))"
    " LIKE '%current_setting(%')"
    " FROM pg_class WHERE oid = to_regclass(:name)"
)


def place_of(session: Session, bind: Bind) -> Place | None:
    """Ask the session's transaction, if it is one of PostgreSQL, what it was told."""
    usable = session.is_active and holds_connection(session, bind)
    if not usable or bind.dialect.name != "postgresql":
        return None
    connection = session.connection(bind_arguments={"bind": bind})
    with unprepared(connection):
        return Place(*connection.execute(_ASK).one())


def move(connection: sa.Connection, place: Place | None) -> None:
    """Look where another transaction looked."""
    if place is not None:
        connection.execute(_SET, place._asdict())


def is_told(session: Session, engine: sa.Engine) -> bool:
    """Tell whether each transaction may be told its tenant by an event."""
    told = session.dispatch.after_begin or session.dispatch.do_orm_execute
    return bool(told or engine.dispatch.begin or engine.pool.dispatch.checkout)


def is_guarded(connection: sa.Connection, table: sa.Table) -> bool:
    """Tell whether PostgreSQL shows rows of a table by a setting of the transaction."""
    if connection.dialect.name != "postgresql":
        return False
    return connection.scalar(_IS_GUARDED, {"name": table.fullname}) is True


def refuse_guarded(table: sa.Table) -> None:
    """Refuse to write a guarded table without knowing whose tenant it is for.

    :raises StoreUnavailable: always.
    """
    raise StoreUnavailable(
        f"Row-level security shows the rows of '{table.name}' by a setting that only your own"
        " transaction knows: set it in the session's 'after_begin' event, for every transaction."
    )
