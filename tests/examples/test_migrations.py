"""The committed migrations make the tables that the models describe."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"

# In a process of its own, because Alembic sets up logging; in one, because each start takes time.
UP_AND_DOWN = """
from crowdfunding import create_app
from flask_migrate import check, downgrade, upgrade

with create_app().app_context():
    upgrade()
    check()
    downgrade(revision="base")
"""


def test_migrations_are_up_to_date(tmp_path: Path) -> None:
    """Upgrading works, leaves nothing for autogenerate to find, and can be taken back."""
    environment = os.environ | {
        "FLASK_SECRET_KEY": "a secret of the tests",
        "FLASK_SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'crowdfunding.sqlite'}",
    }

    done = subprocess.run(
        [sys.executable, "-c", UP_AND_DOWN],
        cwd=EXAMPLES,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
