"""The context of a call: who makes it, and where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ..answers import Refused
from ..objects import Application, Token, User
from ..strictness import Strictness
from ..world import World


@dataclass(frozen=True)
class Context:
    """The context of a call: who makes it, and where."""

    world: World
    application: Application
    #: The sandbox's own address, without a slash at the end.
    base_url: str
    api_version: str
    strictness: Strictness
    #: None if the application acts for itself.
    authorized: Token | None = None

    @property
    def token(self) -> Token:
        """Return the token of a call that requires one."""
        assert self.authorized is not None
        return self.authorized

    @property
    def user(self) -> User:
        """Return the token's user."""
        return self.world.users[self.token.user_id]

    def check_callback_uri(self, arguments: Mapping[str, Any]) -> None:
        """Refuse a callback_uri that WePay doesn't send IPNs to: production allows no ports."""
        callback_uri = arguments.get("callback_uri")
        has_port = callback_uri is not None and urlsplit(callback_uri).port is not None
        if has_port and self.world.environment == "production":
            raise Refused(1003, "callback_uri parameter must have no port in production")
