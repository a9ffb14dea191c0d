"""``flask wepay forget``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from flask_wepay.errors import TokenRevoked

Run = Callable[..., Result]
BILL, MARY = 100001, 100002


@pytest.mark.parametrize(("args", "typed"), [(["--yes"], None), ([], "y\n")])
def test_forget(run: Run, connect: Any, rows: Any, args: list[str], typed: str | None) -> None:
    """An owner is disconnected after a question, or at once."""
    connect("alice", BILL)
    connect("bob")

    result = run("forget", "alice", *args, typed=typed)

    assert result.exit_code == 0
    assert result.stdout.endswith("Owner 'alice' is disconnected.\n")
    assert [(row.reason, row.token is None) for row in rows()] == [
        ("disconnected", True),
        (None, False),
    ]


def test_no(run: Run, connect: Any, rows: Any) -> None:
    """Whoever answers no has changed nothing."""
    connect("alice", BILL)

    result = run("forget", "alice", typed="n\n")

    assert result.exit_code == 1
    assert "Forget all connections of owner 'alice' (WePay user 100001)? [y/N]" in result.stdout
    assert rows()[0].revoked_at is None


def test_not_connected(run: Run, connect: Any) -> None:
    """There is nothing to forget of somebody who never connected, or is not any more."""
    connect("alice", BILL)
    run("forget", "alice", "--yes")

    never, ended = run("forget", "nob\x1bdy", "--yes"), run("forget", "alice", "--yes")

    assert (never.exit_code, ended.exit_code) == (1, 1)
    assert never.stderr == "Error: Owner 'nob\\x1bdy' is not connected, and never was.\n"
    assert ended.stderr == "Error: Owner 'alice' is not connected: disconnected.\n"


def test_bytes_that_are_no_text(run: Run) -> None:
    """What a shell hands over in another encoding is nobody's name."""
    result = run("forget", "\udcff", "--yes")

    assert result.exit_code == 2
    assert "has characters that a database can't store" in result.stderr


def test_former_user(run: Run, connect: Any, rows: Any, app: Any, wepay_sandbox: Any) -> None:
    """An owner whose newest WePay user is lost may still have an older one's token here."""
    connect("alice", BILL)
    connect("alice", MARY)
    wepay_sandbox.revoke(rows()[1].user_id)
    with app.app_context(), pytest.raises(TokenRevoked):
        app.extensions["test"]["wepay"].client_for("alice").call("user")

    result = run("forget", "alice", "--yes")

    assert result.exit_code == 0
    assert [row.token for row in rows()] == [None, None]


def test_unreadable(run: Run, make_app: Any, tmp_path: Path, connect: Any) -> None:
    """A token that no key opens can be forgotten."""
    uri = f"sqlite:///{tmp_path}/db.sqlite"
    connect("alice", app=make_app(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY="an old key"))
    app = make_app(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY="another key")

    result = run("forget", "alice", "--yes", app=app)

    assert result.exit_code == 0


def test_hooks(run: Run, without_table: dict[str, tuple[Flask, str]], connect: Any) -> None:
    """With token hooks the setter is told."""
    app, _ = without_table["hooks"]
    connect("alice", app=app)

    first, second = (run("forget", "alice", "--yes", app=app) for _ in range(2))

    assert (first.exit_code, second.exit_code) == (0, 1)


def test_merchant(run: Run, without_table: dict[str, tuple[Flask, str]]) -> None:
    """A merchant's own token is a setting, which no command takes away."""
    app, where = without_table["merchant"]

    result = run("forget", "merchant", "--yes", app=app)

    assert result.exit_code == 2
    assert where in result.stderr
