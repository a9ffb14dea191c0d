"""Send many calls in one request, for one owner or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any

from ..errors import ConfigurationError, WePayError
from ..state import State, checked_owner
from ..tokens import Token
from ..tokens.store import MERCHANT, Authorization, Found
from .calls import Call, Deadline, deadline_of
from .candidates import Candidates
from .lookup import find, forget

__all__ = ["LARGEST_BATCH", "send_batch"]

#: The most calls in one batch: https://developer.wepay.com/api/api-calls/batch
LARGEST_BATCH = 50

#: One call of a batch, with its owner.
Member = tuple[str | None, Call]


def send_batch(
    state: State,
    calls: Iterable[tuple[str | None, str, Mapping[str, Any]]],
    *,
    timeout: float | None,
    wait: float,
) -> list[Any]:
    """Send calls of several owners in requests of up to 50; see :meth:`WePayClient.batch`.

    :raises ConfigurationError: if the credentials that WePay requires for a batch are missing,
        or if WEPAY_ACCESS_TOKEN is set and an owner is given.
    """
    members = [
        (checked_owner(owner, "batch"), Call.of(call, parameters, {}))
        for owner, call, parameters in calls
    ]
    _check_application(state, members)
    # Looked up once: an owner who connects another WePay user between two requests
    # did not mean that user for this batch.
    found = {owner: find(state, owner) for owner in dict(members)}
    results: list[Any] = []
    for start in range(0, len(members), LARGEST_BATCH):
        chunk = members[start : start + LARGEST_BATCH]
        try:
            results += _send_chunk(
                state, chunk, found, deadline_of(state.settings.timeout, timeout, wait)
            )
        except WePayError as error:
            # The results of earlier requests must not be lost.
            if not results:
                raise
            results += [_of_member(error, call) for _, call in chunk]
    return results


def _check_application(state: State, members: Sequence[Member]) -> None:
    settings = state.settings
    if not settings.client_secret.value:
        raise ConfigurationError(
            "A batch needs 'WEPAY_CLIENT_ID' and 'WEPAY_CLIENT_SECRET' next to"
            " 'WEPAY_ACCESS_TOKEN'."
        )
    if settings.access_token is not None and {owner for owner, _ in members} - {MERCHANT}:
        raise ConfigurationError("With 'WEPAY_ACCESS_TOKEN' you can't act for owners.")


def _send_chunk(
    state: State,
    members: Sequence[Member],
    found: Mapping[str | None, Found],
    deadline: Deadline,
) -> list[Any]:
    """Send one request, and retry the members whose token is revoked with the next one."""
    candidates = {owner: Candidates(state, owner, found[owner]) for owner in dict(members)}
    results: dict[int, Any] = {}
    answered = False
    while sent := _choose(members, candidates, results):
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
            if candidates[authorization.owner].ended(authorization, call.name, outcome):
                forget(state)
            else:
                results[index] = outcome
    return [results[index] for index in range(len(members))]


def _choose(
    members: Sequence[Member],
    candidates: Mapping[str | None, Candidates],
    results: dict[int, Any],
) -> dict[int, tuple[Call, Authorization, Token]]:
    """Return each open member with its owner's next token; without a token note the error."""
    waiting = {index: member for index, member in enumerate(members) if index not in results}
    tokens = {owner: _next(candidates[owner]) for owner in dict(waiting.values())}
    chosen = {}
    for index, (owner, call) in waiting.items():
        found = tokens[owner]
        if isinstance(found, WePayError):
            results[index] = _of_member(found, call)
        else:
            chosen[index] = (call, *found)
    return chosen


def _next(candidates: Candidates) -> tuple[Authorization, Token] | WePayError:
    try:
        authorization = candidates.next("batch/create")
        return authorization, authorization.token
    except WePayError as error:
        return error


def _of_member(error: WePayError, call: Call) -> WePayError:
    """Return a copy of a request's error for one of its members."""
    error = copy(error)
    for name, value in (("call", call.name), ("unique_id", call.unique_id)):
        if hasattr(error, name):
            setattr(error, name, value)
    return error
