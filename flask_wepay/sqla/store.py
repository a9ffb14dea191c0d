"""The life cycle of an authorization: one row, which goes pending → granted → ended."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from ..errors import ConfigurationError, StoreUnavailable
from ..tokens import Secret, Token
from ..tokens.encryption import Keyring
from ..tokens.store import (
    A_MINUTE,
    MOST_CANDIDATES,
    Authorization,
    Ended,
    Found,
    Pending,
    StateTaken,
)
from .clock import after, utc
from .database import Database, Transaction
from .failures import is_of_the_row
from .maintenance import Maintenance
from .model import authorization_of, check_values
from .statements import Statements

__all__ = ["SQLAlchemyStore"]

_logger = logging.getLogger("flask_wepay")


class SQLAlchemyStore:
    """Stores authorizations in the application's own database."""

    def __init__(
        self, model: Any, session: Callable[[], Any], client_id: int, keyring: Keyring
    ) -> None:
        self._database = Database(model, session)
        self._client_id = client_id
        self._keyring = keyring
        self._statements = Statements(self._database.table, client_id)
        #: The maintenance of the whole table, for commands.
        self.maintenance = Maintenance(self._database, client_id, keyring)

    # Looking up

    def find(self, owner: str, *, fresh: bool = False) -> Found:
        """Look up an owner, with one SELECT if the newest authorization is active.

        Its cost doesn't depend on the table's size.
        """
        now = int(time.time())
        rows = list(self._database.read(self._statements.newest, {"owner": owner}, fresh=fresh))
        if not rows:
            return Found()
        newest = rows[0]
        self._check_owner(owner, rows)
        check_values(newest)
        is_active = newest.revoked_at is None and not _expired(newest, now)
        living = rows if is_active else []
        if fresh or not is_active:
            # Only if the newest one has ended is another one used.
            which = {"owner": owner, "user_id": newest.user_id, "newest": newest.id, "now": now}
            others = self._database.read(self._statements.others, which, fresh=fresh)
            self._check_owner(owner, others)
            living = [*living, *others][:MOST_CANDIDATES]
        return Found(
            newest.user_id,
            tuple(authorization_of(row, self._keyring) for row in living),
            None if living else newest.reason or "expired",
            datetime.now(UTC) - utc(newest.granted_at) < A_MINUTE,
        )

    def progress(self, owner: str, state: Secret, place: Any = None) -> str | None:
        """Return the progress of the owner's login with this state."""
        which = {"owner": owner, "state_hash": _hash(state)}
        rows = self._database.read(self._statements.progress, which, place=place)
        if not rows:
            return None
        if rows[0].pending:
            return "pending"
        granted = rows[0].granted_at is not None and rows[0].revoked_at is None
        return "granted" if granted else "dead"

    def user_of_row(self, id_: int, state_hash: str) -> int | None:
        """Return the WePay user of a granted row, by its id and the start of its state hash."""
        rows = self._database.read(self._statements.row_of_ipn(id_, state_hash))
        if rows and rows[0].pending:
            raise StoreUnavailable("The login of this row is still in progress.")
        return rows[0].user_id if rows else None

    def living(self, user_id: int) -> tuple[Authorization, ...]:
        """Return the active authorizations of a WePay user, of all owners, newest first."""
        rows = self._database.read(self._statements.living, {"user_id": user_id})
        return tuple(authorization_of(row, self._keyring) for row in rows)

    # The life cycle of a row

    def begin(self, owner: str, state: Secret, place: Any = None) -> Pending:
        """Create the pending row, and return it with the owner's earlier grants."""
        try:
            pending = self._database.write_first(
                lambda transaction: self._begin(transaction, owner, _hash(state)), place
            )
        except StoreUnavailable as error:
            taken = error.__cause__ is not None and is_of_the_row(error.__cause__)
            if taken and self.progress(owner, state, place) is not None:
                raise StateTaken from None
            raise
        return pending._replace(place=place)

    def _begin(self, transaction: Transaction, owner: str, state_hash: str) -> Pending:
        # The INSERT comes first, so that SQLite waits for the lock; a transaction that
        # starts with a read would fail immediately.
        created = transaction.execute(
            self._statements.insert,
            {"client_id": self._client_id, "owner": owner, "state_hash": state_hash},
        )
        assert created.inserted_primary_key is not None
        granted = transaction.rows(self._statements.predecessors, {"owner": owner})
        self._check_owner(owner, granted)
        return Pending(
            owner,
            created.inserted_primary_key[0],
            state_hash,
            tuple(row.state_hash for row in granted if row.revoked_at is None),
            max((row.granted_at for row in granted), default=None),
        )

    def grant(self, pending: Pending, token: Token) -> None:
        """Grant the row, and end the rows that WePay revoked through this exchange."""
        granted = self._database.write_grant(
            lambda transaction: self._grant(transaction, pending, token), pending.place
        )
        if not granted:
            raise Ended

    def _grant(self, transaction: Transaction, pending: Pending, token: Token) -> bool:
        statements = self._statements
        # A clock that was set back must not bring back an older WePay user of the owner.
        values = {
            **self._granted_values(pending, token),
            "earliest": after(pending.last_granted_at),
        }
        its = {"its_state_hash": pending.state_hash}
        if transaction.execute(statements.grant, {**its, **values}).rowcount == 0:
            rows = transaction.rows(statements.granted_at, its)
            if rows:
                # Granted: our earlier attempt was committed after all.
                return rows[0].granted_at is not None
            # It was pruned meanwhile.
            row = {
                "client_id": self._client_id,
                "owner": pending.owner,
                "state_hash": pending.state_hash,
            }
            transaction.execute(statements.insert_granted, {**row, **values})
        if pending.predecessors:
            self._replace(transaction, pending, token)
        return True

    def _replace(self, transaction: Transaction, pending: Pending, token: Token) -> None:
        """End the predecessors, whose exchanges were answered before this one was sent.

        A locked one is left to its next use: this token must not wait for a view to finish.
        """
        which = {"predecessors": pending.predecessors, "user_id": token.user_id}
        rows = transaction.rows(self._statements.unlocked, which)
        if rows:
            ids = [row.id for row in rows]
            transaction.execute(
                self._statements.replace, {"ids": ids, "why": "replaced", "earliest": None}
            )

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
        """End a pending row whose exchange returned no token."""
        parameters = {"its_state_hash": pending.state_hash, "why": "failed", "earliest": None}
        try:
            self._database.execute(self._statements.abandon, parameters, pending.place)
        except StoreUnavailable:
            # The row then stays pending, which means the same after a minute.
            _logger.warning("A failed login can't be recorded; its row stays pending.")

    def end(self, authorization: Authorization, reason: str) -> bool:
        """End an authorization, and return whether this call ended it."""
        if not self._database.can_write_apart():
            _logger.info("A revoked row is marked at a later use, because the view is writing.")
            return False
        owner = {"owner": authorization.owner}
        try:
            # If a clock was set back, `ended_last` must still find this row.
            latest = self._database.read(self._statements.latest_end, owner, fresh=True)[0][0]
            ended = self._database.execute(
                self._statements.end,
                {
                    "its_id": authorization.id,
                    "its_state_hash": authorization.state_hash,
                    "why": reason,
                    "earliest": after(latest),
                },
            )
        except StoreUnavailable:
            _logger.warning("A revoked row is marked at a later use.", exc_info=True)
            return False
        return ended == 1

    def ended_last(self, owner: str, user_id: int | None, authorization: Authorization) -> bool:
        """Return whether this authorization was the last of the owner's to end.

        If several workers each end a row, this is true for exactly one of them.
        """
        rows = self._database.read(
            self._statements.last_lost, {"owner": owner, "user_id": user_id}, fresh=True
        )
        return [tuple(row) for row in rows] == [(authorization.id, authorization.state_hash)]

    def disconnect(self, owner: str) -> None:
        """End all rows of the owner, pending ones too."""
        if not self._database.can_write_apart():
            raise StoreUnavailable(
                "The view's own transaction locks the database: commit it before you disconnect."
            )
        self._check_owner(owner, self._database.read(self._statements.owners, {"owner": owner}))
        self._database.execute(
            self._statements.disconnect,
            {"its_owner": owner, "why": "disconnected", "earliest": None},
        )

    def adopt(self, owner: str, token: Token) -> None:
        """Store a token that was obtained elsewhere as a separate authorization."""
        pending = self.begin(owner, Secret(secrets.token_urlsafe()))
        # It may be older than the stored ones; their use detects which of them are revoked.
        self.grant(pending._replace(predecessors=()), token)

    def _check_owner(self, owner: str, found: Iterable[Any]) -> None:
        """Refuse a column that confuses two owners: one would act as the other."""
        if any(row.owner != owner for row in found):
            table = self._database.table.name
            raise ConfigurationError(
                f"The column 'owner' of '{table}' treats different owners as the same:"
                " give it a collation that distinguishes them."
            )

    def recover(self) -> None:
        """Roll back a failed transaction of the application's session."""
        self._database.recover()

    def release(self) -> Any:
        """Commit the application's session, so that its connection returns to the pool."""
        return self._database.release()


def _hash(state: Secret) -> str:
    return hashlib.sha256(state.value.encode()).hexdigest()


def _expired(row: Any, now: int) -> bool:
    return isinstance(row.expires_at, int) and row.expires_at <= now
