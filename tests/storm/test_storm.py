"""A small storm: what "make storm" does, with a tenth of the callbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from store import mariadb
from store.postgresql import database_url
from storm.__main__ import main
from storm.kill_storm import storm

from flask_wepay.errors import StoreUnavailable
from flask_wepay.sqla import SQLAlchemyStore

#: Tracing every line would cost half the time, and other tests cover the same ones.
pytestmark = pytest.mark.no_cover


@pytest.mark.parametrize(("kind", "kills"), [("postgresql", 100), ("mariadb", 40), ("sqlite", 100)])
def test_storm(kind: str, kills: int, tmp_path: Path, capfd: Any) -> None:
    """Workers killed at any instant leave nothing that one use does not put right."""
    servers = {"postgresql": database_url, "mariadb": mariadb.database_url}
    url = servers[kind]() if kind in servers else f"sqlite:///{tmp_path}/storm.db"

    verdict = storm(url, callbacks=10 * kills, kills=kills, seed=3)

    assert str(verdict) == "avoidably stale, lost, wrong after one use: 0 / 0 / 0", (
        capfd.readouterr()
    )
    assert verdict.callbacks >= 10 * kills
    assert verdict.kills == kills
    # 409: the owner disconnected meanwhile.
    assert set(verdict.answers) <= {"302", "409"}


@pytest.mark.parametrize("error", [StoreUnavailable, RuntimeError])
def test_storm_over_a_store_that_does_not_save(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    """A token that a living worker lost is not put down to a kill."""

    def fail(*_: Any) -> None:
        raise error("It can't be saved.")

    monkeypatch.setattr(SQLAlchemyStore, "grant", fail)

    status = main(["--only=SQLite", "--callbacks=40", "--kills=4"])

    *_, verdict = capfd.readouterr().out.splitlines()
    lost, wrong = (int(number) for number in verdict.split(" / ")[1:])
    assert status == 1
    assert lost > 0
    # All but those of killed workers.
    assert wrong >= 36
