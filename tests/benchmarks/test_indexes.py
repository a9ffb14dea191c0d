"""No statement of the package reads the whole token table."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from store import mariadb
from store.postgresql import database_url
from store.statements import Statement, on_tokens, plan, scans, sent

from flask_wepay import WePay
from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import Sandbox

MakeApp = Callable[..., Flask]

MANY_ROWS = """
INSERT INTO wepay_token (client_id, owner, user_id, state_hash, created_at, granted_at)
WITH RECURSIVE numbers AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000)
SELECT 12345, n, n, n, UTC_TIMESTAMP(6), UTC_TIMESTAMP(6) FROM numbers
"""


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def statements(
    request: pytest.FixtureRequest,
    make_app: MakeApp,
    tmp_path: Any,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    wepay_ipn: DeliverIPN,
) -> tuple[sa.Engine, list[Statement]]:
    """Run all that touches the table, and collect its statements."""
    servers = {"postgresql": database_url, "mariadb": mariadb.database_url}
    url = servers.get(request.param, lambda: f"sqlite:///{tmp_path}/app.sqlite")()
    app = make_app(SQLALCHEMY_DATABASE_URI=url)
    wepay: WePay = app.extensions["test"]["wepay"]
    with app.app_context():
        engine = app.extensions["test"]["db"].engine
    browser = app.test_client()
    browser.get("/as/alice")
    with sent(engine) as statements:
        wepay_connect(browser)
        user_id = next(iter(wepay_sandbox.world.tokens.values())).user_id
        wepay_connect(browser, login="/wepay/login?force=1")
        wepay_ipn(browser, user_id)
        wepay_sandbox.revoke(user_id)
        wepay_ipn(browser, user_id)
        wepay_connect(browser)
        with app.app_context():
            wepay.client_for("alice").disconnect()
    return engine, on_tokens(statements)


def test_statements_use_an_index(statements: tuple[sa.Engine, list[Statement]]) -> None:
    """Login, callback, call, IPN and disconnect search the table by an index, never scan it."""
    engine, collected = statements

    with engine.connect() as connection:
        _index_if_any(connection)
        plans = {statement[0]: plan(connection, statement) for statement in collected}

    searched = [plan for plan in plans.values() if re.search(r"SEARCH wepay_token|Index", plan)]
    assert len(searched) >= 8
    assert [statement for statement, plan in plans.items() if scans(plan)] == []


def test_a_scan_would_be_seen(statements: tuple[sa.Engine, list[Statement]]) -> None:
    """A query by a column without an index is a scan to the test above."""
    engine, _ = statements

    with engine.connect() as connection:
        _index_if_any(connection)
        how = plan(connection, ("SELECT id FROM wepay_token WHERE reason = 'x'", ()))

    assert scans(how)


def _index_if_any(connection: sa.Connection) -> None:
    """Let servers scan only where there is no index: a small table they would read as it is."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET enable_seqscan = off")
    elif connection.dialect.name == "mysql":
        connection.exec_driver_sql(MANY_ROWS)
        connection.exec_driver_sql("ANALYZE TABLE wepay_token")
