"""The command that updates the callback_uri of connected users."""

from __future__ import annotations

from collections import Counter
from typing import Any

import click
from flask.cli import with_appcontext

from ..api.batch import LARGEST_BATCH
from ..api.calls import Call, Deadline
from ..api.throttle import COMMANDS
from ..errors import WePayError
from ..ipns import Origin
from ..state import State
from .output import (
    Problem,
    WrongUsage,
    address_of_ipns,
    chunks,
    counted,
    printable,
    progress,
    state_here,
    table_of,
)
from .tokens import PATIENCE, Living, ask, living

__all__ = ["callback_uri"]


@click.command("callback-uri")
@click.option("--all", "everybody", is_flag=True, help="Update every connected user.")
@with_appcontext
def callback_uri(everybody: bool) -> None:
    """Update the callback_uri, to which WePay sends IPNs.

    Run it after the application's address, WEPAY_CALLBACK_URI or the keys have changed. It
    looks up 50 users a request, within the rate limit, and updates only those with another
    callback_uri. You may interrupt it and run it again.

    Exits with 1 if a user could not be updated.
    """
    if not everybody:
        raise click.UsageError("Pass '--all' to update every connected user.")
    state = state_here()
    table = table_of(state)
    if address_of_ipns(state, Origin()) is None:
        raise WrongUsage(
            "No IPN can reach this application: it is on localhost, or 'WEPAY_CALLBACK_URI' is"
            " False or too long."
        )
    results = Counter[str]()
    with progress(table.count(), "Setting callback_uri") as bar:
        for batch in chunks(living(table, bar), LARGEST_BATCH):
            results.update(_set(state, batch))
    click.echo(
        f"Set for {counted(results['set'], 'user')}; {results['kept']} had it already,"
        f" {results['ended']} no longer connected."
    )
    if results["refused"]:
        raise Problem(f"WePay refused it for {counted(results['refused'], 'user')}.")


def _set(state: State, batch: list[Living]) -> Counter[str]:
    """Look up the callback_uri of up to 50 users, and update those that differ."""
    tokens = dict(batch)
    answers = dict(ask(state, batch))
    wanted = {
        one: address_of_ipns(state, Origin(one.id, one.state_hash))
        for one, answer in answers.items()
        if not isinstance(answer, WePayError)
    }
    differing = [one for one in wanted if _current(answers[one]) != wanted[one]]
    if differing:
        calls = [
            (Call.of("user/modify", {"callback_uri": wanted[one]}, {}), tokens[one])
            for one in differing
        ]
        deadline = Deadline(state.settings.timeout, PATIENCE)
        told = state.caller.send_batch(calls, deadline, share=COMMANDS)
        answers |= zip(differing, told, strict=True)
    refused = {one: answer for one, answer in answers.items() if isinstance(answer, WePayError)}
    for one, error in refused.items():
        click.echo(f"{printable(one.owner)}: {printable(str(error))}", err=True)
    return Counter(
        set=len(differing) - sum(one in refused for one in differing),
        kept=len(wanted) - len(differing),
        ended=len(batch) - len(answers),
        refused=len(refused),
    )


def _current(user: Any) -> Any:
    return user.get("callback_uri") if isinstance(user, dict) else None
