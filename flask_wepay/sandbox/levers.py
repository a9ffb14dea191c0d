"""The controls of a sandbox: what a test changes, simulates and inspects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Literal
from urllib.parse import SplitResult, parse_qsl, urlsplit

from .answers import Refused
from .api import API_VERSIONS
from .faults import Fault, Faults, Hold, When, check_seconds, check_type, make_answer
from .gate import Patience
from .ipns import IPN, Post
from .log import Exchange, Log
from .objects import (
    SCOPES,
    Application,
    Token,
    User,
)
from .origins import AUTHORIZE
from .payment_levers import DEFAULT_URL, PaymentLevers
from .recurring import charge_due
from .world import CLIENT_ID, CLIENT_SECRET, Clock, World


class AuthorizeRefused(AssertionError):
    """Raised when the authorize page refuses the request; the message has its text.

    .. versionadded:: 1.0
    """


class Levers(PaymentLevers):
    """A world, with the controls by which a test changes it.

    It can't answer requests on its own: :class:`Sandbox` puts the application over it.
    """

    client_id = CLIENT_ID
    client_secret = CLIENT_SECRET

    def __init__(
        self, world: World | None = None, *, url: str = DEFAULT_URL, names: Iterable[str] = ()
    ) -> None:
        super().__init__(world, url=url, names=names)
        #: All requests to ``/v2/`` and their answers, oldest first.
        self.log = Log()
        self.faults = Faults()
        #: Whether connections are refused, as if WePay were down; in process only.
        self.unreachable = False
        self.patience = Patience(self.move_clock)

    def _is_own(self, address: SplitResult) -> bool:
        # A given name may lead here through a container's port or a proxy.
        own = urlsplit(self.url)
        return address.hostname in self._given or (
            address.hostname in self.names
            and (address.scheme, address.port) == (own.scheme, own.port)
        )

    @property
    def state_on_denial(self) -> bool:
        """Whether a denial returns the state (bool); it is unknown what WePay does."""
        return self.world.state_on_denial

    @state_on_denial.setter
    def state_on_denial(self, keeps: bool) -> None:
        self.world.state_on_denial = keeps

    # Time

    @property
    def clock(self) -> Clock:
        """The world's clock, which you can move, set and stop."""
        clock = self.world.clock
        if not isinstance(clock, Clock):
            raise TypeError("The world was made with a clock that can't be moved.")
        return clock

    def move_clock(self, seconds: float) -> None:
        """Move the world's clock by a number of seconds; your own clock doesn't change."""
        if isinstance(self.world.clock, Clock):
            self.world.clock.move(seconds)
        charge_due(self.world)

    def set_clock(self, at: float | str | None = None, *, frozen: bool = False) -> float:
        """Set, stop or restart the world's clock, and return its time in seconds since 1970.

        :param at: seconds since 1970, or a date such as "2026-03-01T12:00:00Z", in UTC unless
            it has an offset; None keeps the current time.
        :param frozen: stop the clock at this time.
        :raises TypeError: if the world has your own clock.
        :raises ValueError: if the time is before 1970 or after 9999.
        """
        check_type("at", at, int, float, str, NoneType)
        check_type("frozen", frozen, bool)
        clock = self.clock
        if isinstance(at, str):
            date = datetime.fromisoformat(at)
            at = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
        clock.set(clock() if at is None else at, frozen=frozen)
        return clock()

    # Applications, users, codes and tokens

    def add_application(
        self,
        client_id: int,
        client_secret: str,
        *,
        name: str = "Sandbox application",
        api_version: str = API_VERSIONS[-1],
        hosts: Iterable[str] | None = None,
        state: Literal["active", "disabled", "deleted"] = "active",
    ) -> Application:
        """Register an application, or change the one that has this client_id.

        :param api_version: the version for requests without an ``Api-Version`` header.
        :param hosts: the hosts that a redirect_uri may have; None means any.
        :raises ValueError: if the version is unknown.
        """
        if api_version not in API_VERSIONS:
            raise ValueError(f"There is no api_version {api_version!r}: {', '.join(API_VERSIONS)}.")
        return self.world.add_application(
            client_id,
            client_secret,
            name=name,
            api_version=api_version,
            hosts=None if hosts is None else tuple(hosts),
            state=state,
        )

    def make_user(
        self,
        email: str = "",
        *,
        user_id: int | None = None,
        name: str = "",
        country: str = "US",
        state: Literal["pending", "registered", "deleted"] = "registered",
    ) -> User:
        """Register a user, with a generated e-mail address if none is given."""
        with self.world.lock:
            email = email or f"user{len(self.world.users) + 1}@example.com"
            return self.world.add_user(email, name, user_id=user_id, country=country, state=state)

    def issue_code(
        self,
        redirect_uri: str,
        *,
        user_id: int | None = None,
        client_id: int = CLIENT_ID,
    ) -> str:
        """Return a code as the authorize page would; the default is the first user."""
        user_id = next(iter(self.world.users)) if user_id is None else user_id
        return self.world.issue_code(client_id, user_id, redirect_uri).code

    def issue_token(
        self,
        user_id: int | None = None,
        *,
        client_id: int = CLIENT_ID,
        scope: Iterable[str] = SCOPES,
        callback_uri: str | None = None,
    ) -> str:
        """Return an access token without a login, and revoke the user's earlier tokens."""
        user_id = next(iter(self.world.users)) if user_id is None else user_id
        token = self.world.issue_token(client_id, user_id, scope=scope, callback_uri=callback_uri)
        return token.access_token

    def authorize(
        self,
        authorize_url: str,
        *,
        email: str | None = None,
        deny: bool = False,
    ) -> str:
        """Consent as a user at the authorize page, and return the URL to go back to.

        :param authorize_url: where the application sent the browser.
        :param email: the user, who is registered if unknown; None means the pre-filled or
            the first user.
        :param deny: click "Deny" instead of "Allow".
        :raises AuthorizeRefused: if the page shows an error, with its text.
        """
        parts = urlsplit(authorize_url)
        if not self._is_own(parts) or parts.path != AUTHORIZE:
            raise AuthorizeRefused(f"This is not the authorize page: {authorize_url}")
        client = self.app.test_client()
        page = client.get(parts.path, query_string=parts.query, base_url=self.url)
        if "Location" in page.headers:
            # Scripted by answer_next: the page itself never redirects without a decision.
            return page.headers["Location"]
        if page.status_code != 200:
            problems = "; ".join(self.log.of("oauth2/authorize")[-1].problems)
            raise AuthorizeRefused(f"HTTP {page.status_code}: {problems}")
        email = email or dict(parse_qsl(parts.query)).get("user_email")
        form = {"decision": "deny" if deny else "allow", "email": email or self._first_email()}
        answer = client.post(parts.path, query_string=parts.query, base_url=self.url, data=form)
        return answer.headers["Location"]

    def _first_email(self) -> str:
        return next(user.email for user in self.world.users.values() if user.state != "deleted")

    def revoke(self, user_id: int, client_id: int | None = None) -> list[Token]:
        """Revoke as the user does in the settings at WePay, and queue the IPNs."""
        return self.world.revoke(user_id, client_id)

    def delete_user(self, user_id: int, *, shows_state: bool = False) -> None:
        """Delete a user, whose calls are then answered with 7003.

        :param shows_state: make ``/user`` answer with the state "deleted" instead.
        """
        self.world.shows_deleted_users = shows_state
        self.world.delete_user(user_id)

    def expire_codes(self) -> None:
        """Expire all unused codes immediately."""
        with self.world.lock:
            for code in self.world.codes.values():
                code.expires_at = self.world.clock()

    def tokens(self, user_id: int) -> list[Token]:
        """Return a user's active tokens."""
        return self.world.living_tokens(user_id)

    # Faults

    def answer_next(
        self,
        call: str,
        *,
        error_code: int | None = None,
        status: int | None = None,
        body: Any = None,
        headers: Mapping[str, str | None] | None = None,
        work: bool = False,
        delay: float = 0.0,
        pause: float = 0.0,
        times: int | None = 1,
    ) -> None:
        """Answer the next request to a call with this answer, whatever it asks.

        :param call: the call, such as "user" or "oauth2/token", or "*" for any.
        :param error_code: a code of the error table, such as 1011, or any other of the classes
            2xxx to 6xxx, 8xxx and 10xxx, whose answer is a guess.
        :param status: the HTTP status; the default is that of the table, or 200.
        :param body: bytes, text, an iterable of bytes, or an object to send as JSON.
        :param headers: replace the default ones of the same name; None omits one.
        :param work: execute the request as well, and hide its own answer.
        :param delay: seconds to wait before the answer.
        :param pause: seconds to wait before each chunk of an iterable body.
        :param times: the number of requests; None means all, until :meth:`clear_faults`.
            Answers with a number are used first, and then the newest of the others.
        :raises TypeError, ValueError: if an argument is invalid; the message names it.
        """
        check_type("error_code", error_code, int, NoneType)
        check_type("status", status, int, NoneType)
        if status is not None and not 100 <= status <= 999:
            raise ValueError(f"status must be 100 to 999, not {status}.")
        check_type("headers", headers, Mapping, NoneType)
        check_seconds("delay", delay)
        check_seconds("pause", pause)
        if error_code is not None:
            refusal = Refused(error_code, status=status)
            status = refusal.status
            body = refusal.body() if body is None else body
        if pause:
            body = self.patience.drip(body, pause)
        if times != 1 and isinstance(body, Iterator):
            raise ValueError("times must be 1 where the body can be read once only.")
        answer = make_answer(status or 200, b"" if body is None else body, headers)
        self.faults.add(call, Fault(answer, work, delay), times)

    def delay_next(self, call: str, seconds: float, *, times: int | None = 1) -> None:
        """Execute the next request, and answer it after a number of seconds.

        Without a socket there is no real wait: the sandbox's clock moves instead, or, if the
        client's timeout is shorter, the client times out at once.
        """
        check_seconds("seconds", seconds)
        self.faults.add(call, Fault(delay=seconds), times)

    def drop_next(
        self, call: str, *, before: bool = True, raw: bytes | str = b"", times: int | None = 1
    ) -> None:
        """Close the connection of the next request without an answer.

        :param before: close it before the request is executed; False means after it.
        :param raw: bytes or text to send first, which need not be HTTP.
        """
        check_type("before", before, bool)
        check_type("raw", raw, bytes, str)
        raw = raw.encode() if isinstance(raw, str) else raw
        self.faults.add(call, Fault(drop="before" if before else "after", raw=raw), times)

    def hold(self, call: str, when: When = "before") -> Hold:
        """Stop the next request to a call before or after it is executed, until you release it.

        Each hold takes one request, in the order in which the holds were created.
        """
        return self.faults.hold(call, when)

    def clear_faults(self) -> None:
        """Remove all pending faults, and release all held requests."""
        self.faults.clear()

    # What happened

    def count(self, call: str) -> int:
        """Return the number of requests to a call so far."""
        return len(self.log.of(call))

    def last(self, call: str) -> Exchange:
        """Return the latest request to a call, or raise :exc:`LookupError`."""
        exchanges = self.log.of(call)
        if not exchanges:
            raise LookupError(f"There was no request to {call!r}.")
        return exchanges[-1]

    def verify(
        self,
        call: str,
        *,
        times: int | None = None,
        arguments: Mapping[str, object] | None = None,
    ) -> list[Exchange]:
        """Return the requests to a call that had at least these arguments.

        :param times: the expected number; None means one or more.
        :param arguments: of the body, or of the query if there is no body.
        :raises AssertionError: if the number is another; the message tells what differed.
        """
        wanted = dict(arguments or {})
        asked = self.log.of(call)
        found = [exchange for exchange in asked if not exchange.lacks(wanted)]
        if len(found) == times or (found and times is None):
            return found
        lacks = (
            f"; the last lacks {', '.join(asked[-1].lacks(wanted))}"
            if len(found) < len(asked)
            else ""
        )
        raise AssertionError(
            f"{len(found)} of {len(asked)} requests to {call!r} had these arguments,"
            f" instead of {'some' if times is None else times}{lacks}."
        )

    def clear_log(self) -> None:
        """Clear the log of requests."""
        self.log.clear()

    # Notifications

    @property
    def ipns(self) -> list[IPN]:
        """All notifications, oldest first."""
        charge_due(self.world)
        return self.world.ipns.all()

    def deliver_ipns(self, post: Post | None = None) -> list[IPN]:
        """Deliver the notifications that are due, and return them.

        :param post: a function that takes the URL and the form's fields, and returns the HTTP
            status; None sends them over HTTP.
        """
        charge_due(self.world)
        return self.world.ipns.deliver_due(post)

    def deliver_ipn(self, ipn_id: int) -> IPN:
        """Deliver a notification now, due or not."""
        ipn = self.world.ipns.get(ipn_id)
        self.world.ipns.deliver(ipn)
        return ipn

    def fail_ipn(self, ipn_id: int) -> IPN:
        """Record a failed delivery, as if the receiver had answered with an error."""
        ipn = self.world.ipns.get(ipn_id)
        self.world.ipns.fail(ipn)
        return ipn

    def replay_ipn(self, ipn_id: int) -> IPN:
        """Queue a duplicate of a notification, and return it."""
        return self.world.ipns.replay(self.world.ipns.get(ipn_id))

    def reset(self) -> None:
        """Reset everything: the world, the log, the faults and the clock."""
        self.faults.clear()
        self.world = self.world.anew()
        self.log.clear()
        self.unreachable = False
