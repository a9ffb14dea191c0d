"""The interface of a token store, and the store that is made of two hooks.

The SQLAlchemy store, with the table and its rules, is in :mod:`flask_wepay.sqla`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from ..errors import ConfigurationError
from .token import Secret, Token, read_token

__all__ = [
    "A_MINUTE",
    "LOGIN_LIFETIME",
    "MERCHANT",
    "MOST_CANDIDATES",
    "Authorization",
    "Ended",
    "Found",
    "HookStore",
    "MerchantStore",
    "Pending",
    "StateTaken",
    "Store",
    "TokenGetter",
    "TokenSetter",
]

#: The owner of a merchant's own token.
MERCHANT = "merchant"
#: The most authorizations of an owner that one call tries.
MOST_CANDIDATES = 5
#: How long a pending row counts as in progress, and a grant as recent.
A_MINUTE = timedelta(minutes=1)
#: How long a login can be finished; until then its row answers for its state.
LOGIN_LIFETIME = timedelta(hours=1)

TokenGetter = Callable[[str], Mapping[str, Any] | None]
TokenSetter = Callable[[str, Mapping[str, Any] | None], None]


class StateTaken(Exception):
    """Raised when the state already has a row: a double click, a reload or a replay."""


class Ended(Exception):
    """Raised when a disconnect ended the pending row during the exchange."""


@dataclass(frozen=True)
class Authorization:
    """An active authorization."""

    owner: str
    #: WePay's id of the user; None only for WEPAY_ACCESS_TOKEN.
    user_id: int | None
    #: Returns the token, or raises TokenUnreadable.
    open: Callable[[], Token] = field(repr=False, compare=False)
    #: Identifies the row together with :attr:`state_hash`, because SQLite reuses ids.
    id: int = 0
    state_hash: str = ""

    @property
    def token(self) -> Token:
        """The token, which is decrypted when it is first used.

        :raises TokenUnreadable: if no key decrypts it.
        """
        # A cached_property has one lock for all instances on Python 3.11, which a fork may inherit.
        token: Token = vars(self).get("_token") or self.open()
        vars(self)["_token"] = token
        return token


class Found(NamedTuple):
    """The result of looking up an owner."""

    #: The owner's WePay user: the user of the newest row ever granted.
    user_id: int | None = None
    #: The active authorizations of that user, newest first.
    candidates: tuple[Authorization, ...] = ()
    #: Why there is no candidate: "revoked", "deleted", "disconnected", "expired", or
    #: None if the owner never connected.
    ended: str | None = None
    #: Whether the newest row was granted within the last minute.
    lately: bool = False


class Pending(NamedTuple):
    """A row that was created for an exchange."""

    owner: str
    id: int = 0
    state_hash: str = ""
    #: The state hashes of the owner's active rows at that time.
    predecessors: tuple[str, ...] = ()
    #: When the owner's newest row was granted, or None.
    last_granted_at: datetime | None = None
    #: The place of the row, as :meth:`Store.release` returned it.
    place: Any = None


class Store(Protocol):
    """Stores authorizations; every method raises StoreUnavailable if it can't."""

    def find(self, owner: str, *, fresh: bool = False) -> Found:
        """Look up an owner; `fresh` includes what others committed meanwhile."""

    def progress(self, owner: str, state: Secret) -> str | None:
        """Return the progress of the owner's login with this state, or None without a row.

        The progress is "granted", "pending" (for less than a minute) or "dead" (failed).
        """

    def begin(self, owner: str, state: Secret, place: Any = None) -> Pending:
        """Create the pending row, at the place that :meth:`release` returned.

        :raises StateTaken: if the state already has a row.
        """

    def grant(self, pending: Pending, token: Token) -> None:
        """Grant the row, and end the rows that WePay revoked through this exchange.

        :raises Ended: if a disconnect came first; then nothing is stored.
        """

    def abandon(self, pending: Pending) -> None:
        """End a pending row whose exchange returned no token."""

    def end(self, authorization: Authorization, reason: str) -> bool:
        """End an authorization, and return whether this call ended it."""

    def ended_last(self, owner: str, user_id: int | None, authorization: Authorization) -> bool:
        """Return whether this authorization was the last of the owner's to end."""

    def disconnect(self, owner: str) -> None:
        """End all rows of the owner, pending ones too."""

    def adopt(self, owner: str, token: Token) -> None:
        """Store a token that was obtained elsewhere."""

    def user_of_row(self, id_: int, state_hash: str) -> int | None:
        """Return the WePay user of a granted row, by its id and the start of its state hash.

        :raises StoreUnavailable: while the row is pending.
        """

    def living(self, user_id: int) -> tuple[Authorization, ...]:
        """Return the active authorizations of a WePay user, of all owners."""

    def recover(self) -> None:
        """Roll back a failed transaction of the application's session.

        Only the package's own routes call this, before they ask for the owner.
        """

    def release(self) -> Any:
        """Commit the application's session, so that its connection returns to the pool.

        Only the package's own routes and commands call this, before they call WePay. Return
        the place of the transaction, for :meth:`begin`.
        """


class HookStore:
    """The store that is made of ``token_getter`` and ``token_setter``.

    It keeps one token per owner, and the last write wins: two overlapping logins of one
    owner can lose the active token. The table has no such gap.
    """

    def __init__(self, getter: TokenGetter, setter: TokenSetter) -> None:
        self._getter = getter
        self._setter = setter

    def find(self, owner: str, *, fresh: bool = False) -> Found:
        """Ask the getter."""
        mapping = self._getter(owner)
        if mapping is None:
            return Found()
        token = read_token(mapping)
        # An exception below must not show it.
        del mapping
        if isinstance(token, str):
            raise ConfigurationError(
                f"'token_getter' returned an invalid token, {token}: return a mapping with"
                " 'access_token', 'user_id' (int), 'token_type' and 'expires_at' (int or None), or"
                " None."
            )
        if token.expired:
            return Found(token.user_id, ended="expired")
        digest = hashlib.sha256(token.access_token.encode()).hexdigest()
        return Found(
            token.user_id, (Authorization(owner, token.user_id, lambda: token, 0, digest),)
        )

    def progress(self, owner: str, state: Secret) -> str | None:
        """Return None, because hooks don't store states."""
        return None

    def begin(self, owner: str, state: Secret, place: Any = None) -> Pending:
        """Return a placeholder, because hooks don't store pending rows."""
        return Pending(owner)

    def grant(self, pending: Pending, token: Token) -> None:
        """Hand the token to the setter."""
        self._setter(pending.owner, token.as_mapping())

    def abandon(self, pending: Pending) -> None:
        """Do nothing, because there is no pending row."""

    def end(self, authorization: Authorization, reason: str) -> bool:
        """Set None, but only if the getter still returns the same token."""
        if authorization not in self.find(authorization.owner).candidates:
            return False
        self._setter(authorization.owner, None)
        return True

    def ended_last(self, owner: str, user_id: int | None, authorization: Authorization) -> bool:
        """Return True, because there is only one."""
        return True

    def disconnect(self, owner: str) -> None:
        """Set None."""
        self._setter(owner, None)

    def adopt(self, owner: str, token: Token) -> None:
        """Hand the token to the setter."""
        self._setter(owner, token.as_mapping())

    def user_of_row(self, id_: int, state_hash: str) -> int | None:
        """Return None, because there are no rows."""
        return None

    def living(self, user_id: int) -> tuple[Authorization, ...]:
        """Return nothing, because a getter can't look up by WePay user."""
        return ()

    def recover(self) -> None:
        """Do nothing, because hooks manage their own sessions."""

    def release(self) -> None:
        """Do nothing, because hooks manage their own connections."""


class MerchantStore(HookStore):
    """The read-only store of a merchant's own token, WEPAY_ACCESS_TOKEN."""

    def __init__(self, access_token: Secret) -> None:
        super().__init__(lambda owner: None, _refuse_change)
        token = Token(access_token.value, None)
        self._found = Found(None, (Authorization(MERCHANT, None, lambda: token),))

    def find(self, owner: str, *, fresh: bool = False) -> Found:
        """Return the merchant's token."""
        return self._found

    def end(self, authorization: Authorization, reason: str) -> bool:
        """Return False, because only a new setting replaces the token."""
        return False


def _refuse_change(owner: str, token: Mapping[str, Any] | None) -> None:
    raise ConfigurationError("'WEPAY_ACCESS_TOKEN' is set, so no other token can be stored.")
