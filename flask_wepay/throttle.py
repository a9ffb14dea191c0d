"""One budget for all calls to WePay, so that a flood of logins can't stop payments.

WePay allows 30 calls in 10 seconds per application:
https://developer.wepay.com/docs/articles/throttling
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from limits import RateLimitItem, parse
from limits.errors import ConfigurationError as LimitsConfigurationError
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from .errors import ConfigurationError, Throttled

__all__ = ["COMMANDS", "EXCHANGES", "LOOKUPS", "Throttle", "storage_of"]

#: What strangers can cause, and what asks about everybody, draws on a share of the budget:
#: one part in so many. All three together leave something to payments.
EXCHANGES = "exchanges"
LOOKUPS = "look-ups"
COMMANDS = "commands"
_SHARES = {EXCHANGES: 3, LOOKUPS: 5, COMMANDS: 3}
#: Seconds between two warnings, and between two tries of a storage that is away.
WARN_EVERY = 60.0
TRY_EVERY = 5.0

_logger = logging.getLogger("flask_wepay")


class Throttle:
    """The budget of one application at WePay, shared by all that share the storage."""

    def __init__(self, limit: str | None, storage_uri: str, application: str) -> None:
        self._application = application
        self._total = None if limit is None else _parse(limit)
        self._limiter = None if limit is None else MovingWindowRateLimiter(storage_of(storage_uri))
        self._away_until = 0.0
        self._warned_at = -WARN_EVERY

    def acquire(self, call: str, share: str | None = None) -> None:
        """Take one call out of the budget, and out of a share of it where one is named.

        With the storage away calls go on, and a warning is logged once a minute.

        :raises Throttled: if there is none left; nothing was sent.
        """
        if self._total is None or self._limiter is None or time.monotonic() < self._away_until:
            return
        items = [(self._total, "calls")]
        if share is not None:
            amount = max(1, self._total.amount // _SHARES[share])
            items.insert(0, (type(self._total)(amount, self._total.multiples), share))
        try:
            for item, name in items:
                seconds = self._take(item, name)
                if seconds:
                    raise _throttled(call, item, name, seconds)
        except StorageError:
            self._warn()

    def _take(self, item: RateLimitItem, name: str) -> float:
        """Take one call out of a budget; return 0, or the seconds until one is left."""
        assert self._limiter is not None
        if self._limiter.hit(item, self._application, name):
            return 0.0
        reset_time, _ = self._limiter.get_window_stats(item, self._application, name)
        seconds = reset_time - time.time()
        if seconds <= item.get_expiry() + 1:
            return max(0.01, seconds)
        # Our clock was set back: by it what was noted before lies in the future.
        self._limiter.clear(item, self._application, name)
        admitted = self._limiter.hit(item, self._application, name)
        return 0.0 if admitted else float(item.get_expiry())

    def _warn(self) -> None:
        now = time.monotonic()
        self._away_until = now + TRY_EVERY
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            _logger.warning(
                "'WEPAY_THROTTLE_STORAGE' does not answer; calls to WePay go on unthrottled."
            )


def _throttled(call: str, item: RateLimitItem, name: str, seconds: float) -> Throttled:
    return Throttled(
        f"{call!r} was not sent: our own budget of {item} for {name} is used up."
        " Try again after 'retry_after' seconds, or let the call wait with wait=seconds.",
        call=call,
        retry_after=seconds,
    )


def _parse(limit: str) -> RateLimitItem:
    try:
        return parse(limit)
    except ValueError:
        raise ConfigurationError.of(
            "WEPAY_THROTTLE", f"is {limit!r}", 'write it as "30 per 10 seconds", or None for off'
        ) from None


def storage_of(uri: str) -> Any:
    """Return the storage of a `limits` URI.

    :raises ConfigurationError: if it is no such URI, or its package is not installed.
    """
    # A storage that hangs must not hold payments up.
    remote = re.match("redis|valkey", uri)
    patience = {"socket_timeout": 1, "socket_connect_timeout": 1} if remote else {}
    try:
        storage = storage_from_string(uri, wrap_exceptions=True, **patience)
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
        'give a URI of the limits library such as "memory://" or "redis://localhost:6379/0", and'
        " install Flask-WePay[redis] for Redis",
    )
