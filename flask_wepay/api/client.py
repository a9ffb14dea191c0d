"""Calls on behalf of an owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..errors import InvalidCall, WePayError
from ..state import State
from ..tokens import Token
from ..tokens.store import Found
from .batch import send_batch
from .calls import Call, Deadline, deadline_of
from .candidates import Candidates
from .lookup import find, forget

__all__ = ["WePayClient"]


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
        params: Mapping[str, Any] | None = None,
        *,
        api_version: str | None = None,
        risk_token: str | None = None,
        client_ip: str | None = None,
        timeout: float | None = None,
        wait: float = 0.0,
        **parameters: Any,
    ) -> Any:
        """Make a call, such as ``call("account/create", name=…)``, and return the answer.

        `params` is a mapping of further parameters: those whose names collide with the keywords
        here, or all of them, as in ``call("account/create", {"name": …})``. `timeout` is in
        seconds for the whole call, `wait` for how long it may wait for its turn on top.
        `risk_token` and `client_ip` go into WePay's headers:
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
        return self.send(prepared, deadline_of(self._state.settings.timeout, timeout, wait))

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
            forget(self._state)

    def send(self, call: Call, deadline: Deadline, share: str | None = None) -> Any:
        """Send a prepared call with the owner's newest token that is alive.

        `share` names the part of the budget that strangers may use up.
        """
        candidates = Candidates(self._state, self.owner, self._find())
        while True:
            authorization = candidates.next(call.name)
            outcome = self._state.caller.send(
                call, authorization.open(), deadline, share=share, owner=self.owner
            )
            if not candidates.ended(authorization, call.name, outcome):
                break
            forget(self._state)
        if isinstance(outcome, WePayError):
            raise outcome
        return outcome

    def _find(self) -> Found:
        return find(self._state, self.owner)
