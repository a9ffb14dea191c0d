"""WePay's state and its rules, in memory: no Flask and no HTTP."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from threading import RLock
from typing import Any, Literal

from .answers import Refused
from .ipns import IPNQueue
from .ledger import Ledger
from .objects import (
    CODE_LIFETIME,
    SCOPES,
    Application,
    Code,
    Environment,
    Token,
    User,
)
from .wallet import Wallet

#: The ready-made application.
CLIENT_ID = 12345
CLIENT_SECRET = "1a2b3c4d5e6f"

#: The rate limit of an application: calls, and seconds.
THROTTLE_CALLS, THROTTLE_SECONDS = 30, 10

PREFIXES: dict[Environment, str] = {"stage": "STAGE_", "production": "PRODUCTION_"}


#: The last second of the year 9999.
END_OF_TIME = 253_402_300_799


class Clock:
    """The clock of a world, which you can move, set and stop; call it for the time.

    .. versionadded:: 1.0
    """

    def __init__(self, base: Callable[[], float] = time.time) -> None:
        self._base = base
        self._moved = 0.0
        self._stands_at: float | None = None

    def __call__(self) -> float:
        """Return the world's time in seconds since 1970."""
        stands_at = self._stands_at
        return self._base() + self._moved if stands_at is None else stands_at

    @property
    def frozen(self) -> bool:
        """Whether the clock is stopped (bool)."""
        return self._stands_at is not None

    def move(self, seconds: float) -> None:
        """Move the clock forward by a number of seconds, or back by a negative one."""
        self.set(self() + seconds, frozen=self.frozen)

    def set(self, at: float, *, frozen: bool = False) -> None:
        """Set the clock to a time in seconds since 1970, from which it continues, or stop it there.

        :raises ValueError: if the time is before 1970 or after 9999.
        """
        if not 0 <= at <= END_OF_TIME:
            raise ValueError(f"The time must be between 1970 and 9999, not {at!r} seconds.")
        self._moved = at - self._base()
        self._stands_at = at if frozen else None

    def reset(self) -> None:
        """Return to real time."""
        self._moved, self._stands_at = 0.0, None


class Ids(Iterator[int]):
    """The ids of a world's objects: from 100001 on, and those that you choose."""

    def __init__(self) -> None:
        self._next = count(100001)
        self._taken: set[int] = set()

    def __next__(self) -> int:
        return next(number for number in self._next if number not in self._taken)

    def take(self, number: int) -> int:
        """Reserve this id, and return it."""
        self._taken.add(number)
        return number


class World:
    """The applications, users, tokens and payments of a WePay environment.

    :param clock: a function that returns the time in seconds since 1970, if not a :class:`Clock`.
    :param environment: determines the prefix of its tokens.
    :param ready_made: start with the application 12345 and two registered users.
    :param start: called with the new world, and again after each reset: a function that adds
        objects or sets switches, or a :class:`Seed`.
    :param random_seed: makes tokens and codes reproducible.

    .. versionadded:: 1.0
    """

    def __init__(
        self,
        clock: Callable[[], float] | None = None,
        *,
        environment: Environment = "stage",
        ready_made: bool = True,
        start: Callable[[World], object] | None = None,
        random_seed: int | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.environment: Environment = environment
        #: Whether a denial returns the state; it is unknown what WePay does.
        self.state_on_denial = True
        #: Whether requests must be as documented; otherwise the sandbox accepts what WePay was
        #: observed to accept, and the log notes what a strict sandbox would have refused.
        self.strict = True
        #: Seconds until tokens expire; None means never, and "absent" omits it from answers.
        self.expires_in: int | Literal["absent"] | None = None
        #: Whether the rate limit of 30 calls in 10 seconds is enforced.
        self.throttled = False
        #: Whether an exchange causes IPNs for the tokens it revokes; it is unknown what WePay does.
        self.ipn_on_replacement = False
        #: Whether ``/user`` returns a deleted user instead of the error 7003.
        self.shows_deleted_users = False
        #: One lock for everything: nothing waits while it holds the lock.
        self.lock = RLock()
        self.ipns = IPNQueue(self.clock, self.lock)
        self.applications: dict[int, Application] = {}
        self.users: dict[int, User] = {}
        self.codes: dict[str, Code] = {}
        self.tokens: dict[str, Token] = {}
        self._ids = Ids()
        self._random_seed = random_seed
        # Reproducible values are not secret, but a sandbox has no secrets.
        self._random = (
            random.SystemRandom() if random_seed is None else random.Random(random_seed)  # noqa: S311
        )
        self.ledger = Ledger(self.clock, self.lock, self.ipns, self._ids)
        self.wallet = Wallet(self.clock, self.lock, self.ipns, self._ids)
        self._calls: dict[int, deque[float]] = {}
        self._ready_made = ready_made
        self._start = start
        if ready_made:
            self.add_application(CLIENT_ID, CLIENT_SECRET)
            self.add_user("bill@example.com", "Bill Baker")
            self.add_user("mary@example.com", "Mary Miller")
        if start is not None:
            start(self)

    def anew(self) -> World:
        """Return a world like this one at its start, with the same clock, reset to real time."""
        if isinstance(self.clock, Clock):
            self.clock.reset()
        return World(
            self.clock,
            environment=self.environment,
            ready_made=self._ready_made,
            start=self._start,
            random_seed=self._random_seed,
        )

    def take_id(self, wanted: int | None = None) -> int:
        """Return this id, and don't use it for another object, or return the next one."""
        with self.lock:
            return next(self._ids) if wanted is None else self._ids.take(wanted)

    # Applications

    def add_application(self, client_id: int, client_secret: str, **details: Any) -> Application:
        """Register an application; `details` are further fields of :class:`Application`."""
        with self.lock:
            application = Application(client_id, client_secret, **details)
            self.applications[client_id] = application
            return application

    def application(self, client_id: int, client_secret: str | None = None) -> Application:
        """Return an active application, and check its secret if one is given."""
        with self.lock:
            application = self.applications.get(client_id)
        if application is None:
            raise Refused(1003, "invalid client_id parameter", error="invalid_client")
        if client_secret is not None and client_secret != application.client_secret:
            raise Refused(1003, "invalid client_secret parameter", error="invalid_client")
        if application.state != "active":
            raise Refused(1010, f"the application is {application.state}")
        return application

    def count_call(self, client_id: int) -> None:
        """Count a call, and refuse it with 1007 if the rate limit is enforced and exceeded."""
        with self.lock:
            calls = self._calls.setdefault(client_id, deque())
            now = self.clock()
            while calls and calls[0] <= now - THROTTLE_SECONDS:
                calls.popleft()
            if self.throttled and len(calls) >= THROTTLE_CALLS:
                raise Refused(1007)
            calls.append(now)

    # Users

    def add_user(
        self,
        email: str,
        name: str = "",
        *,
        user_id: int | None = None,
        country: str = "US",
        state: Literal["pending", "registered", "deleted"] = "registered",
    ) -> User:
        """Register a user; the default name is derived from the e-mail address."""
        with self.lock:
            known = self.user_by_email(email)
            if known is not None:
                raise ValueError(f"There is a user {email!r} already: {known.user_id}.")
            if user_id in self.users:
                raise ValueError(f"There is a user {user_id} already.")
            first, _, last = (name or email.partition("@")[0].title()).partition(" ")
            user_id = self.take_id(user_id)
            user = User(user_id, email, first, last, country, state)
            self.users[user_id] = user
            return user

    def user_by_email(self, email: str) -> User | None:
        """Return the user with this e-mail address, or None."""
        with self.lock:
            for user in self.users.values():
                if user.email.lower() == email.lower() and user.state != "deleted":
                    return user
        return None

    def delete_user(self, user_id: int) -> None:
        """Delete a user: the tokens stop working, and an IPN is queued for each."""
        with self.lock:
            self.users[user_id].state = "deleted"
            for token in self.living_tokens(user_id):
                self.ipns.tell(token.callback_uri, user_id=token.user_id)

    def confirm_user(self, user_id: int) -> User:
        """Confirm a pending registration: the token and the user's accounts remain."""
        with self.lock:
            user = self.users[user_id]
            if user.state != "pending":
                raise ValueError(f"The user {user_id} is {user.state}, not pending.")
            user.state = "registered"
            for token in self.living_tokens(user_id):
                token.expires_in = None
            for account in self.ledger.accounts.values():
                if account.owner_user_id == user_id and account.state == "pending":
                    self.ledger.change_account(account, "action_required")
            return user

    # Codes and tokens

    def issue_code(self, client_id: int, user_id: int, redirect_uri: str) -> Code:
        """Return a new code, valid for one exchange within ten minutes."""
        with self.lock:
            expires_at = self.clock() + CODE_LIFETIME
            code = Code(self._opaque(), client_id, user_id, redirect_uri, expires_at)
            self.codes[code.code] = code
            return code

    def exchange(
        self, client_id: int, code: str, redirect_uri: str, callback_uri: str | None = None
    ) -> Token:
        """Exchange a code for a token, and revoke all earlier ones of the application and user."""
        with self.lock:
            known = self.codes.get(code)
            if known is None or known.used:
                raise Refused(1003, "invalid code parameter")
            if known.client_id != client_id:
                raise Refused(1013)
            if known.expires_at <= self.clock():
                raise Refused(1012)
            if known.redirect_uri != redirect_uri:
                raise Refused(1003, "the redirect_uri does not match the one given to authorize")
            if self.users[known.user_id].state == "deleted":
                raise Refused(7003)
            known.used = True
            return self.issue_token(client_id, known.user_id, callback_uri=callback_uri)

    def issue_token(
        self,
        client_id: int,
        user_id: int,
        *,
        callback_uri: str | None = None,
        scope: Iterable[str] = SCOPES,
        lifetime: int | None = None,
        access_token: str | None = None,
    ) -> Token:
        """Return a new token, and revoke all earlier ones of the application and user."""
        with self.lock:
            for earlier in self.living_tokens(user_id, client_id):
                self._end(earlier, "replaced")
                if self.ipn_on_replacement:
                    self.ipns.tell(earlier.callback_uri, user_id=earlier.user_id)
            # WePay's tokens are opaque: only their prefix is known.
            access_token = access_token or PREFIXES[self.environment] + self._opaque()
            if lifetime is None and self.expires_in != "absent":
                lifetime = self.expires_in
            token = Token(
                access_token,
                client_id,
                user_id,
                self.clock(),
                tuple(scope),
                lifetime,
                callback_uri,
            )
            self.tokens[access_token] = token
            return token

    def living_tokens(self, user_id: int, client_id: int | None = None) -> list[Token]:
        """Return the active tokens of a user, of one application or of all."""
        with self.lock:
            return [
                token
                for token in self.tokens.values()
                if token.user_id == user_id
                and token.revoked_at is None
                and client_id in (None, token.client_id)
            ]

    def revoke(self, user_id: int, client_id: int | None = None) -> list[Token]:
        """Revoke a user's tokens, as the user does in the settings, and queue the IPNs."""
        with self.lock:
            tokens = self.living_tokens(user_id, client_id)
            for token in tokens:
                self._end(token, "user")
                self.ipns.tell(token.callback_uri, user_id=token.user_id)
            return tokens

    def authenticate(self, access_token: str) -> Token:
        """Return the active token of a Bearer header, or refuse it."""
        other: Environment = "stage" if self.environment == "production" else "production"
        if access_token.startswith(PREFIXES[other]):
            raise Refused(
                1006,
                f"You are trying to use an access_token from {other} on {self.environment}",
            )
        with self.lock:
            token = self.tokens.get(access_token)
            if token is None:
                raise Refused(1006)
            if token.revoked_at is not None:
                raise Refused(1011)
            if token.expires_in is not None and token.issued_at + token.expires_in <= self.clock():
                raise Refused(1006)
            return token

    def _opaque(self) -> str:
        return f"{self._random.getrandbits(256):064x}"

    def _end(self, token: Token, reason: str) -> None:
        token.revoked_at = self.clock()
        token.reason = reason
