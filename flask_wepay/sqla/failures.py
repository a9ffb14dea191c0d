"""What a failure of the database means: whether to try again, and on which connection."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

#: Tries of one piece of work at most, should the clock stand still.
MOST_TRIES = 40
#: Seconds between the first two tries, and between any two at most.
SHORTEST_PAUSE = 0.02
LONGEST_PAUSE = 0.5
#: Prepared statements that a pooler in between has lost, or has from another client:
#: https://www.postgresql.org/docs/current/errcodes-appendix.html
_PREPARED = ("26000", "42P05")

#: What MariaDB and MySQL rolled back in favour of another transaction: a deadlock's victim, and
#: one that would change a row which has changed since its snapshot.
_ROLLED_BACK = {1213, 1020}

_Result = TypeVar("_Result")


def was_ended(error: BaseException) -> bool:
    """Tell whether the work may succeed at once when it is done again.

    The connection was cut, a pooler mixed prepared statements up, or the database rolled the
    transaction back in favour of another one.
    """
    if not isinstance(error, DBAPIError):
        return False
    sqlstate, number = _sqlstate(error), _number(error)
    rolled_back = sqlstate.startswith("40") or number in _ROLLED_BACK
    return error.connection_invalidated or rolled_back or sqlstate in _PREPARED


def may_pass(error: BaseException) -> bool:
    """Tell whether the work may succeed a little later: a lock, a restart, a full pool."""
    if was_ended(error):
        return True
    lasting = (IntegrityError, DataError, ProgrammingError, NotSupportedError)
    return isinstance(error, DBAPIError | PoolTimeout) and not isinstance(error, lasting)


def is_of_the_row(error: BaseException) -> bool:
    """Tell whether the database refuses this very row: a constraint, or a value."""
    return isinstance(error, IntegrityError | DataError)


def spoils_connection(error: BaseException) -> bool:
    """Tell whether the next try should not get the same connection from the pool.

    Only where the database says so: SQLite in memory would lose its data with the connection.
    """
    return isinstance(error, DBAPIError) and _sqlstate(error) in _PREPARED


def _sqlstate(error: DBAPIError) -> str:
    # psycopg and psycopg2 each name it their own way.
    return str(getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None) or "")


def _number(error: DBAPIError) -> int | None:
    """Return the number that the drivers of MariaDB and MySQL give to an error."""
    first = next(iter(getattr(error.orig, "args", ())), None)
    return first if isinstance(first, int) else None


def repeated(
    work: Callable[[], _Result], seconds: float, again: Callable[[BaseException], bool]
) -> _Result:
    """Do some work, and do it again for so many seconds while that may help."""
    ends, pause, tries = time.monotonic() + seconds, SHORTEST_PAUSE, 0
    while True:
        tries += 1
        try:
            return work()
        except Exception as error:
            # What the database ended is tried once more, however slow the machine is.
            late = time.monotonic() >= ends and not (tries == 1 and was_ended(error))
            if tries == MOST_TRIES or late or not again(error):
                raise
        # Random, so that those who met once do not meet again.
        time.sleep(random.uniform(0, pause))  # noqa: S311
        pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def translated() -> Iterator[None]:
    """Turn what SQLAlchemy raises into StoreUnavailable."""
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreUnavailable(
            f"The token table can't be used just now ({type(error).__name__}). If it is missing or"
            " lacks a column, run your migrations; else look at the database."
        ) from error
