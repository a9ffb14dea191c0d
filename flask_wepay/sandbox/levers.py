"""What a test moves, and what it looks at: the levers of a sandbox."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from flask import Flask

from .answers import Refused
from .faults import Fault, Faults, Hold, When, check_seconds, check_type, make_answer
from .gate import Patience
from .ipns import IPN, Post
from .log import Exchange, Log
from .objects import SCOPES, Account, Checkout, Token, User
from .world import CLIENT_ID, CLIENT_SECRET, Clock, World

#: Where the sandbox is unless told otherwise; the same as WEPAY_SANDBOX_URL's default.
DEFAULT_URL = "http://127.0.0.1:8010"


class AuthorizeRefused(AssertionError):
    """The authorize page would not take the request; the message says why.

    .. versionadded:: 1.0
    """


class Levers:
    """A world, and the levers by which a test moves it.

    It can't answer requests by itself: :class:`Sandbox` puts the application over it.
    """

    client_id = CLIENT_ID
    client_secret = CLIENT_SECRET

    #: The Flask application over this world.
    app: Flask

    def __init__(self, world: World | None = None, *, url: str = DEFAULT_URL) -> None:
        self.url = url.rstrip("/")
        self.world = world or World()
        #: Every request to ``/v2/`` and its answer, oldest first.
        self.log = Log()
        self.faults = Faults()
        #: Whether a denial brings the state back; nobody knows what WePay does.
        self.state_on_denial = True
        #: In process only: whether connections are refused, as by a WePay that is away.
        self.unreachable = False
        self.patience = Patience(self.move_clock)

    # Time

    @property
    def clock(self) -> Clock:
        """Give the world's clock, which has ``move(seconds)``."""
        clock = self.world.clock
        if not isinstance(clock, Clock):
            raise TypeError("The world was made with a clock that can't be moved.")
        return clock

    def move_clock(self, seconds: float) -> None:
        """Move the world's time; a clock of one's own is left alone."""
        if isinstance(self.world.clock, Clock):
            self.world.clock.move(seconds)

    # Users, codes and tokens

    def make_user(
        self,
        email: str = "",
        *,
        user_id: int | None = None,
        name: str = "",
        country: str = "US",
        state: Literal["pending", "registered", "deleted"] = "registered",
    ) -> User:
        """Register a user; without a mail address it gets one of its own."""
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
        """Give a code as the authorize page would; the user is the first by default."""
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
        """Give an access token without a login; it revokes the user's earlier ones."""
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
        """Consent as a user at the authorize page, and give the address to go back to.

        :param authorize_url: where the application sent the browser.
        :param email: the user; an unknown one is registered, None is the pre-filled or else
            the first one.
        :param deny: click "Deny" instead of "Allow".
        :raises AuthorizeRefused: if the page shows an error, with its text.
        """
        parts = urlsplit(authorize_url)
        if f"{parts.scheme}://{parts.netloc}{parts.path}" != f"{self.url}/v2/oauth2/authorize":
            raise AuthorizeRefused(f"This is not the authorize page: {authorize_url}")
        client = self.app.test_client()
        page = client.get(parts.path, query_string=parts.query, base_url=self.url)
        if "Location" in page.headers:
            # Scripted by answer_next: the page itself sends nobody back unasked.
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
        """End a registration: the user's calls are answered 7003.

        :param shows_state: let ``/user`` answer with the state "deleted" instead.
        """
        self.world.shows_deleted_users = shows_state
        self.world.delete_user(user_id)

    def expire_codes(self) -> None:
        """Let every code that was not used yet expire at once."""
        with self.world.lock:
            for code in self.world.codes.values():
                code.expires_at = self.world.clock()

    def tokens(self, user_id: int) -> list[Token]:
        """List a user's living tokens."""
        return self.world.living_tokens(user_id)

    # Payments

    def verify_account(self, account_id: int) -> Account:
        """Let a merchant have given WePay what it asked for: the account becomes active."""
        account = self.world.ledger.accounts[account_id]
        self.world.ledger.change_account(account, "active")
        return account

    def pay(self, checkout_id: int, *, state: str = "authorized") -> Checkout:
        """Move a payment on, as its payer or WePay would, and queue the IPN.

        :param state: authorized, captured, released, failed or any other of WePay's.
        """
        checkout = self.world.ledger.checkout(checkout_id)
        self.world.ledger.change_checkout(checkout, state)
        return checkout

    def pay_at(self, checkout_uri: str, *, decline: bool = False) -> str:
        """Pay as a payer at the hosted page, and give the address to go back to.

        :param checkout_uri: where the application sent the browser.
        :param decline: let the card be declined instead.
        :raises LookupError: if there is no such checkout, or its page leads nowhere.
        """
        path = checkout_uri.removeprefix(self.url)
        form = {"decision": "decline" if decline else "pay"}
        answer = self.app.test_client().post(path, base_url=self.url, data=form)
        back = answer.headers.get("Location", path)
        if back == path:
            raise LookupError(f"Nothing to pay that leads back to an application: {checkout_uri}")
        return back

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
        times: int = 1,
    ) -> None:
        """Give the next request to a call this answer, whatever it asks.

        :param call: such as "user", "oauth2/token" or "*" for any.
        :param error_code: answer with this line of the error table, such as 1011, or with a
            guess at any other of the classes 2xxx to 6xxx, 8xxx and 10xxx.
        :param status: the HTTP status, of the table or else 200.
        :param body: bytes, text, an iterable of bytes, or anything that becomes JSON.
        :param headers: exactly these, over the usual ones; None leaves one out.
        :param work: do the work all the same, and hide its answer.
        :param delay: seconds to wait first.
        :param pause: seconds to wait before each chunk of an iterable body.
        :param times: for so many requests.
        :raises TypeError, ValueError: if an argument can't be used, with its name.
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
        answer = make_answer(status or 200, b"" if body is None else body, headers)
        self.faults.add(call, Fault(answer, work, delay), times)

    def delay_next(self, call: str, seconds: float, *, times: int = 1) -> None:
        """Do the work of the next request, and answer it so many seconds later.

        Where no socket is used nobody waits: the sandbox's clock moves instead, or, when
        the client's timeout is shorter, the client sees its timeout at once.
        """
        check_seconds("seconds", seconds)
        self.faults.add(call, Fault(delay=seconds), times)

    def drop_next(
        self, call: str, *, before: bool = True, raw: bytes | str = b"", times: int = 1
    ) -> None:
        """Cut the connection of the next request without an answer.

        :param before: before the work is done; False is after it.
        :param raw: bytes or text to send first, which need not be HTTP.
        """
        check_type("before", before, bool)
        check_type("raw", raw, bytes, str)
        raw = raw.encode() if isinstance(raw, str) else raw
        self.faults.add(call, Fault(drop="before" if before else "after", raw=raw), times)

    def hold(self, call: str, when: When = "before") -> Hold:
        """Stop the next request to a call before or after its work, until it is released.

        Each hold takes one request, in the order in which the holds were made.
        """
        return self.faults.hold(call, when)

    # What happened

    def count(self, call: str) -> int:
        """Count the requests to a call so far."""
        return len(self.log.of(call))

    def last(self, call: str) -> Exchange:
        """Give the latest request to a call, or raise :exc:`LookupError`."""
        exchanges = self.log.of(call)
        if not exchanges:
            raise LookupError(f"There was no request to {call!r}.")
        return exchanges[-1]

    @property
    def ipns(self) -> list[IPN]:
        """List every notification there was, oldest first."""
        return self.world.ipns.all()

    def deliver_ipns(self, post: Post | None = None) -> list[IPN]:
        """Deliver the notifications that are due, and give them.

        :param post: called with the address and the form's fields, gives the HTTP status;
            without it they go over HTTP.
        """
        return self.world.ipns.deliver_due(post)

    def reset(self) -> None:
        """Begin with a fresh ready-made world, an empty log and no faults."""
        self.world = World(self.world.clock, environment=self.world.environment)
        self.log.clear()
        self.faults.clear()
