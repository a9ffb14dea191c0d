"""What is required, and what it costs to import."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def requirement_lines(text: str) -> set[str]:
    return {line for line in text.splitlines() if line and not line.startswith("#")}


def test_lower_bounds_are_the_tested_ones() -> None:
    """``make test-lowest`` runs with exactly the lower bounds that ``setup.cfg`` promises."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    promised = requirement_lines(setup["options"]["install_requires"])
    tested = requirement_lines((ROOT / "requirements" / "lowest.txt").read_text())

    assert {line.replace("==", ">=") for line in tested} == promised


@pytest.mark.parametrize(
    ("module", "stays_out"),
    [
        ("flask_wepay", "sqlalchemy"),
        ("flask_wepay", "flask_login"),
        ("flask_wepay.cli", "flask_wepay.sandbox"),
        ("flask_wepay.pytest_plugin", "flask_wepay.sandbox"),
        ("flask_wepay.sandbox", "sqlalchemy"),
    ],
)
def test_importing_one_does_not_import_the_other(module: str, stays_out: str) -> None:
    """What an application doesn't use is not imported."""
    code = f"import sys, {module}; sys.exit({stays_out!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
