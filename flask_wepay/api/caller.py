"""Send calls within the rate limit and the deadline, and retry them only where that is safe.

Only ``_post…`` handles secrets in the clear. Its exceptions lose their frames before they
are raised, so that no traceback that leaves the package shows a secret.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import APIError, ConnectionFailed, OutcomeUnknown, ServerError, Throttled, WePayError
from ..foreign import printable
from ..settings import Settings
from ..tokens import Secret, Token
from .answers import decipher, decipher_member, decipher_token, members_of
from .calls import LOOKUPS_REPEATED, Call, Deadline
from .connections import nothing_was_sent, watched
from .interruptions import is_interruption
from .throttle import EXCHANGES, Throttle
from .transport import Transport

__all__ = ["Caller"]

MOST_TRIES = 3
#: The most bytes of an answer with a token, which has four short fields.
LARGEST_TOKEN_ANSWER = 64 * 1024
#: Seconds between the first two attempts, and at most between any two.
SHORTEST_PAUSE = 0.1
LONGEST_PAUSE = 0.5

_logger = logging.getLogger("flask_wepay")


class Caller:
    """Send the calls of one application."""

    def __init__(self, settings: Settings, transport: Transport, throttle: Throttle) -> None:
        self._settings = settings
        self._transport = transport
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
        """Send a call, and return WePay's decoded answer or its refusal as an APIError.

        If the local rate limit is reached, return a :exc:`Throttled`.

        :raises ConnectionFailed: if nothing was sent.
        :raises OutcomeUnknown: if no usable answer arrived.
        """
        outcome = self._carry_out(
            call.name,
            lambda: self._post(call, token, deadline, self._secrets([token] if token else [])),
            deadline,
            lambda: self._throttle.acquire(call.name, share, owner),
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

        :raises WePayError: what :meth:`send` raises or returns, if the request itself fails.
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

    def admit_exchange(self, owner: str) -> None:
        """Count an owner's exchange against the rate limit, before its row is created.

        :raises Throttled: if the exchanges' share of the rate limit is used up.
        """
        self._throttle.acquire("oauth2/token", EXCHANGES, owner)

    def exchange(
        self, code: Secret, redirect_uri: str, callback_uri: str | None, deadline: Deadline
    ) -> Token:
        """Exchange a code for a token, after :meth:`admit_exchange`; never sent twice.

        :raises ExchangeFailed: if WePay refuses the code.
        :raises Throttled: if WePay's rate limit is reached (1007).
        :raises ConnectionFailed: if nothing was sent.
        :raises OutcomeUnknown: if no usable answer arrived; WePay may have issued a token.
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
        """Return a call's value or its error, after up to two retries where those are safe."""

        def in_turn() -> Any:
            while True:
                try:
                    admit()
                except Throttled as error:
                    outcome: Any = error
                else:
                    # A storage that hangs may have used up the time.
                    outcome = _outcome(name, post, deadline)
                if not isinstance(outcome, Throttled) or not deadline.wait(outcome.retry_after):
                    return outcome

        started, pause = time.monotonic(), SHORTEST_PAUSE
        outcome = in_turn()
        for _ in range(MOST_TRIES - 1):
            # With hardly any time left, not sending beats an unknown outcome.
            if not _may_repeat(name, outcome) or deadline.remaining() <= LONGEST_PAUSE:
                break
            time.sleep(random.uniform(0, pause))  # noqa: S311
            pause = min(2 * pause, LONGEST_PAUSE)
            outcome = in_turn()
        _log(name, outcome, time.monotonic() - started, owner)
        return outcome

    def _secrets(self, tokens: Sequence[Token]) -> list[str]:
        """Return what must not show in an error, in case WePay echoes it."""
        secrets = [self._settings.client_secret.value, *(token.access_token for token in tokens)]
        return [secret for secret in secrets if secret]

    def _post(
        self, call: Call, token: Token | None, deadline: Deadline, secrets: Sequence[str]
    ) -> Any:
        answer = self._transport.post(call, deadline.remaining(), token)
        return decipher(call.name, answer, secrets)

    def _post_batch(self, members: Sequence[tuple[Call, Token]], deadline: Deadline) -> Any:
        # The only place where tokens travel in a body: WePay requires it for a batch.
        # https://developer.wepay.com/api/api-calls/batch
        body = {
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.value,
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
        # No grant_type: https://developer.wepay.com/api/api-calls/oauth2
        body = {
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.value,
            "redirect_uri": redirect_uri,
            "code": code.value,
        }
        if callback_uri is not None:
            body["callback_uri"] = callback_uri
        answer = self._transport.post(
            Call.of("oauth2/token", body, {}), deadline.remaining(), largest=LARGEST_TOKEN_ANSWER
        )
        return decipher_token(answer, [code.value, self._settings.client_secret.value])


def _outcome(call: str, post: Callable[[], Any], deadline: Deadline) -> Any:
    """Return a request's answer, or its error without the frames that saw secrets."""
    if deadline.passed():
        return _failure(call, "no time left", unsent=True)
    with watched(repeatable=call in LOOKUPS_REPEATED) as attempt:
        try:
            return post()
        except WePayError as error:
            error.__cause__ = error.__context__ = None
            return error.with_traceback(None)
        except BaseException as error:  # noqa: BLE001
            if not is_interruption(error):
                unsent = nothing_was_sent(error, attempt)
                return _failure(call, type(error).__name__, unsent=unsent)
            # Raised on, without the frames that saw secrets.
            error.__cause__ = error.__context__ = None
            interruption = error.with_traceback(None)
    raise interruption


def _failure(call: str, kind: str, *, unsent: bool) -> WePayError:
    if unsent:
        return ConnectionFailed(
            f"WePay can't be reached for {call!r} ({kind}); nothing was sent.", call=call
        )
    return OutcomeUnknown(
        f"WePay gave no usable answer to {call!r} ({kind}); it may have been executed.", call=call
    )


def _may_repeat(call: str, outcome: Any) -> bool:
    if isinstance(outcome, ConnectionFailed):
        return True
    if call not in LOOKUPS_REPEATED or not isinstance(outcome, OutcomeUnknown):
        return False
    return outcome.status is None or isinstance(outcome, ServerError)


def _member(call: Call, response: Any, secrets: Sequence[str]) -> Any:
    """Return the value of one member of a batch, or its exception."""
    if isinstance(response, dict | list):
        outcome = decipher_member(call.name, response, secrets)
    else:
        outcome = OutcomeUnknown(
            f"WePay's answer to a batch lacks a result for {call.name!r}; it may have been"
            " executed.",
            call=call.name,
        )
    if isinstance(outcome, OutcomeUnknown):
        outcome.unique_id = call.unique_id
    return outcome


def _log(call: str, outcome: Any, seconds: float, owner: str | None) -> None:
    if not _logger.isEnabledFor(logging.INFO):
        return
    failed = isinstance(outcome, WePayError)
    facts = {
        "wepay_call": call,
        "wepay_status": getattr(outcome, "status", None) if failed else 200,
        "wepay_error_code": getattr(outcome, "error_code", None),
        "wepay_milliseconds": round(seconds * 1000),
        "wepay_owner": None if owner is None else printable(owner),
        "wepay_error": type(outcome).__name__ if failed else None,
    }
    _logger.info(
        "%(wepay_call)s status=%(wepay_status)s error_code=%(wepay_error_code)s"
        " ms=%(wepay_milliseconds)s owner=%(wepay_owner)s error=%(wepay_error)s",
        facts,
        extra=facts,
    )
