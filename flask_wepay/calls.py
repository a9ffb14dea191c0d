"""One call to WePay: checked, within the budget and the deadline, and safely repeated.

Everything that holds a secret in the clear happens inside ``_try…``, which returns an
error instead of raising it: so no traceback that leaves the package has such a frame.
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
#: What requests and the layers below it raise, wrapped or not.
_FAILURES = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)

_logger = logging.getLogger("flask_wepay")


@dataclass(frozen=True, slots=True)
class Call:
    """A call as it will be sent; made by :meth:`of`, which checks it."""

    name: str
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    unique_id: str | None = None

    @classmethod
    def of(
        cls, name: str, parameters: Mapping[str, Any], headers: Mapping[str, str | None]
    ) -> Call:
        """Check a call and encode it.

        :raises InvalidCall: if WePay must not or could not be sent this.
        """
        name = check_call(name)
        _check_parameters(name, parameters)
        try:
            body = json.dumps(parameters, allow_nan=False).encode()
        except (TypeError, ValueError) as error:
            kind = str(error)
        else:
            unique_id = parameters.get("unique_id")
            return cls(name, body, _headers(name, headers), unique_id and str(unique_id))
        raise InvalidCall(
            f"The parameters of {name!r} can't be written as JSON: {kind}. Convert a Decimal"
            " with float() and a date with isoformat()."
        )


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
        """Send a call and return WePay's decoded answer, or its error as an instance.

        :raises Throttled: if our own budget is used up, and for 1007.
        :raises ConnectionFailed: if nothing was sent.
        :raises OutcomeUnknown: if no usable answer came.
        """
        started = time.monotonic()
        repeated = call.name in LOOKUPS_REPEATED
        outcome = self._tries(
            lambda: self._try_call(call, token, deadline),
            lambda: self._throttle.acquire(call.name, share),
            deadline,
            repeated=repeated,
        )
        _log(call.name, outcome, time.monotonic() - started, owner)
        if isinstance(outcome, OutcomeUnknown):
            outcome.unique_id = call.unique_id
        if isinstance(outcome, WePayError) and not isinstance(outcome, APIError):
            raise outcome
        return outcome

    def send_batch(
        self, members: Sequence[tuple[str, str, Mapping[str, Any], Token]], deadline: Deadline
    ) -> Any:
        """Send one /batch/create, and return each member's value or error by its reference.

        A member is its reference id, the call's name, its parameters and its token. An
        error of the batch as a whole is returned as an instance.

        :raises Throttled, ConnectionFailed, OutcomeUnknown: as :meth:`send` does.
        """
        started = time.monotonic()
        outcome = self._tries(
            lambda: self._try_batch(members, deadline),
            lambda: self._throttle.acquire("batch/create"),
            deadline,
            repeated=False,
        )
        _log("batch/create", outcome, time.monotonic() - started, None)
        if isinstance(outcome, WePayError) and not isinstance(outcome, APIError):
            raise outcome
        return outcome

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
        started = time.monotonic()
        outcome = self._tries(
            lambda: self._try_exchange(code, redirect_uri, callback_uri, deadline),
            lambda: None,
            deadline,
            repeated=False,
        )
        _log("oauth2/token", outcome, time.monotonic() - started, None)
        if isinstance(outcome, WePayError):
            raise outcome
        assert isinstance(outcome, Token)
        return outcome

    def _tries(
        self,
        attempt: Callable[[], Any],
        admit: Callable[[], None],
        deadline: Deadline,
        *,
        repeated: bool,
    ) -> Any:
        """Make a call again where that is safe, up to twice and within the deadline."""
        again = (ConnectionFailed, OutcomeUnknown) if repeated else (ConnectionFailed,)

        def in_turn() -> Any:
            while True:
                try:
                    admit()
                    outcome = attempt()
                except Throttled as error:
                    outcome = error
                if isinstance(outcome, Throttled) and deadline.wait(outcome.retry_after):
                    continue
                return outcome

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda outcome: isinstance(outcome, again)),
            stop=lambda state: state.attempt_number >= MOST_TRIES or deadline.passed(),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=0.5),
            retry_error_callback=lambda state: state.outcome and state.outcome.result(),
        )
        return retrying(in_turn)

    def _try_call(self, call: Call, token: Token | None, deadline: Deadline) -> Any:
        with watched() as attempt:
            try:
                response = self._client.request(
                    "POST",
                    call.name,
                    token=token,
                    withhold_token=token is None,
                    data=call.body,
                    headers=call.headers,
                    timeout=deadline.remaining(),
                )
            except _FAILURES as error:
                return _failure(call.name, error, nothing_was_sent(error, attempt))
        try:
            return decipher(call.name, answer_of(response), [token.access_token] if token else [])
        except WePayError as error:
            return _bare(error)

    def _try_batch(
        self, members: Sequence[tuple[str, str, Mapping[str, Any], Token]], deadline: Deadline
    ) -> Any:
        # The one place where tokens travel in a body, as WePay wants them for a batch:
        # https://developer.wepay.com/api/api-calls/batch
        body = {
            "client_id": self._client.client_id,
            "client_secret": self._client.client_secret,
            "calls": [
                {
                    "call": f"/{call}",
                    "authorization": token.access_token,
                    "reference_id": reference,
                    "parameters": parameters,
                }
                for reference, call, parameters, token in members
            ],
        }
        outcome = self._try_call(Call.of("batch/create", body, {}), None, deadline)
        if isinstance(outcome, WePayError):
            return outcome
        secrets = [token.access_token for _, _, _, token in members]
        names = {reference: call for reference, call, _, _ in members}
        return {
            response["reference_id"]: decipher_member(
                names[response["reference_id"]], response.get("response"), secrets
            )
            for response in members_of(outcome)
            if response.get("reference_id") in names
        }

    def _try_exchange(
        self, code: Secret, redirect_uri: str, callback_uri: str | None, deadline: Deadline
    ) -> Token | WePayError:
        with watched() as attempt:
            try:
                return Token.from_mapping(
                    self._client.fetch_access_token(
                        redirect_uri=redirect_uri,
                        code=code.value,
                        callback_uri=callback_uri,
                        timeout=deadline.remaining(),
                    )
                )
            except WePayError as error:
                return _bare(error)
            except _FAILURES as error:
                return _failure("oauth2/token", error, nothing_was_sent(error, attempt))


def _check_parameters(name: str, parameters: Mapping[str, Any]) -> None:
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


def _headers(name: str, headers: Mapping[str, str | None]) -> dict[str, str]:
    given = {header: value for header, value in headers.items() if value is not None}
    for header, value in given.items():
        if not isinstance(value, str) or not value.isascii() or not value.isprintable():
            raise InvalidCall(f"{name!r} can't carry this value in the header {header!r}.")
    return {**given, "Content-Type": "application/json"}


def _bare(error: WePayError) -> WePayError:
    """Return an error without the frames and causes that saw the secrets."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _failure(call: str, error: Exception, unsent: bool) -> WePayError:
    kind = type(error).__name__
    if unsent:
        return ConnectionFailed(
            f"WePay could not be reached for {call!r} ({kind}): nothing was sent.", call=call
        )
    return OutcomeUnknown(
        f"WePay gave no usable answer to {call!r} ({kind}): it may have been executed.", call=call
    )


def _log(call: str, outcome: Any, seconds: float, owner: str | None) -> None:
    status = getattr(outcome, "status", None) if isinstance(outcome, WePayError) else 200
    code = getattr(outcome, "error_code", None) if isinstance(outcome, WePayError) else None
    milliseconds = round(seconds * 1000)
    _logger.info(
        "%s status=%s error_code=%s ms=%d owner=%s",
        call,
        status,
        code,
        milliseconds,
        owner,
        extra={
            "wepay_call": call,
            "wepay_status": status,
            "wepay_error_code": code,
            "wepay_milliseconds": milliseconds,
            "wepay_owner": owner,
        },
    )
