"""Controls for what users, payers, merchants and WePay do to accounts and payments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args
from urllib.parse import urlsplit

from flask import Flask

from .faults import check_choice
from .objects import (
    Account,
    AccountState,
    Card,
    CardState,
    Checkout,
    CheckoutState,
    Preapproval,
    PreapprovalState,
    User,
    Withdrawal,
    WithdrawalState,
)
from .origins import LOOPBACK
from .world import World

#: The default URL of a sandbox, which is the default of WEPAY_SANDBOX_URL too.
DEFAULT_URL = "http://127.0.0.1:8010"


class PaymentLevers:
    """A world, its URL, and the controls for its accounts and payments."""

    #: The Flask application of this world.
    app: Flask

    def __init__(self, world: World | None, *, url: str, names: Iterable[str]) -> None:
        self.url = url.rstrip("/")
        self._given = frozenset(name.lower() for name in names)
        self.world = world or World()

    @property
    def names(self) -> frozenset[str]:
        """The hosts that requests may address it by."""
        return frozenset([*LOOPBACK, *self._given, urlsplit(self.url).hostname or ""])

    def confirm_user(self, user_id: int) -> User:
        """Confirm a pending user's registration, so that their accounts no longer wait for it."""
        return self.world.confirm_user(user_id)

    def verify_account(self, account_id: int) -> Account:
        """Complete a merchant's verification, so that the account becomes active."""
        return self.change_account(account_id, "active")

    def change_account(
        self, account_id: int, state: AccountState, *, reason: str = "fraud"
    ) -> Account:
        """Move an account to another state, as WePay would, and queue the IPN.

        :param reason: why it is disabled: one of WePay's reasons.
        """
        check_choice("state", state, get_args(AccountState))
        account = self.world.ledger.accounts[account_id]
        reasons = [reason] if state == "disabled" else []
        self.world.ledger.change_account(account, state, *reasons)
        return account

    def change_card(self, credit_card_id: int, state: CardState) -> Card:
        """Move a card to another state, such as "invalid", and queue the IPN."""
        check_choice("state", state, get_args(CardState))
        card = self.world.wallet.card(credit_card_id)
        self.world.wallet.change_card(card, state)
        return card

    def pay(self, checkout_id: int, *, state: CheckoutState = "authorized") -> Checkout:
        """Move a payment to another state, as its payer or WePay would, and queue the IPN.

        :param state: "authorized", "captured", "released", "failed" or another state of WePay's.
        :raises ValueError: if the state is unknown, or the payment waits for a call.
        """
        check_choice("state", state, get_args(CheckoutState))
        checkout = self.world.ledger.checkout(checkout_id)
        waits_for = checkout.call_for(state)
        if waits_for:
            raise ValueError(f"This payment is {state} by the call {waits_for} only.")
        self.world.ledger.change_checkout(checkout, state)
        return checkout

    def pay_at(self, checkout_uri: str, *, decline: bool = False) -> str:
        """Pay as a payer at the hosted page, and return the URL to go back to.

        :param checkout_uri: where the application sent the browser.
        :param decline: let the card be declined instead.
        :raises LookupError: if the checkout is unknown, or has no URL to go back to.
        """
        return self._decide("pay", checkout_uri, "decline" if decline else "pay")

    def approve_at(self, preapproval_uri: str) -> str:
        """Consent to later payments as a payer, and return the URL to go back to.

        :raises LookupError: if the preapproval is unknown, or has no URL to go back to.
        """
        return self._decide("approve", preapproval_uri, "approve")

    def update_at(self, uri: str) -> str:
        """Submit a merchant's details to WePay, and return the URL to go back to.

        :param uri: what ``/account/get_update_uri`` answered.
        :raises LookupError: if the account is unknown, or has no URL to go back to.
        """
        return self._decide("update", uri, "update")

    def withdraw_at(self, withdrawal_uri: str) -> str:
        """Send the money to the bank as a merchant, and return the URL to go back to.

        :raises LookupError: if the withdrawal is unknown, or has no URL to go back to.
        """
        return self._decide("withdraw", withdrawal_uri, "withdraw")

    def change_preapproval(self, preapproval_id: int, state: PreapprovalState) -> Preapproval:
        """Move a preapproval to another state, such as "stopped", and queue the IPN."""
        check_choice("state", state, get_args(PreapprovalState))
        preapproval = self.world.wallet.preapproval(preapproval_id)
        self.world.wallet.change_preapproval(preapproval, state)
        return preapproval

    def change_withdrawal(self, withdrawal_id: int, state: WithdrawalState) -> Withdrawal:
        """Move a withdrawal to another state, such as "captured", and queue the IPN."""
        check_choice("state", state, get_args(WithdrawalState))
        withdrawal = self.world.ledger.withdrawal(withdrawal_id)
        self.world.ledger.change_withdrawal(withdrawal, state)
        return withdrawal

    def _decide(self, what: str, address: str, decision: str) -> str:
        parts = urlsplit(address)
        back = parts.path
        # The sandbox itself built the URL, from the port that the application used.
        if parts.hostname in self.names:
            client = self.app.test_client()
            answer = client.post(parts.path, base_url=self.url, data={"decision": decision})
            back = answer.headers.get("Location", parts.path)
        if back == parts.path:
            raise LookupError(f"Nothing to {what} that leads back to an application: {address}")
        return back
