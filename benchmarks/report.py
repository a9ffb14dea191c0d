"""Tables of the last run: for the terminal and for the documentation."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from . import calls
from .contenders import CALLS
from .side_by_side import CONTENDERS, VIEWS
from .statements import scans

BUNDLES = {
    "certifi": "trusting certifi's authorities, as applications do",
    "tiny": "trusting one authority only, the best case of who opens connections anew",
}

TOPICS = (
    *("side-by-side", "calls", "imports", "growth", "capacity", "workers", "soak", "profile"),
    *("sandbox", "waiting"),
)

Row = list[str]
Table = tuple[str, Row, list[Row]]


def tables(results: dict[str, Any]) -> dict[str, list[Table]]:
    """Return by topic the tables of whatever was measured, each a title, a head and rows."""
    makers: dict[str, Callable[[Any], list[Table]]] = {
        "side-by-side": lambda of: [_side_by_side(*one) for one in of.items()],
        "calls": lambda of: [_calls(*one) for one in of.items()],
        "imports": lambda of: [_imports(of)],
        "growth": lambda of: [_growth(*one) for one in of.items()],
        "capacity": lambda of: [_capacity(of)],
        "workers": lambda of: [_workers(of)],
        "soak": lambda of: [_soak(of)],
        "profile": lambda of: [_profile(of)],
        "waiting": lambda of: [_slow(of["slow"]), _former(of["former"])],
        "sandbox": lambda of: [_sandbox_calls(of["calls"]), _suite(of["suite"])],
    }
    for figures in results.get("growth", {}).get("PostgreSQL", {}).values():
        # Only the largest table has it.
        if "capacity" in figures:
            results = results | {"capacity": figures["capacity"] | {"bytes": figures["bytes"]}}
    return {topic: make(results[topic]) for topic, make in makers.items() if topic in results}


def _slow(figures: dict[str, Any]) -> Table:
    rows = [[name, f"{of['per second']:.0f}", f"{of['held']:.0f}"] for name, of in figures.items()]
    head = ["view", "calls per second", "connections held"]
    return "40 threads, a pool of 15, and a WePay that takes half a second", head, rows


def _former(figures: dict[str, Any]) -> Table:
    numbers = list(next(iter(figures.values())))
    rows = [
        [database, *(f"{of[number]:.0f} µs" for number in numbers)]
        for database, of in figures.items()
    ]
    head = ["former authorizations", *(f"{int(number):,}" for number in numbers)]
    return "A lookup of one owner, outside of a transaction", head, rows


def _imports(figures: dict[str, float]) -> Table:
    rows = [[CONTENDERS[name], f"{taken:.0f}"] for name, taken in figures.items()]
    return "Import, beyond Flask, SQLAlchemy and requests", ["", "ms"], rows


def _side_by_side(bundle: str, figures: dict[str, Any]) -> Table:
    names = list(CONTENDERS)
    rows = []
    for view in VIEWS:
        of_view = figures["views"][view]
        rows.append([view] + [f"{of_view[n]['cost']:.0f} µs" for n in names])
        rows.append(["ratio"] + [f"{of_view[n]['ratio']:.1f}" for n in names])
        rows.append(["new connections"] + [f"{of_view[n]['connections']:g}" for n in names])
        rows.append(["SQL statements"] + [str(of_view[n]["statements"]) for n in names])
    five = figures["five calls"]
    rows.append(["five calls, new connections"] + [f"{five[n]['connections']:g}" for n in names])
    rows.append(["five calls, SQL statements"] + [str(five[n]["statements"]) for n in names])
    for abandoned, of_login in figures["abandoned"].items():
        times = [f"{of_login[n]['cost']:.0f} µs" for n in names]
        rows.append([f"login after {abandoned} abandoned", *times])
    memory = figures["memory"]
    rows.append(["peak memory"] + [f"{memory[n]['peak']:.0f} MiB" for n in names])
    return f"Side by side, {BUNDLES[bundle]}", ["", *CONTENDERS.values()], rows


def _calls(bundle: str, views: dict[str, Any]) -> Table:
    names = list(calls.CONTENDERS)
    made = {"call": "one call a request", "calls": f"{CALLS} calls a request"}
    rows = []
    for view, of_view in views.items():
        each = calls.VIEWS[view]
        figures = [of_view[name] for name in names]
        opened = f"connections opened by {figures[0]['calls']} calls"
        rows.append([made[view] + ", each call", *(f"{f['cost'] / each:.0f} µs" for f in figures)])
        rows.append(["ratio", *(f"{f['ratio']:.2f}" for f in figures)])
        rows.append([opened, *(str(f["connections"]) for f in figures)])
    return f"API calls from a cold start, {BUNDLES[bundle]}", ["", *calls.CONTENDERS.values()], rows


def _growth(database: str, figures: dict[str, Any]) -> Table:
    sizes = list(figures)
    rows = []
    for what in figures[sizes[0]]:
        cells = [figures[size].get(what) for size in sizes]
        if what == "plans":
            shares = [f"{sum(map(scans, plans))} of {len(plans)}" for plans in cells]
            rows.append(["statements that scan the table", *shares])
        elif what in VIEWS:
            first = cells[0]["cost"]
            times = [f"{cell['cost']:.0f} µs ({cell['cost'] / first:.2f})" for cell in cells]
            rows.append([what, *times])
        elif what not in ("fill", "capacity", "bytes"):
            seconds = [cell["seconds"] for cell in cells]
            each = [taken * 1e6 / int(size) for taken, size in zip(seconds, sizes, strict=True)]
            times = [f"{s:.1f} s ({e:.0f} µs a row)" for s, e in zip(seconds, each, strict=True)]
            peaks = [f"{cell['peak']:.0f} MiB" for cell in cells]
            rows += [[what, *times], [f"{what}, peak memory", *peaks]]
    return f"Growth on {database}", ["rows", *(f"{int(size):,}" for size in sizes)], rows


def _capacity(figures: dict[str, float]) -> Table:
    rows = [[f"{what} per second", f"{figures[what]:,.0f}"] for what in ("lookups", "callbacks")]
    rows.append(["bytes per row, indexes included", f"{figures['bytes']:,.0f}"])
    return "One PostgreSQL by itself, at the largest size", ["", ""], rows


def _workers(figures: dict[str, Any]) -> Table:
    rows = [
        [
            f"{kind}, {view}",
            f"{cell['bare per second']:.0f}",
            f"{cell['per second']:.0f}",
            f"{cell['ratio']:.2f}",
            f"{cell['milliseconds']:.0f}",
            f"{cell['milliseconds, 95 %']:.0f}",
            f"{cell['errors']} of {cell['requests']}",
        ]
        for kind, views in figures.items()
        for view, cell in views.items()
    ]
    head = ["", "bare, per s", "with OAuth, per s", "ratio", "median, ms", "95 %, ms", "errors"]
    return "Two workers on PostgreSQL and Redis, 16 clients", head, rows


def _soak(figures: dict[str, Any]) -> Table:
    rows = [
        [
            f"{s['seconds'] / 60:.0f}",
            f"{s['served']:,}",
            f"{s['blocks']:,}",
            f"{s['bytes'] / 2**20:.2f}",
            f"{s['MiB']:.1f}",
        ]
        for s in figures["samples"]
    ]
    grown = figures["per request"]
    verdicts = {True: "flat", False: "not flat", None: "too short a run to tell"}
    verdict = verdicts[figures["flat"]]
    if grown is not None:
        verdict += (
            f" (in the second half {grown['blocks']:+.3f} Python blocks and"
            f" {grown['bytes']:+.1f} bytes beside them a request, resident"
            f" {grown['resident']:+.0f} bytes)"
        )
    errors = f"{figures['errors']} errors in {figures['requests']:,} requests"
    title = f"Memory of two workers ({figures['kind']}): {verdict}, {errors}"
    head = ["minute", "requests so far", "Python blocks", "MiB beside them", "resident MiB"]
    return title, head, rows


def _sandbox_calls(figures: dict[str, dict[str, float]]) -> Table:
    ways = list(next(iter(figures.values())))
    rows = [
        [call, *(f"{of_call[way]:.0f} µs" for way in ways)] for call, of_call in figures.items()
    ]
    return "A call of requests, by who answers it", ["", *ways], rows


def _suite(figures: dict[str, float]) -> Table:
    rows = [
        ["each connects, calls and revokes", f"{figures['seconds']:.1f} s"],
        ["the same application without the sandbox", f"{figures['bare']:.1f} s"],
    ]
    return f"{figures['tests']} tests with the pytest plugin", ["", "seconds in all"], rows


def _profile(figures: dict[str, Any]) -> Table:
    shares = {view: _shares(sampled["groups"]) for view, sampled in figures.items()}
    groups = sorted({g for of_view in shares.values() for g in of_view})
    groups.sort(key=lambda g: -shares["call"].get(g, 0))
    rows = [[g] + [f"{of_view.get(g, 0):.0f} %" for of_view in shares.values()] for g in groups]
    return "Whose code runs, beyond the bare view", ["", *shares], rows


def _shares(groups: dict[str, float]) -> dict[str, float]:
    # The profiler itself takes time, so that only shares mean something.
    taken = {group: max(0.0, microseconds) for group, microseconds in groups.items()}
    return {group: 100 * t / (sum(taken.values()) or 1) for group, t in taken.items()}


def as_text(table: Table) -> str:
    """Return a table for the terminal."""
    title, head, rows = table
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
        for row in [head, *rows]
    ]
    return "\n".join([f"\n{title}\n", *lines])


def as_rst(results: dict[str, Any]) -> dict[str, str]:
    """Return the tables of each topic for the documentation, and what they were measured on."""
    found = tables(results)
    # The documentation includes all of them.
    unmeasured = dict.fromkeys(TOPICS, "*Not part of the last run.*\n")
    shown = {topic: "\n".join(map(_rst, of_topic)) for topic, of_topic in found.items()}
    return {**unmeasured, **shown, "measured": _measured(results["measured"])}


def _measured(by_topic: dict[str, Any]) -> str:
    """Say when and on what; of each topic where they differ."""
    topics: dict[str, list[str]] = {}
    for topic, facts in by_topic.items():
        topics.setdefault(json.dumps(facts), []).append(topic)
    lines = []
    for said, of_topics in topics.items():
        facts = json.loads(said)
        packages = ", ".join(f"{name} {number}" for name, number in facts["packages"].items())
        what = "Measured" if len(topics) == 1 else f"Measured ({', '.join(of_topics)})"
        on = f"{facts['machine']}; {facts['system']}; {packages}"
        # Results from before it was noted have none.
        at = f", at commit {facts['revision']}" if "revision" in facts else ""
        lines.append(f"{what} on {facts['date']}{at}: {on}.\n")
    return "\n".join(lines)


def _rst(table: Table) -> str:
    title, head, rows = table
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(row)]
    return "\n".join([*lines, ""])
