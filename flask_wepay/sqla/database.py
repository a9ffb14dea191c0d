"""The application's database: where its session reads and writes, and for how long we try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool, SingletonThreadPool, StaticPool

from ..errors import StoreUnavailable, TokenUnreadable
from .failures import is_of_the_row, may_pass, repeated, spoils_connection, translated, was_ended
from .locks import impatient, refuse_old
from .place import Place, is_guarded, is_told, move, place_of, refuse_guarded
from .session import (
    Bind,
    bind_of,
    commit,
    holds_connection,
    joined_to,
    like,
    pinned,
    plain,
    unprepared,
)

__all__ = ["Database", "Transaction"]

#: Seconds for which a look-up, a row's birth or end, and its grant are tried again; with the
#: call's own deadline in between, a callback stays under the 30 s after which gunicorn kills it.
READ_SECONDS = 1.0
WRITE_SECONDS = 2.0
GRANT_SECONDS = 5.0

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Transaction:
    """A short transaction of our own."""

    session: Session
    connection: sa.Connection

    def execute(self, statement: sa.Executable, parameters: Any = None) -> sa.CursorResult[Any]:
        """Execute a statement as the application's session would."""
        result: Any = self.session.execute(statement, parameters)
        return result  # type: ignore[no-any-return]

    def rows(self, query: sa.Executable, parameters: Any = None) -> Sequence[sa.Row[Any]]:
        """Execute a query and return all of its rows."""
        return _rows(self.execute(query, parameters))


class Database:
    """Where the token table is; every method raises StoreUnavailable where it can't."""

    def __init__(self, model: Any, session: Callable[[], Any]) -> None:
        self._mapper = sa.inspect(model)
        self._session_of_the_app = session
        #: The token table.
        self.table: sa.Table = model.__table__
        self._insert = self.table.insert()
        #: Whether row-level security guards the table by a setting, once that was asked.
        self._guarded: bool | None = None

    def read(
        self, query: sa.Executable, parameters: Any = None, *, fresh: bool = False
    ) -> Sequence[sa.Row[Any]]:
        """Look something up, on the session's connection where it has one already.

        Waiting for a second one while holding the first would starve a small pool.
        `fresh` takes another one all the same where that is possible.
        """
        session = self._session()
        bind = self._bind(session)
        if holds_connection(session, bind):
            if session.is_active and not (fresh and self._has_room(session, bind)):
                joined = joined_to(session, bind)
                with translated(), unprepared(joined.connection()):
                    return _rows(joined.execute(query, parameters))
            if not self._has_room(session, bind):
                raise StoreUnavailable(
                    "The session's transaction has failed, and there is no other connection: roll"
                    " it back first."
                )
        return self._repeat(
            READ_SECONDS,
            was_ended,
            lambda transaction: transaction.rows(query, parameters),
            alone=True,
        )

    def look(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Do some reading on a connection of its own.

        The pool may have kept connections from before a restart of the database, and a
        serializable one may give up a transaction that only reads.
        """
        return self._repeat(
            READ_SECONDS, was_ended, lambda transaction: work(transaction.connection)
        )

    def write(self, work: Callable[[Transaction], _Result], place: Place | None = None) -> _Result:
        """Do some work in a short transaction of its own, again where that may help."""
        return self._repeat(WRITE_SECONDS, may_pass, _impatient(work), place)

    def write_grant(
        self, work: Callable[[Transaction], _Result], place: Place | None = None
    ) -> _Result:
        """Write what must not be lost: try for longer, whatever the driver says of it."""
        return self._repeat(
            GRANT_SECONDS, lambda error: not is_of_the_row(error), _impatient(work), place
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
        """Tell whether rows are shown by a setting that nobody tells our transactions."""
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
        return self._bind(self._session()).engine

    def recover(self) -> None:
        """Roll a failed transaction of the application's session back."""
        session = self._session()
        if session.in_transaction() and not session.is_active:
            session.rollback()

    def release(self) -> Place | None:
        """Give back the connection of the application's session, committing it.

        Return what the transaction was told of its place, for those that follow it.
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
        """Tell whether a transaction beside the application's own is possible just now."""
        session = self._session()
        bind = self._bind(session)
        return not holds_connection(session, bind) or self._has_room(session, bind)

    def _has_room(self, session: Session, bind: Bind) -> bool:
        """Tell whether another transaction is possible beside one that holds a connection."""
        if isinstance(bind, sa.Connection):
            # It is joined, by a savepoint.
            return True
        pool = bind.pool
        if bind.dialect.name == "sqlite" and session.is_active:
            # Its one write lock may be the view's, and so may the only connection.
            with translated():
                connection = session.connection(bind_arguments={"bind": bind})
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

    def _repeat(
        self,
        seconds: float,
        again: Callable[[BaseException], bool],
        work: Callable[[Transaction], _Result],
        place: Place | None = None,
        *,
        alone: bool = False,
    ) -> _Result:
        """Do some work in a transaction of its own; `alone` if it is one statement that reads."""

        def attempt() -> _Result:
            session = self._session()
            bind = self._bind(session)
            with pinned(like(session), bind) as own:
                options = _READ_ALONE if alone and _reads_alone(own, bind) else None
                try:
                    connection = own.connection(execution_options=options)
                    with unprepared(connection):
                        move(connection, place or place_of(session, bind))
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
        with translated():
            return bind_of(session, self._mapper, self._insert)

    def _session(self) -> Session:
        return plain(self._session_of_the_app())


#: For one statement that reads, PostgreSQL needs no transaction, and so two round trips fewer.
_READ_ALONE = {"isolation_level": "AUTOCOMMIT"}


def _reads_alone(session: Session, bind: Bind) -> bool:
    """Tell whether a statement needs no transaction, because no event would do more in it."""
    if isinstance(bind, sa.Connection) or bind.dialect.name != "postgresql":
        return False
    return not (bind._has_events or is_told(session, bind))  # noqa: SLF001


def _impatient(work: Callable[[Transaction], _Result]) -> Callable[[Transaction], _Result]:
    """Let some work wait for a lock no longer than is good where others wait for it."""

    def waiting_little(transaction: Transaction) -> _Result:
        with impatient(transaction.connection):
            return work(transaction)

    return waiting_little


def _rows(result: sa.Result[Any]) -> Sequence[sa.Row[Any]]:
    try:
        return result.all()
    except (TypeError, ValueError) as error:
        raise TokenUnreadable(
            "A row of the token table has a value that its column can't have: correct it, or"
            f" delete the row ({error})."
        ) from error
