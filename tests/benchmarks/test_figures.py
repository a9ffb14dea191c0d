"""How figures are made of times, and tables of figures."""

from __future__ import annotations

import pytest

pytest.importorskip("trustme", reason="pip install -r benchmarks/requirements.txt")

from benchmarks import report, side_by_side
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
    """A view's cell says how its cost compares with the smallest table's."""
    results = {
        "growth": {
            "SQLite": {
                "1000": {"call": {"cost": 100.0}, "prune": {"seconds": 1.5, "peak": 80.4}},
                "100000": {"call": {"cost": 120.0}, "prune": {"over": 240}},
            }
        }
    }

    (table,) = report.tables(results)["growth"]

    assert table == (
        "Growth on SQLite",
        ["rows", "1,000", "100,000"],
        [
            ["call", "100 µs (1.00)", "120 µs (1.20)"],
            ["prune", "1.5 s", "over 240 s"],
            ["prune, peak memory", "80 MiB", "-"],
        ],
    )
