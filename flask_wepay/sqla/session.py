"""The application's session, and a similar one for our own transactions.

An application configures how to reach its database (routers, tenants, row-level security, an
outer transaction in its tests) on its session: by the class, the binds, the options and the
events. So our own transactions use a session that has all of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Mapper, Session, scoped_session
from werkzeug.local import LocalProxy

from ..errors import ConfigurationError, StoreUnavailable

__all__ = [
    "Bind",
    "bind_of",
    "commit",
    "has_hooks",
    "held",
    "joined_to",
    "like",
    "pinned",
    "plain",
    "session_of",
    "unprepared",
]

#: The target of a session's statements.
Bind = sa.Engine | sa.Connection

#: The attributes in which SQLAlchemy 2.1 and 2.0 keep a session's binds.
_BINDS = ("binds", "_Session__binds")
#: Whatever replaces it later is a hook.
_EXECUTE = Session.execute


def session_of(app: Flask) -> Callable[[], Session]:
    """Return the function that returns the session of Flask-SQLAlchemy or Flask-SQLAlchemy-Lite.

    :raises ConfigurationError: if the application has neither.
    """
    extension = app.extensions.get("sqlalchemy")
    if extension is None:
        raise ConfigurationError(
            "There is no SQLAlchemy session for 'token_model'. Did you forget to call"
            " db.init_app(app)? Without Flask-SQLAlchemy pass WePay(session=…), a callable"
            " that returns a session."
        )
    return lambda: extension.session


def plain(session: Any) -> Session:
    """Return the session of a registry or a proxy.

    :raises ConfigurationError: if it isn't a Session.
    """
    if type(session) is LocalProxy:
        session = session._get_current_object()  # noqa: SLF001
    if isinstance(session, scoped_session):
        session = session()
    if not isinstance(session, Session):
        raise ConfigurationError(
            f"'session' returned a {type(session).__name__}, not a SQLAlchemy Session: pass a"
            " callable that returns one, not an AsyncSession."
        )
    return session


def like(session: Session) -> Session:
    """Return a new session with the class, attributes, binds, options and events of another.

    If a bind is a connection, it joins it with a savepoint, so that an outer transaction, such
    as that of a test suite, can still be rolled back.
    """
    copy = _copy(session)
    Session.__init__(
        copy,
        session.bind,
        autoflush=False,
        expire_on_commit=False,
        join_transaction_mode="create_savepoint",
    )
    kept = vars(session)
    vars(copy).update({name: kept[name] for name in _BINDS if name in kept})
    return copy


def joined_to(session: Session, bind: Bind) -> Session:
    """Return a session in the transaction of another, that sends everything to one bind.

    It doesn't flush, and must not be committed or closed.
    """
    copy = _copy(session)
    copy.autoflush = False
    return pinned(copy, bind)


def pinned(session: Session, bind: Bind) -> Session:
    """Make a session of our own send everything to one bind, whatever its class would choose."""
    vars(session)["get_bind"] = lambda *_, **__: bind
    return session


def bind_of(session: Session, mapper: Mapper[Any], insert: sa.Insert) -> Bind:
    """Return the bind to which a session would write a model; it is also used to read.

    :raises StoreUnavailable: if the session doesn't tell.
    """
    writing = _copy(session)
    # Routers identify a write by its clause, or by the flush of a unit of work.
    writing._flushing = True  # noqa: SLF001
    try:
        return writing.get_bind(mapper=mapper, clause=insert)
    except Exception as error:
        raise StoreUnavailable(
            f"The application's session does not tell where the table '{mapper.local_table}' is"
            f" ({type(error).__name__}: {error})."
        ) from error


def held(session: Session, bind: Bind) -> sa.Connection | None:
    """Return the connection of a bind that the session's transaction already has, or None."""
    transaction = session.get_transaction()
    if transaction is None or bind not in transaction._connections:  # noqa: SLF001
        return None
    return transaction._connections[bind][0]  # noqa: SLF001


def has_hooks(session: Session) -> bool:
    """Return whether a statement of the session differs from one of its connection."""
    is_plain = getattr(session.execute, "__func__", None) is _EXECUTE
    # Those of SQLAlchemy 2.1 may have changed since the connection got them.
    options = getattr(session, "execution_options", None)
    return bool(not is_plain or options or session.dispatch.do_orm_execute)


def unprepared(connection: sa.Connection) -> AbstractContextManager[None]:
    """Keep psycopg from preparing statements in a block.

    Behind a pooler in transaction mode, a prepared statement may be another client's statement
    of the same name.
    """
    is_psycopg = connection.dialect.driver == "psycopg"
    driver = connection.connection.driver_connection if is_psycopg else None
    return nullcontext() if driver is None else _without_threshold(driver)


@contextmanager
def _without_threshold(driver: Any) -> Iterator[None]:
    threshold, driver.prepare_threshold = driver.prepare_threshold, None
    try:
        yield
    finally:
        driver.prepare_threshold = threshold


def commit(connection: sa.Connection) -> None:
    """Commit a session of our own, without its events.

    What an application does after a commit (send mail, update an index) concerns the work of
    its own session, to which the copied attributes still refer.
    """
    transaction = connection.get_nested_transaction() or connection.get_transaction()
    assert transaction is not None
    transaction.commit()


def _copy(session: Session) -> Session:
    # As in https://docs.sqlalchemy.org/en/20/orm/persistence_techniques.html, "Custom
    # Vertical Partitioning": a class may require arguments that only it knows.
    copy: Session = object.__new__(type(session))
    vars(copy).update(vars(session))
    return copy
