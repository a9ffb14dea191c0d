"""Which calls there are, and what each one is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..answers import Refused
from ..arguments import Argument, callback_uri_problem, check_arguments, integer, text
from ..objects import Application, Token, User
from ..world import World

#: The credentials that an application sends where it acts for itself.
CREDENTIALS = (
    Argument("client_id", integer, required=True),
    Argument("client_secret", text(255), required=True),
)


@dataclass(frozen=True)
class Context:
    """Who makes a call, and where."""

    world: World
    application: Application
    #: The sandbox's own address, without a slash at the end.
    base_url: str
    #: None where the application acts for itself.
    authorized: Token | None = None

    @property
    def token(self) -> Token:
        """Give the token of a call that needs one."""
        assert self.authorized is not None
        return self.authorized

    @property
    def user(self) -> User:
        """Give the user whom the token stands for."""
        return self.world.users[self.token.user_id]

    def check_callback_uri(self, arguments: Mapping[str, Any]) -> None:
        """Refuse a callback_uri that IPNs could not be sent to."""
        callback_uri = arguments.get("callback_uri")
        if callback_uri is not None:
            problem = callback_uri_problem(callback_uri, self.world.environment)
            if problem:
                raise Refused(1003, f"callback_uri parameter {problem}")


Handler = Callable[[Context, dict[str, Any]], object]


@dataclass(frozen=True)
class Call:
    """A call: what it takes, what it needs and who does the work."""

    name: str
    arguments: tuple[Argument, ...]
    #: The permission a token needs; None for calls made with the application's credentials.
    permission: str | None
    handler: Handler

    def run(self, context: Context, arguments: Mapping[str, Any]) -> object:
        """Check the arguments and do the work."""
        check_arguments(arguments, self.arguments)
        given = {name: value for name, value in arguments.items() if value is not None}
        context.check_callback_uri(given)
        with context.world.lock:
            return self.handler(context, given)


#: Every call by its name, such as "account/create".
CALLS: dict[str, Call] = {}


def call(
    name: str, *arguments: Argument, permission: str | None = None
) -> Callable[[Handler], Handler]:
    """Register a call; without `permission` it takes client_id and client_secret."""

    def register(handler: Handler) -> Handler:
        taken = arguments if permission else (*CREDENTIALS, *arguments)
        CALLS[name] = Call(name, taken, permission, handler)
        return handler

    return register
