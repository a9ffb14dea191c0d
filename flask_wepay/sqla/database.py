"""The application's database: where its session reads and writes, and how long to retry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool, SingletonThreadPool, StaticPool

from ..errors import StoreUnavailable, TokenUnreadable
from .failures import is_of_the_row, may_pass, repeated, spoils_connection, translated, was_ended
from .locks import begun, refuse_old
from .place import Place, is_guarded, is_told, place_of, refuse_guarded
from .session import (
    Bind,
    bind_of,
    commit,
    has_hooks,
    held,
    joined_to,
    like,
    pinned,
    plain,
    unprepared,
)

__all__ = ["Database", "Transaction"]

#: Seconds for retries of a lookup, of a row's creation or end, and of its grant. Together with
#: the call's deadline, a callback stays under the 30 s after which gunicorn kills a worker.
READ_SECONDS = 1.0
WRITE_SECONDS = 2.0
GRANT_SECONDS = 5.0

_Result = TypeVar("_Result")


class Transaction(NamedTuple):
    """A short transaction of the package's own."""

    session: Session
    connection: sa.Connection

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Execute a statement as the application's session would."""
        executor: Any = self.session if has_hooks(self.session) else self.connection
        result: sa.CursorResult[Any] = executor.execute(statement, parameters)
        return result

    def rows(self, query: sa.Executable, parameters: Any = None) -> Sequence[sa.Row[Any]]:
        """Execute a query and return all of its rows."""
        return _rows(self.execute(query, parameters))


class Database:
    """The database of the token table; every method raises StoreUnavailable if it can't."""

    def __init__(self, model: Any, session: Callable[[], Any]) -> None:
        self._mapper = sa.inspect(model)
        self._session_of_the_app = session
        #: The token table.
        self.table: sa.Table = model.__table__
        self._insert = self.table.insert()
        #: Whether row-level security guards the table by a setting, or None if not known yet.
        self._guarded: bool | None = None

    def read(
        self,
        query: sa.Executable,
        parameters: Any = None,
        *,
        fresh: bool = False,
        place: Place | None = None,
    ) -> Sequence[sa.Row[Any]]:
        """Look something up, on the session's connection if it has one already.

        Waiting for a second connection while holding the first would starve a small connection
        pool. `fresh` uses another connection nevertheless if one is available.
        """
        session = self._session()
        with translated():
            bind = self._bind(session)
            connection = held(session, bind)
            if connection is not None:
                has_room = (fresh or not session.is_active) and self._has_room(session, bind)
                if session.is_active and not has_room:
                    with unprepared(connection):
                        joined = Transaction(joined_to(session, bind), connection)
                        return joined.rows(query, parameters)
                if not has_room:
                    raise StoreUnavailable(
                        "The session's transaction has failed, and there is no other connection:"
                        " roll the transaction back first."
                    )
        return self._repeat(
            READ_SECONDS,
            was_ended,
            lambda transaction: transaction.rows(query, parameters),
            place,
            alone=True,
        )

    def look(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Read something on a separate connection, with retries.

        The connection pool may hold connections from before a restart of the database, and
        under SERIALIZABLE the database may abort a transaction that only reads.
        """
        return self._repeat(
            READ_SECONDS, was_ended, lambda transaction: work(transaction.connection)
        )

    def write(self, work: Callable[[Transaction], _Result], place: Place | None = None) -> _Result:
        """Write in a short separate transaction, with retries where those may help."""
        return self._repeat(WRITE_SECONDS, may_pass, work, place, writes=True)

    def write_grant(
        self, work: Callable[[Transaction], _Result], place: Place | None = None
    ) -> _Result:
        """Write a grant, which must not be lost: retry for longer, whatever the driver reports."""
        return self._repeat(
            GRANT_SECONDS, lambda error: not is_of_the_row(error), work, place, writes=True
        )

    def write_first(
        self, work: Callable[[Transaction], _Result], place: Place | None = None
    ) -> _Result:
        """Write as :meth:`write` does, if all that follows can be written as well.

        :raises ConfigurationError: if the database is too old.
        """

        def known(transaction: Transaction) -> _Result:
            refuse_old(transaction.connection)
            if self._hides_its_tenant(transaction):
                refuse_guarded(self.table)
            return work(transaction)

        return self.write(known, place)

    def hides_its_tenant(self) -> bool:
        """Return whether a setting that our transactions don't get decides which rows are shown."""
        return self._repeat(READ_SECONDS, was_ended, self._hides_its_tenant)

    def _hides_its_tenant(self, transaction: Transaction) -> bool:
        if is_told(transaction.session, transaction.connection.engine):
            return False
        if self._guarded is None:
            self._guarded = is_guarded(transaction.connection, self.table)
        return self._guarded

    def execute(
        self, statement: sa.Executable, parameters: Any = None, place: Place | None = None
    ) -> int:
        """Write one statement, and return how many rows it changed."""
        return self.write(
            lambda transaction: transaction.execute(statement, parameters).rowcount, place
        )

    def engine(self) -> sa.Engine:
        """Return the engine of the token table's database."""
        with translated():
            return self._bind(self._session()).engine

    def recover(self) -> None:
        """Roll back a failed transaction of the application's session."""
        session = self._session()
        if session.in_transaction() and not session.is_active:
            session.rollback()

    def release(self) -> Place | None:
        """Commit the application's session, so that its connection returns to the pool.

        Return the place of the transaction, for the transactions that follow it.
        """
        session = self._session()
        self.recover()
        if not session.in_transaction():
            return None
        try:
            with translated():
                place = place_of(session, self._bind(session))
                session.commit()
        except StoreUnavailable:
            session.rollback()
            raise
        return place

    def can_write_apart(self) -> bool:
        """Return whether a transaction next to the application's own is possible right now."""
        session = self._session()
        with translated():
            bind = self._bind(session)
            return held(session, bind) is None or self._has_room(session, bind)

    def _has_room(self, session: Session, bind: Bind) -> bool:
        """Return whether another transaction is possible next to one that holds a connection."""
        if isinstance(bind, sa.Connection):
            # A savepoint joins it.
            return True
        pool = bind.pool
        if bind.dialect.name == "sqlite" and session.is_active:
            # The view may hold the only write lock, and the only connection.
            connection = session.connection(bind_arguments={"bind": bind})
            driver: Any = connection.connection.driver_connection
            if driver.in_transaction:
                return False
        elif isinstance(pool, StaticPool | SingletonThreadPool):
            # A commit on the only connection would commit the view's work too.
            return False
        if isinstance(pool, QueuePool):
            overflow = pool._max_overflow  # noqa: SLF001
            return overflow < 0 or pool.checkedout() < pool.size() + overflow
        return True

    def _repeat(
        self,
        seconds: float,
        again: Callable[[BaseException], bool],
        work: Callable[[Transaction], _Result],
        place: Place | None = None,
        *,
        alone: bool = False,
        writes: bool = False,
    ) -> _Result:
        """Work in a separate transaction; `alone` means a single statement that reads.

        One that writes waits little for a lock, because others wait for it.
        """

        def attempt() -> _Result:
            session = self._session()
            bind = self._bind(session)
            with pinned(like(session), bind) as own:
                try:
                    there = place or place_of(session, bind)
                    # In AUTOCOMMIT a place would end with the statement that sets it.
                    is_alone = alone and there is None and _reads_alone(own, bind)
                    options = _READ_ALONE if is_alone else None
                    connection = own.connection(execution_options=options)
                    with unprepared(connection), begun(connection, there, writes=writes):
                        result = work(Transaction(own, connection))
                    commit(connection)
                except DBAPIError as error:
                    if spoils_connection(error) and isinstance(bind, sa.Engine):
                        own.invalidate()
                    raise
            return result

        with translated():
            return repeated(attempt, seconds, again)

    def _bind(self, session: Session) -> Bind:
        return bind_of(session, self._mapper, self._insert)

    def _session(self) -> Session:
        return plain(self._session_of_the_app())


#: PostgreSQL needs no transaction for a single read, which saves two round trips.
_READ_ALONE = {"isolation_level": "AUTOCOMMIT"}


def _reads_alone(session: Session, bind: Bind) -> bool:
    """Return whether a statement needs no transaction, because no event depends on one."""
    if isinstance(bind, sa.Connection) or bind.dialect.name != "postgresql":
        return False
    return not (bind._has_events or is_told(session, bind))  # noqa: SLF001


def _rows(result: sa.Result[Any]) -> Sequence[sa.Row[Any]]:
    try:
        return result.all()
    except (TypeError, ValueError) as error:
        raise TokenUnreadable(
            "A row of the token table has a value that is invalid for its column: correct it, or"
            f" delete the row ({error})."
        ) from error
