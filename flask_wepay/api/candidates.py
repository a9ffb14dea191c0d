"""Choose which of an owner's tokens is used next, and move on when one is revoked."""

from __future__ import annotations

from typing import Any

from flask import has_request_context

from .. import signals
from ..errors import APIError, NotAuthorized, TokenRevoked, WePayError
from ..state import State
from ..tokens.store import MOST_CANDIDATES, Authorization, Found
from .answers import end_of_token

__all__ = ["Candidates", "signal_end"]


class Candidates:
    """The tokens of one owner for one call or batch, newest first.

    WePay executes nothing when it answers 1011, so a retry with the next token is safe
    even for a payment. All tokens belong to the same WePay user.
    """

    def __init__(self, state: State, owner: str | None, found: Found) -> None:
        self._state = state
        self._owner = owner
        self._found = found
        self._tried: set[Authorization] = set()
        self._dead: set[Authorization] = set()
        self._marked: tuple[Authorization, str] | None = None
        self._refusal: Any = None

    def next(self, call: str) -> Authorization:
        """Return the newest authorization that wasn't tried yet.

        :raises NotAuthorized: if there was none to try.
        :raises TokenRevoked: if all of them are revoked; the signal is sent first.
        """
        authorization = self._untried()
        if authorization is None and self._tried and self._owner is not None:
            # The owner may have connected again meanwhile.
            self._found = self._state.store.find(self._owner, fresh=True)
            authorization = self._untried()
        if authorization is None or len(self._tried) == MOST_CANDIDATES:
            if self._marked is not None and not self._found.candidates:
                signal_end(self._state, *self._marked)
            raise self._nobody_left(call)
        self._tried.add(authorization)
        return authorization

    def ended(self, authorization: Authorization, call: str, outcome: Any) -> bool:
        """Return whether an outcome ends this authorization; if so, mark it."""
        reason = end_of_token(call, outcome)
        if reason is None:
            return False
        self._refusal = outcome
        if authorization not in self._dead:
            self._dead.add(authorization)
            if self._state.store.end(authorization, reason):
                self._marked = authorization, reason
        return True

    def _untried(self) -> Authorization | None:
        # An owner who connects another WePay user meanwhile did not mean that user for this call.
        users = {one.user_id for one in self._tried} or {self._found.user_id}
        for one in self._found.candidates:
            if one not in self._tried and one.user_id in users:
                return one
        return None

    def _nobody_left(self, call: str) -> WePayError:
        if self._owner is None:
            return NotAuthorized(_LOGGED_OUT if has_request_context() else _NO_REQUEST)
        if self._refusal is None and self._found.ended not in ("revoked", "deleted"):
            return NotAuthorized(_WHY[self._found.ended], owner=self._owner)
        refusal = self._refusal if isinstance(self._refusal, APIError) else APIError()
        return TokenRevoked(
            _ENDED if self._state.settings.access_token is None else _MERCHANT,
            owner=self._owner,
            call=call,
            status=refusal.status,
            error=refusal.error,
            error_code=refusal.error_code,
            description=refusal.description,
            details=refusal.details,
        )


def signal_end(state: State, ended: Authorization, reason: str) -> None:
    """Send the signal of a lost connection, if this was the last authorization to end.

    If several workers each end one, exactly one of them sends it.
    """
    owner, user_id = ended.owner, ended.user_id
    if not state.store.ended_last(owner, user_id, ended):
        return
    if reason == "deleted":
        signals.send(signals.wepay_user_deleted, owner=owner, user_id=user_id)
    else:
        signals.send(signals.wepay_token_revoked, owner=owner, user_id=user_id, reason=reason)


_NO_REQUEST = (
    "Outside of a request there is no current owner: in a job or a script use"
    " wepay.client_for(owner)."
)
_LOGGED_OUT = "Nobody is logged in, so nobody is connected: send the user to wepay.login."
_WHY: dict[str | None, str] = {
    None: "The owner is not connected: send the user to wepay.login.",
    "expired": "The authorization has expired: send the user to wepay.login.",
    "disconnected": "The owner has disconnected: send the user to wepay.login.",
}
_ENDED = (
    "The authorization is revoked at WePay, and the call was not executed: send the user to"
    " wepay.login."
)
_MERCHANT = (
    "The token in 'WEPAY_ACCESS_TOKEN' is revoked at WePay, and the call was not executed: copy"
    " the new one from your account at WePay."
)
