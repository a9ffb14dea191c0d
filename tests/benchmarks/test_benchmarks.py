"""The benchmarks run, and count what can be counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.statements import scans

CONTENDERS = {"floor", "limit", "authlib_client", "flask_dance_client", "flask_wepay_client"}


def test_contenders_run_side_by_side(results: dict[str, Any]) -> None:
    """All five are measured in every view."""
    views = results["side-by-side"]["tiny"]["views"]

    assert set(views) == {"login", "callback", "lookup", "call"}
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


def test_calls_are_counted_from_a_cold_start(results: dict[str, Any]) -> None:
    """Five calls open one connection here and with one session kept, five with the peers."""
    opened = {
        name: (call["connections"], results["calls"]["tiny"]["calls"][name]["connections"])
        for name, call in results["calls"]["tiny"]["call"].items()
    }

    assert opened == {
        "bare_session": (1, 1),
        "authlib_client": (5, 5),
        "authlib_kept": (1, 1),
        # Its session lives as long as the request, in which there may be five calls.
        "flask_dance_client": (5, 1),
        "flask_wepay_client": (1, 1),
    }


def test_imports_are_measured(results: dict[str, Any]) -> None:
    """Each contender's import takes some time."""
    assert set(results["imports"]) == CONTENDERS - {"limit"}
    assert min(results["imports"].values()) > 0


def test_growth_is_measured(results: dict[str, Any]) -> None:
    """Views and commands run on a table of a given size, and no view reads the whole table."""
    figures = results["growth"]["SQLite"]

    assert set(figures) == {"100"}
    assert set(figures["100"]) > {"lookup", "call", "callback", "tokens", "prune", "rotate-keys"}
    assert len(figures["100"]["plans"]) >= 4
    assert not any(map(scans, figures["100"]["plans"]))


def test_waiting_is_measured(results: dict[str, Any]) -> None:
    """A view that commits before it calls a slow WePay holds no connection meanwhile."""
    figures = results["waiting"]

    assert figures["slow"]["commit-and-pay"]["held"] == 0
    assert figures["slow"]["pay"]["held"] > 0
    assert set(figures["former"]["SQLite"]) == {"1", "1000", "10000"}


def test_sandbox_is_measured(results: dict[str, Any]) -> None:
    """Its calls are timed beside a mock's and a server's, and a suite of tests is run."""
    figures = results["sandbox"]

    assert set(figures["calls"]) == {"user", "checkout/create"}
    assert all(len(ways) == 4 and min(ways.values()) > 0 for ways in figures["calls"].values())
    assert figures["suite"]["tests"] == 2
    assert figures["suite"]["seconds"] > 0


def test_runs_add_up(results: dict[str, Any], out: Path) -> None:
    """What an earlier run measured is kept beside what a later one adds, and both have tables."""
    kept = json.loads((out / "results.json").read_text())

    assert set(kept) >= {"imports", "profile", "measured"}
    assert set(kept["measured"]) == set(kept) - {"measured"}
    assert "Flask-Dance" in (out / "imports.rst").read_text()
    assert "Flask-WePay" in (out / "profile.rst").read_text()


def test_pages_are_written_of_what_was_not_measured(results: dict[str, Any], out: Path) -> None:
    """The documentation can include every topic, and says which were left out."""
    assert {path.stem for path in out.glob("*.rst")} >= {"growth", "sandbox", "capacity", "calls"}
    assert "Not part of the last run" in (out / "side-by-side.rst").read_text()


def test_no_path_is_published(results: dict[str, Any], out: Path) -> None:
    """What the documentation shows names no folder of the machine that measured."""
    published = [out / "results.json", *out.glob("*.rst")]

    named = [path.name for path in published if str(Path.cwd()) in path.read_text()]

    assert named == []


def test_workers_answer_without_errors(results: dict[str, Any]) -> None:
    """Two workers serve logins, callbacks and calls, threads and greenlets alike."""
    if "workers" not in results:
        pytest.skip("Redis or PostgreSQL is not on this machine")

    assert set(results["workers"]) == {"gthread", "gevent"}
    assert {c["errors"] for kind in results["workers"].values() for c in kind.values()} == {0}
    assert results["soak"]["errors"] == 0
    assert results["soak"]["requests"] > 0
