"""The same windows in a storage that workers and machines share, by the library limits."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from limits import RateLimitItemPerSecond
from limits.errors import ConfigurationError as LimitsConfigurationError
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from ..errors import ConfigurationError
from ..tokens import Secret
from .windows import Budget, Full

__all__ = ["SharedWindows", "StorageError", "storage_of"]


class SharedWindows:
    """The times of the calls of all that share a storage."""

    def __init__(self, uri: Secret, application: str) -> None:
        self._application = application
        self._limiter = MovingWindowRateLimiter(storage_of(uri))

    def take(self, budgets: Sequence[Budget]) -> Full | None:
        """Take a call out of each budget in turn, until one is used up.

        :raises StorageError: if the storage does not answer.
        """
        for budget in budgets:
            for amount, *key in _limits(budget):
                seconds = self._take(RateLimitItemPerSecond(amount, budget.seconds), key)
                if seconds:
                    return Full(budget, amount, seconds)
        return None

    def _take(self, item: RateLimitItemPerSecond, key: Sequence[str]) -> float:
        key = self._application, *key
        if self._limiter.hit(item, *key):
            return 0.0
        reset_time, _ = self._limiter.get_window_stats(item, *key)
        seconds = reset_time - time.time()
        if seconds <= item.multiples + 1:
            return max(0.01, seconds)
        # Our clock was set back: by it what was noted before lies in the future.
        self._limiter.clear(item, *key)
        return 0.0 if self._limiter.hit(item, *key) else float(item.multiples)


def _limits(budget: Budget) -> Iterator[tuple[Any, ...]]:
    """Give each limit of a budget and its key, an owner's first."""
    if budget.owner is not None:
        # An owner may be an e-mail address, which is nobody's business in a shared storage.
        owner = sha256(budget.owner.encode(errors="surrogatepass")).hexdigest()[:32]
        yield budget.amount_per_owner, budget.name, owner
    yield budget.amount, budget.name


def storage_of(uri: Secret) -> Any:
    """Return the storage of a `limits` URI.

    :raises ConfigurationError: if it is no such URI, or its package is not installed.
    """
    # A storage that hangs must not hold payments up.
    remote = re.match("redis|valkey", uri.value)
    patience = {"socket_timeout": 1, "socket_connect_timeout": 1} if remote else {}
    try:
        storage = storage_from_string(uri.value, wrap_exceptions=True, **patience)
        MovingWindowRateLimiter(storage)
    except LimitsConfigurationError:
        # Its own text has the whole URI in it, and so the password.
        what = "needs a package that is not installed" if remote else "has an unknown scheme"
    except (NotImplementedError, ValueError, AssertionError, TypeError) as error:
        what = f"can't be used for a moving window ({type(error).__name__})"
    else:
        return storage
    raise ConfigurationError.of(
        "WEPAY_THROTTLE_STORAGE",
        what,
        'give "memory://", or a URI of the limits library such as "redis://localhost:6379/0" with'
        " Flask-WePay[redis] installed",
    )
