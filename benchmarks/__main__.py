"""Run benchmarks, print their tables, and keep the results."""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from . import certificates, growth, imports, profiles, report, side_by_side, workers

RESULTS = Path(__file__).parent / "results"
#: Where databases are put if it is there: a file system in memory, for a disk's moods would
#: drown what is measured. It favours nobody: each commit costs each contender less.
IN_MEMORY = Path("/dev/shm")


def measure(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    rounds, requests = options.rounds, options.requests
    benchmarks = {
        "side-by-side": lambda place: side_by_side.run(place, rounds, options.bundles),
        "imports": lambda place: imports.run(min(rounds, 10)),
        "growth": lambda place: growth.run(place, options.sizes, rounds, options.databases),
        "workers": lambda place: workers.run(place, requests, options.passes),
        "profile": lambda place: profiles.run(place, requests),
        "soak": lambda place: workers.soak(place, options.seconds),
    }
    results: dict[str, Any] = {}
    for name in options.what:
        started = time.monotonic()
        place = directory / name
        place.mkdir()
        measured = benchmarks[name](place)
        if name == "profile":
            for view, sampled in measured.items():
                options.out.mkdir(parents=True, exist_ok=True)
                (options.out / f"profile-{view}.txt").write_text(sampled.pop("tree"))
        # Kept at once: what comes next may take long, and may be interrupted.
        results = keep({name: measured}, options.out)
        print(f"Measured: {name}, in {time.monotonic() - started:.0f} s", flush=True)
    return results


def keep(results: dict[str, Any], out: Path) -> dict[str, Any]:
    """Add results to those of earlier runs; growth by database."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "results.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    if "growth" in results:
        results["growth"] = kept.get("growth", {}) | results["growth"]
    measured = {"date": f"{datetime.now(UTC):%Y-%m-%d}", **report.machine()}
    # JSON's keys are strings, those of this run too then.
    kept = json.loads(json.dumps({**kept, **results, "measured": measured}))
    path.write_text(json.dumps(kept, indent=1) + "\n")
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    every = ["side-by-side", "imports", "growth", "workers", "profile"]
    parser.add_argument("what", nargs="*", default=every, choices=[*every, "soak"], metavar="WHAT")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--bundles", nargs="+", default=list(certificates.BUNDLES))
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--databases", nargs="+", default=list(growth.DATABASES))
    parser.add_argument("--requests", type=int, default=400)
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=600)
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
    if options.plot and "side-by-side" in results:
        report.plot(results, options.out / "side-by-side.svg")


if __name__ == "__main__":
    main()
