"""Payment accounts and payments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from threading import RLock
from typing import Any

from .ipns import IPNQueue
from .objects import (
    CAPTURE_LIFETIME,
    CHECKOUT_LIFETIME,
    RELEASE_LIFETIME,
    WITHDRAWAL_LIFETIME,
    Account,
    AccountState,
    Checkout,
    CheckoutState,
    Token,
    Withdrawal,
    WithdrawalState,
)


@dataclass(frozen=True)
class Balance:
    """The balances of an account."""

    available: Decimal
    #: From payments that are not released yet.
    incoming: Decimal
    #: On its way to the bank.
    outgoing: Decimal
    disputed: Decimal


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
        self.withdrawals: dict[int, Withdrawal] = {}

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
        """Return the accounts that a token may see and that are not deleted, oldest first."""
        with self._lock:
            return [
                account
                for account in self.accounts.values()
                if account.state != "deleted" and self.may_see(token, account)
            ]

    def may_see(self, token: Token, account: Account) -> bool:
        """Return whether an account belongs to the token's user and application."""
        return (account.owner_user_id, account.client_id) == (token.user_id, token.client_id)

    def change_account(self, account: Account, state: AccountState, *reasons: str) -> None:
        """Move an account to another state, for these reasons, and queue the IPN."""
        with self._lock:
            account.state = state
            account.disabled_reasons = list(reasons)
            self._ipns.tell(account.callback_uri, account_id=account.account_id)

    def balance_of(self, account: Account) -> Balance:
        """Return an account's balances, after refunds, chargebacks and withdrawals."""
        with self._lock:
            checkouts = self.checkouts_of(account)
            withdrawals = self.withdrawals_of(account)
            total = _sum(checkout.net for checkout in checkouts)
            released = _sum(c.net for c in checkouts if c.state == "released")
            outgoing = _sum(w.amount for w in withdrawals if w.state == "started")
            withdrawn = _sum(w.amount for w in withdrawals if w.state == "captured")
            return Balance(
                available=released - outgoing - withdrawn,
                incoming=total - released,
                outgoing=outgoing,
                disputed=_sum(c.amount for c in checkouts if c.state == "charged back"),
            )

    def add_withdrawal(self, account: Account, **details: Any) -> Withdrawal:
        """Create a withdrawal, which the account's owner must confirm."""
        with self._lock:
            withdrawal = Withdrawal(
                next(self._ids), account.account_id, int(self._clock()), **details
            )
            self.withdrawals[withdrawal.withdrawal_id] = withdrawal
            return withdrawal

    def withdrawal(self, withdrawal_id: int) -> Withdrawal:
        """Return a withdrawal, which expires if abandoned, or raise :exc:`LookupError`."""
        with self._lock:
            withdrawal = self.withdrawals[withdrawal_id]
            abandoned = withdrawal.create_time + WITHDRAWAL_LIFETIME <= self._clock()
            if withdrawal.state == "new" and abandoned:
                self.change_withdrawal(withdrawal, "expired")
            return withdrawal

    def withdrawals_of(self, account: Account) -> list[Withdrawal]:
        """Return the withdrawals of an account, oldest first."""
        with self._lock:
            return [
                self.withdrawal(withdrawal.withdrawal_id)
                for withdrawal in list(self.withdrawals.values())
                if withdrawal.account_id == account.account_id
            ]

    def change_withdrawal(self, withdrawal: Withdrawal, state: WithdrawalState) -> None:
        """Move a withdrawal to another state; when it starts, it takes all available money."""
        with self._lock:
            if withdrawal.state == "new" and state in {"started", "captured"}:
                account = self.accounts[withdrawal.account_id]
                withdrawal.amount = self.balance_of(account).available
            withdrawal.state = state
            withdrawal.capture_time = int(self._clock()) if state == "captured" else 0
            self._ipns.tell(withdrawal.callback_uri, withdrawal_id=withdrawal.withdrawal_id)

    def add_checkout(self, client_id: int, **details: Any) -> Checkout:
        """Create a checkout."""
        with self._lock:
            now = self._clock()
            checkout = Checkout(
                next(self._ids), client_id, create_time=int(now), state_since=now, **details
            )
            self.checkouts[checkout.checkout_id] = checkout
            return checkout

    def checkout(self, checkout_id: int) -> Checkout:
        """Return a checkout, which expires if abandoned, or raise :exc:`LookupError`."""
        with self._lock:
            checkout = self.checkouts[checkout_id]
            lifetime, end = _overdue(checkout)
            if end is not None and checkout.state_since + lifetime <= self._clock():
                if end == "refunded":
                    checkout.amount_refunded = checkout.amount
                self.change_checkout(checkout, end)
            return checkout

    def checkouts_of(self, account: Account) -> list[Checkout]:
        """Return the checkouts of an account, oldest first."""
        with self._lock:
            return [
                self.checkout(checkout.checkout_id)
                for checkout in list(self.checkouts.values())
                if checkout.account_id == account.account_id
            ]

    def all_checkouts(self) -> list[Checkout]:
        """Return all checkouts, oldest first."""
        with self._lock:
            return [self.checkout(checkout_id) for checkout_id in self.checkouts]

    def change_checkout(self, checkout: Checkout, state: CheckoutState) -> None:
        """Move a checkout to another state, and queue the IPN."""
        with self._lock:
            checkout.state = state
            checkout.state_since = self._clock()
            fields: dict[str, object] = {"checkout_id": checkout.checkout_id}
            if checkout.reference_id is not None:
                fields["reference_id"] = checkout.reference_id
            self._ipns.tell(checkout.callback_uri, **fields)

    def refund(self, checkout: Checkout, amount: Decimal, reason: str) -> None:
        """Refund an amount; a full refund makes the checkout refunded."""
        with self._lock:
            checkout.amount_refunded += amount
            checkout.refund_reason = reason
            state = "refunded" if checkout.amount_refunded == checkout.amount else checkout.state
            self.change_checkout(checkout, state)


def _overdue(checkout: Checkout) -> tuple[float, CheckoutState | None]:
    """Return for how many seconds a checkout may stay in its state, and the state after that.

    https://developer.wepay.com/api/api-calls/checkout
    """
    if checkout.state == "new":
        return CHECKOUT_LIFETIME, "expired"
    if checkout.state == "authorized" and not checkout.auto_capture:
        return CAPTURE_LIFETIME, "cancelled"
    if checkout.state == "captured" and not checkout.auto_release:
        return RELEASE_LIFETIME, "refunded"
    return 0.0, None


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))
