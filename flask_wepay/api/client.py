"""Make calls on behalf of an owner."""

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
    """A client that makes API calls as one owner.

    Views use :data:`flask_wepay.current_wepay`. Jobs and scripts get a client from
    :meth:`flask_wepay.WePay.client_for`.

    .. versionadded:: 1.0
    """

    def __init__(self, state: State, owner: str | None) -> None:
        self._state = state
        #: The owner that calls are made for (str), or None if nobody is logged in.
        self.owner = owner

    def __repr__(self) -> str:
        return f"<WePayClient owner={self.owner!r}>"

    @property
    def authorized(self) -> bool:
        """Return whether the owner has an active authorization, without asking WePay.

        :raises TokenUnreadable: if no key decrypts the stored token.
        :raises StoreUnavailable: if the database doesn't answer.
        """
        return self.token is not None

    @property
    def user_id(self) -> int | None:
        """WePay's id of the connected user (int), or None if nobody is connected.

        :raises StoreUnavailable: if the database doesn't answer.
        """
        found = self._find()
        return found.user_id if found.candidates else None

    @property
    def token(self) -> Token | None:
        """The token that the next call uses, or None. Its repr is redacted.

        :raises TokenUnreadable: if no key decrypts the stored token.
        :raises StoreUnavailable: if the database doesn't answer.
        """
        candidates = self._find().candidates
        return candidates[0].token if candidates else None

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

        Parameters are keywords, or a mapping as in ``call("account/create", {"name": …})``.

        :param call: the name of the call, such as "user" or "account/create".
        :param params: a mapping of parameters, for names that collide with these keywords.
        :param api_version: the Api-Version header of this call (str).
        :param risk_token: the WePay-Risk-Token header of this call (str).
        :param client_ip: the Client-IP header of this call (str).
        :param timeout: seconds for the whole call, retries included; WEPAY_TIMEOUT by default.
        :param wait: seconds that the call may wait for the rate limit, on top of `timeout`.
        :raises InvalidCall: if the name, a parameter or a keyword is invalid; nothing was sent.
        :raises NotAuthorized: if the owner has no active authorization; nothing was sent.
        :raises TokenRevoked: if the owner's authorization is revoked.
        :raises Throttled: if a rate limit is reached.
        :raises APIError: if WePay refuses the call for another reason.
        :raises ConnectionFailed: if WePay can't be reached; nothing was sent, so retry.
        :raises OutcomeUnknown: if no usable answer arrived; the call may have been executed.
        :raises StoreUnavailable: if the database doesn't answer; nothing was sent.

        WePay documents the headers at https://developer.wepay.com/api/general/api-call.
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
        """Make many calls in requests of up to 50, and return their results in order.

        The result of a failed call is a :exc:`~flask_wepay.errors.WePayError`, which is not
        raised.

        :param calls: pairs of a call's name and its parameters.
        :param timeout: seconds for each request; WEPAY_TIMEOUT by default.
        :param wait: seconds that each request may wait for the rate limit, on top of `timeout`.
        :raises WePayError: what :meth:`call` raises, if the first request itself fails.
        """
        members = [(self.owner, call, parameters) for call, parameters in calls]
        return send_batch(self._state, members, timeout=timeout, wait=wait)

    def disconnect(self) -> None:
        """Delete the owner's tokens here.

        WePay has no call that revokes a token. It stays valid at WePay until the user
        removes the application in the settings there, or connects again.

        :raises StoreUnavailable: if the database doesn't answer; then nothing is deleted.
        """
        if self.owner is not None:
            self._state.store.disconnect(self.owner)
            forget(self._state)

    def send(self, call: Call, deadline: Deadline, share: str | None = None) -> Any:
        """Send a prepared call with the owner's newest active token.

        `share` names the share of the rate limit that the call counts against.
        """
        candidates = Candidates(self._state, self.owner, self._find())
        while True:
            authorization = candidates.next(call.name)
            outcome = self._state.caller.send(
                call, authorization.token, deadline, share=share, owner=self.owner
            )
            if not candidates.ended(authorization, call.name, outcome):
                break
            forget(self._state)
        if isinstance(outcome, WePayError):
            raise outcome
        return outcome

    def _find(self) -> Found:
        return find(self._state, self.owner)
