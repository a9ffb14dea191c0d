"""Rows of the token table that a view has locked: nobody waits for them for ever."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from store import mariadb, postgresql
from store.owners import BILL, Platform

from flask_wepay.errors import StoreUnavailable, TokenRevoked
from flask_wepay.sqla import database, locks

#: What would wait for ever ends like this, and late.
PATIENCE = {
    postgresql: {"options": "-c lock_timeout=10s"},
    mariadb: {"init_command": "SET innodb_lock_wait_timeout = 10"},
}


@pytest.fixture(params=PATIENCE, ids=["postgresql", "mariadb"])
def platform(
    request: pytest.FixtureRequest, make_app: Any, wepay_sandbox: Any, monkeypatch: Any
) -> Platform:
    """A platform whose owner alice is connected, on a database that locks rows."""
    monkeypatch.setattr(locks, "LOCK_MILLISECONDS", 50)
    monkeypatch.setattr(database, "WRITE_SECONDS", 0.2)
    app = make_app(
        SQLALCHEMY_DATABASE_URI=request.param.database_url(),
        SQLALCHEMY_ENGINE_OPTIONS={"connect_args": PATIENCE[request.param]},
        WEPAY_THROTTLE=None,
    )
    platform = Platform(app, wepay_sandbox)
    platform.connect("alice")
    return platform


def lock(platform: Platform, connection: Any) -> None:
    # By its id: MariaDB locks what lies between rows as well that are looked for otherwise.
    (row,) = platform.rows()
    rows = platform.table.select().where(platform.table.c.id == row.id)
    assert len(connection.execute(rows.with_for_update()).all()) == 1


def test_view_that_locked_the_row_it_loses(platform: Platform) -> None:
    """The error is raised all the same, and the row is marked at a later use."""
    platform.revoke(BILL)

    with platform.app.app_context():
        session = platform.app.extensions["test"]["db"].session
        lock(platform, session)
        with pytest.raises(TokenRevoked):
            platform.app.extensions["test"]["wepay"].client_for("alice").call("user")
        session.rollback()

    assert platform.reasons() == [None]
    assert platform.use("alice") is TokenRevoked
    assert platform.reasons() == ["revoked"]


def test_view_that_locked_the_row_it_disconnects(platform: Platform) -> None:
    """A disconnect that the view itself is in the way of is an error, and forgets nothing."""
    with platform.app.app_context():
        session = platform.app.extensions["test"]["db"].session
        lock(platform, session)
        with pytest.raises(StoreUnavailable):
            platform.app.extensions["test"]["wepay"].client_for("alice").disconnect()
        session.rollback()

    assert platform.use("alice") == BILL


def test_callback_beside_a_view_that_locked_the_row(platform: Platform) -> None:
    """A new token is stored at once; the row that it replaces is found dead if it is used."""
    browser = platform.browser("alice")
    back = platform.authorized(browser)

    with platform.app.app_context(), platform.app.extensions["test"]["db"].engine.begin() as view:
        lock(platform, view)
        answer = browser.get(back)

    assert answer.location == "/"
    assert platform.use("alice") == BILL
    assert platform.reasons() == [None, None]


def test_row_is_locked_for_a_moment(platform: Platform, monkeypatch: Any) -> None:
    """What is marked waits for a lock that goes away."""
    monkeypatch.setattr(database, "WRITE_SECONDS", 30)
    platform.revoke(BILL)
    with platform.app.app_context():
        engine = platform.app.extensions["test"]["db"].engine
    refused: list[str] = []

    with engine.connect() as view:
        lock(platform, view)

        def let_go(context: Any) -> None:
            refused.append(str(context.original_exception))
            view.rollback()

        sa.event.listen(engine, "handle_error", let_go)
        outcome = platform.use("alice")
        sa.event.remove(engine, "handle_error", let_go)

    assert outcome is TokenRevoked
    assert ["lock timeout" in text or "Lock wait timeout" in text for text in refused] == [True]
    assert platform.reasons() == ["revoked"]
