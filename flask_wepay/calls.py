"""One call to WePay: checked, within the budget and the deadline, and safely repeated.

Whatever holds a secret in the clear happens inside ``_post…``, whose errors lose their
frames before they are raised: so no traceback that leaves the package shows one.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Any

import requests
import tenacity
from urllib3.exceptions import HTTPError

from .answers import decipher, decipher_member, members_of
from .errors import (
    APIError,
    ConnectionFailed,
    InvalidCall,
    OutcomeUnknown,
    ServerError,
    Throttled,
    WePayError,
)
from .oauth import WePayApp, answer_of, check_call
from .throttle import EXCHANGES, Throttle
from .tokens import Secret, Token
from .transport import nothing_was_sent, watched

__all__ = ["LOOKUPS_REPEATED", "Call", "Caller", "Deadline"]

#: Calls that change nothing, so that one whose answer was lost is made again.
LOOKUPS_REPEATED = frozenset(
    {
        "account",
        "account/find",
        "account/get_reserve_details",
        "account/get_update_uri",
        "app",
        "checkout",
        "checkout/find",
        "credit_card",
        "credit_card/find",
        "preapproval",
        "preapproval/find",
        "subscription",
        "subscription/find",
        "subscription_plan",
        "subscription_plan/find",
        "user",
        "withdrawal",
        "withdrawal/find",
    }
)
MOST_TRIES = 3
#: Seconds between two tries.
LONGEST_PAUSE = 0.5
#: What requests and the layers below it raise, wrapped or not.
_FAILURES = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)

_logger = logging.getLogger("flask_wepay")


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it will be sent; made by :meth:`of`, which checks it."""

    name: str
    parameters: Mapping[str, Any] = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(
        cls, name: str, parameters: Mapping[str, Any], headers: Mapping[str, str | None]
    ) -> Call:
        """Check a call and encode it.

        :raises InvalidCall: if WePay must not or could not be sent this.
        """
        name = check_call(name)
        parameters = _check_parameters(name, parameters)
        try:
            body = json.dumps(parameters, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError) as error:
            kind = str(error)
        else:
            return cls(name, parameters, body, _check_headers(name, headers))
        raise InvalidCall(
            f"The parameters of {name!r} can't be written as JSON: {kind}. Convert a Decimal"
            " with float() and a date with isoformat()."
        )

    @property
    def unique_id(self) -> str | None:
        """The caller's own id of a payment, with which it can be repeated."""
        unique_id = self.parameters.get("unique_id")
        return None if unique_id is None else str(unique_id)


class Deadline:
    """Seconds that a whole call has; waiting for one's turn comes on top."""

    def __init__(self, seconds: float, wait: float = 0.0) -> None:
        self._end = time.monotonic() + seconds
        self._wait = wait

    def remaining(self) -> float:
        """Return the seconds that are left, never less than a small amount."""
        return max(0.01, self._end - time.monotonic())

    def passed(self) -> bool:
        """Tell whether there is no time for another try."""
        return time.monotonic() >= self._end

    def wait(self, seconds: float) -> bool:
        """Sleep and return True if the caller allowed for so long a wait."""
        if not 0 < seconds <= self._wait:
            return False
        self._wait -= seconds
        self._end += seconds
        time.sleep(seconds)
        return True


class Caller:
    """Send calls of one application."""

    def __init__(self, client: WePayApp, throttle: Throttle) -> None:
        self._client = client
        self._throttle = throttle

    def send(
        self,
        call: Call,
        token: Token | None,
        deadline: Deadline,
        *,
        share: str | None = None,
        owner: str | None = None,
    ) -> Any:
        """Send a call and return WePay's decoded answer, or its refusal as an APIError.

        Our own budget, where it is used up, refuses likewise.

        :raises ConnectionFailed: if nothing was sent.
        :raises OutcomeUnknown: if no usable answer came.
        """
        outcome = self._carry_out(
            call.name,
            lambda: self._post(call, token, deadline, self._secrets([token] if token else [])),
            deadline,
            lambda: self._throttle.acquire(call.name, share),
            owner,
        )
        if isinstance(outcome, OutcomeUnknown):
            outcome.unique_id = call.unique_id
        if isinstance(outcome, WePayError) and not isinstance(outcome, APIError):
            raise outcome
        return outcome

    def send_batch(
        self,
        members: Sequence[tuple[Call, Token]],
        deadline: Deadline,
        *,
        share: str | None = None,
    ) -> list[Any]:
        """Send one /batch/create, and return its members' values or errors in order.

        :raises WePayError: as :meth:`send` does or returns, if it failed as a whole.
        """
        outcome = self._carry_out(
            "batch/create",
            lambda: self._post_batch(members, deadline),
            deadline,
            lambda: self._throttle.acquire("batch/create", share),
        )
        if isinstance(outcome, WePayError):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    def admit_exchange(self) -> None:
        """Take an exchange out of its share of the budget, before its row is born.

        :raises Throttled: if there is none left.
        """
        self._throttle.acquire("oauth2/token", EXCHANGES)

    def exchange(
        self, code: Secret, redirect_uri: str, callback_uri: str | None, deadline: Deadline
    ) -> Token:
        """Exchange a code for a token; admitted already, and never sent twice.

        :raises ExchangeFailed: if WePay refused the code.
        :raises Throttled: for 1007.
        :raises ConnectionFailed: if nothing was sent.
        :raises OutcomeUnknown: if no usable answer came: a token may have been issued.
        """
        outcome = self._carry_out(
            "oauth2/token",
            lambda: self._post_code(code, redirect_uri, callback_uri, deadline),
            deadline,
            lambda: None,
        )
        if isinstance(outcome, WePayError):
            raise outcome
        return outcome  # type: ignore[no-any-return]

    def _carry_out(
        self,
        name: str,
        post: Callable[[], Any],
        deadline: Deadline,
        admit: Callable[[], None],
        owner: str | None = None,
    ) -> Any:
        """Return what a call gave, or its error; made again, up to twice, where that is safe."""

        def in_turn() -> Any:
            while True:
                try:
                    admit()
                except Throttled as error:
                    outcome: Any = error
                else:
                    # A storage that hangs may have taken what time there was.
                    outcome = _outcome(name, post, deadline)
                if not isinstance(outcome, Throttled) or not deadline.wait(outcome.retry_after):
                    return outcome

        started = time.monotonic()
        outcome = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda outcome: _may_repeat(name, outcome)),
            # What has hardly any time left is better not sent than given up on.
            stop=lambda state: (
                state.attempt_number >= MOST_TRIES or deadline.remaining() <= LONGEST_PAUSE
            ),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=LONGEST_PAUSE),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )(in_turn)
        _log(name, outcome, time.monotonic() - started, owner)
        return outcome

    def _secrets(self, tokens: Sequence[Token]) -> list[str]:
        """Return what must not show in an error, should WePay echo it."""
        secrets = [self._client.client_secret, *(token.access_token for token in tokens)]
        return [secret for secret in secrets if secret]

    def _post(
        self, call: Call, token: Token | None, deadline: Deadline, secrets: Sequence[str]
    ) -> Any:
        response = self._client.request(
            "POST",
            call.name,
            token=token,
            withhold_token=token is None,
            data=call.body,
            headers=call.headers,
            timeout=deadline.remaining(),
        )
        return decipher(call.name, answer_of(response), secrets)

    def _post_batch(self, members: Sequence[tuple[Call, Token]], deadline: Deadline) -> Any:
        # The one place where tokens travel in a body, as WePay wants them for a batch:
        # https://developer.wepay.com/api/api-calls/batch
        body = {
            "client_id": self._client.client_id,
            "client_secret": self._client.client_secret,
            "calls": [
                {
                    "call": f"/{call.name}",
                    "authorization": token.access_token,
                    "reference_id": str(index),
                    "parameters": call.parameters,
                }
                for index, (call, token) in enumerate(members)
            ],
        }
        secrets = self._secrets([token for _, token in members])
        answer = self._post(Call.of("batch/create", body, {}), None, deadline, secrets)
        responses = {
            str(member.get("reference_id")): member.get("response") for member in members_of(answer)
        }
        return [
            _member(call, responses.get(str(index)), secrets)
            for index, (call, _) in enumerate(members)
        ]

    def _post_code(
        self, code: Secret, redirect_uri: str, callback_uri: str | None, deadline: Deadline
    ) -> Token:
        return Token.from_mapping(
            self._client.exchange(code.value, redirect_uri, callback_uri, deadline.remaining())
        )


def _outcome(call: str, post: Callable[[], Any], deadline: Deadline) -> Any:
    """Return what a request gave, or its error without the frames that saw secrets."""
    if deadline.passed():
        return _failure(call, "no time left", unsent=True)
    with watched() as attempt:
        try:
            return post()
        except WePayError as error:
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)
        except _FAILURES as error:
            return _failure(call, type(error).__name__, unsent=nothing_was_sent(error, attempt))
        except BaseException as error:  # noqa: BLE001
            # A job's time limit, say: it goes on, without the frames that saw secrets.
            error.__cause__ = error.__context__ = None
            foreign = error.with_traceback(None)
    raise foreign


def _failure(call: str, kind: str, *, unsent: bool) -> WePayError:
    if unsent:
        return ConnectionFailed(
            f"WePay could not be reached for {call!r} ({kind}): nothing was sent.", call=call
        )
    return OutcomeUnknown(
        f"WePay gave no usable answer to {call!r} ({kind}): it may have been executed.", call=call
    )


def _may_repeat(call: str, outcome: Any) -> bool:
    if isinstance(outcome, ConnectionFailed):
        return True
    if call not in LOOKUPS_REPEATED or not isinstance(outcome, OutcomeUnknown):
        return False
    return outcome.status is None or isinstance(outcome, ServerError)


def _member(call: Call, response: Any, secrets: Sequence[str]) -> Any:
    """Return the value of one member of a batch, or its error."""
    if isinstance(response, dict | list):
        outcome = decipher_member(call.name, response, secrets)
    else:
        outcome = OutcomeUnknown(
            f"WePay's answer to a batch leaves out its {call.name!r}.", call=call.name
        )
    if isinstance(outcome, OutcomeUnknown):
        outcome.unique_id = call.unique_id
    return outcome


def _check_parameters(name: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Refuse parameters that a token or a mistake would travel in.

    :raises InvalidCall: for ``access_token``, and for what is not a mapping by name.
    """
    if not isinstance(parameters, Mapping) or not all(isinstance(key, str) for key in parameters):
        raise InvalidCall(f"The parameters of {name!r} are not a mapping with names as keys.")
    if "access_token" in parameters:
        raise InvalidCall(
            f"{name!r} was given 'access_token' as a parameter: a token travels in the"
            " Authorization header only. Use client_for(owner) to act for somebody else."
        )
    return dict(parameters)


def _check_headers(name: str, headers: Mapping[str, str | None]) -> dict[str, str]:
    given = {header: value for header, value in headers.items() if value is not None}
    for header, value in given.items():
        printable = isinstance(value, str) and value.isascii() and value.isprintable()
        if not printable or value != value.strip():
            raise InvalidCall(f"{name!r} can't carry this value in the header {header!r}.")
    return {**given, "Content-Type": "application/json"}


def _log(call: str, outcome: Any, seconds: float, owner: str | None) -> None:
    failed = isinstance(outcome, WePayError)
    facts = {
        "wepay_call": call,
        "wepay_status": getattr(outcome, "status", None) if failed else 200,
        "wepay_error_code": getattr(outcome, "error_code", None),
        "wepay_milliseconds": round(seconds * 1000),
        "wepay_owner": owner,
        "wepay_error": type(outcome).__name__ if failed else None,
    }
    _logger.info(
        "%(wepay_call)s status=%(wepay_status)s error_code=%(wepay_error_code)s"
        " ms=%(wepay_milliseconds)s owner=%(wepay_owner)s error=%(wepay_error)s",
        facts,
        extra=facts,
    )
