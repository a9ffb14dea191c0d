"""The tenant of an application's transaction, as far as our transactions can follow it.

Events and engine options apply to our transactions as well. Settings of a single transaction
end with it. PostgreSQL's search path and role can be read from it, but other settings can't,
so a table that they guard isn't written.
"""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.orm import Session

from ..errors import StoreUnavailable
from .session import Bind, held, unprepared

__all__ = ["Place", "is_guarded", "is_told", "place_of", "refuse_guarded"]


class Place(NamedTuple):
    """The search path and the role of a transaction."""

    search_path: str
    role: str


_ASK = sa.select(sa.func.current_setting("search_path"), sa.func.current_setting("role"))
_IS_GUARDED = sa.text(
    "SELECT row_security_active(pg_class.oid) AND EXISTS ("
    " SELECT FROM pg_policy WHERE polrelid = pg_class.oid AND"
    " concat(pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))"
    " LIKE '%current_setting(%')"
    " FROM pg_class WHERE oid = to_regclass(:name)"
)


def place_of(session: Session, bind: Bind) -> Place | None:
    """Return the place of the session's transaction, if it is on PostgreSQL.

    :raises StoreUnavailable: if the transaction has failed, so that it can't be asked.
    """
    connection = held(session, bind)
    if connection is None or bind.dialect.name != "postgresql":
        return None
    if not session.is_active:
        if is_told(session, bind.engine):
            return None
        raise StoreUnavailable(
            "The session's transaction has failed, and with it a tenant that it may have set: roll"
            " the transaction back first."
        )
    with unprepared(connection):
        return Place(*connection.execute(_ASK).one())


def is_told(session: Session, engine: sa.Engine) -> bool:
    """Return whether an event may set the tenant of each transaction."""
    told = session.dispatch.after_begin or session.dispatch.do_orm_execute
    return bool(told or engine.dispatch.begin or engine.pool.dispatch.checkout)


def is_guarded(connection: sa.Connection, table: sa.Table) -> bool:
    """Return whether a setting of the transaction decides which rows PostgreSQL shows."""
    if connection.dialect.name != "postgresql":
        return False
    return connection.scalar(_IS_GUARDED, {"name": table.fullname}) is True


def refuse_guarded(table: sa.Table) -> None:
    """Refuse to write a guarded table for an unknown tenant.

    :raises StoreUnavailable: always.
    """
    raise StoreUnavailable(
        f"Row-level security of '{table.name}' depends on a setting that only your own transaction"
        " has: set it in the session's 'after_begin' event, for every transaction."
    )
