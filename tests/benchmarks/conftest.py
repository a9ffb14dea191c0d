"""The benchmarks in a process of their own, with counts so small that no figure means anything."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SMALL = (
    *("--bundles", "tiny", "--sizes", 100, "--rounds", 1, "--tests", 2),
    *("--requests", 20, "--passes", 1, "--seconds", 1),
)


def run(out: Path, *what: str) -> dict[str, Any]:
    """Run ``python -m benchmarks``, and give the tables that it keeps, by topic and title."""
    databases = ["SQLite", "PostgreSQL"] if _has_servers() else ["SQLite"]
    options = ("--out", out, *SMALL, "--databases", *databases)
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", *what, *map(str, options)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept = json.loads((out / "results.json").read_text())
    return {topic: of_topic["tables"] for topic, of_topic in kept.items()}


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two runs, one after the other, keep their results."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="session")
def results(out: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All that was measured; two benchmarks run at a time, for here nobody minds."""
    start = partial(run, tmp_path_factory.mktemp("results"))
    with ThreadPoolExecutor() as pool:
        beside = pool.submit(start, "side-by-side", "growth", "calls", "sandbox")
        run(out, "imports", "waiting")
        served = ("workers", "soak") if _has_servers() else ()
        return run(out, "profile", *served) | beside.result()


def _has_servers() -> bool:
    postgresql = any(Path("/usr/lib").glob("postgresql/*/bin/initdb"))
    return postgresql and shutil.which("redis-server") is not None
