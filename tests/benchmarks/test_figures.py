"""How figures are made of times, and tables of figures."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

import pytest

from benchmarks import memory, results, soak, turns
from benchmarks.contender import Contender
from benchmarks.contenders import Setup
from benchmarks.profiles import group_of


def test_bare_view_is_taken_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A view's cost is its time less that of the bare view just before it, in microseconds."""
    setup = Setup("https://127.0.0.1:9", f"sqlite:///{tmp_path}/floor.sqlite", "", {})
    contender = Contender("floor", setup)
    # What somebody's login takes, the bare view twice, and the view.
    ticks = itertools.accumulate((0, 10**9, 0, 90_000, 0, 2_000, 0, 9_000))
    monkeypatch.setattr(time, "perf_counter_ns", lambda: next(ticks))

    assert contender.measure("login") == [7]


def test_tasks_take_turns() -> None:
    """Each task is carried out once a round, and the first rounds count for nothing."""
    figures = {"a": iter([100.0, 1.0, 9.0, 2.0]), "b": iter([100.0, 5.0, 5.0, 5.0])}
    done = []

    def task(name: str) -> list[float]:
        done.append(name)
        return [next(figures[name])]

    medians = turns.in_turns({"a": lambda: task("a"), "b": lambda: task("b")}, 3, warm_up=1)

    assert medians == {"a": 2, "b": 5}
    assert [set(done[turn : turn + 2]) for turn in range(0, 8, 2)] == [{"a", "b"}] * 4


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


def test_tables_are_shown_by_the_documentation() -> None:
    """A table has its title, and rows of names and cells."""
    rows = {"login": {"Floor": "1 µs", "Limit": 2}, "call": {"Floor": "3 µs", "Limit": 4}}

    assert results.as_rst({"Two views": rows}).splitlines() == [
        ".. table:: Two views",
        "   :widths: auto",
        "",
        "   =====  =======  =======",
        "   ..     Floor    Limit",
        "   =====  =======  =======",
        "   login  1 µs     2",
        "   call   3 µs     4",
        "   =====  =======  =======",
        "",
    ]


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
    before = memory.in_use()
    small, large = [object() for _ in range(10_000)], bytes(2**24)
    within = memory.in_use()
    assert len(small) == 10_000
    del small, large
    after = memory.in_use()

    assert within["blocks"] - before["blocks"] == pytest.approx(10_000, abs=1_000)
    assert within["bytes"] - before["bytes"] == pytest.approx(2**24, rel=0.1)
    assert after["blocks"] == pytest.approx(before["blocks"], abs=1_000)
    assert after["bytes"] == pytest.approx(before["bytes"], abs=2**20)


def test_topics_measured_apart_say_so() -> None:
    """What an earlier run on another version measured is not passed off as this one's."""
    facts = {"machine": "2 cores", "system": "Linux", "packages": "Flask 3.1.3"}
    old = {"measured": facts | {"date": "2026-01-01", "commit": "ad85250"}}
    new = {"measured": facts | {"date": "2026-02-01", "commit": "8f3e2d1"}}

    apart = results.measured({"imports": old, "growth": new, "calls": new})
    together = results.measured({"growth": new, "calls": new})

    assert apart.splitlines() == [
        "Measured (imports) on 2026-01-01, at commit ad85250: 2 cores; Linux; Flask 3.1.3.",
        "",
        "Measured (growth, calls) on 2026-02-01, at commit 8f3e2d1: 2 cores; Linux; Flask 3.1.3.",
    ]
    assert together == "Measured on 2026-02-01, at commit 8f3e2d1: 2 cores; Linux; Flask 3.1.3.\n"


def test_the_machine_is_described_without_its_name() -> None:
    """Cores, processor, system and versions are told, and nothing of whose machine it is."""
    facts = results.facts()

    assert set(facts) == {"date", "commit", "machine", "system", "packages"}
    assert re.fullmatch(r"\d+ cores, [^/]+", facts["machine"])
    assert re.fullmatch(r"\w+, Python [\d.]+\w*", facts["system"])
    assert re.fullmatch(r"[\w.-]+", facts["commit"])
    assert re.fullmatch(r"([\w-]+ [\w.+]+(, )?)+", facts["packages"])
