"""A small storm: what "make storm" does, with a tenth of the callbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from store.postgresql import database_url
from storm.kill_storm import storm


@pytest.mark.parametrize("kind", ["postgresql", "sqlite"])
def test_storm(kind: str, tmp_path: Path, capfd: Any) -> None:
    """Workers killed at any instant leave nothing that one use does not put right."""
    url = database_url() if kind == "postgresql" else f"sqlite:///{tmp_path}/storm.db"

    verdict = storm(url, callbacks=1000, kills=100, seed=3)

    assert str(verdict) == "avoidably stale, lost, wrong after one use: 0 / 0 / 0", (
        capfd.readouterr()
    )
    assert verdict.callbacks >= 1000
    assert verdict.kills == 100
    # 409: the owner disconnected meanwhile.
    assert set(verdict.answers) <= {"302", "409"}
