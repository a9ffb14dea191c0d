"""Run benchmarks, print their tables, and keep the results."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import ROOT, growth, imports, provider, sandbox, side_by_side, soak, waiting, workers
from .results import as_text, keep

BENCHMARKS = {
    "side-by-side": side_by_side.run,
    "calls": side_by_side.calls,
    "profile": side_by_side.profile,
    "imports": imports.run,
    "growth": growth.run,
    "waiting": waiting.run,
    "sandbox": sandbox.run,
    "workers": workers.run,
    "soak": soak.run,
}
#: What takes longer than the rest together.
NOT_BY_DEFAULT = ("soak",)
#: Where databases are put if it is there: a file system in memory, for a disk's moods would
#: drown what is measured. It favours nobody: each commit costs each contender less.
IN_MEMORY = Path("/dev/shm")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    default = [name for name in BENCHMARKS if name not in NOT_BY_DEFAULT]
    names = ", ".join(BENCHMARKS)
    parser.add_argument(
        "what", nargs="*", default=default, choices=BENCHMARKS, metavar="WHAT", help=names
    )
    parser.add_argument("--rounds", type=int, default=40, help="turns of each contender")
    parser.add_argument("--bundles", nargs="+", default=list(provider.BUNDLES))
    parser.add_argument("--databases", nargs="+", default=["SQLite", "PostgreSQL"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--requests", type=int, default=400, help="of workers and profile")
    parser.add_argument("--passes", type=int, default=3, help="of workers")
    parser.add_argument("--seconds", type=float, default=600, help="of soak, of pgbench at most")
    parser.add_argument("--tests", type=int, default=100, help="of sandbox")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    # So that no server is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for name in options.what:
        started = time.monotonic()
        place = IN_MEMORY if IN_MEMORY.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="wepay-bench-", dir=place) as directory:
            tables = BENCHMARKS[name](options, Path(directory))
        # Kept at once: what comes next may take long, and may be interrupted.
        keep(name, tables, options.out)
        for title, rows in tables.items():
            print(f"\n{title}\n\n{as_text(rows)}")
        print(f"\nMeasured: {name}, in {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
