"""What a larger token table costs, on SQLite and PostgreSQL.

The tables of all sizes are there at once, and those who measure them take turns. At each
size the database is also asked how it finds the rows (EXPLAIN).
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet

from . import capacity, certificates, servers
from .command import OWNERS
from .processes import ROOT, Child
from .side_by_side import BURST, cost

VIEWS = ("lookup", "call", "callback")
#: Their statements are all that the token table is asked while users wait.
EXPLAINED = ("login", "call", "callback")
COMMANDS = ("tokens", "prune", "rotate-keys")
DATABASES = ("SQLite", "PostgreSQL")
#: Seconds of each of two scripts that pgbench runs.
PGBENCH_SECONDS = 5


def run(directory: Path, sizes: list[int], rounds: int, databases: Any = DATABASES) -> Any:
    """Return by database, size and then view or command what each costs."""
    old_key, new_key = (Fernet.generate_key().decode() for _ in range(2))
    certificate = certificates.make(directory)
    results: dict[str, Any] = {}
    for database in databases:
        with (
            Child("provider", str(certificate)) as provider,
            _urls(database, directory, sizes) as urls,
        ):
            setups = {
                size: {
                    "provider": f"https://127.0.0.1:{provider.greeting['port']}",
                    "database": url,
                    "bundle": str(directory / "tiny.pem"),
                    "config": {"WEPAY_TOKEN_KEYS": [old_key]},
                }
                for size, url in urls.items()
            }
            figures = {size: {"fill": _command("fill", setups[size], size)} for size in sizes}
            largest = max(sizes)
            if database == "PostgreSQL":
                figures[largest]["bytes"] = capacity.bytes_per_row(setups[largest])
            for size, views in _views(setups, rounds).items():
                figures[size] |= views
            for size, setup in setups.items():
                setup["config"] = {"WEPAY_TOKEN_KEYS": [new_key, old_key]}
                figures[size] |= {command: _command(command, setup) for command in COMMANDS}
            if database == "PostgreSQL":
                figures[largest]["capacity"] = capacity.run(
                    directory, setups[largest], largest, PGBENCH_SECONDS
                )
            results[database] = figures
    return results


@contextmanager
def _urls(database: str, directory: Path, sizes: list[int]) -> Iterator[dict[int, str]]:
    if database == "SQLite":
        yield {size: f"sqlite:///{directory}/growth-{size}.sqlite" for size in sizes}
        return
    import psycopg

    with servers.postgresql() as url:
        host = url.partition("host=")[2]
        with psycopg.connect(
            host=host, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            for size in sizes:
                connection.execute(f"CREATE DATABASE growth_{size}")
        yield {size: url.replace("/postgres?", f"/growth_{size}?") for size in sizes}


def _views(setups: dict[int, Any], rounds: int) -> dict[int, dict[str, Any]]:
    with ExitStack() as stack:
        children = {
            size: stack.enter_context(
                Child(
                    "contender",
                    "flask_wepay_client",
                    f"--provider={setup['provider']}",
                    f"--database={setup['database']}",
                    f"--bundle={setup['bundle']}",
                    f"--config={json.dumps(setup['config'])}",
                    f"--owners={json.dumps(list(OWNERS))}",
                )
            )
            for size, setup in setups.items()
        }
        figures: dict[int, dict[str, Any]] = {size: {} for size in setups}
        for child in children.values():
            child.ask(do="prepare", connect=False)
        for view in VIEWS:
            pairs: dict[int, Any] = {size: [] for size in setups}
            for turn in range(-1, rounds):
                for size, child in children.items():
                    measured = child.ask(do="measure", view=view, count=BURST)
                    # The first turn warms caches and connections.
                    pairs[size] += measured if turn >= 0 else []
            for size in setups:
                figures[size][view] = cost(pairs[size])
        for size, child in children.items():
            plans = [plan for view in EXPLAINED for plan in child.ask(do="explain", view=view)]
            figures[size]["plans"] = plans
        return figures


def _command(name: str, setup: dict[str, Any], *arguments: int) -> dict[str, float]:
    """Run a command in a process of its own; return seconds, and MiB at its peak."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.command", name, *map(str, arguments)],
        cwd=ROOT,
        input=json.dumps(setup),
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    )
    return json.loads(done.stdout)
