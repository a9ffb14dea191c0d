"""What the owners of a platform do, in one line each."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_wepay.errors import WePayError
from flask_wepay.sandbox import Sandbox

BILL, MARY = "bill@example.com", "mary@example.com"


class Platform:
    """An application in the sandbox, and who uses it."""

    def __init__(self, app: Flask, sandbox: Sandbox) -> None:
        self.app = app
        self.sandbox = sandbox
        self.table: sa.Table = app.extensions["test"]["model"].__table__

    @property
    def store(self) -> Any:
        return self.app.extensions["wepay"].store

    def browser(self, owner: str) -> FlaskClient:
        browser = self.app.test_client()
        browser.get(f"/as/{owner}")
        return browser

    def authorized(self, browser: FlaskClient, email: str = BILL) -> str:
        """Go to WePay and consent there; give the address of the callback."""
        login = dict(parse_qsl(urlsplit(browser.get("/wepay/login?force=1").location).query))
        user = self.sandbox.world.user_by_email(email) or self.sandbox.make_user(email)
        code = self.sandbox.issue_code(login["redirect_uri"], user_id=user.user_id)
        return f"/wepay/callback?{urlencode({'code': code, 'state': login['state']})}"

    def connect(self, owner: str, email: str = BILL) -> TestResponse:
        browser = self.browser(owner)
        return browser.get(self.authorized(browser, email))

    @contextmanager
    def exchanging(self, browser: FlaskClient, back: str) -> Iterator[Future[TestResponse]]:
        """Be between WePay's work and its answer; give the callback's answer to come."""
        with ThreadPoolExecutor() as pool, self.sandbox.hold("oauth2/token", "after") as hold:
            answer = pool.submit(browser.get, back)
            hold.wait()
            yield answer

    def use(self, owner: str) -> Any:
        """Make one call as an owner; give the WePay user's mail address, or the error's class."""
        with self.app.app_context():
            try:
                return self.app.extensions["test"]["wepay"].client_for(owner).call("user")["email"]
            except WePayError as error:
                return type(error)

    def user_id(self, email: str) -> int:
        return self.sandbox.world.user_by_email(email).user_id

    def revoke(self, email: str) -> None:
        self.sandbox.revoke(self.user_id(email))

    def execute(self, statement: Any) -> Any:
        """Do something to the table behind the package's back."""
        with self.app.app_context():
            engine = self.app.extensions["test"]["db"].engine
            with engine.begin() as connection:
                result = connection.execute(statement)
                return result.all() if result.returns_rows else result.rowcount

    def rows(self) -> list[Any]:
        return self.execute(self.table.select().order_by(self.table.c.granted_at, self.table.c.id))

    def reasons(self) -> list[str | None]:
        return [row.reason for row in self.rows()]

    def age(self, days: float, *which: Any) -> None:
        """Let rows be so much older than they are."""
        from datetime import timedelta

        for row in self.execute(self.table.select().where(*which)):
            older = {
                name: moment - timedelta(days=days)
                for name in ("created_at", "granted_at", "revoked_at")
                if (moment := getattr(row, name)) is not None
            }
            self.execute(self.table.update().where(self.table.c.id == row.id).values(older))

    def tokens_sent(self) -> list[str]:
        """List what the calls to "user" carried, oldest first."""
        return [
            exchange.headers["authorization"].removeprefix("Bearer ")
            for exchange in self.sandbox.log.of("user")
        ]

    @contextmanager
    def received(self, signal: Any) -> Iterator[list[dict[str, Any]]]:
        """Collect what a signal of this application says."""
        told: list[dict[str, Any]] = []

        def receive(sender: Any, **facts: Any) -> None:
            told.append(facts)

        with signal.connected_to(receive, sender=self.app):
            yield told


def analyze(connection: sa.Connection) -> None:
    """Let the database look at how many rows its tables have."""
    table = " TABLE" * (connection.dialect.name in ("mysql", "mariadb"))
    connection.exec_driver_sql(f"ANALYZE{table} wepay_token")
