"""``flask wepay tokens``."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import time_machine
from click.testing import Result
from flask import Flask

from flask_wepay.cli import wepay as commands
from flask_wepay.sandbox import Sandbox
from flask_wepay.tokens import Secret

Run = Callable[..., Result]
BILL = 100001
MANY = 5000


def test_table(
    run: Run, app: Flask, connect: Any, wepay_sandbox: Sandbox, monkeypatch: Any
) -> None:
    """Every row is a line: its state, the WePay user, its ages, and whose it is."""
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False) as clock:
        with app.app_context():
            store = app.extensions["wepay"].store
            store.begin("left", Secret("a"))
            connect("alice", BILL)
            clock.shift(3 * 86400)
            connect("alice", BILL)
            connect("dead")
            store.end(store.find("dead").candidates[0], "revoked")
            connect("brief", expires_at=int(time.time()) + 60)
            clock.shift(7200)
            connect("odd\x1b[31m\n")
            clock.shift(300)
            store.begin("here", Secret("b"))
            clock.shift(5)

        result = run("tokens")

    assert result.exit_code == 0
    assert result.stdout == (
        "STATE        WEPAY USER     AGE   ENDED  OWNER\n"
        "abandoned                   3 d          left\n"
        "replaced         100001     3 d     2 h  alice\n"
        "connected        100001     2 h          alice\n"
        "revoked          100003     2 h     2 h  dead\n"
        "expired          100004     2 h          brief\n"
        "connected        100005   5 min          odd\\x1b[31m\\n\n"
        "pending                     5 s          here\n"
    )
    assert (
        result.stderr == "1 abandoned, 2 connected, 1 expired, 1 pending, 1 replaced, 1 revoked\n"
    )


def test_json(run: Run, connect: Any) -> None:
    """As JSON the same, with dates instead of ages."""
    with time_machine.travel(datetime(2026, 1, 1, tzinfo=UTC), tick=False):
        connect("alice", BILL, expires_at=1800000000)
        connect("bob")

        result = run("tokens", "--json")

    alice, bob = json.loads(result.stdout)
    assert alice == {
        "owner": "alice",
        "user_id": BILL,
        "state": "connected",
        "created_at": "2026-01-01T00:00:00+00:00",
        "granted_at": "2026-01-01T00:00:00+00:00",
        "revoked_at": None,
        "expires_at": "2027-01-15T08:00:00+00:00",
        "problem": None,
    }
    assert bob["owner"] == "bob"
    assert len(result.stdout.splitlines()) == 4


def test_superseded(run: Run, connect: Any, wepay_sandbox: Sandbox) -> None:
    """A living row of a WePay user that is no longer the owner's is not called connected."""
    connect("alice", BILL)
    connect("alice")
    connect("bob")
    connect("carol", BILL, expires_at=int(time.time()) - 1)
    connect("carol")

    table, array = run("tokens"), run("tokens", "--json")

    states = ["superseded", "connected", "connected", "expired", "connected"]
    assert [line.split()[0] for line in table.stdout.splitlines()[1:]] == states
    assert [row["state"] for row in json.loads(array.stdout)] == states
    assert table.stderr == "3 connected, 1 expired, 1 superseded\n"
    assert (table.exit_code, array.exit_code) == (0, 0)


def test_verify_asks_of_the_superseded(
    run: Run, connect: Any, wepay_sandbox: Sandbox, rows: Any
) -> None:
    """WePay is asked about a superseded row too, and it ends as any other."""
    connect("alice", BILL)
    connect("alice")

    before = run("tokens", "--verify")
    wepay_sandbox.revoke(BILL)
    after = run("tokens", "--verify")

    assert before.stderr.endswith("1 connected, 1 superseded\n")
    assert after.stderr.endswith("1 connected, 1 revoked\n")
    assert rows()[0].reason == "revoked"


def test_nobody(run: Run) -> None:
    """Of an empty table there is nothing to list."""
    table, array = run("tokens"), run("tokens", "--json")

    assert (table.exit_code, array.exit_code) == (0, 0)
    assert json.loads(array.stdout) == []
    assert table.stderr == "nobody has connected yet\n"


def test_unreadable(run: Run, make_app: Any, tmp_path: Path, connect: Any) -> None:
    """A row that no key opens is named as such and makes it exit with 1."""
    uri = f"sqlite:///{tmp_path}/db.sqlite"
    connect("alice", app=make_app(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY="an old key"))
    app = make_app(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY="another key")
    connect("bob", app=app)

    listed, verified = run("tokens", app=app), run("tokens", "--verify", app=app)

    for result in (listed, verified):
        assert result.exit_code == 1
        assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == [
            "unreadable",
            "connected",
        ]


def test_verify(run: Run, connect: Any, wepay_sandbox: Sandbox, told: list[Any], rows: Any) -> None:
    """WePay is asked about every living token; one that it revoked is marked and told."""
    connect("alice", BILL)
    for i in range(60):
        connect(f"owner{i}")
    wepay_sandbox.revoke(BILL)

    result = run("tokens", "--verify")

    assert result.exit_code == 0
    assert "Asking WePay" in result.stderr
    assert "60 connected, 1 revoked" in result.stderr
    assert rows()[0].reason == "revoked"
    assert told == [("alice", BILL, "revoked")]
    # 50 tokens a request.
    assert wepay_sandbox.count("batch/create") == 2


def test_verify_asks_only_of_the_living(
    run: Run, app: Flask, connect: Any, wepay_sandbox: Sandbox
) -> None:
    """Nothing is asked about rows that ended, are pending or have expired."""
    with app.app_context():
        store = app.extensions["wepay"].store
        store.begin("left", Secret("a"))
        connect("dead")
        store.disconnect("dead")
        connect("brief", expires_at=int(time.time()) - 1)

    result = run("tokens", "--verify")

    assert result.exit_code == 0
    assert len(wepay_sandbox.log) == 0


def test_verify_refused(run: Run, connect: Any, wepay_sandbox: Sandbox, rows: Any) -> None:
    """A token that WePay refuses without having revoked it is named, kept, and exits with 1."""
    token = connect("alice", BILL)
    del wepay_sandbox.world.tokens[token]

    table, array = run("tokens", "--verify"), run("tokens", "--verify", "--json")

    assert (table.exit_code, array.exit_code) == (1, 1)
    assert "error_code 1006" in table.stdout
    [row] = json.loads(array.stdout)
    assert (row["state"], "error_code 1006" in row["problem"]) == ("connected", True)
    assert rows()[0].revoked_at is None
    assert token not in table.output + array.output


def test_verify_waits_its_turn(
    run: Run, make_app: Any, connect: Any, wepay_sandbox: Sandbox
) -> None:
    """Over the budget it waits for its turn instead of giving up."""
    app = make_app(WEPAY_THROTTLE="6 per 1 second")
    for i in range(51):
        connect(f"owner{i}", app=app)

    result = run("tokens", "--verify", app=app)

    assert result.exit_code == 0
    assert wepay_sandbox.count("batch/create") == 2


@pytest.mark.parametrize("command", [["tokens", "--verify"], ["callback-uri", "--all"]])
def test_commands_leave_most_of_the_budget(
    run: Run, make_app: Any, connect: Any, wepay_sandbox: Sandbox, command: list[str]
) -> None:
    """However many there are to ask about, payments keep four fifths of the budget."""
    app = make_app(
        WEPAY_THROTTLE="10 per 10 minutes", WEPAY_CALLBACK_URI="https://hooks.example/in"
    )
    for i in range(101):
        connect(f"owner{i}", app=app)

    result = run(*command, app=app)

    assert result.exit_code == 1
    assert "the local rate limit of 2 commands per 10 minutes is reached" in result.stderr
    assert wepay_sandbox.count("batch/create") == 2
    with app.app_context():
        client = app.extensions["test"]["wepay"].client_for("owner0")
        assert [client.call("account/find") for _ in range(8)] == [[]] * 8


def test_large_table(app: Flask, db: Any, model: Any) -> None:
    """Rows are read and written a few at a time, however many there are."""
    now = datetime.now(UTC)
    keyring = app.extensions["wepay"].settings.keyring
    token = keyring.seal("STAGE_t", client_id=12345, owner="alice", user_id=9)
    dead = {"revoked_at": now, "reason": "revoked"}
    rows = [
        {
            "client_id": 12345,
            "owner": "alice" if i % 10 == 0 else f"owner {i}",
            "state_hash": f"{i:064x}",
            "user_id": 9 if i % 10 == 0 else i,
            "created_at": now,
            "granted_at": now,
            "token": token,
            "token_type": "BEARER",
            "revoked_at": None,
            "reason": None,
        }
        | ({} if i in (0, 10) else dead)
        for i in range(MANY)
    ]
    rows[-10]["user_id"] = 7
    with app.app_context():
        db.session.execute(sa.insert(model), rows)
        db.session.commit()
    rows.clear()
    tracemalloc.start()

    result = app.test_cli_runner().invoke(commands, ["tokens"])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert len(result.stdout.splitlines()) == MANY + 1
    assert result.stderr == f"{MANY - 2} revoked, 2 superseded\n"
    assert peak < 4_000_000
