"""What a larger token table costs, on SQLite and PostgreSQL.

The tables of all sizes are there at once, and those who measure them take turns. At each
size the database is also asked how it finds the rows (EXPLAIN).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from cryptography.fernet import Fernet
from store.postgresql import PostgreSQL

from . import pgbench, provider
from .contender import BURST, Contender
from .contenders import Setup
from .results import Row, Tables
from .token_table import OWNERS, TokenTable
from .turns import apart, in_turns

VIEWS = ("lookup", "call", "callback")
#: Their statements are all that the token table is asked while users wait.
EXPLAINED = ("login", "call", "callback")
OLD_KEY, NEW_KEY = (Fernet.generate_key().decode() for _ in range(2))
COMMANDS = ("tokens", "prune", "rotate-keys")


def run(options: Any, directory: Path) -> Tables:
    tables: Tables = {}
    for database in options.databases:
        with (
            provider.over_tls(directory) as its_provider,
            _databases(database, directory, options.sizes) as urls,
        ):
            config = {"WEPAY_TOKEN_KEYS": [OLD_KEY]}
            bundle = str(directory / "tiny.pem")
            setups = {n: Setup(its_provider.url(), url, bundle, config) for n, url in urls.items()}
            tables |= _measure(database, directory, setups, options)
    return tables


@contextmanager
def _databases(database: str, directory: Path, sizes: list[int]) -> Iterator[dict[int, str]]:
    if database == "SQLite":
        yield {size: f"sqlite:///{directory}/growth-{size}.sqlite" for size in sizes}
        return
    with PostgreSQL() as server:
        engine = sa.create_engine(server.url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
        with engine.connect() as connection:
            for size in sizes:
                connection.execute(sa.text(f"CREATE DATABASE growth_{size}"))
        yield {size: server.url.replace("/postgres?", f"/growth_{size}?") for size in sizes}


def _measure(database: str, directory: Path, setups: dict[int, Setup], options: Any) -> Tables:
    for size, setup in setups.items():
        with apart(TokenTable, setup) as table:
            table.fill(size)
    tables: Tables = {}
    with ExitStack() as stack:
        each = {
            size: stack.enter_context(apart(Contender, "flask_wepay_client", setup, OWNERS))
            for size, setup in setups.items()
        }
        rows = tables[f"Growth on {database}"] = _views(each, options.rounds)
        largest = max(setups)
        url = setups[largest].database
        statements = [each[largest].statements(view) for view in ("lookup", "callback")]
        # Before the commands rewrite it.
        row_size = pgbench.bytes_per_row(url) if database == "PostgreSQL" else 0
    for command in COMMANDS:
        figures = {
            f"{size:,} rows": _command(command, setup, size) for size, setup in setups.items()
        }
        rows[command] = {size: taken for size, (taken, _) in figures.items()}
        rows[f"{command}, peak memory"] = {size: peak for size, (_, peak) in figures.items()}
    if database == "PostgreSQL":
        carried = pgbench.run(directory, url, largest, *statements, options.seconds)
        carried["bytes per row, indexes included"] = row_size
        tables["One PostgreSQL by itself"] = {
            what: {"at the largest size": f"{figure:,.0f}"} for what, figure in carried.items()
        }
    return tables


def _views(each: dict[int, Contender], rounds: int) -> dict[str, Row]:
    for contender in each.values():
        contender.prepare(connect=False)
    rows: dict[str, Row] = {}
    for view in VIEWS:
        tasks = {size: partial(one.measure, view, BURST) for size, one in each.items()}
        costs = in_turns(tasks, rounds)
        first = costs[min(each)]
        rows[view] = {
            f"{n:,} rows": f"{cost:.0f} µs ({cost / first:.2f})" for n, cost in costs.items()
        }
    scans = {n: [s for view in EXPLAINED for s in one.scans(view)] for n, one in each.items()}
    rows["statements that scan the table"] = {
        f"{size:,} rows": f"{sum(of_size)} of {len(of_size)}" for size, of_size in scans.items()
    }
    return rows


def _command(command: str, setup: Setup, size: int) -> tuple[str, str]:
    """Return the time that a command takes, under a new key, and its peak memory."""
    keys = [NEW_KEY, *setup.config["WEPAY_TOKEN_KEYS"]]
    with apart(TokenTable, replace(setup, config={"WEPAY_TOKEN_KEYS": keys})) as table:
        seconds, peak = table.run(command)
    return f"{seconds:.1f} s ({seconds * 1e6 / size:.0f} µs a row)", f"{peak:.0f} MiB"
