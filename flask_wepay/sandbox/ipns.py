"""Instant payment notifications: the queue, and WePay's retries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from threading import RLock

import requests

#: Seconds from a failed delivery to the next one: 15 min, 30 min, 1 h, 6 h, 12 h, 24 h.
#: https://developer.wepay.com/docs/articles/ipn
RETRIES = (900, 1800, 3600, 21600, 43200, 86400)

#: Sends the fields to the URL as a form, and returns the HTTP status.
Post = Callable[[str, Mapping[str, str]], int]


@dataclass
class Attempt:
    """An attempt to deliver."""

    at: float
    #: The HTTP status, or None without an answer.
    status: int | None
    problem: str = ""


@dataclass
class IPN:
    """A notification, which names an object, but not what happened to it.

    .. versionadded:: 1.0
    """

    ipn_id: int
    callback_uri: str
    fields: dict[str, str]
    created_at: float
    #: The time of its next delivery, or None after the last one.
    due_at: float | None
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def delivered(self) -> bool:
        """Whether a receiver answered with HTTP 200 (bool)."""
        return bool(self.attempts) and self.attempts[-1].status == 200

    @property
    def state(self) -> str:
        """Its state: "waiting", "retrying", "delivered" or "given up"."""
        if self.delivered:
            return "delivered"
        if self.due_at is None:
            return "given up"
        return "retrying" if self.attempts else "waiting"


class IPNQueue:
    """The notifications of a world, oldest first."""

    def __init__(self, clock: Callable[[], float], lock: RLock) -> None:
        self._clock = clock
        self._lock = lock
        self._ids = count(1)
        self._ipns: list[IPN] = []

    def add(self, callback_uri: str, **fields: object) -> IPN:
        """Queue a notification for immediate delivery."""
        with self._lock:
            now = self._clock()
            texts = {name: str(value) for name, value in fields.items()}
            ipn = IPN(next(self._ids), callback_uri, texts, now, now)
            self._ipns.append(ipn)
            return ipn

    def tell(self, callback_uri: str | None, **fields: object) -> None:
        """Queue a notification for an object that has a callback_uri."""
        if callback_uri:
            self.add(callback_uri, **fields)

    def all(self) -> list[IPN]:
        """Return all notifications."""
        with self._lock:
            return list(self._ipns)

    def due(self) -> list[IPN]:
        """Return the notifications that are due."""
        with self._lock:
            now = self._clock()
            return [ipn for ipn in self._ipns if ipn.due_at is not None and ipn.due_at <= now]

    def get(self, ipn_id: int) -> IPN:
        """Return a notification, or raise :exc:`LookupError`."""
        with self._lock:
            for ipn in self._ipns:
                if ipn.ipn_id == ipn_id:
                    return ipn
        raise LookupError(f"There is no IPN {ipn_id}.")

    def fail(self, ipn: IPN) -> None:
        """Record a failed delivery, as if the receiver had answered with an error."""
        self._note(ipn, 500, "failed by hand")

    def replay(self, ipn: IPN) -> IPN:
        """Queue a duplicate of a notification."""
        return self.add(ipn.callback_uri, **ipn.fields)

    def deliver(self, ipn: IPN, post: Post | None = None) -> Attempt:
        """Deliver a notification now, and record the attempt."""
        try:
            status = (post or post_over_http)(ipn.callback_uri, ipn.fields)
        except (requests.RequestException, OSError) as error:
            return self._note(ipn, None, type(error).__name__)
        return self._note(ipn, status, "" if status == 200 else f"HTTP {status}")

    def deliver_due(self, post: Post | None = None) -> list[IPN]:
        """Deliver all notifications that are due, oldest first, and return them."""
        due = self.due()
        for ipn in due:
            self.deliver(ipn, post)
        return due

    def _note(self, ipn: IPN, status: int | None, problem: str) -> Attempt:
        with self._lock:
            attempt = Attempt(self._clock(), status, problem)
            ipn.attempts.append(attempt)
            failures = len(ipn.attempts)
            over = status == 200 or failures > len(RETRIES)
            ipn.due_at = None if over else attempt.at + RETRIES[failures - 1]
            return attempt


def post_over_http(callback_uri: str, fields: Mapping[str, str]) -> int:
    """Send a form over the network, and return the HTTP status; redirects are not followed."""
    with requests.Session() as session:
        # Ignore the proxies and the netrc of the developer's machine.
        session.trust_env = False
        answer = session.post(callback_uri, data=fields, timeout=10, allow_redirects=False)
        return answer.status_code
