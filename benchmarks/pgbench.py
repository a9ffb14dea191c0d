"""What one PostgreSQL carries by itself: the package's statements, sent by pgbench.

It has no Python, no TLS and no provider in it: the database's part of a lookup and of a
callback, on the machine that the server runs on. Each statement is a transaction of its own.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from psycopg import ClientCursor
from store.postgresql import find_binaries
from store.statements import Statement, on_tokens

from .token_table import FIRST_OTHER, OWNERS, living_of

CLIENTS = 16
#: Seconds that each script runs at most.
SECONDS = 5
#: What pgbench puts in the place of a parameter, by the name of its column.
VARIABLES = {
    "owner": ":owner",
    "user_id": ":owner",
    "state_hash": "encode(sha256(:serial::text::bytea), 'hex')",
}


def bytes_per_row(url: str) -> float:
    """Return how large a row of the token table is, indexes included."""
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        size = connection.scalar(sa.text("SELECT pg_total_relation_size('wepay_token')"))
        return size / connection.scalar(sa.text("SELECT count(*) FROM wepay_token"))


def run(
    directory: Path,
    url: str,
    size: int,
    look_up: list[Statement],
    callback: list[Statement],
    seconds: float,
) -> dict[str, float]:
    """Return how often per second it carries out those statements, on a table of a given size."""
    # Any of the owners that there are, not only some that are cached.
    known = f"\\set owner random({FIRST_OTHER + OWNERS.stop}, {FIRST_OTHER + living_of(size)})\n"
    stranger = (
        f"\\set owner random({10 * FIRST_OTHER}, {900 * FIRST_OTHER})\n"
        f"\\set serial random(1, {2**62})\n"
    )
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        cursor = ClientCursor(connection.connection.driver_connection)
        look_ups, callbacks = (script(cursor, on_tokens(part)) for part in (look_up, callback))
    return {
        "lookups per second": _pgbench(directory, engine.url, known + look_ups, seconds),
        "callbacks per second": _pgbench(directory, engine.url, stranger + callbacks, seconds),
    }


def script(cursor: ClientCursor[Any], statements: Iterable[Statement]) -> str:
    """Return statements as pgbench takes them, with values and variables in them."""
    lines = []
    for sql, parameters in statements:
        columns = {name: re.sub(r"_\d+$", "", name) for name in parameters}
        marked = {n: f"<{c}>" if c in VARIABLES else parameters[n] for n, c in columns.items()}
        line = cursor.mogrify(sql, marked).replace("\n", " ")
        for column, variable in VARIABLES.items():
            line = line.replace(f"'<{column}>'", variable)
        lines.append(f"{line};\n")
    return "".join(lines)


def _pgbench(directory: Path, url: sa.URL, script: str, seconds: float) -> float:
    path = directory / "script.sql"
    path.write_text(script)
    done = subprocess.run(
        [
            find_binaries() / "pgbench",
            *(
                "--no-vacuum",
                f"--client={CLIENTS}",
                "--jobs=1",
                f"--time={min(SECONDS, seconds):.0f}",
            ),
            *("--host", url.query["host"], "--username", "postgres", "--file", path),
            url.database,
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode or re.search(r"failed transactions: [1-9]", done.stdout):
        raise RuntimeError(f"pgbench: {done.stdout} {done.stderr[-500:]}")
    return float(re.search(r"tps = ([0-9.]+)", done.stdout)[1])
