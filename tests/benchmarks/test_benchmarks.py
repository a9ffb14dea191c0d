"""The benchmarks run, and count what can be counted."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

CONTENDERS = {"floor", "authlib_client", "flask_dance_client", "flask_wepay_client"}


def test_contenders_run_side_by_side(results: dict[str, Any]) -> None:
    """All four are measured in every view."""
    views = results["side-by-side"]["tiny"]["views"]

    assert set(views) == {"login", "callback", "look-up", "call"}
    assert all(set(of_view) == CONTENDERS for of_view in views.values())


def test_calls_cost_no_connection_and_one_select(results: dict[str, Any]) -> None:
    """Once warm, a call opens no connection, and five in a request look the owner up once."""
    figures = results["side-by-side"]["tiny"]
    call, five, callback = (
        part["flask_wepay_client"]
        for part in (figures["views"]["call"], figures["five calls"], figures["views"]["callback"])
    )

    assert (call["connections"], call["statements"]) == (0, 1)
    assert (five["connections"], five["statements"]) == (0, 1)
    assert callback["connections"] == 0


def test_new_connections_are_seen(results: dict[str, Any]) -> None:
    """The count of connections can tell: Authlib opens one for each call."""
    five = results["side-by-side"]["tiny"]["five calls"]

    assert five["authlib_client"]["connections"] == 5


def test_imports_are_measured(results: dict[str, Any]) -> None:
    """Each contender's import takes some time."""
    assert set(results["imports"]) == CONTENDERS
    assert min(results["imports"].values()) > 0


def test_growth_is_measured(results: dict[str, Any]) -> None:
    """Views and commands run on a table of a given size."""
    figures = results["growth"]["SQLite"]

    assert set(figures) == {"100"}
    assert set(figures["100"]) > {"look-up", "call", "callback", "tokens", "prune", "rotate-keys"}


def test_runs_add_up(results: dict[str, Any], out: Path) -> None:
    """What an earlier run measured is kept beside what a later one adds, and both have tables."""
    topics = {"imports", "profile", "side-by-side", "growth", "measured"}

    assert set(results) == topics
    assert "Flask-Dance" in (out / "imports.rst").read_text()
    assert "Flask-Dance" in (out / "side-by-side.rst").read_text()


def test_pages_are_written_of_what_was_not_measured(results: dict[str, Any], out: Path) -> None:
    """The documentation can include every topic, and says which were left out."""
    assert {path.stem for path in out.glob("*.rst")} >= {"workers", "soak", "capacity"}
    assert "Not part of the last run" in (out / "soak.rst").read_text()


@pytest.mark.skipif(
    not shutil.which("redis-server") or not any(Path("/usr/lib").glob("postgresql/*/bin/initdb")),
    reason="Redis or PostgreSQL is not on this machine",
)
def test_workers_answer_without_errors(served: dict[str, Any]) -> None:
    """Two workers serve logins, callbacks and calls, threads and greenlets alike."""
    assert set(served["workers"]) == {"gthread", "gevent"}
    assert {c["errors"] for kind in served["workers"].values() for c in kind.values()} == {0}
    assert served["soak"]["errors"] == 0
    assert served["soak"]["requests"] > 0
