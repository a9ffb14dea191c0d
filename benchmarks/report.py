"""Tables and a plot of the last run: for the terminal and for the documentation."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .side_by_side import CONTENDERS, VIEWS

PACKAGES = (
    *("Flask", "Werkzeug", "Flask-Login", "Flask-SQLAlchemy", "SQLAlchemy", "Authlib"),
    *("Flask-Dance", "requests", "urllib3", "cryptography", "limits", "tenacity", "psycopg"),
    *("gunicorn", "gevent", "Flask-WePay"),
)
BUNDLES = {
    "certifi": "trusting certifi's authorities, as applications do",
    "tiny": "trusting one authority only, the best case of who opens connections anew",
}

TOPICS = ("side-by-side", "imports", "growth", "capacity", "workers", "soak", "profile")

Row = list[str]
Table = tuple[str, Row, list[Row]]


def machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    cpu = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "machine": f"{os.cpu_count()} cores, {cpu}",
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "packages": {name: version(name) for name in PACKAGES if _installed(name)},
    }


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def tables(results: dict[str, Any]) -> dict[str, list[Table]]:
    """Return by topic the tables of whatever was measured, each a title, a head and rows."""
    makers: dict[str, Callable[[Any], list[Table]]] = {
        "side-by-side": lambda of: [_side_by_side(*one) for one in of.items()],
        "imports": lambda of: [_imports(of)],
        "growth": lambda of: [_growth(*one) for one in of.items()],
        "capacity": lambda of: [_capacity(of)],
        "workers": lambda of: [_workers(of)],
        "soak": lambda of: [_soak(of)],
        "profile": lambda of: [_profile(of)],
    }
    sizes = list(results.get("growth", {}).get("PostgreSQL", {}).values())
    if sizes:
        results = results | {"capacity": sizes[-1]["capacity"]}
    return {topic: make(results[topic]) for topic, make in makers.items() if topic in results}


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


def _growth(database: str, figures: dict[str, Any]) -> Table:
    sizes = list(figures)
    rows = []
    for what in figures[sizes[0]]:
        if what in ("fill", "capacity"):
            continue
        cells = [figures[size][what] for size in sizes]
        if "cost" in cells[0]:
            first = cells[0]["cost"]
            times = [f"{cell['cost']:.0f} µs ({cell['cost'] / first:.2f})" for cell in cells]
            rows.append([what, *times])
        else:
            done = [
                f"{c['seconds']:.1f} s" if "seconds" in c else f"over {c['over']} s" for c in cells
            ]
            peaks = [f"{c['peak']:.0f} MiB" if "peak" in c else "-" for c in cells]
            rows += [[what, *done], [f"{what}, peak memory", *peaks]]
    return f"Growth on {database}", ["rows", *(f"{int(size):,}" for size in sizes)], rows


def _capacity(figures: dict[str, float]) -> Table:
    rows = [[f"{what} per second", f"{figures[what]:,.0f}"] for what in ("look-ups", "callbacks")]
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
    # The first sample of each minute.
    minutes = {s["seconds"] // 60: s for s in reversed(figures["samples"])}
    rows = [
        [str(minute), f"{s['MiB']:.0f}", f"{s['served']:,}"]
        for minute, s in sorted(minutes.items())
    ]
    seconds = figures["samples"][-1]["seconds"]
    errors = f"{figures['errors']} errors in {figures['requests']:,} requests"
    title = f"Memory of two workers ({figures['kind']}) over {seconds} seconds: {errors}"
    return title, ["minute", "MiB", "requests so far"], rows


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
    facts = results["measured"]
    packages = ", ".join(f"{name} {number}" for name, number in facts["packages"].items())
    measured = f"Measured on {facts['date']}: {facts['machine']}; {facts['system']}; {packages}.\n"
    found = tables(results)
    # The documentation includes all of them.
    unmeasured = dict.fromkeys(TOPICS, "*Not part of the last run.*\n")
    shown = {topic: "\n".join(map(_rst, of_topic)) for topic, of_topic in found.items()}
    return {**unmeasured, **shown, "measured": measured}


def _rst(table: Table) -> str:
    title, head, rows = table
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for row in [head, *rows]:
        lines += [f"   {'* -' if i == 0 else '  -'} {cell}".rstrip() for i, cell in enumerate(row)]
    return "\n".join([*lines, ""])


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw what each view costs, side by side."""
    import matplotlib as mpl

    mpl.use("svg")
    # So that the same figures give the same file.
    mpl.rcParams["svg.hashsalt"] = "flask-wepay"
    import matplotlib.pyplot as plt

    views = results["side-by-side"]["certifi"]["views"]
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    for position, (name, label) in enumerate(CONTENDERS.items()):
        places = [index + (position - 1.5) * 0.2 for index in range(len(VIEWS))]
        costs = [views[view][name]["cost"] / 1000 for view in VIEWS]
        bars = axes.bar(places, costs, 0.19, label=label)
        axes.bar_label(bars, [f"{cost:.2g}" if cost < 10 else f"{cost:.0f}" for cost in costs])
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(y=0.12)
    axes.set_xticks(range(len(VIEWS)), VIEWS)
    axes.set_ylabel("milliseconds beyond the bare view")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.17))
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
