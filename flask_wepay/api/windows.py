"""A moving window: how many calls were made in the last seconds, in this process."""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

__all__ = ["Budget", "Full", "MovingWindows"]


class Budget(NamedTuple):
    """So many calls at most, of one name, in any window of so many seconds."""

    name: str
    amount: int
    seconds: int
    #: The window in words, such as "10 seconds".
    window: str
    #: Whose call it is, and how many of the calls may be one owner's.
    owner: str | None = None
    amount_per_owner: int = 0


class Full(NamedTuple):
    """A budget that is used up: of how many calls, and for how many seconds."""

    budget: Budget
    amount: int
    seconds: float


class MovingWindows:
    """The times of the calls of one process, with their owners, by budget."""

    def __init__(self) -> None:
        self._start(os.getpid())

    def _start(self, pid: int) -> None:
        # A fork may have copied the lock while another thread held it.
        self._pid, self._lock = pid, Lock()
        self._calls: dict[str, deque[tuple[float, str | None]]] = defaultdict(deque)

    def take(self, budgets: Sequence[Budget]) -> Full | None:
        """Take a call out of all of the budgets, or out of none if one is used up."""
        if self._pid != os.getpid():
            self._start(os.getpid())
        with self._lock:
            now = time.time()
            for budget in budgets:
                calls = self._calls[budget.name]
                while calls and calls[0][0] <= now - budget.seconds:
                    calls.popleft()
                # The clock was set back: these would be waited for until it has caught up.
                while calls and calls[-1][0] > now:
                    calls.pop()
                counted, amount = calls, budget.amount
                if len(calls) < amount and budget.owner is not None:
                    counted = deque(call for call in calls if call[1] == budget.owner)
                    amount = budget.amount_per_owner
                if len(counted) >= amount:
                    seconds = counted[0][0] + budget.seconds - now
                    return Full(budget, amount, max(0.01, seconds))
            for budget in budgets:
                self._calls[budget.name].append((now, budget.owner))
        return None
