"""What a slow WePay costs the database, and what former authorizations cost a lookup."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import certifi
from flask import Flask
from store.postgresql import PostgreSQL

from flask_wepay.tokens import Token

from .contender import Browser, Contender
from .contenders import CLIENT_ID, Setup
from .contenders.flask_wepay_client import make_base
from .provider import Provider
from .results import Row, Tables
from .token_table import analyze
from .turns import apart, in_turns

#: Seconds that the slow provider takes, how many threads ask it, and how often each does.
SLOW, THREADS, TIMES = 0.5, 40, 5
POOL = {"pool_size": 5, "max_overflow": 10, "pool_timeout": 120}
#: How many authorizations an owner had.
FORMER = (1, 1_000, 10_000)


def run(options: Any, directory: Path) -> Tables:
    former: dict[str, Row] = {}
    for database in options.databases:
        if database == "SQLite":
            former[database] = _former(f"sqlite:///{directory}/former.sqlite", options.rounds)
        else:
            with PostgreSQL() as server:
                former[database] = _former(server.url, options.rounds)
    return {
        "40 threads, a pool of 15, and a WePay that takes half a second": _slow(
            f"sqlite:///{directory}/slow.sqlite", min(TIMES, options.rounds)
        ),
        "A lookup of one owner outside of a transaction, by its former authorizations": former,
    }


def _slow(url: str, times: int) -> dict[str, Row]:
    config = {"SQLALCHEMY_ENGINE_OPTIONS": POOL, "WEPAY_TIMEOUT": 120}
    with apart(Provider, None, SLOW) as provider:
        setup = Setup(provider.url(), url, certifi.where(), config)
        contender = Contender("flask_wepay_client", setup)
        contender.prepare()
        views = {"pay": "call", "commit-and-pay": "commit-and-call"}
        return {name: _load(contender.app, view, times) for name, view in views.items()}


def _load(app: Flask, view: str, times: int) -> Row:
    with app.app_context():
        pool = app.extensions["sqlalchemy"].engine.pool
    browsers = [Browser(app) for _ in range(THREADS)]
    for browser in browsers:
        browser.get("/as/1")
    held: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SLOW / 10):
            held.append(pool.checkedout())

    threading.Thread(target=watch, daemon=True).start()
    started = time.monotonic()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda one: [one.get(f"/{view}") for _ in range(times)], browsers))
    per_second = THREADS * times / (time.monotonic() - started)
    done.set()
    return {"calls per second": f"{per_second:.0f}", "connections held": f"{median(held):.0f}"}


def _former(url: str, rounds: int) -> Row:
    app, db = make_base(Setup("http://127.0.0.1:9", url, certifi.where(), {}))
    with app.app_context():
        db.create_all()
        store, table = app.extensions["wepay"].store, app.extensions["token_table"]
        for former in FORMER:
            with db.engine.begin() as connection:
                connection.execute(table.insert(), list(_dead(f"{former}", former)))
            store.adopt(f"{former}", _token())
        analyze(db.engine)
        tasks = {former: partial(_timed, store, f"{former}") for former in FORMER}
        taken = in_turns(tasks, 5 * rounds, warm_up=0)
        db.engine.dispose()
    return {f"{former:,}": f"{microseconds:.0f} µs" for former, microseconds in taken.items()}


def _token() -> Token:
    return Token(f"STAGE_{secrets.token_hex(16)}", 1)


def _dead(owner: str, count: int) -> Iterator[dict[str, Any]]:
    """Make so many rows of an owner: one was never granted, the others were replaced."""
    began = datetime.now(UTC) - timedelta(days=count + 1)
    for number in range(count):
        then = began + timedelta(days=number) if number else None
        yield {
            "client_id": CLIENT_ID,
            "owner": owner,
            "state_hash": secrets.token_hex(32),
            "created_at": then or began,
            "user_id": then and 1,
            "granted_at": then,
            "revoked_at": then,
            "reason": then and "replaced",
        }


def _timed(store: Any, owner: str) -> list[float]:
    started = time.perf_counter_ns()
    store.find(owner)
    return [(time.perf_counter_ns() - started) / 1000]
