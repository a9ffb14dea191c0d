"""Run benchmarks, print their tables, and keep the results."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from . import (
    calls,
    certificates,
    growth,
    imports,
    machine,
    plot,
    profiles,
    report,
    sandbox,
    side_by_side,
    site,
    soak,
    waiting,
    workers,
)

RESULTS = Path(__file__).parent / "results"
#: Where databases are put if it is there: a file system in memory, for a disk's moods would
#: drown what is measured. It favours nobody: each commit costs each contender less.
IN_MEMORY = Path("/dev/shm")


def measure(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    results: dict[str, Any] = {}
    with ExitStack() as servers:
        benchmarks = _benchmarks(options, directory, servers)
        for name in options.what:
            started = time.monotonic()
            measured = benchmarks[name]()
            for view, tree in measured.pop("trees", {}).items():
                options.out.mkdir(parents=True, exist_ok=True)
                (options.out / f"profile-{view}.txt").write_text(tree)
            # Kept at once: what comes next may take long, and may be interrupted.
            results = keep({name: measured}, options.out)
            print(f"Measured: {name}, in {time.monotonic() - started:.0f} s", flush=True)
    return results


def _benchmarks(
    options: argparse.Namespace, directory: Path, servers: ExitStack
) -> dict[str, Callable[[], dict[str, Any]]]:
    rounds, requests = options.rounds, options.requests

    def place(name: str) -> Path:
        (directory / name).mkdir()
        return directory / name

    @cache
    def opened() -> site.Site:
        return servers.enter_context(site.opened(place("site")))

    return {
        "side-by-side": lambda: side_by_side.run(place("side-by-side"), rounds, options.bundles),
        "calls": lambda: calls.run(place("calls"), rounds, options.bundles),
        "imports": lambda: imports.run(min(rounds, 10)),
        "growth": lambda: growth.run(place("growth"), options.sizes, rounds, options.databases),
        "profile": lambda: profiles.run(place("profile"), requests),
        "waiting": lambda: waiting.run(place("waiting"), rounds, options.databases),
        "sandbox": lambda: sandbox.run(place("sandbox"), rounds, options.tests),
        "workers": lambda: workers.run(opened(), requests, options.passes),
        "soak": lambda: soak.run(opened(), options.seconds),
    }


def keep(results: dict[str, Any], out: Path) -> dict[str, Any]:
    """Add results to those of earlier runs; growth by database."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "results.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    if "growth" in results:
        results["growth"] = kept.get("growth", {}) | results["growth"]
    facts = {"date": f"{datetime.now(UTC):%Y-%m-%d}", **machine.facts()}
    measured = kept.get("measured", {}) | dict.fromkeys(results, facts)
    # JSON's keys are strings, those of this run too then.
    kept = json.loads(json.dumps({**kept, **results, "measured": measured}))
    path.write_text(json.dumps(kept, indent=1) + "\n")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    every = ["side-by-side", "calls", "imports", "growth", "waiting", "profile"]
    every += ["sandbox", "workers"]
    parser.add_argument("what", nargs="*", default=every, choices=[*every, "soak"], metavar="WHAT")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--bundles", nargs="+", default=list(certificates.BUNDLES))
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--databases", nargs="+", default=list(growth.DATABASES))
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--tests", type=int, default=100)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--no-plot", dest="plot", action="store_false")
    options = parser.parse_args()
    place = IN_MEMORY if IN_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="wepay-bench-", dir=place) as directory:
        results = measure(options, Path(directory))
    for tables in report.tables(results).values():
        for table in tables:
            print(report.as_text(table))
    for topic, text in report.as_rst(results).items():
        (options.out / f"{topic}.rst").write_text(text)
    drawn = results.get("side-by-side", {}).get("certifi")
    if options.plot and drawn:
        plot.draw(drawn["views"], options.out / "side-by-side.svg")


if __name__ == "__main__":
    main()
