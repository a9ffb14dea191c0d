"""SERIALIZABLE: PostgreSQL may give up any transaction, and what is ours is tried again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from store.owners import BILL, MARY, Platform
from store.postgresql import database_url

from flask_wepay.errors import StoreUnavailable


@pytest.fixture
def platform(make_app: Any, wepay_sandbox: Any) -> Platform:
    """A platform on a serializable database whose owners alice and bob are connected."""
    app = make_app(
        SQLALCHEMY_DATABASE_URI=database_url(),
        SQLALCHEMY_ENGINE_OPTIONS={"isolation_level": "SERIALIZABLE"},
        WEPAY_THROTTLE=None,
    )
    platform = Platform(app, wepay_sandbox)
    platform.connect("alice")
    platform.connect("bob", MARY)
    return platform


@contextmanager
def given_up(platform: Platform) -> Iterator[list[str]]:
    """Let the next statement be one that PostgreSQL must give up; collect its reasons.

    Nobody's order explains what it would read: another transaction read bob's row before it was
    changed, and changed alice's after the snapshot of that statement was taken.
    """
    table, gave_up = platform.table, list[str]()
    with platform.app.app_context():
        engine = platform.app.extensions["test"]["db"].engine

    def touch(connection: sa.Connection, owner: str) -> None:
        mine = table.update().where(table.c.owner == owner)
        connection.execute(mine.values(token_type=table.c.token_type))
        connection.commit()

    def interfere(connection: Any, cursor: Any, *_: Any) -> None:
        # PostgreSQL takes the snapshot with the first statement.
        cursor.execute("SELECT 1")
        touch(between, "alice")

    def note(context: Any) -> None:
        gave_up.append(context.original_exception.sqlstate)

    with engine.connect() as between, engine.connect() as before:
        between.execute(table.select()).all()
        touch(before, "bob")
        sa.event.listen(engine, "before_cursor_execute", interfere, once=True)
        sa.event.listen(engine, "handle_error", note)
        try:
            yield gave_up
        finally:
            sa.event.remove(engine, "handle_error", note)


def test_look_up_is_repeated(platform: Platform) -> None:
    """A look-up that was given up is made again: alice is connected, and it costs her nothing."""
    with given_up(platform) as reasons:
        assert platform.use("alice") == BILL

    assert reasons == ["40001"]


def test_page_of_a_rotation_is_repeated(platform: Platform) -> None:
    """A rotation goes on where a page that it read was given up."""
    with given_up(platform) as reasons, platform.app.app_context():
        progress = [tuple(progress) for progress in platform.store.maintenance.rotate()]

    assert reasons == ["40001"]
    assert progress == [(2, 0)]


def test_grant_is_repeated(platform: Platform) -> None:
    """A grant that was given up is made again, without asking WePay again."""
    browser = platform.browser("alice")
    back = platform.authorized(browser)

    with ExitStack() as stack, platform.exchanging(browser, back) as answer:
        reasons = stack.enter_context(given_up(platform))

    assert answer.result().location == "/"
    assert reasons == ["40001"]
    assert platform.sandbox.count("oauth2/token") == 3
    assert platform.use("alice") == BILL


def test_look_up_in_a_transaction_of_the_view(platform: Platform) -> None:
    """Only the view can repeat its own transaction, so there the call says that it failed."""
    with platform.app.app_context():
        session = platform.app.extensions["test"]["db"].session
        with given_up(platform) as reasons:
            session.execute(sa.text("SELECT 2"))
            client = platform.app.extensions["test"]["wepay"].client_for("alice")
            with pytest.raises(StoreUnavailable):
                client.call("user")
        assert reasons == ["40001"]
        session.rollback()

        assert client.call("user")["email"] == BILL
