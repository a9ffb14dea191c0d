"""What figures depend on: the processor, the system, and the versions of all that took part."""

from __future__ import annotations

import os
import platform
import sqlite3
import ssl
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import servers

PACKAGES = (
    *("Flask", "Werkzeug", "Flask-Login", "Flask-SQLAlchemy", "SQLAlchemy", "Authlib"),
    *("Flask-Dance", "requests", "urllib3", "cryptography", "limits", "tenacity", "psycopg"),
    *("gunicorn", "gevent", "pytest", "requests-mock", "Flask-WePay"),
)


def facts() -> dict[str, Any]:
    """Return them; neither a name nor a path of this machine is among them."""
    return {
        "machine": f"{os.cpu_count()} cores, {_processor()}",
        "system": f"{platform.system()}, Python {platform.python_version()}",
        "revision": _revision(),
        "packages": {name: version(name) for name in PACKAGES if _installed(name)}
        | {"SQLite": sqlite3.sqlite_version, "OpenSSL": ssl.OPENSSL_VERSION.split()[1]}
        | servers.versions(),
    }


def _revision() -> str:
    """Return the commit that was measured, marked if the files differed from it."""
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.machine())


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
