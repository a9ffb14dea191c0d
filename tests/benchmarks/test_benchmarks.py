"""The benchmarks run, and count what can be counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

Row = dict[str, Any]
CONTENDERS = {"Floor", "Limit", "Authlib", "Flask-Dance", "Flask-WePay"}


@pytest.fixture(scope="session")
def side_by_side(results: dict[str, Any]) -> dict[str, Row]:
    """The rows of the one table."""
    (table,) = results["side-by-side"].values()
    return table


def test_contenders_run_side_by_side(side_by_side: dict[str, Row]) -> None:
    """All five are measured in every view."""
    views = [side_by_side[view] for view in ("login", "callback", "lookup", "call")]

    assert all(set(of_view) == CONTENDERS for of_view in views)
    assert {of_view["Floor"].split()[-1] for of_view in views} == {"(1.0)"}


def test_calls_cost_no_connection_and_one_select(side_by_side: dict[str, Row]) -> None:
    """Once warm, a call opens no connection, and five in a request look the owner up once."""
    ours = {name: row["Flask-WePay"] for name, row in side_by_side.items()}

    assert (ours["call, new connections"], ours["call, SQL statements"]) == ("0", 1)
    assert (ours["5 calls, new connections"], ours["5 calls, SQL statements"]) == ("0", 1)
    assert ours["callback, new connections"] == "0"


def test_new_connections_are_seen(side_by_side: dict[str, Row]) -> None:
    """The count of connections can tell: Authlib opens one for each call."""
    assert side_by_side["5 calls, new connections"]["Authlib"] == "5"


def test_calls_are_counted_from_a_cold_start(results: dict[str, Any]) -> None:
    """Five calls open one connection here and with one session kept, five with the peers."""
    (table,) = results["calls"].values()

    assert table["one call a request, connections opened by 5 calls"] == {
        "Bare session": 1,
        "Authlib": 5,
        "Authlib, session kept": 1,
        "Flask-Dance": 5,
        "Flask-WePay": 1,
    }
    assert table["5 calls a request, connections opened by 5 calls"] == {
        "Bare session": 1,
        "Authlib": 5,
        "Authlib, session kept": 1,
        # Its session lives as long as the request.
        "Flask-Dance": 1,
        "Flask-WePay": 1,
    }


def test_imports_are_measured(results: dict[str, Any]) -> None:
    """Each contender's import takes some time."""
    (table,) = results["imports"].values()

    assert set(table) == CONTENDERS - {"Limit"}
    assert min(int(row["ms"]) for row in table.values()) > 0


def test_growth_is_measured(results: dict[str, Any]) -> None:
    """Views and commands run on a table of a given size, and no view reads the whole table."""
    table = results["growth"]["Growth on SQLite"]

    assert set(table) > {"lookup", "call", "callback", "tokens", "prune", "rotate-keys"}
    assert all(set(row) == {"100 rows"} for row in table.values())
    assert table["statements that scan the table"] == {"100 rows": "0 of 6"}


def test_postgresql_is_measured_by_itself(results: dict[str, Any]) -> None:
    """It carries out the statements of a lookup and of a callback without Python."""
    if "One PostgreSQL by itself" not in results["growth"]:
        pytest.skip("PostgreSQL is not on this machine")

    figures = [
        row["at the largest size"] for row in results["growth"]["One PostgreSQL by itself"].values()
    ]

    assert len(figures) == 3
    assert "0" not in figures


def test_waiting_is_measured(results: dict[str, Any]) -> None:
    """A view that commits before it calls a slow WePay holds no connection meanwhile."""
    slow, former = results["waiting"].values()

    assert slow["commit-and-pay"]["connections held"] == "0"
    assert int(slow["pay"]["connections held"]) > 0
    assert set(former["SQLite"]) == {"1", "1,000", "10,000"}


def test_sandbox_is_measured(results: dict[str, Any]) -> None:
    """Its calls are timed beside a mock's and a server's, and a suite of tests is run."""
    calls, suites = results["sandbox"].values()

    assert set(calls) == {"user", "checkout/create"}
    assert all(len(ways) == 4 and "0 µs" not in ways.values() for ways in calls.values())
    assert len(suites) == 2


def test_runs_add_up(results: dict[str, Any], out: Path) -> None:
    """What an earlier run measured is kept beside what a later one adds, and both have tables."""
    kept = json.loads((out / "results.json").read_text())

    assert set(kept) >= {"imports", "profile"}
    assert "Flask-Dance" in (out / "imports.rst").read_text()
    assert "Flask-WePay" in (out / "profile.rst").read_text()


def test_no_path_is_published(results: dict[str, Any], out: Path) -> None:
    """What the documentation shows names no folder of the machine that measured."""
    published = [out / "results.json", *out.glob("*.rst")]

    named = [path.name for path in published if str(Path.cwd()) in path.read_text()]

    assert named == []


def test_workers_answer_without_errors(results: dict[str, Any]) -> None:
    """Two workers serve logins, callbacks and calls, threads and greenlets alike."""
    if "workers" not in results:
        pytest.skip("Redis or PostgreSQL is not on this machine")
    (table,) = results["workers"].values()
    (soak,) = results["soak"]

    assert len(table) == 6
    assert {row["errors"] for row in table.values()} == {"0 of 40"}
    assert ", 0 errors in " in soak
    assert ", 0 errors in 0 " not in soak


def test_workers_use_the_processor(results: dict[str, Any]) -> None:
    """A callback takes a worker's processor longer than the same view without it."""
    if "workers" not in results:
        pytest.skip("Redis or PostgreSQL is not on this machine")
    (table,) = results["workers"].values()

    rows = [table["gthread, callback"], table["gevent, callback"]]

    assert all(float(r["with OAuth, CPU ms"]) > float(r["bare, CPU ms"]) > 0 for r in rows)
