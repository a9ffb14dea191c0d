"""Owners that are the same, whatever the database takes for equal."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["same"]


class same(FunctionElement[bool]):  # noqa: N801
    """Whether two texts have the same characters: MariaDB takes "ann" for "Ann", and for "ann "."""

    inherit_cache = True

    def __init__(self, one: sa.ColumnElement[str], other: sa.ColumnElement[str]) -> None:
        super().__init__(one, other)


@compiles(same)
def _equal(element: same, compiler: Any, **kwargs: Any) -> str:
    one, other = (compiler.process(clause, **kwargs) for clause in element.clauses)
    return f"{one} = {other}"


@compiles(same, "mysql", "mariadb")
def _equal_byte_by_byte(element: same, compiler: Any, **kwargs: Any) -> str:
    one, other = (compiler.process(clause, **kwargs) for clause in element.clauses)
    # The first half is for the index.
    return f"({one} = {other} AND {_bytes(one)} = {_bytes(other)})"


def _bytes(text: str) -> str:
    return f"CAST(CONVERT({text} USING utf8mb4) AS BINARY)"
