"""How long the imports take beyond Flask, SQLAlchemy and requests, each in a fresh process."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from . import ROOT
from .results import Tables
from .turns import in_turns

IMPORTS = {
    "Floor": "import sqlite3, urllib3, cryptography.fernet",
    "Authlib": "import authlib.integrations.flask_client",
    "Flask-Dance": "import flask_dance.consumer, flask_dance.consumer.storage.sqla",
    "Flask-WePay": "import flask_wepay, flask_wepay.sqla",
}
PROGRAM = """
import time
import flask, sqlalchemy, flask_sqlalchemy, flask_login, requests
started = time.perf_counter()
{}
print(time.perf_counter() - started)
"""


def run(options: Any, directory: Path) -> Tables:
    tasks = {name: partial(_import, imports) for name, imports in IMPORTS.items()}
    taken = in_turns(tasks, min(options.rounds, 10))
    return {
        "Import, beyond Flask, SQLAlchemy and requests": {
            name: {"ms": f"{seconds * 1000:.0f}"} for name, seconds in taken.items()
        }
    }


def _import(imports: str) -> list[float]:
    # What pip installs is compiled, and so is a checkout after its first import.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    program = [sys.executable, "-c", PROGRAM.format(imports)]
    return [float(subprocess.check_output(program, cwd=ROOT, env=environment))]
