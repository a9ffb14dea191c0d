"""What a slow WePay costs the database, and what former authorizations cost a lookup."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any

import certifi
import sqlalchemy as sa

from flask_wepay import current_wepay, wepay_required
from flask_wepay.tokens import Token

from . import servers
from .browser import Browser
from .contenders import Setup
from .contenders.flask_wepay_client import make_base

#: Seconds that the slow provider takes, how many threads ask it, and how often each does.
SLOW, THREADS, TIMES = 0.5, 40, 5
POOL = {"pool_size": 5, "max_overflow": 10, "pool_timeout": 120}
#: How many authorizations an owner had.
FORMER = (1, 1_000, 10_000)
DATABASES = ("SQLite", "PostgreSQL")


def run(directory: Path, rounds: int, databases: Any = DATABASES) -> dict[str, Any]:
    """Return calls per second and connections held, and the microseconds of a lookup."""
    return {
        "slow": _slow(f"sqlite:///{directory}/slow.sqlite", min(TIMES, rounds)),
        "former": {name: _former(name, directory, rounds) for name in databases},
    }


class _Slow(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(SLOW)
        body = b'{"user_id": 1, "state": "registered", "email": "user@example.com"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _slow_provider() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def _slow(url: str, times: int) -> dict[str, Any]:
    with _slow_provider() as provider:
        config = {"SQLALCHEMY_ENGINE_OPTIONS": POOL, "WEPAY_TIMEOUT": 120}
        app, db = make_base(Setup(provider, url, certifi.where(), config))

        @app.get("/pay")
        @wepay_required
        def pay() -> str:
            return current_wepay.call("user")["email"]

        @app.get("/commit-and-pay")
        @wepay_required
        def commit_and_pay() -> str:
            db.session.commit()
            return current_wepay.call("user")["email"]

        with app.app_context():
            db.create_all()
            app.extensions["wepay"].store.adopt("1", Token(f"STAGE_{secrets.token_hex(16)}", 1))
            pool = db.engine.pool
        # The user, whom only one of them may create.
        Browser(app).get("/as/1")
        return {view: _load(app, view, pool, times) for view in ("pay", "commit-and-pay")}


def _load(app: Any, view: str, pool: Any, times: int) -> dict[str, float]:
    held: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.wait(SLOW / 10):
            held.append(pool.checkedout())

    def visit(_: int) -> None:
        browser = Browser(app)
        browser.get("/as/1")
        for _ in range(times):
            assert browser.get(f"/{view}").status == 200

    threading.Thread(target=watch, daemon=True).start()
    started = time.monotonic()
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(visit, range(THREADS)))
    seconds = time.monotonic() - started
    done.set()
    return {"per second": THREADS * times / seconds, "held": median(held or [0])}


def _former(database: str, directory: Path, rounds: int) -> dict[int, float]:
    urls = servers.postgresql() if database == "PostgreSQL" else nullcontext(None)
    with urls as url:
        setup = Setup(
            "http://127.0.0.1:9", url or f"sqlite:///{directory}/former.sqlite", certifi.where(), {}
        )
        app, db = make_base(setup)
        with app.app_context():
            db.create_all()
            store, table = app.extensions["wepay"].store, app.extensions["token_table"]
            for former in FORMER:
                with db.engine.begin() as connection:
                    connection.execute(table.insert(), list(_dead(f"{former}", former - 1)))
                store.adopt(f"{former}", Token(f"STAGE_{secrets.token_hex(16)}", 1))
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("ANALYZE"))
            figures: dict[int, list[float]] = {former: [] for former in FORMER}
            for _ in range(5 * rounds):
                for former, times in figures.items():
                    times.append(_timed(lambda owner=f"{former}": store.find(owner)))
            db.engine.dispose()
    return {former: median(times) for former, times in figures.items()}


def _dead(owner: str, count: int) -> Iterator[dict[str, Any]]:
    began = datetime.now(UTC) - timedelta(days=count + 1)
    for number in range(count):
        then = began + timedelta(days=number)
        yield {
            "client_id": 12345,
            "owner": owner,
            "state_hash": secrets.token_hex(32),
            "user_id": 1,
            "created_at": then,
            "granted_at": then,
            "revoked_at": then,
            "reason": "replaced",
        }
    # An INSERT of nothing is refused.
    yield {
        **dict.fromkeys(("user_id", "granted_at", "revoked_at"), None),
        "client_id": 12345,
        "owner": owner,
        "state_hash": secrets.token_hex(32),
        "created_at": began,
        "reason": None,
    }


def _timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter_ns()
    work()
    return (time.perf_counter_ns() - started) / 1000
