"""How long our writes wait for another transaction's lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from ..errors import ConfigurationError

__all__ = ["impatient", "is_too_old", "refuse_old"]

#: Milliseconds: the lock may be the view's own, which would never end.
LOCK_MILLISECONDS = 1000

_FOR_A_TRANSACTION = sa.select(sa.func.set_config("lock_timeout", sa.bindparam("wait"), True))
#: Whole seconds, and only for a session: https://mariadb.com/docs/server/server-usage/storage-engines/innodb/innodb-system-variables
_FOR_A_SESSION = sa.text(
    "SET @wepay_rows = @@innodb_lock_wait_timeout, @wepay_tables = @@lock_wait_timeout,"
    " innodb_lock_wait_timeout = :wait, lock_wait_timeout = :wait"
)
_AS_BEFORE = sa.text(
    "SET innodb_lock_wait_timeout = @wepay_rows, lock_wait_timeout = @wepay_tables"
)


@contextmanager
def impatient(connection: sa.Connection) -> Iterator[None]:
    """Limit how long the writes of a block, in our own transaction, wait for a lock."""
    name, for_a_session = connection.dialect.name, connection.dialect.name in ("mysql", "mariadb")
    if name == "postgresql":
        connection.execute(_FOR_A_TRANSACTION, {"wait": str(LOCK_MILLISECONDS)})
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
