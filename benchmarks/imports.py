"""How long the imports take beyond Flask, SQLAlchemy and requests, each in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from statistics import median

from .processes import ROOT

SHARED = "import flask, sqlalchemy, flask_sqlalchemy, flask_login, requests"
IMPORTS = {
    "floor": "import sqlite3, urllib3, cryptography.fernet",
    "authlib_client": "import authlib.integrations.flask_client",
    "flask_dance_client": "import flask_dance.consumer, flask_dance.consumer.storage.sqla",
    "flask_wepay_client": "import flask_wepay, flask_wepay.sqla",
}
PROGRAM = """
import time
{shared}
started = time.perf_counter_ns()
{imports}
print(time.perf_counter_ns() - started)
"""


def run(rounds: int) -> dict[str, float]:
    """Return the median in milliseconds; the contenders take turns."""
    # What pip installs is compiled, and so is a checkout after its first import.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for turn in range(-1, rounds):
        for name, imports in IMPORTS.items():
            program = PROGRAM.format(shared=SHARED, imports=imports)
            done = subprocess.run(
                [sys.executable, "-c", program],
                cwd=ROOT,
                env=environment,
                check=True,
                stdout=subprocess.PIPE,
                text=True,
            )
            times[name] += [int(done.stdout) / 1e6] if turn >= 0 else []
    return {name: median(taken) for name, taken in times.items()}
