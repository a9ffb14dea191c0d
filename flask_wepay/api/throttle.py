"""The rate limit of calls to WePay, shared out so that logins can't stop payments.

WePay allows 30 calls in 10 seconds per application:
https://developer.wepay.com/docs/articles/throttling
"""

from __future__ import annotations

import logging
import re
import time
from typing import Any

from ..errors import ConfigurationError, Throttled
from ..tokens import Secret
from .windows import Budget, Full, MovingWindows

__all__ = ["COMMANDS", "EXCHANGES", "IPNS", "LOOKUPS", "Throttle", "shared_storage"]

#: Calls that strangers can cause, and commands that ask about every user, have a share of the
#: rate limit: 1/3 or 1/5 of it. All shares together leave some of it to payments.
EXCHANGES = "exchanges"
LOOKUPS = "login lookups"
IPNS = "IPN lookups"
COMMANDS = "commands"
_SHARES = {EXCHANGES: 3, LOOKUPS: 5, IPNS: 5, COMMANDS: 5}
#: A single owner has 1/2 of a share: three attempts at a lookup, by default.
_OWNERS = 2
#: The lowest rate limit that leaves two owners an exchange each, and some calls to payments.
_LEAST = 6
#: Seconds between two warnings, and between two attempts to use a storage that is down.
WARN_EVERY = 60.0
TRY_EVERY = 5.0

_LIMIT = re.compile(r"(\d{1,9}) *(?:/|per) *(\d{1,9})? *(second|minute|hour|day)s?")
_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}

_logger = logging.getLogger("flask_wepay")


class Throttle:
    """The rate limit of one application at WePay, shared by all who share the storage."""

    def __init__(self, limit: str | None, storage_uri: Secret, application: str) -> None:
        self._limit = limit
        self._total = None if limit is None else _parse(limit)
        self._windows: Any = MovingWindows()
        self._storage_error: type[Exception] | tuple[()] = ()
        if limit is not None and not storage_uri.value.startswith("memory:"):
            shared = shared_storage()
            self._windows = shared.SharedWindows(storage_uri, application)
            self._storage_error = shared.StorageError
        self._away_until = 0.0
        self._warned_at = -WARN_EVERY

    def acquire(self, call: str, share: str | None = None, owner: str | None = None) -> None:
        """Count a call against the rate limit, and against a share of it if one is named.

        One owner can use only a part of a share, so that other owners have theirs. While the
        storage is down, calls are not limited, and a warning is logged once a minute.

        :raises Throttled: if a limit is reached; nothing was sent.
        """
        if self._total is None or time.monotonic() < self._away_until:
            return
        budgets = [self._total]
        if share is not None:
            amount = self._total.amount // _SHARES[share]
            part = self._total._replace(
                name=share, amount=amount, owner=owner, amount_per_owner=max(1, amount // _OWNERS)
            )
            budgets.insert(0, part)
        try:
            full = self._windows.take(budgets)
        except self._storage_error:
            self._warn()
        else:
            if full is not None:
                raise self._throttled(call, full)

    def _warn(self) -> None:
        now = time.monotonic()
        self._away_until = now + TRY_EVERY
        if now - self._warned_at >= WARN_EVERY:
            self._warned_at = now
            _logger.warning(
                "'WEPAY_THROTTLE_STORAGE' does not answer; calls to WePay go on without a rate"
                " limit."
            )

    def _throttled(self, call: str, full: Full) -> Throttled:
        budget = full.budget
        return Throttled(
            f"{call!r} was not sent: the local rate limit of {full.amount} {budget.name} per"
            f" {budget.window} is reached. Retry after 'retry_after' seconds, or let the call"
            " wait with wait=seconds.",
            call=call,
            retry_after=full.seconds,
        )


def shared_storage() -> Any:
    """Return the module that counts in a shared storage, which needs an extra.

    :raises ConfigurationError: if the extra isn't installed.
    """
    try:
        from . import shared_windows
    except ModuleNotFoundError:
        raise ConfigurationError.of(
            "WEPAY_THROTTLE_STORAGE",
            "needs a package that is not installed",
            "install Flask-WePay[redis]",
        ) from None
    return shared_windows


def _parse(limit: str) -> Budget:
    match = _LIMIT.fullmatch(limit.strip().lower())
    amount, multiples, unit = match.groups() if match else ("0", None, "second")
    window = f"{multiples} {unit}s" if multiples else unit
    budget = Budget("calls", int(amount), int(multiples or 1) * _UNITS[unit], window)
    if not budget.amount or not budget.seconds:
        raise ConfigurationError.of(
            "WEPAY_THROTTLE",
            f"is {limit!r}",
            'write it as "30 per 10 seconds", or None to turn it off',
        )
    if budget.amount < _LEAST:
        raise ConfigurationError.of(
            "WEPAY_THROTTLE",
            f"is {limit!r}, and fewer than {_LEAST} calls can't be divided between logins, IPNs"
            " and payments",
            'give a longer window, such as "10 per 10 seconds" for "1 per second"',
        )
    return budget
