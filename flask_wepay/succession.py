"""Which of an owner's tokens is used next, and what happens when one turns out dead."""

from __future__ import annotations

from typing import Any

from . import signals
from .answers import end_of_token
from .errors import APIError, NotAuthorized, TokenRevoked, WePayError
from .state import State
from .store import Authorization, Found

__all__ = ["Succession", "tell_end"]

#: How many authorizations one call tries.
MOST_TRIED = 5


class Succession:
    """The tokens of one owner for one call, newest first.

    WePay executes nothing when it answers 1011, so going on with the next token is
    safe even for a payment. All of them are of the same WePay user.
    """

    def __init__(self, state: State, owner: str | None, call: str, found: Found) -> None:
        self._state = state
        self._owner = owner
        self._call = call
        self._found = found
        self._tried: set[tuple[int, str]] = set()
        self._marked: list[tuple[Authorization, str]] = []
        self._refusal: Any = None

    def next(self) -> Authorization:
        """Return the newest authorization that was not tried yet.

        :raises NotAuthorized: if there never was one to try.
        :raises TokenRevoked: if all of them have ended; the signal has been sent then.
        """
        authorization = self._untried()
        if authorization is None and self._tried and self._owner is not None:
            # Somebody may have connected again meanwhile.
            self._found = self._state.store.find(self._owner, fresh=True)
            authorization = self._untried()
        if authorization is None or len(self._tried) == MOST_TRIED:
            if self._marked and not self._found.candidates:
                tell_end(self._state, *self._marked[-1])
            raise self._nobody_left()
        self._tried.add((authorization.id, authorization.state_hash))
        return authorization

    def ended(self, authorization: Authorization, outcome: Any) -> bool:
        """Tell whether an outcome says that this authorization is dead; if so mark it."""
        reason = end_of_token(self._call, outcome)
        if reason is None:
            return False
        self._refusal = outcome
        if self._state.store.end(authorization, reason):
            self._marked.append((authorization, reason))
        return True

    def _untried(self) -> Authorization | None:
        for candidate in self._found.candidates:
            if (candidate.id, candidate.state_hash) not in self._tried:
                return candidate
        return None

    def _nobody_left(self) -> WePayError:
        if self._refusal is None and self._found.ended not in ("revoked", "deleted"):
            return NotAuthorized(_WHY.get(self._found.ended, _NOBODY), owner=self._owner)
        refusal = self._refusal if isinstance(self._refusal, APIError) else APIError()
        return TokenRevoked(
            f"The authorization of owner {self._owner!r} has ended at WePay, and {self._call!r}"
            " was not executed: send the user to wepay.login.",
            owner=self._owner,
            call=self._call,
            status=refusal.status,
            error=refusal.error,
            error_code=refusal.error_code,
            description=refusal.description,
            details=refusal.details,
        )


def tell_end(state: State, ended: Authorization, reason: str) -> None:
    """Send the signal of a lost connection, if this was the last authorization to die.

    Of several workers that each found one dead, exactly one comes to send it.
    """
    owner, user_id = ended.owner, ended.user_id
    if not state.store.ended_last(owner, user_id, ended):
        return
    if reason == "deleted":
        signals.send(signals.wepay_user_deleted, owner=owner, user_id=user_id)
    else:
        signals.send(signals.wepay_token_revoked, owner=owner, user_id=user_id, reason=reason)


_NOBODY = "Nobody is connected: send the user to wepay.login."
_WHY: dict[str | None, str] = {
    "expired": "The authorization has expired: send the user to wepay.login.",
    "disconnected": "The owner has disconnected: send the user to wepay.login.",
}
