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
    *("--bundles", "tiny", "--databases", "SQLite", "--sizes", 100, "--rounds", 1, "--tests", 2),
    *("--requests", 20, "--passes", 1, "--seconds", 1),
)


def run(out: Path, *what: str) -> dict[str, Any]:
    """Run ``python -m benchmarks``, and give the results that it keeps."""
    command = [sys.executable, "-m", "benchmarks", *what, "--no-plot", "--out", out, *SMALL]
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads((out / "results.json").read_text())


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where two runs, one after the other, keep their results."""
    return tmp_path_factory.mktemp("results")


@pytest.fixture(scope="session")
def results(out: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """All that was measured; two benchmarks run at a time, for here nobody minds."""
    for package in ("flask_dance", "pyinstrument", "requests_mock", "trustme"):
        pytest.importorskip(package, reason="pip install -r benchmarks/requirements.txt")
    start = partial(run, tmp_path_factory.mktemp("results"))
    with ThreadPoolExecutor() as pool:
        beside = pool.submit(start, "side-by-side", "growth", "calls", "sandbox")
        run(out, "imports", "waiting")
        return run(out, "profile", *_served()) | beside.result()


def _served() -> tuple[str, ...]:
    """Name the benchmarks that need servers, where this machine has them."""
    postgresql = any(Path("/usr/lib").glob("postgresql/*/bin/initdb"))
    return ("workers", "soak") if postgresql and shutil.which("redis-server") else ()
