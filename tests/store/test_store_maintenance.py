"""What the commands learn of the table as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from store.owners import BILL, MARY, Platform, analyze
from store.statements import plan

#: Rows of other owners, so that reading all of them would not be the cheapest.
OTHERS = 3000
ROW = {"client_id": 12345, "user_id": 1, "created_at": datetime(2026, 1, 1, tzinfo=UTC)}


def superseded(platform: Platform) -> list[bool]:
    """Tell of each living row, oldest first, whether its WePay user is no longer its owner's."""
    with platform.app.app_context():
        return [
            row.user_id != row.current_user_id
            for row in platform.store.maintenance.rows()
            if row.granted_at is not None and row.revoked_at is None
        ]


def is_used(platform: Platform, owner: str) -> list[bool]:
    """Tell of each living row of an owner, oldest first, whether a call would use it."""
    with platform.app.app_context():
        used = {one.id for one in platform.store.find(owner, fresh=True).candidates}
    return [row.id in used for row in platform.rows() if row.revoked_at is None]


def moment(day: int) -> datetime:
    return datetime(2026, 1, day, tzinfo=UTC)


def insert(platform: Platform, **values: Any) -> None:
    row = {**ROW, "granted_at": moment(1), "state_hash": str(len(platform.rows())), **values}
    platform.execute(platform.table.insert().values(row))


def test_owner_connects_another_user(platform: Platform) -> None:
    """The rows of an owner's former WePay user live on, and are told from those in use."""
    platform.connect("alice", BILL)
    before = superseded(platform)
    platform.connect("alice", MARY)
    platform.connect("bob", "bob@example.com")

    assert before == [False]
    assert superseded(platform) == [True, False, False]
    assert is_used(platform, "alice") == [False, True, False]


def test_owner_comes_back(platform: Platform) -> None:
    """It is the newest row's WePay user that counts, not whether another came after."""
    for day, user_id in enumerate((1, 2, 1), 1):
        insert(platform, owner="alice", user_id=user_id, granted_at=moment(day))

    assert superseded(platform) == [False, True, False]
    assert is_used(platform, "alice") == [True, False, True]


def test_newest_row_is_dead(platform: Platform) -> None:
    """Who has lost the newer WePay user has not the older one back."""
    platform.connect("alice", BILL)
    platform.connect("alice", MARY)
    platform.revoke(MARY)
    platform.use("alice")

    assert superseded(platform) == [True]
    assert is_used(platform, "alice") == [False]


def test_granted_at_the_same_moment(platform: Platform) -> None:
    """Of two rows of one moment the one with the higher id is the newer."""
    insert(platform, id=7, owner="alice", user_id=1)
    insert(platform, id=5, owner="alice", user_id=2)

    # By id, which is the order of reading.
    assert superseded(platform) == [True, False]
    assert is_used(platform, "alice") == [False, True]


def test_rows_that_do_not_count(platform: Platform) -> None:
    """Neither another application's rows nor those of pending logins say whose user it is."""
    insert(platform, owner="alice", user_id=1)
    insert(platform, owner="alice", user_id=2, granted_at=moment(2), client_id=4567)
    insert(platform, owner="Alice", user_id=3, granted_at=moment(2))
    insert(platform, owner="alice", user_id=None, granted_at=None)

    assert superseded(platform) == [False, False]


@pytest.fixture
def large(platform: Platform) -> Platform:
    """A table that is too large to be read as a whole for each row."""
    rows = [
        {**ROW, "granted_at": ROW["created_at"], "owner": f"owner {i}", "state_hash": f"{i:064}"}
        for i in range(OTHERS)
    ]
    with platform.app.app_context():
        engine = platform.app.extensions["test"]["db"].engine
    with engine.begin() as connection:
        connection.execute(platform.table.insert(), rows)
        analyze(connection)
    return platform


def statements_of(app: Flask, work: Any) -> list[tuple[str, Any]]:
    """Collect what is asked of the database meanwhile."""
    collected: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        collected.append((statement, parameters))

    with app.app_context():
        engine = app.extensions["test"]["db"].engine
        sa.event.listen(engine, "before_cursor_execute", note)
        work()
        sa.event.remove(engine, "before_cursor_execute", note)
    return collected


def test_reading_all_rows(large: Platform) -> None:
    """It costs one statement a page, which finds an owner's newest row by the index on it."""
    statements = statements_of(large.app, lambda: list(large.store.maintenance.rows(500)))

    assert len(statements) == OTHERS // 500 + 1
    statement, parameters = statements[1]
    with large.app.app_context():
        engine = large.app.extensions["test"]["db"].engine
    with engine.connect() as connection:
        how = plan(connection, (statement, parameters))
    assert "ix_wepay_token_owner_newest" in how
    assert "SCAN newest" not in how
    assert "Seq Scan on wepay_token newest" not in how
