"""Begin our own transactions: at a place, and with a limit to the wait for a lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import sqlalchemy as sa

from ..errors import ConfigurationError
from .place import Place

__all__ = ["begun", "is_too_old", "refuse_old"]

#: Milliseconds: the lock may be the view's own, which would never end.
LOCK_MILLISECONDS = 1000
#: Whole seconds, and only for a session: https://mariadb.com/docs/server/server-usage/storage-engines/innodb/innodb-system-variables
_FOR_A_SESSION = sa.text(
    "SET @wepay_rows = @@innodb_lock_wait_timeout, @wepay_tables = @@lock_wait_timeout,"
    " innodb_lock_wait_timeout = :wait, lock_wait_timeout = :wait"
)
_AS_BEFORE = sa.text(
    "SET innodb_lock_wait_timeout = @wepay_rows, lock_wait_timeout = @wepay_tables"
)


@cache
def _set(*names: str) -> sa.Select[Any]:
    """Set some of PostgreSQL's parameters until the transaction ends, in one round trip."""
    return sa.select(*(sa.func.set_config(name, sa.bindparam(name), True) for name in names))


@contextmanager
def begun(connection: sa.Connection, place: Place | None, *, writes: bool) -> Iterator[None]:
    """Go to the place of another transaction, and limit how long writes wait for a lock."""
    for_a_session = writes and connection.dialect.name in ("mysql", "mariadb")
    if connection.dialect.name == "postgresql":
        settings = {} if place is None else place._asdict()
        if writes:
            settings["lock_timeout"] = str(LOCK_MILLISECONDS)
        if settings:
            connection.execute(_set(*settings), settings)
    elif for_a_session:
        connection.execute(_FOR_A_SESSION, {"wait": max(1, LOCK_MILLISECONDS // 1000)})
    try:
        yield
    finally:
        if for_a_session and not connection.invalidated:
            connection.execute(_AS_BEFORE)


def is_too_old(dialect: Any) -> bool:
    """Return whether a MariaDB or MySQL is too old to skip locked rows (SKIP LOCKED)."""
    if dialect.name not in ("mysql", "mariadb"):
        return False
    return bool(dialect.server_version_info < ((10, 6) if dialect.is_mariadb else (8,)))


def refuse_old(connection: sa.Connection) -> None:
    """Refuse a database on which a token could be obtained, and not be stored.

    :raises ConfigurationError: if it is such a database.
    """
    if is_too_old(connection.dialect):
        raise ConfigurationError(
            "This database is too old for the token table: it takes MariaDB 10.6, MySQL 8.0, or"
            " later."
        )
