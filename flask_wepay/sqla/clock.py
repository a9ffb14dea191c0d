"""The database's clock, in statements that are built once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

__all__ = ["after", "later", "moment", "utc"]

_MOMENT = sa.DateTime(timezone=True)


class moment(FunctionElement[datetime]):  # noqa: N801
    """Now, or some time ago, by the database's clock if it is precise, else by this machine's."""

    type = _MOMENT
    inherit_cache = True

    def __init__(self, ago: timedelta = timedelta()) -> None:
        here = sa.bindparam(None, callable_=lambda: datetime.now(UTC) - ago, type_=_MOMENT)
        microseconds = sa.bindparam(None, ago // timedelta(microseconds=1), sa.BigInteger)
        super().__init__(here, sa.bindparam(None, ago, sa.Interval), microseconds)


@compiles(moment)
def _by_this_machine(element: moment, compiler: Any, **kwargs: Any) -> str:
    here, *_ = element.clauses
    return str(compiler.process(here, **kwargs))


@compiles(moment, "postgresql")
def _by_postgresql(element: moment, compiler: Any, **kwargs: Any) -> str:
    _, ago, _ = element.clauses
    return f"clock_timestamp() - {compiler.process(ago, **kwargs)}"


@compiles(moment, "mysql", "mariadb")
def _by_mariadb(element: moment, compiler: Any, **kwargs: Any) -> str:
    *_, microseconds = element.clauses
    return f"(UTC_TIMESTAMP(6) - INTERVAL {compiler.process(microseconds, **kwargs)} MICROSECOND)"


def later(name: str) -> sa.ColumnElement[datetime]:
    """Return now, or the named parameter if a clock was set back to before it."""
    earliest = sa.bindparam(name, type_=_MOMENT)
    return sa.case((earliest > moment(), earliest), else_=moment())


def after(last: datetime | None) -> datetime | None:
    """Return the next possible moment after `last`, for the parameter of :func:`later`."""
    return None if last is None else last + timedelta(microseconds=1)


def utc(when: datetime) -> datetime:
    """Return a moment with its time zone, which only PostgreSQL gives back."""
    return when if when.tzinfo else when.replace(tzinfo=UTC)
