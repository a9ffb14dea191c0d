"""What the rest of the package asks of a token store, and the store made of two hooks.

The store on SQLAlchemy, with the table and its rules, is in :mod:`flask_wepay.sqla`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

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

#: The owner that a merchant's own token belongs to.
MERCHANT = "merchant"
#: How many authorizations of an owner one call tries at most.
MOST_CANDIDATES = 5
#: For how long a pending row counts as being worked on, and a grant as recent.
A_MINUTE = timedelta(minutes=1)
#: For how long a login can be finished: its row answers for its state until then.
LOGIN_LIFETIME = timedelta(hours=1)

TokenGetter = Callable[[str], Mapping[str, Any] | None]
TokenSetter = Callable[[str, Mapping[str, Any] | None], None]


class StateTaken(Exception):
    """Say that the state already has a row: a double click, a reload or a replay."""


class Ended(Exception):
    """Say that a disconnect ended the pending row while WePay was being asked."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """One living authorization; its token is opened when it is used."""

    owner: str
    #: WePay's id of the user; None only for WEPAY_ACCESS_TOKEN.
    user_id: int | None
    #: Open the token: raises TokenUnreadable if no key does.
    open: Callable[[], Token] = field(repr=False, compare=False)
    #: With :attr:`state_hash` the row's name: SQLite gives an id out again.
    id: int = 0
    state_hash: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a look-up says of an owner."""

    #: WePay's id of the owner's user: that of the newest row ever granted.
    user_id: int | None = None
    #: What may be used, newest first; all of that user.
    candidates: tuple[Authorization, ...] = ()
    #: Why there is no candidate: "revoked", "deleted", "disconnected", "expired", or
    #: None where nobody ever connected.
    ended: str | None = None
    #: Whether the newest row was granted within the last minute.
    lately: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """A row that was born for an exchange."""

    owner: str
    id: int = 0
    state_hash: str = ""
    #: The owner's living rows at that time, by state hash.
    predecessors: tuple[str, ...] = ()
    #: When the newest row was granted that the owner ever had.
    last_granted_at: datetime | None = None
    #: Where the row is, as :meth:`Store.release` returned it.
    place: Any = None


class Store(Protocol):
    """Keep authorizations; every method raises StoreUnavailable where it can't."""

    def find(self, owner: str, *, fresh: bool = False) -> Found:
        """Look an owner up; `fresh` sees what others committed meanwhile."""

    def progress(self, owner: str, state: Secret) -> str | None:
        """Return how far the owner's login with this state got, or None for no row.

        It is "granted", "pending" (for less than a minute) or "dead".
        """

    def begin(self, owner: str, state: Secret, place: Any = None) -> Pending:
        """Create the pending row, where the session was that :meth:`release` released.

        :raises StateTaken: if the state has one.
        """

    def grant(self, pending: Pending, token: Token) -> None:
        """Grant the row, and end those that WePay revoked by this exchange.

        :raises Ended: if a disconnect came first; then nothing is stored.
        """

    def abandon(self, pending: Pending) -> None:
        """End a pending row whose exchange gave no token."""

    def end(self, authorization: Authorization, reason: str) -> bool:
        """Mark an authorization dead, and return whether this call did it."""

    def ended_last(self, owner: str, user_id: int | None, authorization: Authorization) -> bool:
        """Tell whether this authorization was the last of the owner's to die."""

    def disconnect(self, owner: str) -> None:
        """End all of the owner's rows, pending ones too."""

    def adopt(self, owner: str, token: Token) -> None:
        """Store a token that was obtained elsewhere."""

    def user_of_row(self, id_: int, state_hash: str) -> int | None:
        """Return WePay's user of a granted row, by its id and the start of its state hash.

        :raises StoreUnavailable: while it is not granted yet and may still be.
        """

    def living(self, user_id: int) -> tuple[Authorization, ...]:
        """Return the living authorizations of a WePay user, whoever owns them."""

    def recover(self) -> None:
        """Roll a failed transaction of the application's session back.

        Only for the package's own routes, before they ask who the owner is.
        """

    def release(self) -> Any:
        """Give back the connection of the application's session, committing it.

        Only for the package's own routes and commands, before they ask WePay. Return the
        place that the transaction was in, for :meth:`begin`.
        """


class HookStore:
    """A store made of ``token_getter`` and ``token_setter``.

    It keeps one token per owner, so the last writer wins: two logins of one owner
    that overlap can lose the living token. The table has no such gap.
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
        # What is raised below must not show it.
        del mapping
        if isinstance(token, str):
            raise ConfigurationError(
                f"'token_getter' gave no usable token, {token}: it returns a mapping with"
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
        """Return None: hooks know of no states."""
        return None

    def begin(self, owner: str, state: Secret, place: Any = None) -> Pending:
        """Return a name for nothing: hooks keep no pending rows."""
        return Pending(owner)

    def grant(self, pending: Pending, token: Token) -> None:
        """Hand the token to the setter."""
        self._setter(pending.owner, token.as_mapping())

    def abandon(self, pending: Pending) -> None:
        """Do nothing: there is no pending row."""

    def end(self, authorization: Authorization, reason: str) -> bool:
        """Set None, but only if the getter still gives that very token."""
        if authorization not in self.find(authorization.owner).candidates:
            return False
        self._setter(authorization.owner, None)
        return True

    def ended_last(self, owner: str, user_id: int | None, authorization: Authorization) -> bool:
        """Return True: there is only one."""
        return True

    def disconnect(self, owner: str) -> None:
        """Set None."""
        self._setter(owner, None)

    def adopt(self, owner: str, token: Token) -> None:
        """Hand the token to the setter."""
        self._setter(owner, token.as_mapping())

    def user_of_row(self, id_: int, state_hash: str) -> int | None:
        """Return None: there are no rows."""
        return None

    def living(self, user_id: int) -> tuple[Authorization, ...]:
        """Return nothing: a getter knows owners, not WePay's users."""
        return ()

    def recover(self) -> None:
        """Do nothing: what sessions hooks have is theirs to know."""

    def release(self) -> None:
        """Do nothing: what connections hooks hold is theirs to know."""


class MerchantStore(HookStore):
    """The store of a merchant with a token of its own, WEPAY_ACCESS_TOKEN: it never changes."""

    def __init__(self, access_token: Secret) -> None:
        super().__init__(lambda owner: None, _refuse_change)
        token = Token(access_token.value, None)
        self._found = Found(None, (Authorization(MERCHANT, None, lambda: token),))

    def find(self, owner: str, *, fresh: bool = False) -> Found:
        """Return the one token there is."""
        return self._found

    def end(self, authorization: Authorization, reason: str) -> bool:
        """Return False: the setting stays until somebody changes it."""
        return False


def _refuse_change(owner: str, token: Mapping[str, Any] | None) -> None:
    raise ConfigurationError("'WEPAY_ACCESS_TOKEN' is set, and nothing is stored beside it.")
