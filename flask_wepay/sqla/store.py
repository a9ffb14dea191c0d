"""The life of an authorization: one row, which goes pending → granted → dead."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from ..encryption import Keyring
from ..errors import ConfigurationError, StoreUnavailable
from ..store import (
    A_MINUTE,
    MOST_CANDIDATES,
    Authorization,
    Ended,
    Found,
    Pending,
    StateTaken,
)
from ..tokens import Secret, Token
from .database import Database, utc
from .maintenance import Maintenance
from .model import authorization_of, columns_of, newest_first

__all__ = ["SQLAlchemyStore"]

#: How many authorizations an IPN makes us ask about at most.
MOST_LIVING = 20
#: Why WePay ended an authorization; the other reasons are our own.
LOST = ("revoked", "deleted")

_logger = logging.getLogger("flask_wepay")


class SQLAlchemyStore:
    """Keep authorizations in the application's own database."""

    def __init__(
        self, model: Any, session: Callable[[], Session], client_id: int, keyring: Keyring
    ) -> None:
        self._database = Database(model, session)
        self._table = self._database.table
        self._client_id = client_id
        self._keyring = keyring
        self._look_up = _look_up(self._table, client_id)
        self._predecessors = _predecessors(self._table, client_id)
        #: What commands do with the whole table.
        self.maintenance = Maintenance(self._database, client_id, keyring)

    # Looking up

    def find(self, owner: str, *, fresh: bool = False) -> Found:
        """Look an owner up with one SELECT, which costs the same whatever the table's size."""
        now = int(time.time())
        rows = self._database.read(self._look_up, {"owner": owner, "now": now}, fresh=fresh)
        if not rows:
            return Found()
        self._check_owner(owner, [row.owner for row in rows])
        newest = rows[0]
        living = [row for row in rows if row.revoked_at is None and not _expired(row, now)]
        return Found(
            newest.user_id,
            tuple(authorization_of(row, self._keyring) for row in living[:MOST_CANDIDATES]),
            None if living else newest.reason or "expired",
            datetime.now(UTC) - utc(newest.granted_at) < A_MINUTE,
        )

    def progress(self, owner: str, state: Secret) -> str | None:
        """Return how far the owner's login with this state got."""
        table = self._table
        query = sa.select(table.c.granted_at, table.c.revoked_at, self._is_pending())
        rows = self._database.read(
            query.where(*self._of(owner), table.c.state_hash == _hash(state))
        )
        if not rows:
            return None
        if rows[0].pending:
            return "pending"
        granted = rows[0].granted_at is not None and rows[0].revoked_at is None
        return "granted" if granted else "dead"

    def user_of_row(self, id_: int, state_hash: str) -> int | None:
        """Return WePay's user of a granted row, by its id and the start of its state hash."""
        table = self._table
        query = sa.select(table.c.user_id, self._is_pending()).where(
            table.c.id == id_,
            table.c.state_hash.startswith(state_hash, autoescape=True),
            table.c.client_id == self._client_id,
        )
        rows = self._database.read(query)
        if rows and rows[0].pending:
            raise StoreUnavailable("The login of this row is being finished just now.")
        return rows[0].user_id if rows else None

    def living(self, user_id: int) -> tuple[Authorization, ...]:
        """Return the living authorizations of a WePay user, whoever owns them, newest first."""
        table = self._table
        query = (
            sa.select(*columns_of(table))
            .where(
                table.c.client_id == self._client_id,
                table.c.user_id == user_id,
                table.c.granted_at.is_not(None),
                table.c.revoked_at.is_(None),
            )
            .order_by(*newest_first(table.c))
            .limit(MOST_LIVING)
        )
        rows = self._database.read(query)
        return tuple(authorization_of(row, self._keyring) for row in rows)

    # The life of a row

    def begin(self, owner: str, state: Secret) -> Pending:
        """Bear the pending row, and note what was granted before it."""
        try:
            return self._database.write(
                lambda connection: self._bear(connection, owner, _hash(state))
            )
        except StoreUnavailable as error:
            taken = isinstance(error.__cause__, IntegrityError)
            if taken and self.progress(owner, state) is not None:
                raise StateTaken from None
            raise

    def _bear(self, connection: sa.Connection, owner: str, state_hash: str) -> Pending:
        table = self._table
        # The INSERT comes first: SQLite waits for its lock then, where a transaction
        # that began by reading would fail at once.
        born = connection.execute(
            table.insert().values(created_at=self._database.clock()),
            {"client_id": self._client_id, "owner": owner, "state_hash": state_hash},
        )
        assert born.inserted_primary_key is not None
        granted = connection.execute(self._predecessors, {"owner": owner}).all()
        self._check_owner(owner, [row.owner for row in granted])
        return Pending(
            owner,
            born.inserted_primary_key[0],
            state_hash,
            tuple(row.state_hash for row in granted if row.revoked_at is None),
            max((row.granted_at for row in granted), default=None),
        )

    def grant(self, pending: Pending, token: Token) -> None:
        """Grant the row, and end those that WePay revoked by this exchange."""
        if not self._database.write_grant(
            lambda connection: self._grant(connection, pending, token)
        ):
            raise Ended

    def _grant(self, connection: sa.Connection, pending: Pending, token: Token) -> bool:
        table = self._table
        values = self._granted_values(pending, token)
        # A clock that was set back must not make an older WePay user the owner's.
        granted_at = self._database.clock(pending.last_granted_at)
        granted = connection.execute(
            table.update()
            .where(
                table.c.state_hash == pending.state_hash,
                table.c.granted_at.is_(None),
                table.c.revoked_at.is_(None),
            )
            .values(granted_at=granted_at),
            values,
        )
        if granted.rowcount == 0:
            row = connection.execute(
                sa.select(table.c.granted_at).where(table.c.state_hash == pending.state_hash)
            ).one_or_none()
            if row is not None:
                # Granted: an earlier try of ours was committed after all.
                return row.granted_at is not None
            # Somebody has pruned it.
            connection.execute(
                table.insert().values(granted_at=granted_at, created_at=self._database.clock()),
                {
                    "client_id": self._client_id,
                    "owner": pending.owner,
                    "state_hash": pending.state_hash,
                    **values,
                },
            )
        if pending.predecessors:
            # The exchanges of these were answered before this one was sent. One that is locked
            # is left to its next use: this token must not wait for a view to end.
            replaced = sa.and_(
                table.c.state_hash.in_(pending.predecessors), table.c.user_id == token.user_id
            )
            connection.execute(self._end("replaced", self._database.unlocked(replaced)))
        return True

    def _granted_values(self, pending: Pending, token: Token) -> dict[str, Any]:
        assert token.user_id is not None
        return {
            "user_id": token.user_id,
            "token": self._keyring.seal(
                token.access_token,
                client_id=self._client_id,
                owner=pending.owner,
                user_id=token.user_id,
            ),
            "token_type": token.token_type,
            "expires_at": token.expires_at,
        }

    def abandon(self, pending: Pending) -> None:
        """End a pending row whose exchange gave no token."""
        table = self._table
        mine = table.c.state_hash == pending.state_hash
        try:
            self._database.execute(self._end("failed", mine, table.c.granted_at.is_(None)))
        except StoreUnavailable:
            # The row then stays pending, which after a minute means the same.
            _logger.warning("A login that failed could not be noted as such.")

    def end(self, authorization: Authorization, reason: str) -> bool:
        """Mark an authorization dead, and return whether this call did it."""
        if not self._database.can_write_apart():
            _logger.info("A dead row is left to be marked at a later use: the view is writing.")
            return False
        table = self._table
        row = (
            table.c.id == authorization.id,
            table.c.state_hash == authorization.state_hash,
        )
        latest = sa.select(sa.func.max(table.c.revoked_at)).where(*self._of(authorization.owner))
        try:
            # With a clock that was set back `ended_last` must still find this one.
            after = self._database.read(latest, fresh=True)[0][0]
            ended = self._database.execute(self._end(reason, *row, after=after))
        except StoreUnavailable:
            _logger.warning("A dead row is left to be marked at a later use.", exc_info=True)
            return False
        return ended == 1

    def ended_last(self, owner: str, user_id: int | None, authorization: Authorization) -> bool:
        """Tell whether this authorization was the last of the owner's to die.

        Of several workers that each mark one row, exactly one finds its own here.
        """
        table = self._table
        query = (
            sa.select(table.c.id, table.c.state_hash)
            .where(*self._of(owner), table.c.user_id == user_id, table.c.reason.in_(LOST))
            .order_by(table.c.revoked_at.desc(), table.c.id.desc())
            .limit(1)
        )
        rows = self._database.read(query, fresh=True)
        return rows[:1] == [(authorization.id, authorization.state_hash)]

    def disconnect(self, owner: str) -> None:
        """End all of the owner's rows, pending ones too."""
        if not self._database.can_write_apart():
            raise StoreUnavailable(
                "The view's own transaction holds the database: commit it before disconnecting."
            )
        # It also sees to it that the column does not take another owner for this one.
        self.find(owner)
        self._database.execute(self._end("disconnected", *self._of(owner)))

    def adopt(self, owner: str, token: Token) -> None:
        """Store a token that was obtained elsewhere as an authorization of its own."""
        pending = self.begin(owner, Secret(secrets.token_urlsafe()))
        # It may be older than those that are here: which of them are dead, their use finds out.
        self.grant(replace(pending, predecessors=()), token)

    def _end(
        self, reason: str, *which: sa.ColumnElement[bool], after: datetime | None = None
    ) -> sa.Update:
        return (
            self._table.update()
            .where(*which, self._table.c.revoked_at.is_(None))
            .values(revoked_at=self._database.clock(after), reason=reason, token=None)
        )

    def _is_pending(self) -> sa.Label[bool]:
        """Compute whether a row may still be granted: whoever began that has a minute for it."""
        table = self._table.c
        young = table.created_at > self._database.clock() - A_MINUTE
        undecided = (table.granted_at.is_(None), table.revoked_at.is_(None))
        return sa.and_(*undecided, young).label("pending")

    def _of(self, owner: str) -> tuple[sa.ColumnElement[bool], ...]:
        return self._table.c.client_id == self._client_id, self._table.c.owner == owner

    def _check_owner(self, owner: str, found: Iterable[str]) -> None:
        """Refuse a column that takes one owner for another: a stranger would act as the first."""
        if any(other != owner for other in found):
            raise ConfigurationError(
                f"The column 'owner' of '{self._table.name}' takes different owners for the same:"
                " give it a collation that tells them apart, such as utf8mb4_bin on MySQL."
            )

    def release(self) -> None:
        """Give back the connection of the application's session, committing it."""
        self._database.release()


def _look_up(table: sa.Table, client_id: int) -> sa.Select[Any]:
    """Select the owner's newest row, dead or alive, and the living ones of its WePay user.

    An older authorization of another WePay user is never a candidate: the money
    would go to the wrong merchant.
    """
    mine, order = _ever_granted(table, client_id), newest_first(table.c)
    newest = sa.select(table.c.id, table.c.user_id).where(*mine).order_by(*order).limit(1)
    newest_row = newest.subquery("newest")
    living = sa.and_(
        table.c.revoked_at.is_(None),
        sa.or_(table.c.expires_at.is_(None), table.c.expires_at > sa.bindparam("now")),
    )
    return (
        sa.select(*columns_of(table))
        .join(newest_row, table.c.user_id == newest_row.c.user_id)
        .where(*mine, sa.or_(living, table.c.id == newest_row.c.id))
        .order_by(*order)
        .limit(MOST_CANDIDATES + 1)
    )


def _predecessors(table: sa.Table, client_id: int) -> sa.Select[Any]:
    """Select the owner's living rows of any WePay user, and the newest, dead or alive."""
    mine = _ever_granted(table, client_id)
    newest = sa.select(sa.func.max(table.c.granted_at)).where(*mine).scalar_subquery()
    columns = (
        table.c.owner,
        table.c.state_hash,
        table.c.granted_at,
        table.c.revoked_at,
    )
    return sa.select(*columns).where(
        *mine, sa.or_(table.c.revoked_at.is_(None), table.c.granted_at == newest)
    )


def _ever_granted(table: sa.Table, client_id: int) -> tuple[sa.ColumnElement[bool], ...]:
    """Return what is true of an owner's rows but the pending ones; the owner is a parameter."""
    return (
        table.c.client_id == client_id,
        table.c.owner == sa.bindparam("owner"),
        table.c.granted_at.is_not(None),
    )


def _hash(state: Secret) -> str:
    return hashlib.sha256(state.value.encode()).hexdigest()


def _expired(row: Any, now: int) -> bool:
    return row.expires_at is not None and row.expires_at <= now
