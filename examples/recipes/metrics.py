"""Prometheus: calls, errors by class, the rest of the rate limit, and active connections."""

from __future__ import annotations

import logging
import time
from collections import deque
from typing import Any

from flask import Flask
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from sqlalchemy import func, select

from flask_wepay import signals

BUDGET, SECONDS = 30, 10  # as in WEPAY_THROTTLE


class Metrics(logging.Handler):
    """Count the records of the logger "flask_wepay" and the signals; no label names an owner."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(logging.INFO)
        self.calls = Counter(
            "wepay_calls",
            "Calls, by their error",
            ["call", "error"],
            registry=registry,
        )
        self.seconds = Histogram("wepay_call_seconds", "How long", ["call"], registry=registry)
        self.events = Counter("wepay_events", "Signals", ["event"], registry=registry)
        self.left = Gauge("wepay_budget_left", "Calls left in this process", registry=registry)
        self.living = Gauge("wepay_connections", "Active connections", registry=registry)
        self.left.set_function(self.budget_left)
        self._sent: deque[float] = deque(maxlen=BUDGET)

    def emit(self, record: logging.LogRecord) -> None:
        call = getattr(record, "wepay_call", None)
        if call is None:
            return
        error = record.wepay_error or "none"
        self.calls.labels(call, error).inc()
        self.seconds.labels(call).observe(record.wepay_milliseconds / 1000)
        if error != "Throttled":
            self._sent.append(time.monotonic())

    def budget_left(self) -> int:
        since = time.monotonic() - SECONDS
        return BUDGET - sum(1 for sent in list(self._sent) if sent > since)


def measure(app: Flask, db: Any, token_model: Any, registry: CollectorRegistry) -> Metrics:
    metrics = Metrics(registry)
    logger = logging.getLogger("flask_wepay")
    logger.setLevel(logging.INFO)
    logger.addHandler(metrics)

    def living() -> int:
        alive = token_model.granted_at.is_not(None), token_model.revoked_at.is_(None)
        with app.app_context():
            return db.session.scalar(select(func.count()).select_from(token_model).where(*alive))

    metrics.living.set_function(living)
    for signal in (
        signals.wepay_authorized,
        signals.wepay_denied,
        signals.wepay_token_revoked,
        signals.wepay_user_deleted,
        signals.wepay_ipn_received,
    ):
        event = metrics.events.labels(signal.name)
        signal.connect(lambda sender, event=event, **facts: event.inc(), app, weak=False)
    return metrics
