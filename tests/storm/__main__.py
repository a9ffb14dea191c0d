"""``make storm``: 10 000 callbacks and 1 000 kills on each kind of database, and a verdict.

PostgreSQL is stormed behind PgBouncer in transaction mode as well.
"""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import random
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from store import mariadb
from store.pgbouncer import pgbouncer
from store.postgresql import database_url
from storm.kill_storm import Verdict, storm


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--callbacks", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--only", choices=["PostgreSQL", "PgBouncer", "MariaDB", "SQLite"])
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        databases = {
            "PostgreSQL": database_url,
            "PgBouncer": lambda: database_url() and stack.enter_context(pgbouncer()),
            "MariaDB": mariadb.database_url,
            "SQLite": lambda: f"sqlite:///{Path(directory)}/storm.db",
        }
        verdicts = [
            _run(name, url(), arguments)
            for name, url in databases.items()
            if arguments.only in (None, name)
        ]
    total = Verdict(
        *(sum(getattr(v, name) for v in verdicts) for name in ("stale", "lost", "wrong"))
    )
    print(total)
    return int(total.stale + total.lost + total.wrong > 0)


def _run(name: str, url: str, arguments: argparse.Namespace) -> Verdict:
    began = time.monotonic()
    verdict = storm(url, arguments.callbacks, arguments.kills, arguments.seed)
    seconds = time.monotonic() - began
    print(
        f"{name}: {verdict.callbacks} callbacks of {verdict.owners} owners, {verdict.kills} kills,"
        f" seed {arguments.seed}, {seconds:.0f} s"
    )
    print(f"  answers: {dict(verdict.answers)}")
    print(f"  live tokens at WePay: {dict(verdict.fates)}")
    print(f"  {verdict}", flush=True)
    return verdict


if __name__ == "__main__":
    # Leave no process behind.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))
    sys.exit(main())
