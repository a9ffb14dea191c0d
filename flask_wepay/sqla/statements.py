"""The statements on the token table, built once; the owner and the row are parameters."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ..tokens.store import A_MINUTE, MOST_CANDIDATES
from .clock import later, moment
from .equality import same
from .model import columns_of, newest_first

__all__ = ["Statements"]

#: The most authorizations that are looked up for one IPN.
MOST_LIVING = 20
#: The reasons for which WePay ends an authorization; the others are our own.
LOST = ("revoked", "deleted")

Condition = sa.ColumnElement[bool]


class Statements:
    """The statements that read and write the rows of one application at WePay."""

    def __init__(self, table: sa.Table, client_id: int) -> None:
        self._table, row = table, table.c
        self._of_client = row.client_id == client_id
        mine = (self._of_client, same(row.owner, sa.bindparam("owner", type_=row.owner.type)))
        its_hash = row.state_hash == sa.bindparam("its_state_hash")
        undecided = (row.granted_at.is_(None), row.revoked_at.is_(None))
        # The worker that started an exchange has a minute to grant the row.
        self._pending = sa.and_(*undecided, row.created_at > moment(A_MINUTE)).label("pending")

        #: The owner's newest row, active or ended.
        self.newest = _newest(table, mine, *columns_of(table))
        self.others = _others(table, mine)
        self.predecessors = _predecessors(table, mine)
        #: The owners, as the database compares them, whose rows a disconnect would end.
        self.owners = sa.select(row.owner).where(*mine, row.revoked_at.is_(None))
        self.progress = sa.select(row.granted_at, row.revoked_at, self._pending).where(
            *mine, row.state_hash == sa.bindparam("state_hash")
        )
        self.living = (
            sa.select(*columns_of(table))
            .where(
                self._of_client,
                row.user_id == sa.bindparam("user_id"),
                row.granted_at.is_not(None),
                row.revoked_at.is_(None),
            )
            .order_by(row.revoked_at.desc(), *newest_first(row))
            .limit(MOST_LIVING)
        )
        self.latest_end = sa.select(sa.func.max(row.revoked_at)).where(*mine)
        self.last_lost = (
            sa.select(row.id, row.state_hash)
            .where(*mine, row.user_id == sa.bindparam("user_id"), row.reason.in_(LOST))
            .order_by(row.revoked_at.desc(), row.id.desc())
            .limit(1)
        )
        self.granted_at = sa.select(row.granted_at).where(its_hash)
        self.unlocked = (
            sa.select(row.id)
            .where(
                row.state_hash.in_(sa.bindparam("predecessors", expanding=True)),
                row.user_id == sa.bindparam("user_id"),
            )
            .with_for_update(skip_locked=True)
        )

        self.insert = table.insert().values(created_at=moment())
        self.insert_granted = self.insert.values(granted_at=later("earliest"))
        self.grant = table.update().where(its_hash, *undecided).values(granted_at=later("earliest"))
        self.replace = self._end(row.id.in_(sa.bindparam("ids", expanding=True)))
        self.abandon = self._end(its_hash, row.granted_at.is_(None))
        # Identified by its id as well as its state hash, because SQLite reuses ids.
        self.end = self._end(row.id == sa.bindparam("its_id"), its_hash)
        its_owner = sa.bindparam("its_owner", type_=row.owner.type)
        self.disconnect = self._end(self._of_client, same(row.owner, its_owner))

    def row_of_ipn(self, id_: int, state_hash: str) -> sa.Select[Any]:
        """Select a row by its id and the start of its state hash."""
        row = self._table.c
        begins = row.state_hash.startswith(state_hash, autoescape=True)
        return sa.select(row.user_id, self._pending).where(row.id == id_, begins, self._of_client)

    def _end(self, *which: Condition) -> sa.Update:
        return (
            self._table.update()
            .where(*which, self._table.c.revoked_at.is_(None))
            .values(revoked_at=later("earliest"), reason=sa.bindparam("why"), token=None)
        )


def _others(table: sa.Table, mine: tuple[Condition, ...]) -> sa.Select[Any]:
    """Select the owner's active rows beside the newest one, of the same WePay user.

    An authorization of another WePay user is never a candidate: the money would go to the
    wrong merchant.
    """
    row = table.c
    return (
        sa.select(*columns_of(table))
        .where(
            *mine,
            row.user_id == sa.bindparam("user_id"),
            row.granted_at.is_not(None),
            row.revoked_at.is_(None),
            sa.or_(row.expires_at.is_(None), row.expires_at > sa.bindparam("now")),
            row.id != sa.bindparam("newest"),
        )
        # By a column that is NULL in all of them, in the order of the index of these rows.
        .order_by(row.revoked_at.desc(), *newest_first(row))
        .limit(MOST_CANDIDATES)
    )


def _predecessors(table: sa.Table, mine: tuple[Condition, ...]) -> sa.CompoundSelect[Any]:
    """Select the owner's active rows of any WePay user, and the newest, active or ended."""
    columns = (table.c.owner, table.c.state_hash, table.c.granted_at, table.c.revoked_at)
    living = sa.select(*columns).where(
        *mine, table.c.granted_at.is_not(None), table.c.revoked_at.is_(None)
    )
    newest = _newest(table, mine, *columns).subquery()
    return sa.union_all(living, sa.select(newest).where(newest.c.revoked_at.is_not(None)))


def _newest(
    table: sa.Table, mine: tuple[Condition, ...], *columns: sa.Column[Any]
) -> sa.Select[Any]:
    granted = table.c.granted_at.is_not(None)
    return sa.select(*columns).where(*mine, granted).order_by(*newest_first(table.c)).limit(1)
