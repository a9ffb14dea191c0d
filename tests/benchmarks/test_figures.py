"""How figures are made of times, and tables of figures."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

pytest.importorskip("trustme", reason="pip install -r benchmarks/requirements.txt")

from benchmarks import capacity, machine, processes, report, side_by_side, soak
from benchmarks.profiles import group_of


def test_bare_view_is_taken_off() -> None:
    """A view's cost is the median of its time less that of the bare view beside it."""
    figures = side_by_side.cost([(1_000, 6_000), (90_000, 97_000), (2_000, 1_000_000)])

    assert figures["cost"] == 7
    assert figures["requests"] == 3


def test_ratio_is_to_the_floor() -> None:
    """Twice the floor's cost is a ratio of two, whatever the bare views cost."""
    times = {"floor": [(5_000, 6_000)], "flask_wepay_client": [(100_000, 102_000)]}

    figures = side_by_side.summarize(times)

    assert figures["floor"]["ratio"] == 1
    assert figures["flask_wepay_client"]["ratio"] == 2


@pytest.mark.parametrize(
    ("path", "group"),
    [
        ("/lib/site-packages/flask_wepay/calls.py", "Flask-WePay"),
        ("/lib/site-packages/urllib3/connection.py", "urllib3, http.client"),
        ("/lib/python3.11/ssl.py", "waiting for the provider"),
        ("/lib/python3.11/posixpath.py", "Python"),
    ],
)
def test_time_goes_to_whose_code_runs(path: str, group: str) -> None:
    """A file belongs to its package."""
    assert group_of(path) == group


def test_growth_is_shown_relative_to_the_smallest() -> None:
    """A view's cell says how its cost compares with the smallest table's, a command's by row."""
    results = {
        "growth": {
            "SQLite": {
                "1000": {
                    "call": {"cost": 100.0},
                    "prune": {"seconds": 1.5, "peak": 80.4},
                    "plans": ["SEARCH wepay_token USING INDEX", "SCAN wepay_token"],
                },
                "100000": {
                    "call": {"cost": 120.0},
                    "prune": {"seconds": 15.0, "peak": 81.0},
                    "plans": ["SEARCH wepay_token USING INDEX"],
                },
            }
        }
    }

    (table,) = report.tables(results)["growth"]

    assert table == (
        "Growth on SQLite",
        ["rows", "1,000", "100,000"],
        [
            ["call", "100 µs (1.00)", "120 µs (1.20)"],
            ["prune", "1.5 s (1500 µs a row)", "15.0 s (150 µs a row)"],
            ["prune, peak memory", "80 MiB", "81 MiB"],
            ["statements that scan the table", "1 of 2", "0 of 1"],
        ],
    )


def _samples(blocks: float = 0, size: float = 0, minutes: int = 10) -> list[dict[str, float]]:
    """A soak with 10 000 requests a minute, whose first minute fills caches.

    Its resident memory grows by 100 bytes a request, whatever the requests leave behind.
    """
    served = [10_000 * minute for minute in range(1, minutes + 1)]
    later = [
        {
            "served": count,
            "MiB": 200 + 100 * count / 2**20,
            "blocks": 900_000 + blocks * count,
            "bytes": 5e7 + size * count,
        }
        for count in served
    ]
    return [{"served": 0, "MiB": 150.0, "blocks": 800_000, "bytes": 4e7}, *later]


@pytest.mark.parametrize(
    ("left_behind", "flat"),
    [
        ({}, True),
        ({"blocks": -0.01, "size": -5}, True),
        ({"size": 8}, True),
        ({"size": 24}, False),
        ({"blocks": 1}, False),
        # One object by callback.
        ({"blocks": soak.CALLBACKS / (soak.CALLBACKS + soak.CALLS)}, False),
    ],
)
def test_memory_is_flat_where_requests_leave_nothing_behind(
    left_behind: dict[str, float], flat: bool
) -> None:
    """A leak of one object by callback is found; what allocators keep free is no leak."""
    verdict = soak.judge(_samples(**left_behind))

    assert verdict["flat"] is flat
    assert verdict["per request"] == {
        "blocks": pytest.approx(left_behind.get("blocks", 0)),
        "bytes": pytest.approx(left_behind.get("size", 0)),
        "resident": pytest.approx(100),
    }


def test_a_short_soak_tells_nothing() -> None:
    """Two samples in the second half make no line to judge by."""
    assert soak.judge(_samples(blocks=1, minutes=2)) == {"per request": None, "flat": None}


def test_memory_in_use_is_what_objects_hold() -> None:
    """Small objects count as blocks, large ones as bytes too, until they are let go."""
    before = processes.in_use()
    small, large = [object() for _ in range(10_000)], bytes(2**24)
    within = processes.in_use()
    assert len(small) == 10_000
    del small, large
    after = processes.in_use()

    assert within["blocks"] - before["blocks"] == pytest.approx(10_000, abs=1_000)
    assert within["bytes"] - before["bytes"] == pytest.approx(2**24, rel=0.1)
    assert after["blocks"] == pytest.approx(before["blocks"], abs=1_000)
    assert after["bytes"] == pytest.approx(before["bytes"], abs=2**20)


def test_topics_measured_apart_say_so() -> None:
    """What an earlier run on another version measured is not passed off as this one's."""
    facts = {"machine": "2 cores", "system": "Linux", "packages": {"Flask": "3.1.3"}}
    old = facts | {"date": "2026-01-01"}
    new = facts | {"date": "2026-02-01", "revision": "8f3e2d1"}

    apart = report.as_rst({"measured": {"imports": old, "growth": new, "calls": new}})["measured"]
    together = report.as_rst({"measured": {"growth": new, "calls": new}})["measured"]

    assert apart.splitlines() == [
        "Measured (imports) on 2026-01-01: 2 cores; Linux; Flask 3.1.3.",
        "",
        "Measured (growth, calls) on 2026-02-01, at commit 8f3e2d1: 2 cores; Linux; Flask 3.1.3.",
    ]
    assert together == "Measured on 2026-02-01, at commit 8f3e2d1: 2 cores; Linux; Flask 3.1.3.\n"


def test_the_machine_is_described_without_its_name() -> None:
    """Cores, processor, system and versions are told, and nothing of whose machine it is."""
    facts = machine.facts()

    assert set(facts) == {"machine", "system", "revision", "packages"}
    assert re.fullmatch(r"\d+ cores, [^/]+", facts["machine"])
    assert re.fullmatch(r"\w+, Python [\d.]+\w*", facts["system"])
    assert re.fullmatch(r"unknown|[\w.-]+", facts["revision"])
    assert all(re.fullmatch(r"[\w.+]+", number) for number in facts["packages"].values())


def test_statements_become_a_script_of_pgbench() -> None:
    """Parameters become variables or values, each once, and a per cent sign itself."""
    sql = "UPDATE t SET a = a - %(a_1)s, b = %(b)s WHERE %(owner_1)s = owner AND 7 %% 2 = 1"

    script = capacity.script([(sql, {"a_1": timedelta(seconds=60), "b": "it's", "owner_1": "1"})])

    assert script == (
        "UPDATE t SET a = a - INTERVAL '60.0 seconds', b = 'it''s'"
        " WHERE :owner = owner AND 7 % 2 = 1;\n"
    )
