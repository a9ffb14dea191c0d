"""The SQL that applications send, and whether the database reads the whole table for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

#: SQL as the driver takes it, and its parameters.
Statement = tuple[str, Any]

_EXPLAIN = {
    "sqlite": "EXPLAIN QUERY PLAN",
    "mysql": "EXPLAIN FORMAT=TRADITIONAL",
    "mariadb": "EXPLAIN FORMAT=TRADITIONAL",
}
#: What MariaDB calls reading a whole table, or a whole index.
_HOW = {"ALL": "SCAN", "index": "SCAN"}
_SCAN = re.compile(r"Seq Scan on wepay_token|SCAN wepay_token")


@contextmanager
def sent(by: Any = sa.Engine) -> Iterator[list[Statement]]:
    """Collect the statements of a block, BEGIN and COMMIT left out: of an engine, or of all."""
    statements: list[Statement] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    sa.event.listen(by, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(by, "before_cursor_execute", note)


def on_tokens(statements: list[Statement]) -> list[Statement]:
    """Return those that have to do with Flask-WePay's table, each once."""
    found = {sql: parameters for sql, parameters in statements if "wepay_token" in sql}
    return list(found.items())


def plan(connection: sa.Connection, statement: Statement) -> str:
    """Return how the database means to find the rows; the statement is not carried out."""
    sql, parameters = statement
    explain = _EXPLAIN.get(connection.dialect.name, "EXPLAIN")
    rows = connection.exec_driver_sql(f"{explain} {sql}", parameters)
    if connection.dialect.name in ("mysql", "mariadb"):
        return "\n".join(
            f"{_HOW.get(row.type, 'SEARCH')} {row.table} {row.key}"
            for row in rows
            # It is said to read all, and reads nothing.
            if row.select_type != "INSERT"
        )
    # SQLite's last column is the text, PostgreSQL's only one too.
    return "\n".join(str(row[-1]) for row in rows)


def scans(plan: str) -> bool:
    """Tell whether a plan reads Flask-WePay's whole table."""
    return _SCAN.search(plan) is not None
