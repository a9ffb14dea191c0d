"""The application's database: which connection is used, what is tried again, whose clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa
import tenacity
from flask import Flask
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session, scoped_session
from sqlalchemy.pool import QueuePool, SingletonThreadPool, StaticPool

from ..errors import ConfigurationError, StoreUnavailable

__all__ = ["Database", "session_of", "utc"]

#: Seconds for which a look-up, a row's birth or end, and its grant are tried again; with the
#: call's own deadline in between, a callback stays under the 30 s after which gunicorn kills it.
READ_SECONDS = 1.0
WRITE_SECONDS = 2.0
GRANT_SECONDS = 5.0
#: Milliseconds that a statement which writes waits for somebody else's lock: it may be the
#: view's own, which would never end.
LOCK_MILLISECONDS = 1000

_Result = TypeVar("_Result")


def session_of(app: Flask) -> Callable[[], Session]:
    """Return what gives the session of Flask-SQLAlchemy or Flask-SQLAlchemy-Lite.

    :raises ConfigurationError: if the application has neither.
    """
    extension = app.extensions.get("sqlalchemy")
    if extension is None:
        raise ConfigurationError(
            "There is no SQLAlchemy session for 'token_model'. Did you forget to call"
            " db.init_app(app)? Without Flask-SQLAlchemy pass WePay(session=…), a callable"
            " that gives a session."
        )

    def current() -> Session:
        session = extension.session
        return session() if isinstance(session, scoped_session) else session  # type: ignore[no-any-return]

    return current


class Database:
    """Where the token table is; every method raises StoreUnavailable where it can't."""

    def __init__(self, model: Any, session: Callable[[], Session]) -> None:
        self._model = model
        self._session = session
        #: The token table.
        self.table: sa.Table = model.__table__

    def read(
        self,
        query: sa.Select[Any],
        parameters: dict[str, Any] | None = None,
        *,
        fresh: bool = False,
    ) -> list[sa.Row[Any]]:
        """Look something up, on the session's connection where it has one already.

        Waiting for a second one while holding the first would starve a small pool.
        `fresh` takes another one all the same where that is possible.
        """
        session = self._session()
        if _holds_connection(session) and not (fresh and self.can_write_apart()):
            with _translated():
                return list(self._connection(session).execute(query, parameters))
        return self.look(lambda connection: list(connection.execute(query, parameters)))

    def look(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Do some reading on a connection of its own.

        The pool may have kept connections from before a restart of the database, and a
        serializable one may give up a transaction that only reads.
        """
        return self._apart(READ_SECONDS, _was_ended, work)

    def write(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Do some work in a short transaction of its own, again where that may help."""
        return self._apart(WRITE_SECONDS, _may_pass, self._impatient(work))

    def write_grant(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Write what must not be lost, and so try for longer."""
        return self._apart(GRANT_SECONDS, _may_pass, self._impatient(work))

    def execute(
        self, statement: sa.Update | sa.Delete, parameters: list[dict[str, str]] | None = None
    ) -> int:
        """Write one statement, and return how many rows it changed."""
        return self.write(lambda connection: connection.execute(statement, parameters).rowcount)

    def clock(self, after: datetime | None = None) -> Any:
        """Return the database's clock where it is a fine one, else this machine's.

        What it must come `after` is for a clock that was set back.
        """
        earliest = None if after is None else utc(after) + timedelta(microseconds=1)
        if self._is_postgresql():
            now = sa.func.clock_timestamp(type_=sa.DateTime(timezone=True))
            return (
                now if earliest is None else sa.func.greatest(now, sa.literal(earliest, now.type))
            )
        return datetime.now(UTC) if earliest is None else max(datetime.now(UTC), earliest)

    def unlocked(self, which: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
        """Narrow to rows that nobody has locked, where the database can tell."""
        if not self._is_postgresql():
            return which
        rows = self.table.c
        return rows.id.in_(sa.select(rows.id).where(which).with_for_update(skip_locked=True))

    def engine(self) -> sa.Engine:
        """Return the engine of the token table's database."""
        with _translated():
            return self._session().get_bind(mapper=self._model).engine

    def release(self) -> None:
        """Give back the connection of the application's session, committing it."""
        session = self._session()
        if session.in_transaction():
            try:
                with _translated():
                    session.commit()
            except StoreUnavailable:
                session.rollback()
                raise

    def can_write_apart(self) -> bool:
        """Tell whether a transaction beside the application's own is possible just now."""
        session = self._session()
        if not _holds_connection(session):
            return True
        with _translated():
            connection = self._connection(session)
        pool = connection.engine.pool
        if connection.dialect.name == "sqlite":
            # Its one write lock may be the view's, and so may the only connection.
            driver: Any = connection.connection.driver_connection
            if driver.in_transaction:
                return False
        elif isinstance(pool, StaticPool | SingletonThreadPool):
            # What is committed on the only connection is the view's work too.
            return False
        if isinstance(pool, QueuePool):
            overflow = pool._max_overflow  # noqa: SLF001
            return overflow < 0 or pool.checkedout() < pool.size() + overflow
        return True

    def _impatient(
        self, work: Callable[[sa.Connection], _Result]
    ) -> Callable[[sa.Connection], _Result]:
        """Let some work wait for a lock no longer than is good where others wait for it."""
        if not self._is_postgresql():
            return work

        def impatient(connection: sa.Connection) -> _Result:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_MILLISECONDS}")
            return work(connection)

        return impatient

    def _is_postgresql(self) -> bool:
        return self.engine().dialect.name == "postgresql"

    def _apart(
        self,
        seconds: float,
        again: Callable[[BaseException], bool],
        work: Callable[[sa.Connection], _Result],
    ) -> _Result:
        engine = self.engine()
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(again),
            stop=tenacity.stop_after_delay(seconds),
            wait=tenacity.wait_random_exponential(multiplier=0.02, max=0.5),
            reraise=True,
        )

        def attempt() -> _Result:
            with engine.begin() as connection:
                return work(connection)

        with _translated():
            return retrying(attempt)

    def _connection(self, session: Session) -> sa.Connection:
        return session.connection(bind_arguments={"mapper": self._model})


def utc(moment: datetime) -> datetime:
    """Return a moment with its time zone, which SQLite does not give back."""
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _holds_connection(session: Session) -> bool:
    return session.in_transaction() and session.is_active


def _was_ended(error: BaseException) -> bool:
    """Tell whether the database cut the connection, or rolled back in favour of another's work."""
    if not isinstance(error, DBAPIError):
        return False
    # psycopg and psycopg2 each name it their own way; class 40 is a transaction's rollback.
    sqlstate = getattr(error.orig, "sqlstate", getattr(error.orig, "pgcode", None))
    return error.connection_invalidated or str(sqlstate).startswith("40")


def _may_pass(error: BaseException) -> bool:
    """Tell whether a fresh connection, or a little later, may do."""
    if _was_ended(error):
        return True
    lasting = (IntegrityError, DataError, ProgrammingError)
    return isinstance(error, DBAPIError | PoolTimeout) and not isinstance(error, lasting)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise StoreUnavailable(
            f"The token table can't be used just now ({type(error).__name__}). If it is missing or"
            " lacks a column, run your migrations; else look at the database."
        ) from error
