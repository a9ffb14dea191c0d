"""A moving window that counts the recent calls of this process."""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

__all__ = ["Budget", "Full", "MovingWindows"]


class Budget(NamedTuple):
    """A limit: at most `amount` calls of one name in any `seconds` seconds."""

    name: str
    amount: int
    seconds: int
    #: The window in words, such as "10 seconds".
    window: str
    #: The owner of the call, and the most calls of one owner.
    owner: str | None = None
    amount_per_owner: int = 0


class Full(NamedTuple):
    """A limit that is reached: its number of calls, and the seconds until the next one."""

    budget: Budget
    amount: int
    seconds: float


class MovingWindows:
    """The times of the calls of one process, with their owners, by limit."""

    def __init__(self) -> None:
        self._start(os.getpid())

    def _start(self, pid: int) -> None:
        # A fork may have copied the lock while another thread held it.
        self._pid, self._lock = pid, Lock()
        self._calls: dict[str, deque[tuple[float, str | None]]] = defaultdict(deque)

    def take(self, budgets: Sequence[Budget]) -> Full | None:
        """Count a call against all of the limits, or against none if one is reached."""
        if self._pid != os.getpid():
            self._start(os.getpid())
        with self._lock:
            now = time.time()
            for budget in budgets:
                calls = self._calls[budget.name]
                while calls and calls[0][0] <= now - budget.seconds:
                    calls.popleft()
                # The clock was set back; these calls would count until it has caught up.
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
