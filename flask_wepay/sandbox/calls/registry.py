"""The registry of calls: one declaration of each, to check and to document it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..arguments import Argument, integer, read_arguments, text
from ..old_versions import upgraded
from .context import Context
from .shapes import Shape

#: What identifies the application if the call needs no secret.
CLIENT_ID = (Argument("client_id", integer, required=True),)

#: The credentials of an application that acts for itself.
CREDENTIALS = (*CLIENT_ID, Argument("client_secret", text(255), required=True))

Handler = Callable[[Context, dict[str, Any]], object]


@dataclass(frozen=True)
class Call:
    """A call: its arguments, permission, errors, answer and function."""

    name: str
    arguments: tuple[Argument, ...]
    #: The permission that a token needs; None if the application acts for itself.
    permission: str | None
    #: The application's credentials; empty if a token identifies it.
    credentials: tuple[Argument, ...]
    #: The error codes of this call, besides those of every call.
    errors: tuple[int, ...]
    answer: Shape
    #: Whether the answer is an array.
    many: bool
    handler: Handler

    @property
    def summary(self) -> str:
        """Return what it does, as one sentence."""
        return (self.handler.__doc__ or "").partition("\n")[0]

    def run(self, context: Context, arguments: Mapping[str, Any]) -> object:
        """Check the arguments, execute the call and return its answer."""
        credentials = self.credentials
        if context.authorized:
            # A token identifies the application too.
            credentials = tuple(replace(argument, required=False) for argument in credentials)
        documented = (*credentials, *self.arguments)
        arguments = upgraded(self.name, context.api_version, arguments)
        given = read_arguments(arguments, documented, context.strictness)
        for argument in credentials:
            given.pop(argument.name, None)
        context.check_callback_uri(given)
        with context.world.lock:
            done: Any = self.handler(context, given)
            if self.many:
                return [self.answer.show(context, thing) for thing in done]
            # The answer, from before the consequences of the call.
            return done if isinstance(done, dict) else self.answer.show(context, done)


#: Every call by its name, such as "account/create".
CALLS: dict[str, Call] = {}


def call(
    name: str,
    *arguments: Argument,
    answer: Shape,
    many: bool = False,
    permission: str | None = None,
    credentials: tuple[Argument, ...] | None = None,
    errors: tuple[int, ...] = (),
) -> Callable[[Handler], Handler]:
    """Declare a call; without `permission` it takes client_id and client_secret.

    With `permission` and `credentials` it takes either.
    """
    if credentials is None:
        credentials = () if permission else CREDENTIALS

    def register(handler: Handler) -> Handler:
        CALLS[name] = Call(name, arguments, permission, credentials, errors, answer, many, handler)
        return handler

    return register
