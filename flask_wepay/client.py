"""Calls on behalf of an owner, one by one and in batches."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any

from flask import has_request_context, request

from .calls import Call, Deadline
from .errors import ConfigurationError, InvalidCall, WePayError
from .state import State, checked_owner
from .store import MERCHANT, Authorization, Found
from .succession import Succession
from .tokens import Token

__all__ = ["WePayClient", "find", "forget", "send_batch"]

#: How many calls one batch holds: https://developer.wepay.com/api/api-calls/batch
LARGEST_BATCH = 50

#: Seconds for which a request believes what it looked up: a stream may go on for hours.
LONGEST_MEMORY = 10.0
#: Seconds that a call can be given: beyond it no timer goes.
A_DAY = 86_400.0

#: One call of a batch and whose it is.
Member = tuple[str | None, Call]


class WePayClient:
    """Make API calls as one owner.

    Views use :data:`flask_wepay.current_wepay`; jobs and scripts get one from
    :meth:`flask_wepay.WePay.client_for`.

    .. versionadded:: 1.0
    """

    def __init__(self, state: State, owner: str | None) -> None:
        self._state = state
        #: Whose calls these are (str), or None for nobody.
        self.owner = owner

    def __repr__(self) -> str:
        return f"<WePayClient owner={self.owner!r}>"

    @property
    def authorized(self) -> bool:
        """Tell whether there is a token to use, without asking WePay.

        :raises TokenUnreadable: if there is one that no key opens.
        :raises StoreUnavailable: if the database does not answer.
        """
        return self.token is not None

    @property
    def user_id(self) -> int | None:
        """WePay's id of the connected user, or None where nobody is connected.

        :raises StoreUnavailable: if the database does not answer.
        """
        found = self._find()
        return found.user_id if found.candidates else None

    @property
    def token(self) -> Token | None:
        """The token that the next call uses (its repr is redacted), or None.

        :raises TokenUnreadable: if no key opens it.
        :raises StoreUnavailable: if the database does not answer.
        """
        candidates = self._find().candidates
        return candidates[0].open() if candidates else None

    def call(
        self,
        call: str,
        /,
        *,
        params: Mapping[str, Any] | None = None,
        api_version: str | None = None,
        risk_token: str | None = None,
        client_ip: str | None = None,
        timeout: float | None = None,
        wait: float = 0.0,
        **parameters: Any,
    ) -> Any:
        """Make a call, such as ``call("account/create", name=…)``, and return the answer.

        `params` is a mapping of further parameters, for names that collide with the keywords
        here. `timeout` is in seconds for the whole call, `wait` for how long it may wait
        for its turn on top. `risk_token` and `client_ip` go into WePay's headers:
        https://developer.wepay.com/api/general/api-call

        :raises InvalidCall: if it is not the name of a call, a token is a parameter, or a
            keyword is not of the type it has to be.
        :raises NotAuthorized: if the owner has to connect first.
        :raises TokenRevoked: if the owner's authorization has ended at WePay.
        :raises APIError: for every other refusal, by ``error_code``.
        :raises ConnectionFailed: if nothing was sent; it is safe to repeat.
        :raises OutcomeUnknown: if no usable answer came; it may have been executed.
        :raises StoreUnavailable: if our database does not answer; nothing was sent.
        """
        headers = {
            "Api-Version": api_version,
            "WePay-Risk-Token": risk_token,
            "Client-IP": client_ip,
        }
        try:
            merged = {**(params or {}), **parameters}
        except TypeError:
            kind = type(params).__name__
            raise InvalidCall(f"'params' is of type {kind}, not a mapping.") from None
        prepared = Call.of(call, merged, headers)
        return self.send(prepared, _deadline(self._state, timeout, wait))

    def batch(
        self,
        calls: Iterable[tuple[str, Mapping[str, Any]]],
        *,
        timeout: float | None = None,
        wait: float = 0.0,
    ) -> list[Any]:
        """Make many calls in requests of at most 50, and return their results in order.

        A failed member is an :class:`~flask_wepay.errors.WePayError` in its place, not
        raised. `timeout` and `wait` are in seconds, for each request anew.

        :raises WePayError: as :meth:`call` does, if the first request fails as a whole.
        """
        members = [(self.owner, call, parameters) for call, parameters in calls]
        return send_batch(self._state, members, timeout=timeout, wait=wait)

    def disconnect(self) -> None:
        """Forget the owner's authorizations here.

        WePay has no call that revokes a token: it lives on there until the user
        removes the application in the settings at WePay, or connects again.

        :raises StoreUnavailable: if the database does not answer; then nothing is forgotten.
        """
        if self.owner is not None:
            self._state.store.disconnect(self.owner)
            forget(self._state, self.owner)

    def send(self, call: Call, deadline: Deadline, share: str | None = None) -> Any:
        """Send a prepared call with the owner's newest token that is alive.

        `share` names the part of the budget that strangers may use up.
        """
        succession = Succession(self._state, self.owner, self._find())
        while True:
            authorization = succession.next(call.name)
            outcome = self._state.caller.send(
                call, authorization.open(), deadline, share=share, owner=self.owner
            )
            if not succession.ended(authorization, call.name, outcome):
                break
            forget(self._state, authorization.owner)
        if isinstance(outcome, WePayError):
            raise outcome
        return outcome

    def _find(self) -> Found:
        return find(self._state, self.owner)


def _deadline(state: State, timeout: Any, wait: Any) -> Deadline:
    for name, seconds in ("timeout", timeout), ("wait", wait):
        if seconds is not None and not (isinstance(seconds, int | float) and 0 <= seconds <= A_DAY):
            raise InvalidCall(f"'{name}' is {seconds!r}: give seconds, such as 20.")
    return Deadline(state.settings.timeout if timeout is None else timeout, wait or 0.0)


def find(state: State, owner: str | None) -> Found:
    """Look an owner up, once per request that is no long one; outside of one every time anew.

    :raises ConfigurationError: if the owner is no string.
    """
    if owner is None:
        return Found()
    checked_owner(owner, "The caller")
    seen = _seen(state)
    if seen is None:
        return state.store.find(owner)
    now = time.monotonic()
    if owner not in seen or now - seen[owner][0] > LONGEST_MEMORY:
        seen[owner] = now, state.store.find(owner)
    return seen[owner][1]


def forget(state: State, owner: str) -> None:
    """Drop what this request has looked up of an owner, after it has changed."""
    seen = _seen(state)
    if seen is not None:
        seen.pop(owner, None)


def _seen(state: State) -> dict[str, tuple[float, Found]] | None:
    """Return what this request has looked up by owner, and when, or None outside of a request."""
    if not has_request_context():
        return None
    # Not in g, for an outer application context may serve many requests; nor in the environ,
    # which a socket's events share.
    this = request._get_current_object()  # type: ignore[attr-defined]  # noqa: SLF001
    seen: dict[int, dict[str, tuple[float, Found]]] = vars(this).setdefault("_wepay_found", {})
    return seen.setdefault(id(state), {})


def send_batch(
    state: State,
    calls: Iterable[tuple[str | None, str, Mapping[str, Any]]],
    *,
    timeout: float | None,
    wait: float,
) -> list[Any]:
    """Send calls of several owners in requests of at most 50; see :meth:`WePayClient.batch`.

    :raises ConfigurationError: without the credentials that WePay wants of a batch, and for
        other owners than the merchant itself with WEPAY_ACCESS_TOKEN.
    """
    members = [(owner, Call.of(call, parameters, {})) for owner, call, parameters in calls]
    _check_application(state, members)
    # Who connects another WePay user between two requests did not mean this batch.
    found = {owner: find(state, owner) for owner in dict(members)}
    results: list[Any] = []
    for start in range(0, len(members), LARGEST_BATCH):
        chunk = members[start : start + LARGEST_BATCH]
        try:
            results += _send_chunk(state, chunk, found, _deadline(state, timeout, wait))
        except WePayError as error:
            # What earlier requests brought must not be lost.
            if not results:
                raise
            results += [_of_member(error, call) for _, call in chunk]
    return results


def _check_application(state: State, members: Sequence[Member]) -> None:
    settings = state.settings
    if not settings.client_secret.value:
        raise ConfigurationError(
            "A batch needs 'WEPAY_CLIENT_ID' and 'WEPAY_CLIENT_SECRET' beside 'WEPAY_ACCESS_TOKEN'."
        )
    if settings.access_token is not None and {owner for owner, _ in members} - {MERCHANT}:
        raise ConfigurationError("With 'WEPAY_ACCESS_TOKEN' there are no owners to act for.")


def _send_chunk(
    state: State,
    members: Sequence[Member],
    found: Mapping[str | None, Found],
    deadline: Deadline,
) -> list[Any]:
    """Send one request, and again those members whose token turned out to be dead."""
    successions = {owner: Succession(state, owner, found[owner]) for owner in dict(members)}
    results: dict[int, Any] = {}
    answered = False
    while sent := _choose(members, successions, results):
        calls = [(call, token) for call, _, token in sent.values()]
        try:
            outcomes = state.caller.send_batch(calls, deadline)
        except WePayError as error:
            if not answered:
                raise
            results |= {index: _of_member(error, call) for index, (call, _, _) in sent.items()}
            break
        answered = True
        for (index, (call, authorization, _)), outcome in zip(sent.items(), outcomes, strict=True):
            if successions[authorization.owner].ended(authorization, call.name, outcome):
                forget(state, authorization.owner)
            else:
                results[index] = outcome
    return [results[index] for index in range(len(members))]


def _choose(
    members: Sequence[Member],
    successions: Mapping[str | None, Succession],
    results: dict[int, Any],
) -> dict[int, tuple[Call, Authorization, Token]]:
    """Give each member without a result its owner's next token, or the lack of one as result."""
    waiting = {index: member for index, member in enumerate(members) if index not in results}
    tokens = {owner: _next(successions[owner]) for owner in dict(waiting.values())}
    chosen = {}
    for index, (owner, call) in waiting.items():
        found = tokens[owner]
        if isinstance(found, WePayError):
            results[index] = _of_member(found, call)
        else:
            chosen[index] = (call, *found)
    return chosen


def _next(succession: Succession) -> tuple[Authorization, Token] | WePayError:
    try:
        authorization = succession.next("batch/create")
        return authorization, authorization.open()
    except WePayError as error:
        return error


def _of_member(error: WePayError, call: Call) -> WePayError:
    """Return the error of a whole request as that of one of its members."""
    error = copy(error)
    for name, value in (("call", call.name), ("unique_id", call.unique_id)):
        if hasattr(error, name):
            setattr(error, name, value)
    return error
