"""Payment accounts and payments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from threading import RLock
from typing import Any

from .ipns import IPNQueue
from .objects import CHECKOUT_LIFETIME, Account, Checkout, Token


class Ledger:
    """The accounts and checkouts of a world, which shares its clock, lock, IPNs and ids."""

    def __init__(
        self, clock: Callable[[], float], lock: RLock, ipns: IPNQueue, ids: Iterator[int]
    ) -> None:
        self._clock = clock
        self._lock = lock
        self._ipns = ipns
        self._ids = ids
        self.accounts: dict[int, Account] = {}
        self.checkouts: dict[int, Checkout] = {}

    def add_account(self, token: Token, **details: Any) -> Account:
        """Open a payment account for the token's user."""
        with self._lock:
            account = Account(
                next(self._ids),
                token.client_id,
                token.user_id,
                create_time=int(self._clock()),
                **details,
            )
            self.accounts[account.account_id] = account
            return account

    def accounts_of(self, token: Token) -> list[Account]:
        """List the accounts that a token may see, oldest first."""
        with self._lock:
            return [
                account
                for account in self.accounts.values()
                if (account.owner_user_id, account.client_id) == (token.user_id, token.client_id)
            ]

    def change_account(self, account: Account, state: str) -> None:
        """Move an account to another state and tell its callback_uri."""
        with self._lock:
            account.state = state
            if account.callback_uri:
                self._ipns.add(account.callback_uri, account_id=account.account_id)

    def add_checkout(self, token: Token, **details: Any) -> Checkout:
        """Begin a payment."""
        with self._lock:
            checkout = Checkout(
                next(self._ids), token.client_id, create_time=int(self._clock()), **details
            )
            self.checkouts[checkout.checkout_id] = checkout
            return checkout

    def checkout(self, checkout_id: int) -> Checkout:
        """Find a checkout, expired by now if nobody paid, or raise :exc:`LookupError`."""
        with self._lock:
            checkout = self.checkouts[checkout_id]
            too_old = checkout.create_time + CHECKOUT_LIFETIME <= self._clock()
            if checkout.state == "new" and too_old:
                self.change_checkout(checkout, "expired")
            return checkout

    def all_checkouts(self) -> list[Checkout]:
        """List every checkout, oldest first."""
        with self._lock:
            return [self.checkout(checkout_id) for checkout_id in self.checkouts]

    def change_checkout(self, checkout: Checkout, state: str) -> None:
        """Move a checkout to another state and tell its callback_uri."""
        with self._lock:
            checkout.state = state
            if checkout.callback_uri:
                self._ipns.add(checkout.callback_uri, checkout_id=checkout.checkout_id)

    def refund(self, checkout: Checkout, amount: Decimal, reason: str) -> None:
        """Give money back; all of it makes the checkout refunded."""
        with self._lock:
            checkout.amount_refunded += amount
            checkout.refund_reason = reason
            state = "refunded" if checkout.amount_refunded == checkout.amount else checkout.state
            self.change_checkout(checkout, state)
