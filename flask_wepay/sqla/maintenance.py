"""Maintain the whole token table while the application runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from ..errors import TokenUnreadable
from ..tokens.encryption import Keyring, Unreadable
from ..tokens.store import LOGIN_LIFETIME, Authorization
from .clock import moment
from .database import Database
from .equality import same
from .inspection import Inspection, inspect
from .model import authorization_of, columns_of, newest_first

__all__ = ["Maintenance", "RotationProgress"]

#: Rows that are read or written at a time.
PAGE = 500

_Result = TypeVar("_Result")


class RotationProgress(NamedTuple):
    """The progress of a rotation."""

    #: Rows that are now encrypted with the newest key.
    rotated: int
    #: Rows that no key decrypts; they are kept unchanged.
    unreadable: int


class Maintenance:
    """Maintains the rows of one application at WePay."""

    def __init__(self, database: Database, client_id: int, keyring: Keyring) -> None:
        self._database = database
        self._table = database.table
        self._client_id = client_id
        self._keyring = keyring

    def count(self) -> int:
        """Count the rows of this application."""
        query = sa.select(sa.func.count()).where(self._table.c.client_id == self._client_id)
        return int(self._database.read(query)[0][0])

    def rows(self, limit: int = PAGE) -> Iterator[sa.Row[Any]]:
        """Yield all rows of this application, oldest first, reading a batch at a time.

        The ``current_user_id`` of an active row is its owner's current WePay user. Between
        batches no connection is held. :meth:`authorization` decrypts a row with a token.
        """
        for page in self._pages(limit, also=[self._current_user_id()]):
            yield from page

    def unreadable(self, sample: int) -> tuple[int, int]:
        """Decrypt the newest tokens; return how many no key decrypts, and how many were tried."""
        table = self._table
        query = (
            sa.select(*columns_of(table))
            .where(table.c.client_id == self._client_id, table.c.token.is_not(None))
            .order_by(table.c.id.desc())
            .limit(sample)
        )
        rows = self._database.read(query)
        return sum(not self._is_readable(row) for row in rows), len(rows)

    def _is_readable(self, row: sa.Row[Any]) -> bool:
        try:
            self.authorization(row).open()
        except TokenUnreadable:
            return False
        return True

    def authorization(self, row: sa.Row[Any]) -> Authorization:
        """Return the authorization of a row that has a token."""
        return authorization_of(row, self._keyring)

    def rotate(self, batch_size: int = PAGE) -> Iterator[RotationProgress]:
        """Encrypt all tokens again with the newest key, and yield the progress after each batch.

        It may run while the application runs, may be interrupted, and may be run again.

        :raises StoreUnavailable: if the database doesn't answer; completed batches stay.
        """
        table = self._table
        reseal = (
            table.update()
            # A row that has ended meanwhile keeps no token.
            .where(table.c.state_hash == sa.bindparam("its"), table.c.token == sa.bindparam("old"))
            .values(token=sa.bindparam("new"))
        )
        rotated = unreadable = 0
        for page in self._pages(batch_size, table.c.token.is_not(None)):
            resealed = list(self._resealed(page))
            if resealed:
                self._database.execute(reseal, resealed)
            rotated += len(resealed)
            unreadable += len(page) - len(resealed)
            yield RotationProgress(rotated, unreadable)

    def _resealed(self, page: Sequence[sa.Row[Any]]) -> Iterator[dict[str, str]]:
        for row in page:
            with suppress(Unreadable):
                new = self._keyring.rotate(row.token)
                yield {"its": row.state_hash, "old": row.token, "new": new}

    def prune(self, days: int) -> int:
        """Delete rows that ended, or were left pending, `days` ago; return how many.

        The newest row ever granted to an owner stays, active or ended, unless a disconnect
        ended it: without it the owner would fall back to an older WePay user.
        """
        table = self._table
        pruned = 0
        for page in self._pages(PAGE, self._prunable(days)):
            deletion = table.delete().where(
                table.c.state_hash.in_([row.state_hash for row in page]),
                sa.or_(table.c.granted_at.is_(None), table.c.revoked_at.is_not(None)),
            )
            pruned += self._database.execute(deletion)
        return pruned

    def _prunable(self, days: int) -> sa.ColumnElement[bool]:
        table, newer = self._table.c, self._table.alias("newer").c
        old = moment(max(timedelta(days=days), LOGIN_LIFETIME))
        followed = sa.exists().where(
            newer.client_id == table.client_id,
            same(newer.owner, table.owner),
            _follows(newer, table),
        )
        return sa.or_(
            sa.and_(table.granted_at.is_(None), table.created_at < old),
            sa.and_(table.revoked_at < old, sa.or_(table.reason == "disconnected", followed)),
        )

    def look(self, work: Callable[[sa.Connection], _Result]) -> _Result:
        """Read something else from the table's database, on a separate connection.

        :raises StoreUnavailable: if the database doesn't answer.
        """
        return self._database.look(work)

    def inspect(self) -> Inspection:
        """Compare the table with the model, and SQLite's configuration with what is needed.

        :raises StoreUnavailable: if the database doesn't answer.
        """
        return inspect(self._database)

    def _pages(
        self,
        limit: int,
        *which: sa.ColumnElement[bool],
        also: Sequence[sa.ColumnElement[Any]] = (),
    ) -> Iterator[Sequence[sa.Row[Any]]]:
        table = self._table
        query = (
            sa.select(*columns_of(table), *also)
            .where(table.c.client_id == self._client_id, *which)
            .order_by(table.c.id)
            .limit(limit)
        )
        page = self._database.read(query)
        while page:
            yield page
            page = self._database.read(query.where(table.c.id > page[-1].id))

    def _current_user_id(self) -> sa.ColumnElement[int]:
        """Compute the current WePay user of an active row's owner: that of the newest grant."""
        table, newest = self._table.c, self._table.alias("newest").c
        user_id = (
            sa.select(newest.user_id)
            .where(
                newest.client_id == table.client_id,
                same(newest.owner, table.owner),
                # True of the newest, and different for each row: MariaDB caches what it found
                # for an owner that looks like this one.
                sa.or_(newest.id == table.id, _follows(newest, table)),
            )
            .order_by(*newest_first(newest))
            .limit(1)
            .correlate(self._table)
            .scalar_subquery()
        )
        # An owner may have thousands of ended rows, which needn't be compared with one another.
        living = sa.and_(table.granted_at.is_not(None), table.revoked_at.is_(None))
        return sa.case((living, user_id)).label("current_user_id")


def _follows(newer: Any, older: Any) -> sa.ColumnElement[bool]:
    """Return whether one row was granted after another, given the columns of both."""
    return sa.or_(
        newer.granted_at > older.granted_at,
        sa.and_(newer.granted_at == older.granted_at, newer.id > older.id),
    )
