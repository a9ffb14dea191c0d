"""The committed migration makes the tables that the models describe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_migrations_are_up_to_date(tmp_path: Path) -> None:
    """Upgrading works, leaves nothing for autogenerate to find, and can be taken back."""
    environment = os.environ | {
        "FLASK_SECRET_KEY": "a secret of the tests",
        "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'crowdfunding.sqlite'}",
    }

    for command in ("upgrade", "check", "downgrade"):
        flask = [sys.executable, "-m", "flask", "--app", "crowdfunding", "db", command]
        done = subprocess.run(
            flask, cwd=EXAMPLES, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
