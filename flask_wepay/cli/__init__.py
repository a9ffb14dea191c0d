"""The commands of ``flask wepay``, for operators.

Exit codes: 0 when all is well, 1 when not, 2 for wrong usage.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TextIO

import click
from cryptography.fernet import Fernet
from flask.cli import AppGroup

from ..api.client import WePayClient
from ..api.lookup import find
from ..errors import (
    ConfigurationError,
    InvalidCall,
    NotAuthorized,
    TokenRevoked,
    TokenUnreadable,
    WePayError,
)
from ..ipns import PARAMETER
from ..tokens.store import MERCHANT
from .callback_uris import callback_uri
from .check import check
from .output import Problem, WrongUsage, printable, state_here
from .tokens import prune, rotate_keys, tokens

__all__ = ["wepay"]

REDACTED = "[redacted]"
_SIGNATURE = re.compile(rf"(?<={PARAMETER}=)[^&]+")


class Commands(AppGroup):
    """A group whose commands end an expected failure with a message instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command, including the loading of the application, which may also fail."""
        try:
            return super().invoke(ctx)
        except WePayError as error:
            usage = isinstance(error, ConfigurationError | InvalidCall)
            wrong = usage and not isinstance(error, TokenUnreadable)
            raise (WrongUsage if wrong else Problem)(str(error)) from None


@click.group("wepay", cls=Commands)
def wepay() -> None:
    """Manage the connections to WePay.

    Commands exit with 0 when all is well, 1 when not, and 2 for wrong usage. None of
    them shows a token or the client secret.
    """


for command in (callback_uri, check, prune, rotate_keys, tokens):
    wepay.add_command(command)


@wepay.command("call")
@click.argument("call", metavar="CALL")
@click.argument("parameters", metavar="[KEY=VALUE]...", nargs=-1)
@click.option("--owner", help="The owner to act for, by the id that the application gives them.")
@click.option(
    "--json", "file", type=click.File(), help="Read parameters from a JSON object; - is stdin."
)
def call_(call: str, parameters: tuple[str, ...], owner: str | None, file: TextIO | None) -> None:
    """Make an API call as an owner, and print WePay's answer.

    CALL is the name of a call, such as "user" or "checkout/find". A VALUE is parsed as JSON if
    possible, and is text otherwise: checkout_id=123 is a number, reference_id='"123"' is text.

    \b
      flask wepay call user --owner alice
      flask wepay call checkout --owner alice checkout_id=12345
      flask wepay call account/create --owner alice --json account.json
    """  # noqa: D301
    state = state_here()
    if state.settings.access_token is not None:
        owner = MERCHANT
    elif owner is None:
        raise click.UsageError("Missing option '--owner'.")
    given = {**_read_object(file), **dict(_read_parameter(text) for text in parameters)}
    try:
        answer = WePayClient(state, owner).call(call, given)
    except (NotAuthorized, TokenRevoked) as error:
        if owner == MERCHANT:
            raise
        raise Problem(f"Owner '{owner}': {error}") from None
    click.echo(json.dumps(_redacted(answer), indent=2))


def _read_object(file: TextIO | None) -> Mapping[str, Any]:
    if file is None:
        return {}
    try:
        value = json.load(file)
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"The file of '--json' is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise click.UsageError("The file of '--json' is not a JSON object: start it with '{'.")
    return value


def _read_parameter(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise click.UsageError(f"{text!r} is not a parameter: write KEY=VALUE.")
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):
        return key, value


def _redacted(value: Any) -> Any:
    """Remove secrets from an answer: /user/register returns a token, /user our signature."""
    if isinstance(value, dict):
        return {
            key: REDACTED if key == "access_token" else _redacted(member)
            for key, member in value.items()
        }
    if isinstance(value, list):
        return [_redacted(member) for member in value]
    return _SIGNATURE.sub(REDACTED, value) if isinstance(value, str) else value


@wepay.command()
@click.argument("owner")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def forget(owner: str, yes: bool) -> None:
    """Disconnect an OWNER from WePay, here.

    WePay has no call that revokes a token. It stays valid at WePay until the user removes the
    application in the settings there. The rows are kept without their tokens until
    'flask wepay prune' deletes them.
    """
    state = state_here()
    found = find(state, owner)
    name = printable(owner)
    # An expired row, or a row of a former WePay user, still has a token here.
    if not found.candidates and found.ended in (None, "disconnected"):
        ended = f": {found.ended}" if found.ended else ", and never was"
        raise Problem(f"Owner '{name}' is not connected{ended}.")
    if not yes:
        question = f"Forget all connections of owner '{name}' (WePay user {found.user_id})?"
        click.confirm(question, abort=True)
    WePayClient(state, owner).disconnect()
    click.echo(f"Owner '{name}' is disconnected.")


@wepay.command("generate-key", with_appcontext=False)
def generate_key() -> None:
    """Print a new key for WEPAY_TOKEN_KEYS.

    The key encrypts the stored tokens. Put it first in the list, keep the older keys after
    it, restart, and run 'flask wepay rotate-keys'.
    """
    click.echo(Fernet.generate_key())


@wepay.command(
    with_appcontext=False,
    add_help_option=False,
    context_settings={"ignore_unknown_options": True},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def sandbox(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Run the sandbox, a stand-in of WePay, on this machine."""
    # Imported only here, so that an application in production never loads it.
    from ..sandbox.command import sandbox_command

    with sandbox_command.make_context(
        context.info_name, list(arguments), parent=context.parent
    ) as inner:
        sandbox_command.invoke(inner)
