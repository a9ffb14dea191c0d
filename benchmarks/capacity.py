"""What one PostgreSQL carries by itself: the package's statements, sent by pgbench.

It has no Python, no TLS and no provider in it: the database's part of a lookup and of a
callback, with 16 clients on the machine that the server runs on. Each statement is a
transaction of its own.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from . import servers
from .command import FIRST_OTHER, OWNERS, living_of
from .contender import Contender
from .contenders import Setup
from .statements import Statement, on_tokens

CLIENTS = 16
#: What pgbench puts in the place of a parameter, by the name of its column.
VARIABLES = {
    "owner": ":owner",
    "user_id": ":owner",
    "state_hash": "encode(sha256(:serial::text::bytea), 'hex')",
}


def bytes_per_row(setup: dict[str, Any]) -> float:
    """Return how large a row of the token table is, indexes included."""
    engine = sa.create_engine(setup["database"])
    with engine.connect() as connection:
        size = connection.scalar(sa.text("SELECT pg_total_relation_size('wepay_token')"))
        rows = connection.scalar(sa.text("SELECT count(*) FROM wepay_token"))
    engine.dispose()
    return size / rows


def run(directory: Path, setup: dict[str, Any], size: int, seconds: int) -> dict[str, float]:
    """Return lookups and callbacks per second on a table of a given size."""
    # Any of the owners that there are, not only some that are cached.
    known = f"\\set owner random({FIRST_OTHER + OWNERS.stop}, {FIRST_OTHER + living_of(size)})\n"
    stranger = (
        f"\\set owner random({10 * FIRST_OTHER}, {900 * FIRST_OTHER})\n"
        f"\\set serial random(1, {2**62})\n"
    )
    contender = Contender("flask_wepay_client", Setup(**setup), list(OWNERS), FIRST_OTHER)
    look_up, callback = (on_tokens(contender.statements(v)) for v in ("lookup", "callback"))
    with contender.app.app_context():
        contender.app.extensions["sqlalchemy"].engine.dispose()
    url = sa.make_url(setup["database"])
    return {
        "lookups": _pgbench(directory, url, known + script(look_up), seconds),
        "callbacks": _pgbench(directory, url, stranger + script(callback), seconds),
    }


def script(statements: Iterable[Statement]) -> str:
    """Return statements as pgbench takes them."""
    return "".join(_with_values(sql, parameters) + ";\n" for sql, parameters in statements)


def _with_values(sql: str, parameters: dict[str, Any]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        column = re.sub(r"_\d+$", "", name)
        return VARIABLES.get(column) or _literal(parameters[name])

    return re.sub(r"%\((\w+)\)s", value, sql).replace("%%", "%").replace("\n", " ")


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, timedelta):
        return f"INTERVAL '{value.total_seconds()} seconds'"
    if isinstance(value, int):
        return str(value)
    quoted = str(value).replace("'", "''")
    return f"'{quoted}'"


def _pgbench(directory: Path, url: sa.URL, script: str, seconds: int) -> float:
    path = directory / "script.sql"
    path.write_text(script)
    done = subprocess.run(
        [
            servers.binaries() / "pgbench",
            *("--no-vacuum", f"--client={CLIENTS}", "--jobs=1", f"--time={seconds}"),
            *("--host", url.query["host"], "--username", "postgres", "--file", path),
            url.database,
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"pgbench: {done.stderr[-500:]}")
    if failed := re.search(r"number of failed transactions: ([1-9]\d*)", done.stdout):
        raise RuntimeError(f"pgbench: {failed[0]}: {done.stderr[-500:]}")
    return float(re.search(r"tps = ([0-9.]+)", done.stdout)[1])
