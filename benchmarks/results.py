"""Tables: how they are kept, and how the terminal and the documentation show them."""

from __future__ import annotations

import json
import os
import platform
import re
import sqlite3
import ssl
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from store.postgresql import find_binaries
from tabulate import tabulate

from . import ROOT

#: What each column has, a figure with its unit or a count.
Row = dict[str, Any]
#: Rows by their name, by the title of a table.
Tables = dict[str, dict[str, Row]]

PACKAGES = (
    *("Flask", "Werkzeug", "Flask-Login", "Flask-SQLAlchemy", "SQLAlchemy", "Authlib"),
    *("Flask-Dance", "requests", "urllib3", "cryptography", "limits", "psycopg"),
    *("gunicorn", "gevent", "pytest", "requests-mock", "Flask-WePay"),
)


def keep(topic: str, tables: Tables, out: Path) -> None:
    """Add the tables of a topic to what earlier runs measured, and write it as RST."""
    out.mkdir(parents=True, exist_ok=True)
    path = out / "results.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    kept[topic] = {"measured": facts(), "tables": tables}
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n")
    (out / f"{topic}.rst").write_text(as_rst(tables))
    (out / "measured.rst").write_text(measured(kept))


def as_text(rows: dict[str, Row], style: str = "simple") -> str:
    cells = [[name, *map(str, row.values())] for name, row in rows.items()]
    head = ["", *next(iter(rows.values()))]
    return tabulate(cells, head, style, disable_numparse=True)


def as_rst(tables: Tables) -> str:
    """Return tables as the documentation includes them."""
    lines = []
    for title, rows in tables.items():
        lines += [f".. table:: {title}", "   :widths: auto", ""]
        lines += [f"   {line}" for line in as_text(rows, "rst").splitlines()]
        lines += [""]
    return "\n".join([*lines, ""])


def facts() -> dict[str, str]:
    """Return what figures depend on; neither a name nor a path of this machine is in it."""
    versions = {name: version(name) for name in PACKAGES}
    versions |= {"SQLite": sqlite3.sqlite_version, "OpenSSL": ssl.OPENSSL_VERSION.split()[1]}
    programs = {"PostgreSQL": find_binaries() / "postgres", "Redis": "redis-server"}
    for name, program in programs.items():
        versions[name] = re.search(r"\d+(\.\d+)+", _said(program, "--version"))[0]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "commit": _said("git", "describe", "--always", "--dirty"),
        "machine": f"{os.cpu_count()} cores, {_processor()}",
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "packages": ", ".join(f"{name} {number}" for name, number in versions.items()),
    }


def _said(*command: str | Path) -> str:
    return subprocess.check_output(command, cwd=ROOT, text=True).strip()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def measured(kept: dict[str, Any]) -> str:
    """Say when and on what; of each topic where they differ."""
    topics: dict[str, list[str]] = {}
    for topic, of_topic in kept.items():
        text = "on {date}, at commit {commit}: {machine}; {system}; {packages}.\n"
        topics.setdefault(text.format(**of_topic["measured"]), []).append(topic)
    if len(topics) == 1:
        return f"Measured {next(iter(topics))}"
    return "\n".join(f"Measured ({', '.join(names)}) {text}" for text, names in topics.items())
