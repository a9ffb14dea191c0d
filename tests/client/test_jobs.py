"""Calls outside of a request: commands, threads and job queues."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from flask_wepay import WePay, WePayClient
from flask_wepay.errors import NotAuthorized


def test_a_command(
    make_app: Any, wepay_sandbox: Any, wepay_connect: Any, runner: FlaskCliRunner, app: Flask
) -> None:
    """A command of the application acts for an owner."""

    @app.cli.command("whoami")
    def whoami() -> None:
        print(app.extensions["test"]["wepay"].client_for("alice").call("user")["email"])  # noqa: T201

    browser = app.test_client()
    browser.get("/as/alice")
    wepay_connect(browser)

    assert runner.invoke(args=["whoami"]).output == "bill@example.com\n"


def test_a_thread(
    app: Flask, client: FlaskClient, wepay: WePay, wepay_sandbox: Any, wepay_connect: Any
) -> None:
    """A thread needs nothing but an application context."""
    wepay_connect(client)

    def work() -> str:
        with app.app_context():
            return str(wepay.client_for("alice").call("user")["email"])

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(work).result() == "bill@example.com"


def test_one_context_for_many_owners(
    app: Flask, client: FlaskClient, wepay: WePay, wepay_sandbox: Any, wepay_connect: Any
) -> None:
    """One application context, or one request, serves many owners, each with its own token."""
    for owner in ("bob", "carol", "alice"):
        client.get(f"/as/{owner}")
        wepay_connect(client, email=f"{owner}@example.com")
    order = ["alice", "bob", "alice", "carol", "bob"]

    with app.app_context():
        job = [wepay.client_for(owner).call("user")["email"] for owner in order]
    with app.test_request_context():
        view = [wepay.client_for(owner).call("user")["email"] for owner in order]

    assert job == view == [f"{owner}@example.com" for owner in order]


def test_a_job_sees_what_changed(
    alice: WePayClient, client: FlaskClient, wepay_sandbox: Any, wepay_connect: Any
) -> None:
    """Outside of a request each call looks anew: a job that runs for days uses the newest token."""
    alice.call("user")
    first = wepay_sandbox.last("user").headers["authorization"]

    wepay_connect(client, login="/wepay/login?force=1")
    alice.call("user")
    second = wepay_sandbox.last("user").headers["authorization"]
    alice.disconnect()

    assert first != second
    with pytest.raises(NotAuthorized):
        alice.call("user")


def test_a_client_needs_an_application() -> None:
    """Without an application context the error is Flask's own."""
    with pytest.raises(RuntimeError, match="application context"):
        WePay().client_for("alice")
