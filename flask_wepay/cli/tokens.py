"""The commands for the whole token table."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from flask.cli import with_appcontext

from ..api.batch import LARGEST_BATCH
from ..api.calls import Call, Deadline
from ..api.throttle import COMMANDS
from ..errors import TokenUnreadable, WePayError
from ..ipns import settle
from ..state import State
from ..tokens import Token
from ..tokens.store import A_MINUTE, Authorization
from .output import Problem, chunks, counted, printable, progress, state_here, table_of

if TYPE_CHECKING:
    from ..sqla import Maintenance

__all__ = ["Living", "ask", "living", "prune", "rotate_keys", "tokens"]

#: Seconds that each batch waits for the rate limit, most of which is for other calls.
PATIENCE = 60.0

#: The authorization of a row with a token, and its token.
Living = tuple[Authorization, Token]

_TITLES = ("STATE", "WEPAY USER", "AGE", "ENDED", "OWNER")
_LINE = "{:<12} {:>10}  {:>6}  {:>6}  {}"
#: The last second of a datetime; a token may claim to be valid for longer.
_END_OF_TIME = 253402300799
_UNITS = (("d", 86400), ("h", 3600), ("min", 60))


@click.command()
@click.option("--verify", is_flag=True, help="Ask WePay about each active token.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array, one object a line.")
@with_appcontext
def tokens(verify: bool, as_json: bool) -> None:
    """List the authorizations, current and former; no tokens.

    AGE is the time since the login, ENDED the time since the authorization ended. The STATE is
    "connected", "superseded" (unused, because the owner connected another WePay user later),
    "expired", "unreadable" (no key decrypts it), "pending" (a login is in progress), "abandoned"
    (the login never finished), or the reason why it ended: "revoked", "deleted", "replaced",
    "disconnected" or "failed".

    With --verify, WePay is asked first, 50 tokens a request and within the rate limit. A token
    that is revoked at WePay is marked so, and the signal is sent, as in any other call.

    Exits with 1 if a row is unreadable, or if WePay refuses a token that isn't revoked.
    """
    state = state_here()
    table = table_of(state)
    problems = _verify(state, table) if verify else {}
    rows = (_shown(table, row, problems) for row in table.rows())
    states = Counter[str]()
    write = _write_json if as_json else _write_table
    write(_tallied(rows, states))
    tally = ", ".join(f"{number} {name}" for name, number in sorted(states.items()))
    click.echo(tally or "nobody has connected yet", err=True)
    if problems or states["unreadable"]:
        raise click.exceptions.Exit(1)


def _tallied(rows: Iterable[dict[str, Any]], states: Counter[str]) -> Iterator[dict[str, Any]]:
    for row in rows:
        states[row["state"]] += 1
        yield row


def _shown(table: Maintenance, row: Any, problems: Mapping[str, str]) -> dict[str, Any]:
    moments = {
        name: moment and moment.replace(tzinfo=moment.tzinfo or UTC)
        for name in ("created_at", "granted_at", "revoked_at")
        for moment in [getattr(row, name)]
    }
    return {
        "owner": row.owner,
        "user_id": row.user_id,
        "state": _state_of(table, row, moments["created_at"]),
        **moments,
        "expires_at": row.expires_at
        and datetime.fromtimestamp(min(row.expires_at, _END_OF_TIME), UTC),
        "problem": problems.get(row.state_hash),
    }


def _state_of(table: Maintenance, row: Any, created_at: datetime) -> str:
    if row.revoked_at is not None:
        return str(row.reason)
    if row.granted_at is None:
        young = datetime.now(UTC) - created_at < A_MINUTE
        return "pending" if young else "abandoned"
    try:
        token = table.authorization(row).token
    except TokenUnreadable:
        return "unreadable"
    if token.expired:
        return "expired"
    return "connected" if row.user_id == row.current_user_id else "superseded"


def _write_table(rows: Iterable[dict[str, Any]]) -> None:
    click.echo(_LINE.format(*_TITLES))
    for row in rows:
        user_id = "" if row["user_id"] is None else row["user_id"]
        age, ended = _age(row["created_at"]), _age(row["revoked_at"])
        click.echo(_LINE.format(row["state"], user_id, age, ended, printable(row["owner"])))
        if row["problem"]:
            click.echo(f"  {printable(row['problem'])}")


def _write_json(rows: Iterable[dict[str, Any]]) -> None:
    before = "[\n"
    for row in rows:
        click.echo(before + json.dumps(row, default=datetime.isoformat), nl=False)
        before = ",\n"
    click.echo("[]" if before == "[\n" else "\n]")


def _age(moment: datetime | None) -> str:
    if moment is None:
        return ""
    seconds = max(0, int(time.time() - moment.timestamp()))
    for unit, length in _UNITS:
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def _verify(state: State, table: Maintenance) -> dict[str, str]:
    """Ask WePay about each active row, and return its errors by state hash."""
    problems: dict[str, str] = {}
    with progress(table.count(), "Asking WePay") as bar:
        for batch in chunks(living(table, bar), LARGEST_BATCH):
            for authorization, outcome in ask(state, batch):
                if isinstance(outcome, WePayError):
                    # Most of them are equal.
                    problems[authorization.state_hash] = sys.intern(str(outcome))
    return problems


def living(table: Maintenance, bar: Any) -> Iterator[Living]:
    """Yield the active rows with a readable token, and advance the bar for every row."""
    for row in table.rows():
        if row.granted_at is not None and row.revoked_at is None:
            authorization = table.authorization(row)
            try:
                token = authorization.token
            except TokenUnreadable:
                token = None
            if token is not None and not token.expired:
                yield authorization, token
        bar.update(1)


def ask(state: State, batch: list[Living]) -> Iterator[tuple[Authorization, Any]]:
    """Call ``/user`` for up to 50 tokens at once, and yield the outcomes of the active ones.

    A revoked one is ended, and the signal is sent, as in any other call.

    :raises WePayError: if the request itself fails.
    """
    call = Call.of("user", {}, {})
    deadline = Deadline(state.settings.timeout, PATIENCE)
    members = [(call, token) for _, token in batch]
    outcomes = state.caller.send_batch(members, deadline, share=COMMANDS)
    for (authorization, _), outcome in zip(batch, outcomes, strict=True):
        if not settle(state, authorization, outcome):
            yield authorization, outcome


@click.command()
@click.option(
    "--days",
    default=90,
    show_default=True,
    type=click.IntRange(0, 36500),
    help="Delete rows that ended at least this many days ago.",
)
@with_appcontext
def prune(days: int) -> None:
    """Delete rows that ended, or were abandoned, long ago.

    Active rows are kept. Each owner's newest row is kept too, unless the owner disconnected,
    because it says which WePay user the owner was connected to.
    """
    pruned = table_of(state_here()).prune(days)
    click.echo(f"Deleted {counted(pruned, 'row')}.")


@click.command("rotate-keys")
@with_appcontext
def rotate_keys() -> None:
    """Encrypt all stored tokens again with the newest key.

    First put the new key in front of the old one, and restart. You may run this command while
    the application runs, interrupt it, and run it again. Afterwards run
    'flask wepay callback-uri --all', and then remove the old key.

    Exits with 1 if there are tokens that no key decrypts; they are kept unchanged.
    """
    table = table_of(state_here())
    rotated = unreadable = 0
    with progress(table.count(), "Rotating") as bar:
        for done in table.rotate():
            bar.update(sum(done) - rotated - unreadable)
            rotated, unreadable = done
        bar.update(bar.length - bar.pos)
    click.echo(f"Encrypted {counted(rotated, 'token')} with the newest key.")
    if unreadable:
        raise Problem(
            f"No key decrypts {counted(unreadable, 'other token')}: is an old key missing from"
            " 'WEPAY_TOKEN_KEYS' or 'SECRET_KEY_FALLBACKS'?"
        )
