"""Inspect the token table in the database, and the database's configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa

from ..errors import StoreUnavailable
from .database import Database
from .failures import spoils_connection, translated
from .locks import is_too_old

__all__ = ["Inspection", "inspect"]

#: Milliseconds that SQLite waits for a lock by Python's default.
USUAL_WAIT = 5000
#: Digits of a second's fraction.
MICROSECONDS = 6
#: How often psycopg executes a statement before it prepares it.
UNPREPARED = 5

_TAKES_THE_LOCK = re.compile(r"\bBEGIN\s+(IMMEDIATE|EXCLUSIVE)\b", re.IGNORECASE)


class Inspection(NamedTuple):
    """The state of the token table in the database."""

    #: Its name, in lower case.
    database: str
    #: The differences from the model, each a sentence without its full stop.
    problems: list[str]
    #: The problems of the database's configuration, likewise.
    advice: list[str]


def inspect(database: Database) -> Inspection:
    """Compare the table with the model, and the database's configuration with what is needed.

    :raises StoreUnavailable: if the database doesn't answer.
    """
    problems = database.look(lambda connection: _problems(database.table, connection))
    name = _name_of(database.engine().dialect)
    if problems:
        return Inspection(name, problems, [])
    missing = database.look(lambda connection: _missing_indexes(database.table, connection))
    advice = _ADVICE.get(name)
    return Inspection(name, [], [*missing, *(advice(database) if advice else ())])


def _name_of(dialect: Any) -> str:
    # Many an address of a MariaDB begins with "mysql".
    return "mariadb" if getattr(dialect, "is_mariadb", False) else str(dialect.name)


def _problems(table: sa.Table, connection: sa.Connection) -> list[str]:
    inspector = sa.inspect(connection)
    name, schema = table.name, table.schema
    if not inspector.has_table(name, schema):
        return [f"there is no table {name!r}"]
    present = {column["name"]: column["type"] for column in inspector.get_columns(name, schema)}
    problems = [
        f"column {column.name!r} is missing"
        for column in table.columns
        if column.name not in present
    ]
    if connection.dialect.name in ("mysql", "mariadb"):
        options = inspector.get_table_options(name, schema)
        problems += _mariadb_problems(connection.dialect, present, options)
    unique = [i for i in inspector.get_indexes(name, schema) if i["unique"]]
    constraints = [*unique, *inspector.get_unique_constraints(name, schema)]
    if ["state_hash"] not in [constraint["column_names"] for constraint in constraints]:
        problems.append("column 'state_hash' is not unique")
    return problems


def _mariadb_problems(
    dialect: Any, types: dict[str, Any], options: dict[str, Any]
) -> Iterator[str]:
    """Look for what the rules of the table can't hold with."""
    if is_too_old(dialect):
        yield "the server is older than MariaDB 10.6, or MySQL 8.0"
    engine = options.get(f"{dialect.name}_engine")
    if engine != "InnoDB":
        yield f"its engine is {engine}, which has no transactions: it must be InnoDB"
    for name in ("created_at", "granted_at", "revoked_at"):
        if name in types and getattr(types[name], "fsp", None) != MICROSECONDS:
            yield f"column {name!r} drops fractions of a second: it must be DATETIME(6)"


def _mariadb_advice(database: Database) -> Iterator[str]:
    modes = database.look(lambda connection: connection.scalar(sa.text("SELECT @@sql_mode")))
    if "STRICT_" not in str(modes):
        yield "values that do not fit are cut short: add STRICT_TRANS_TABLES to its 'sql_mode'"


def _missing_indexes(table: sa.Table, connection: sa.Connection) -> list[str]:
    """Check for the indexes that keep lookups fast, which an old migration may lack."""
    present = sa.inspect(connection).get_indexes(table.name, table.schema)
    columns = [index["column_names"] for index in present]
    return [
        f"index {index.name!r} is missing, so lookups get slower with each login: run your"
        " migrations"
        for index in sorted(table.indexes, key=lambda index: str(index.name))
        if [column.name for column in index.columns] not in columns
    ]


def _postgresql_advice(database: Database) -> Iterator[str]:
    if database.hides_its_tenant():
        yield (
            "row-level security depends on a setting of the transaction: set it in the"
            " session's 'after_begin' event"
        )
    engine = database.engine()
    if engine.dialect.driver == "psycopg" and _prepared_statements_clash(engine):
        yield (
            "a pooler breaks the prepared statements of psycopg: turn them off with"
            " connect_args={'prepare_threshold': None}"
        )


def _prepared_statements_clash(engine: sa.Engine) -> bool:
    """Prepare a statement on two connections, which a pooler may map to the same one."""
    # New connections, because psycopg numbers the statements of each from 0.
    apart = sa.create_engine(engine.url, pool=engine.pool.recreate())
    try:
        with translated(), apart.connect() as first:
            # Detached from the pool, which may have room for only one.
            first.detach()
            with apart.connect() as second:
                second.detach()
                for connection in (first, second):
                    for _ in range(UNPREPARED + 1):
                        connection.exec_driver_sql("SELECT 1")
                        connection.commit()
    except StoreUnavailable as error:
        if error.__cause__ is None or not spoils_connection(error.__cause__):
            raise
        return True
    finally:
        apart.dispose()
    return False


def _sqlite_advice(database: Database) -> Iterator[str]:
    """Check what several processes need; a database in memory belongs to one process."""

    def pragmas(connection: sa.Connection) -> list[Any]:
        names = ("database_list", "journal_mode", "busy_timeout")
        return [connection.exec_driver_sql(f"PRAGMA {name}").all() for name in names]

    databases, [[mode]], [[wait]] = database.look(pragmas)
    if not any(one.file for one in databases):
        return
    if mode != "wal":
        yield f"SQLite in journal mode {mode!r}: use WAL with more than one process"
    if wait < USUAL_WAIT:
        yield f"SQLite waits {wait} ms for a lock: let it wait 30 s with more than one process"
    if database.engine().dialect.driver == "pysqlite":
        yield from _advice_on_begin(database)


def _advice_on_begin(database: Database) -> Iterator[str]:
    """Observe how a transaction begins, because only the driver knows what listeners do."""
    pool, begun = database.engine().pool, list[str]()

    def trace(driver: Any, *_: Any) -> None:
        driver.set_trace_callback(begun.append)

    def observe(connection: sa.Connection) -> tuple[bool, str | None]:
        driver: Any = connection.connection.driver_connection
        driver.set_trace_callback(None)
        return driver.in_transaction, driver.isolation_level

    # This precedes the transaction, whatever listeners there are.
    sa.event.listen(pool, "checkout", trace)
    try:
        in_transaction, isolation_level = database.look(observe)
    finally:
        sa.event.remove(pool, "checkout", trace)
    if in_transaction and not any(map(_TAKES_THE_LOCK.search, begun)):
        yield "SQLite's BEGIN is deferred: use BEGIN IMMEDIATE with more than one process"
    elif not in_transaction and isolation_level is None:
        yield "SQLite commits each statement on its own: begin transactions with BEGIN IMMEDIATE"


_ADVICE = {
    "sqlite": _sqlite_advice,
    "postgresql": _postgresql_advice,
    "mariadb": _mariadb_advice,
    "mysql": _mariadb_advice,
}
