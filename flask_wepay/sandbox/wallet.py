"""Payment methods that WePay stores: cards and preapprovals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import RLock
from typing import Any

from .ipns import IPNQueue
from .objects import (
    CARD_LIFETIME,
    PREAPPROVAL_LIFETIME,
    Card,
    CardState,
    Preapproval,
    PreapprovalState,
)


class Wallet:
    """The payment methods of a world, which shares its clock, lock, IPNs and ids."""

    def __init__(
        self, clock: Callable[[], float], lock: RLock, ipns: IPNQueue, ids: Iterator[int]
    ) -> None:
        self._clock = clock
        self._lock = lock
        self._ipns = ipns
        self._ids = ids
        self.cards: dict[int, Card] = {}
        self.preapprovals: dict[int, Preapproval] = {}

    def add_card(self, client_id: int, **details: Any) -> Card:
        """Store a card for an application."""
        with self._lock:
            card = Card(next(self._ids), client_id, create_time=int(self._clock()), **details)
            self.cards[card.credit_card_id] = card
            return card

    def card(self, credit_card_id: int) -> Card:
        """Return a card, which expires if unused, or raise :exc:`LookupError`."""
        with self._lock:
            card = self.cards[credit_card_id]
            if card.state == "new" and card.create_time + CARD_LIFETIME <= self._clock():
                self.change_card(card, "expired")
            return card

    def cards_of(self, client_id: int) -> list[Card]:
        """Return the cards of an application that are not deleted, oldest first."""
        with self._lock:
            cards = [self.card(credit_card_id) for credit_card_id in self.cards]
        return [card for card in cards if card.client_id == client_id and card.state != "deleted"]

    def change_card(self, card: Card, state: CardState) -> None:
        """Move a card to another state, and queue the IPN."""
        with self._lock:
            card.state = state
            self._ipns.tell(card.callback_uri, credit_card_id=card.credit_card_id)

    def add_preapproval(self, client_id: int, **details: Any) -> Preapproval:
        """Create a preapproval."""
        with self._lock:
            now = int(self._clock())
            details = {"start_time": now, **details}
            preapproval = Preapproval(next(self._ids), client_id, create_time=now, **details)
            self.preapprovals[preapproval.preapproval_id] = preapproval
            return preapproval

    def preapproval(self, preapproval_id: int) -> Preapproval:
        """Return a preapproval, which ends when its time is over, or raise :exc:`LookupError`."""
        with self._lock:
            preapproval = self.preapprovals[preapproval_id]
            now = self._clock()
            abandoned = preapproval.create_time + PREAPPROVAL_LIFETIME <= now
            over = preapproval.end_time is not None and preapproval.end_time <= now
            if preapproval.state == "new" and abandoned:
                self.change_preapproval(preapproval, "expired")
            elif preapproval.state == "approved" and over:
                self.change_preapproval(preapproval, "completed")
            return preapproval

    def all_preapprovals(self) -> list[Preapproval]:
        """Return all preapprovals, oldest first."""
        with self._lock:
            return [self.preapproval(preapproval_id) for preapproval_id in self.preapprovals]

    def change_preapproval(self, preapproval: Preapproval, state: PreapprovalState) -> None:
        """Move a preapproval to another state, and queue the IPN."""
        with self._lock:
            preapproval.state = state
            self._ipns.tell(preapproval.callback_uri, preapproval_id=preapproval.preapproval_id)
