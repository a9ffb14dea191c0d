"""``flask wepay generate-key``, ``rotate-keys`` and ``prune``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import time_machine
from click.testing import Result
from cryptography.fernet import Fernet
from flask import Flask

from flask_wepay.tokens import Secret

Run = Callable[..., Result]


def test_generate_key(run: Run) -> None:
    """A key is printed alone, each time another one, and does for WEPAY_TOKEN_KEYS."""
    keys = {run("generate-key").stdout for _ in range(2)}

    assert len(keys) == 2
    for key in keys:
        assert key.endswith("\n")
        Fernet(key.strip())


@pytest.fixture
def make_rotated(make_app: Any, tmp_path: Path) -> Callable[..., Flask]:
    return lambda *keys: make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/db.sqlite", WEPAY_TOKEN_KEYS=list(keys)
    )


def test_rotate_keys(run: Run, make_rotated: Any, connect: Any) -> None:
    """After a rotation the new key alone opens every token."""
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    for owner in ("alice", "bob"):
        connect(owner, app=make_rotated(old))

    result = run("rotate-keys", app=make_rotated(new, old))

    assert result.exit_code == 0
    assert result.stdout == "Encrypted 2 tokens with the newest key.\n"
    assert run("tokens", app=make_rotated(new)).exit_code == 0
    assert run("tokens", app=make_rotated(old)).exit_code == 1


def test_rotate_unreadable(run: Run, make_rotated: Any, connect: Any) -> None:
    """A token that no key opens stays as it is, and makes it exit with 1."""
    lost, new = (Fernet.generate_key().decode() for _ in range(2))
    connect("alice", app=make_rotated(lost))
    connect("bob", app=make_rotated(new))

    result = run("rotate-keys", app=make_rotated(new))

    assert result.exit_code == 1
    assert result.stdout == "Encrypted 1 token with the newest key.\n"
    assert "Error: No key decrypts 1 other token: is an old key missing" in result.stderr
    assert run("tokens", app=make_rotated(new, lost)).exit_code == 0


def test_nothing_to_rotate(run: Run) -> None:
    """An empty table has nothing to rotate."""
    result = run("rotate-keys")

    assert result.exit_code == 0
    assert result.stdout == "Encrypted 0 tokens with the newest key.\n"


def test_prune(run: Run, app: Flask, connect: Any, rows: Any) -> None:
    """Rows that ended or were abandoned so many days ago go, and what is needed stays."""
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as clock:
        connect("alice", 100001)
        connect("alice", 100001)
        with app.app_context():
            app.extensions["wepay"].store.begin("left", Secret("a"))
        clock.shift(89 * 86400)
        early = run("prune")
        clock.shift(2 * 86400)

        late = run("prune")

    assert early.stdout == "Deleted 0 rows.\n"
    assert late.stdout == "Deleted 2 rows.\n"
    assert [(row.owner, row.reason) for row in rows()] == [("alice", None)]


def test_prune_days(run: Run, connect: Any) -> None:
    """How long ago is for whoever runs it to say."""
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as clock:
        connect("alice", 100001)
        connect("alice", 100001)
        clock.shift(2 * 86400)

        three, one = run("prune", "--days", "3"), run("prune", "--days", "1")

    assert (three.stdout, one.stdout) == ("Deleted 0 rows.\n", "Deleted 1 row.\n")


@pytest.mark.parametrize("days", ["-1", "36501", "x"])
def test_prune_odd_days(run: Run, days: str) -> None:
    """A number of days that can't be is wrong usage."""
    assert run("prune", "--days", days).exit_code == 2
