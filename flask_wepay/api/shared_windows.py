"""A moving window in a storage that workers and machines share, with the limits library."""

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
    """The times of the calls of all processes that share a storage."""

    def __init__(self, uri: Secret, application: str) -> None:
        self._application = application
        self._limiter = MovingWindowRateLimiter(storage_of(uri))

    def take(self, budgets: Sequence[Budget]) -> Full | None:
        """Count a call against each limit in turn, until one is reached.

        :raises StorageError: if the storage doesn't answer.
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
        # Our clock was set back, so the recorded calls lie in the future.
        self._limiter.clear(item, *key)
        return 0.0 if self._limiter.hit(item, *key) else float(item.multiples)


def _limits(budget: Budget) -> Iterator[tuple[Any, ...]]:
    """Yield each limit with its key, the owner's first."""
    if budget.owner is not None:
        # An owner may be an e-mail address, which doesn't belong in a shared storage.
        owner = sha256(budget.owner.encode(errors="surrogatepass")).hexdigest()[:32]
        yield budget.amount_per_owner, budget.name, owner
    yield budget.amount, budget.name


def storage_of(uri: Secret) -> Any:
    """Return the storage of a `limits` URI.

    :raises ConfigurationError: if the URI is invalid, or its package isn't installed.
    """
    # A storage that hangs must not delay payments.
    remote = re.match("redis|valkey", uri.value)
    patience = {"socket_timeout": 1, "socket_connect_timeout": 1} if remote else {}
    try:
        storage = storage_from_string(uri.value, wrap_exceptions=True, **patience)
        MovingWindowRateLimiter(storage)
    except LimitsConfigurationError:
        # Its own message contains the whole URI, with the password.
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
