"""Classify database failures: whether to retry, and on which connection."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..errors import StoreUnavailable

__all__ = ["is_of_the_row", "may_pass", "repeated", "spoils_connection", "translated", "was_ended"]

#: The most attempts, in case the clock stands still.
MOST_TRIES = 40
#: Seconds between the first two attempts, and at most between any two.
SHORTEST_PAUSE = 0.02
LONGEST_PAUSE = 0.5
#: Prepared statements that a pooler has lost, or has from another client:
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_PREPARED = ("26000", "42P05")

#: What MariaDB and MySQL rolled back in favour of another transaction: a deadlock's victim, and
#: one that would change a row which has changed since its snapshot.
_ROLLED_BACK = {1213, 1020}

_Result = TypeVar("_Result")


def was_ended(error: BaseException) -> bool:
    """Return whether an immediate retry may succeed.

    The connection was closed, a pooler mixed up prepared statements, or the database aborted
    the transaction in favour of another one.
    """
    if not isinstance(error, DBAPIError):
        return False
    sqlstate, number = _sqlstate(error), _number(error)
    rolled_back = sqlstate.startswith("40") or number in _ROLLED_BACK
    return error.connection_invalidated or rolled_back or sqlstate in _PREPARED


def may_pass(error: BaseException) -> bool:
    """Return whether a later retry may succeed: after a lock, a restart or a full pool."""
    if was_ended(error):
        return True
    lasting = (IntegrityError, DataError, ProgrammingError, NotSupportedError)
    return isinstance(error, DBAPIError | PoolTimeout) and not isinstance(error, lasting)


def is_of_the_row(error: BaseException) -> bool:
    """Return whether the database refuses the row itself: a constraint, or a value."""
    return isinstance(error, IntegrityError | DataError)


def spoils_connection(error: BaseException) -> bool:
    """Return whether a retry must not get the same connection from the pool.

    Only if the database says so: SQLite in memory would lose its data with the connection.
    """
    return isinstance(error, DBAPIError) and _sqlstate(error) in _PREPARED


def _sqlstate(error: DBAPIError) -> str:
    # psycopg and psycopg2 name it differently.
    return str(getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or "")


def _number(error: DBAPIError) -> int | None:
    """Return the number that the drivers of MariaDB and MySQL give to an error."""
    first = next(iter(getattr(error.orig, "args", ())), None)
    return first if isinstance(first, int) else None


def repeated(
    work: Callable[[], _Result], seconds: float, again: Callable[[BaseException], bool]
) -> _Result:
    """Do some work, with retries for `seconds` while those may help."""
    ends, pause, tries = time.monotonic() + seconds, SHORTEST_PAUSE, 0
    while True:
        tries += 1
        try:
            return work()
        except Exception as error:
            # Work that the database aborted is retried once, however slow the machine is.
            late = time.monotonic() >= ends and not (tries == 1 and was_ended(error))
            if tries == MOST_TRIES or late or not again(error):
                raise
        # Random, so that workers that collided once don't collide again.
        time.sleep(random.uniform(0, pause))  # noqa: S311
        pause = min(2 * pause, LONGEST_PAUSE)


class translated:  # noqa: N801
    """Turn SQLAlchemy's exceptions into StoreUnavailable."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, SQLAlchemyError):
            raise StoreUnavailable(
                f"The token table can't be used right now ({type(error).__name__}). If it is"
                " missing or lacks a column, run your migrations; otherwise check the database."
            ) from error
