"""What is required, and what it costs to import."""

from __future__ import annotations

import configparser
import subprocess
import sys
from pathlib import Path

import pytest

from flask_wepay.api.transport import user_agent

ROOT = Path(__file__).parents[2]


def requirement_lines(text: str) -> set[str]:
    return {line for line in text.splitlines() if line and not line.startswith("#")}


def test_lower_bounds_are_the_tested_ones() -> None:
    """``make test-lowest`` runs with exactly the lower bounds that ``setup.cfg`` promises."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    promised = requirement_lines(setup["options"]["install_requires"] + extras["redis"])
    tested = requirement_lines((ROOT / "requirements" / "lowest.txt").read_text())

    assert {line.replace("==", ">=") for line in tested} == {
        line.replace("[redis]", "") for line in promised
    }


@pytest.mark.parametrize(
    ("module", "stays_out"),
    [
        ("flask_wepay", "sqlalchemy"),
        ("flask_wepay", "flask_login"),
        ("flask_wepay", "limits"),
        ("flask_wepay.cli", "flask_wepay.sandbox"),
        ("flask_wepay.pytest_plugin", "flask_wepay.sandbox"),
        ("flask_wepay.sandbox", "sqlalchemy"),
    ],
)
def test_importing_one_does_not_import_the_other(module: str, stays_out: str) -> None:
    """What an application doesn't use is not imported."""
    code = f"import sys, {module}; sys.exit({stays_out!r} in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_without_metadata() -> None:
    """A frozen or vendored copy, which has no metadata, can be imported."""
    code = (
        "import importlib.metadata as metadata\n"
        "def version(name):\n"
        "    raise metadata.PackageNotFoundError(name)\n"
        "metadata.version = version\n"
        "from flask_wepay.api.transport import USER_AGENT\n"
        "print(USER_AGENT)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert done.stdout == "Flask-WePay\n"
    assert user_agent("no such distribution") == "no such distribution"
