"""Sentry, Prometheus and structlog tell what happens, and no secret."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client import CollectorRegistry, generate_latest
from recipes import metrics, structured_logs

from flask_wepay import WePay
from flask_wepay.errors import PermissionDenied, TokenRevoked
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

TESTS = Path(__file__).parent


def with_sentry(redact: str) -> dict[str, Any]:
    paths = [str(TESTS.parents[1] / "examples"), str(TESTS.parents[1])]
    result = subprocess.run(
        [sys.executable, TESTS / "sentry_program.py", redact],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=True,
    )
    report: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return report


def test_sentry() -> None:
    """With the recipe neither code, state nor signature reaches Sentry, and errors still do."""
    report = with_sentry("yes")

    assert report["errors"] == 2
    assert report["callbacks"] >= 4
    assert (report["of_the_address"], report["others"]) == (0, [])
    assert report["redacted"] > 0


def test_sentry_without_the_recipe() -> None:
    """Without it they do: what the recipe is for."""
    report = with_sentry("no")

    assert report["of_the_address"] > 0
    assert report["others"] == []


@pytest.fixture
def _logger() -> Iterator[None]:
    """Give the loggers back as they were."""
    loggers = [logging.getLogger(), logging.getLogger("flask_wepay")]
    before = [(logger.level, list(logger.handlers)) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers[:] = handlers
    structlog.reset_defaults()


@pytest.mark.usefixtures("_logger")
def test_prometheus(
    app: Flask,
    client: FlaskClient,
    wepay: WePay,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
) -> None:
    """The figures are those of what happened, and no label names an owner."""
    registry = CollectorRegistry()
    parts = app.extensions["test"]
    metrics.measure(app, parts["db"], parts["model"], registry)
    wepay_connect(client)
    value = registry.get_sample_value
    assert value("wepay_connections") == 1
    assert value("wepay_budget_left") == 29

    with app.app_context():
        alice = wepay.client_for("alice")
        alice.call("user")
        wepay_sandbox.answer_next("account/find", error_code=1010)
        with pytest.raises(PermissionDenied):
            alice.call("account/find")
        wepay_sandbox.revoke(alice.user_id)
        with pytest.raises(TokenRevoked):
            alice.call("user")

    assert value("wepay_calls_total", {"call": "user", "error": "none"}) == 1
    denied = {"call": "account/find", "error": "PermissionDenied"}
    assert value("wepay_calls_total", denied) == 1
    assert value("wepay_calls_total", {"call": "user", "error": "TokenRevoked"}) == 1
    assert value("wepay_call_seconds_count", {"call": "user"}) == 2
    assert value("wepay_events_total", {"event": "wepay-authorized"}) == 1
    assert value("wepay_events_total", {"event": "wepay-token-revoked"}) == 1
    assert value("wepay_connections") == 0
    assert value("wepay_budget_left") == 26
    assert b"alice" not in generate_latest(registry)


@pytest.mark.usefixtures("_logger")
def test_structlog(
    app: Flask, client: FlaskClient, wepay: WePay, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Each call is a line of JSON with its facts, and no token is in any."""
    lines = io.StringIO()
    structured_logs.configure(lines)
    wepay_connect(client)
    with app.app_context():
        token = wepay.client_for("alice").token
        wepay.client_for("alice").call("user")

    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    [call] = [line for line in told if line.get("wepay_call") == "user"]
    assert call["wepay_owner"] == "alice"
    assert call["wepay_status"] == 200
    assert (call["logger"], call["level"]) == ("flask_wepay", "info")
    assert token is not None
    assert token.access_token not in lines.getvalue()
