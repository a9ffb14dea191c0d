"""The access token as WePay gives it, checked, and never shown by accident."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["MalformedToken", "Secret", "Token"]

#: Signed 64 bits: https://developer.wepay.com/api/api-calls/oauth2
LARGEST_INTEGER = 2**63 - 1
LONGEST_ACCESS_TOKEN = 255


class MalformedToken(ValueError):
    """Say which field of a token is wrong, without its value."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Hold a code, a state or a client secret so that no repr and no traceback shows it."""

    #: The secret itself (str).
    value: str = field(repr=False)

    def __reduce__(self) -> Any:
        raise TypeError("a Secret is not pickled")


@dataclass(frozen=True, slots=True)
class Token:
    """An access token of one WePay user for one application; the repr is redacted.

    .. versionadded:: 1.0
    """

    #: What goes into the Authorization header (str, at most 255 characters).
    access_token: str = field(repr=False)
    #: WePay's id of the user (int, 64 bits); None only for WEPAY_ACCESS_TOKEN.
    user_id: int | None
    #: Only ``"BEARER"`` today.
    token_type: str = "BEARER"
    #: When it ends, in seconds since 1970 (int), or None: when the user revokes it.
    expires_at: int | None = None

    @property
    def expired(self) -> bool:
        """Tell whether :attr:`expires_at` has passed."""
        return self.expires_at is not None and self.expires_at <= time.time()

    def as_mapping(self) -> dict[str, Any]:
        """Return what a ``token_setter`` is given."""
        return {
            "access_token": self.access_token,
            "user_id": self.user_id,
            "token_type": self.token_type,
            "expires_at": self.expires_at,
        }

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Token:
        """Read WePay's answer to /oauth2/token, in which ``expires_in`` is in seconds.

        :raises MalformedToken: for anything but the documented fields and types.
        """
        expires_in = answer.get("expires_in")
        if expires_in is None:
            expires_at = None
        else:
            expires_at = int(time.time()) + _integer(expires_in, "expires_in")
        return cls.from_mapping({**answer, "expires_at": expires_at})

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Token:
        """Read what a ``token_getter`` gives.

        :raises MalformedToken: for a missing field or a wrong type.
        """
        token_type = mapping.get("token_type")
        if not isinstance(token_type, str) or token_type.upper() != "BEARER":
            raise MalformedToken("'token_type' is not \"BEARER\"")
        expires_at = mapping.get("expires_at")
        return cls(
            access_token=check_access_token(mapping.get("access_token")),
            user_id=_integer(mapping.get("user_id"), "user_id"),
            token_type=token_type,
            expires_at=None if expires_at is None else _integer(expires_at, "expires_at"),
        )


def check_access_token(value: object) -> str:
    """Return the value if it can stand in an Authorization header.

    :raises MalformedToken: if it is no string, too long, or has odd characters.
    """
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_ACCESS_TOKEN:
        raise MalformedToken("'access_token' is not a string of 1 to 255 characters")
    if not all("!" <= character <= "~" for character in value):
        raise MalformedToken("'access_token' has characters that no header can carry")
    return value


def _integer(value: object, name: str) -> int:
    # bool is an int to isinstance, and true is nobody's user_id.
    if type(value) is not int or not 0 < value <= LARGEST_INTEGER:
        raise MalformedToken(f"{name!r} is not a positive integer of 64 bits")
    return value
