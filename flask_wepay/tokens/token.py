"""The access token that WePay issued, validated, and never shown by accident."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from typing import Any, Self

from ..foreign import plain

__all__ = [
    "LARGEST_INTEGER",
    "MalformedToken",
    "Secret",
    "Token",
    "check_access_token",
    "read_token",
]

#: Signed 64 bits: https://developer.wepay.com/api/api-calls/oauth2
LARGEST_INTEGER = 2**63 - 1
LONGEST_ACCESS_TOKEN = 255
_VISIBLE = re.compile(r"[!-~]*")


class MalformedToken(ValueError):
    """Raised when a field of a token is invalid; the message names it without its value."""


class _Hidden:
    """An immutable value that doesn't appear in a repr, a pickle or ``asdict``."""

    __slots__: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a {type(self).__name__} is immutable")

    def __reduce_ex__(self, protocol: object) -> Any:
        raise TypeError(f"a {type(self).__name__} can't be pickled")

    def _facts(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, type(self)) and self._facts() == other._facts()

    def __hash__(self) -> int:
        return hash(self._facts())


class Secret(_Hidden):
    """Holds a code, a state or a client secret, so that no repr or traceback shows it."""

    __slots__ = ("value",)

    #: The secret itself (str).
    value: str

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "value", value)

    def __repr__(self) -> str:
        return "Secret()"


class Token(_Hidden):
    """An access token of one WePay user for one application. Its repr is redacted.

    It can't be pickled. Pass a job the owner, and let it call
    :meth:`~flask_wepay.WePay.client_for`.

    .. versionadded:: 1.0
    """

    __slots__ = ("access_token", "expires_at", "token_type", "user_id")

    #: The token in the Authorization header (str, at most 255 characters).
    access_token: str
    #: WePay's id of the user (int, 64 bits), or None for WEPAY_ACCESS_TOKEN.
    user_id: int | None
    #: Currently always ``"BEARER"``.
    token_type: str
    #: When the token expires, in seconds since 1970 (int), or None if it doesn't expire.
    expires_at: int | None

    def __init__(
        self,
        access_token: str,
        user_id: int | None,
        token_type: str = "BEARER",  # noqa: S107
        expires_at: int | None = None,
    ) -> None:
        values = (access_token, expires_at, token_type, user_id)
        for name, value in zip(self.__slots__, values, strict=True):
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        return (
            f"Token(user_id={self.user_id!r}, token_type={self.token_type!r},"
            f" expires_at={self.expires_at!r})"
        )

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    @property
    def expired(self) -> bool:
        """Whether :attr:`expires_at` has passed (bool)."""
        return self.expires_at is not None and self.expires_at <= time.time()

    def as_mapping(self) -> dict[str, Any]:
        """Return the token as a mapping, as a ``token_setter`` receives it."""
        return {
            "access_token": self.access_token,
            "user_id": self.user_id,
            "token_type": self.token_type,
            "expires_at": self.expires_at,
        }

    @classmethod
    def from_answer(cls, answer: Mapping[str, Any]) -> Token:
        """Return the token of WePay's answer to /oauth2/token, whose ``expires_in`` is in seconds.

        :raises MalformedToken: unless the answer has the documented fields and types.
        """
        expires_in = answer.get("expires_in")
        if expires_in is None:
            expires_at = None
        else:
            expires_at = int(time.time()) + _integer(expires_in, "expires_in")
        return cls.from_mapping({**answer, "expires_at": expires_at})

    @classmethod
    def from_mapping(cls, mapping: Mapping[str, Any]) -> Token:
        """Return the token of a mapping that a ``token_getter`` returned.

        :raises MalformedToken: if a field is missing or has a wrong type.
        """
        token_type = plain(mapping.get("token_type"))
        if token_type is None or token_type.upper() != "BEARER":
            raise MalformedToken("'token_type' is not \"BEARER\"")
        expires_at = mapping.get("expires_at")
        return cls(
            access_token=check_access_token(mapping.get("access_token")),
            user_id=_integer(mapping.get("user_id"), "user_id"),
            token_type=token_type,
            expires_at=None if expires_at is None else _integer(expires_at, "expires_at"),
        )


def read_token(mapping: object) -> Token | str:
    """Return the token of a mapping, or a text that says what is wrong with it.

    It doesn't raise, because the caller's exception must not have the mapping in a frame.
    """
    if isinstance(mapping, Token):
        return mapping
    if not isinstance(mapping, Mapping):
        return f"it is of type {type(mapping).__name__}, not a mapping"
    try:
        return Token.from_mapping(mapping)
    except MalformedToken as error:
        return str(error)


def check_access_token(value: object) -> str:
    """Return the value if an Authorization header can carry it.

    :raises MalformedToken: if it isn't a string, is too long, or has invalid characters.
    """
    token = plain(value)
    if token is None or not 0 < len(token) <= LONGEST_ACCESS_TOKEN:
        raise MalformedToken("'access_token' is not a string of 1 to 255 characters")
    if not _VISIBLE.fullmatch(token):
        raise MalformedToken("'access_token' has characters that no header can carry")
    return token


def _integer(value: object, name: str) -> int:
    # For isinstance a bool is an int, and true isn't a user_id.
    if type(value) is not int or not 0 < value <= LARGEST_INTEGER:
        raise MalformedToken(f"{name!r} is not a positive integer of 64 bits")
    return value
