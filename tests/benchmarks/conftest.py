"""The benchmarks in a process of their own, with counts so small that no figure means anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def run(out: Path, *arguments: object) -> dict[str, Any]:
    """Run ``python -m benchmarks`` with arguments, and give the results that it keeps."""
    for package in ("flask_dance", "pyinstrument", "trustme"):
        pytest.importorskip(package, reason="pip install -r benchmarks/requirements.txt")
    command = [sys.executable, "-m", "benchmarks", "--no-plot", "--out", out, *arguments]
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((out / "results.json").read_text())


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where results are kept."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="session")
def results(out: Path) -> dict[str, Any]:
    """What two runs, one after the other, measured of all that needs no server."""
    once = ("--rounds", 1, "--requests", 2)
    run(out, "imports", "profile", *once)
    small = ("--bundles", "tiny", "--databases", "SQLite", "--sizes", 100)
    return run(out, "side-by-side", "growth", *small, *once)


@pytest.fixture
def served(tmp_path: Path) -> dict[str, Any]:
    """What a run with PostgreSQL, Redis and gunicorn measured."""
    return run(tmp_path, "workers", "soak", "--requests", 20, "--passes", 1, "--seconds", 1)
