"""Many workers: gunicorn's threads and greenlets, two processes each, PostgreSQL and Redis.

Two cores carry the load generator, the provider, the servers and the workers, so the
requests per second mean nothing by themselves; the ratio to the bare view does.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from . import certificates, servers
from .contender import FIRST_NEW, NEVER_CONNECTED, create_tables
from .contenders import Setup
from .processes import Child, memory

KINDS = ("gthread", "gevent")
THREADS = 8
CONNECTIONS = 16
#: Owners that are connected and call.
OWNERS = range(1, 101)
#: Seconds that one measurement may take at most.
LONGEST = 15.0
#: The views, and what each is without its OAuth part.
VIEWS = {"login": "/bare-redirect", "callback": "/bare-redirect", "call": "/bare"}


class Site:
    """A running site and a load generator for it."""

    def __init__(self, load: Child, port: int) -> None:
        self._load = load
        self._port = port
        self._newcomers = itertools.count(FIRST_NEW)
        self._cookies: dict[int, str] = {}

    def send(self, requests: list[tuple[str, str]], seconds: float = LONGEST) -> dict[str, Any]:
        return self._load.ask(
            port=self._port, requests=requests, connections=CONNECTIONS, seconds=seconds
        )

    def connect(self, users: Any) -> None:
        """Log users in and connect them."""
        if _errors(self.send(self.callbacks(list(users)), 60)):
            raise RuntimeError("a callback failed")

    def newcomers(self, count: int) -> list[int]:
        return list(itertools.islice(self._newcomers, count))

    def cookies(self, users: list[int]) -> list[str]:
        unknown = [user for user in dict.fromkeys(users) if user not in self._cookies]
        answers = self.send([(f"/as/{user}", "") for user in unknown], 60)["answers"]
        self._cookies |= {unknown[index]: cookie for index, _, _, cookie, _ in answers}
        return [self._cookies[user] for user in users]

    def callbacks(self, users: list[int]) -> list[tuple[str, str]]:
        """Begin logins, and give the addresses and cookies with which they end."""
        logins = [("/wepay/login?force=1", cookie) for cookie in self.cookies(users)]
        answers = self.send(logins, 60)["answers"]
        return [
            (f"/wepay/callback?code=a-code-{index}&state={_state(location)}", cookie)
            for index, _, location, cookie, _ in sorted(answers)
        ]

    def requests(self, view: str, count: int) -> list[tuple[str, str]]:
        if view == "callback":
            return self.callbacks(self.newcomers(count))
        if view == "login":
            users = [NEVER_CONNECTED] * count
            return [("/wepay/login", cookie) for cookie in self.cookies(users)]
        return self.calls("/call", count)

    def calls(self, address: str, count: int) -> list[tuple[str, str]]:
        owners = list(itertools.islice(itertools.cycle(OWNERS), count))
        return [(address, cookie) for cookie in self.cookies(owners)]


def _state(location: str) -> str:
    return location.partition("state=")[2].partition("&")[0]


@contextmanager
def platform(directory: Path) -> Iterator[dict[str, Any]]:
    """Run provider, PostgreSQL and Redis, create the tables, and give an application's setup."""
    certificate = certificates.make(directory)
    with (
        Child("provider", str(certificate)) as provider,
        servers.postgresql() as database,
        servers.redis() as storage,
    ):
        setup = {
            "provider": f"https://127.0.0.1:{provider.greeting['port']}",
            "database": database,
            "bundle": str(directory / "certifi.pem"),
            "config": {
                "WEPAY_THROTTLE_STORAGE": storage,
                # The budget's own cost without its limit.
                "WEPAY_THROTTLE": "100000 per 10 seconds",
            },
        }
        from .contenders.flask_wepay_client import make_app

        app = make_app(Setup(**setup))
        create_tables(app)
        with app.app_context():
            app.extensions["sqlalchemy"].engine.dispose()
        yield setup


@contextmanager
def site(kind: str, setup: dict[str, Any]) -> Iterator[tuple[Site, int]]:
    """Serve the application; give the site and gunicorn's pid."""
    with servers.gunicorn(kind, THREADS, setup) as (port, pid), Child("load") as load:
        yield Site(load, port), pid


def run(directory: Path, count: int, rounds: int) -> dict[str, Any]:
    """Measure so many requests of each view, so many times."""
    with platform(directory) as setup:
        return {kind: _measure(kind, setup, count, rounds) for kind in KINDS}


def _measure(kind: str, setup: dict[str, Any], count: int, rounds: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    with site(kind, setup) as (running, _):
        running.connect(OWNERS)
        for view, bare in VIEWS.items():
            passes = []
            for _ in range(rounds):
                requests = running.requests(view, count)
                without = _summary(running.send(running.calls(bare, count)))
                passes.append((without, _summary(running.send(requests))))
            results[view] = _of_passes(passes)
    return results


def _errors(sent: dict[str, Any]) -> int:
    return sum(status >= 400 for _, status, *_ in sent["answers"])


def _summary(sent: dict[str, Any]) -> dict[str, Any]:
    answers = sent["answers"]
    taken = [seconds * 1000 for *_, seconds in answers]
    return {
        "requests": len(answers),
        "per second": len(answers) / sent["seconds"],
        "errors": _errors(sent),
        "median": median(taken),
        "95 %": quantiles(taken, n=20)[-1],
    }


def _of_passes(passes: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    bare = median(without["per second"] for without, _ in passes)
    view = median(within["per second"] for _, within in passes)
    return {
        "requests": sum(within["requests"] for _, within in passes),
        "errors": sum(without["errors"] + within["errors"] for without, within in passes),
        "bare per second": bare,
        "per second": view,
        "ratio": view / bare,
        "milliseconds": median(within["median"] for _, within in passes),
        "milliseconds, 95 %": median(within["95 %"] for _, within in passes),
    }


def soak(directory: Path, seconds: float, every: float = 10.0) -> dict[str, Any]:
    """Keep a site busy, and note its workers' memory every so many seconds."""
    samples: list[dict[str, float]] = []
    errors = served = 0
    with platform(directory) as setup, site("gthread", setup) as (running, pid):
        running.connect(OWNERS)
        started = time.monotonic()
        while (at := time.monotonic() - started) < seconds:
            workers = [memory(worker) for worker in servers.children(pid)]
            samples.append({"seconds": round(at), "MiB": sum(workers), "served": served})
            until = time.monotonic() + every
            while (left := until - time.monotonic()) > 0:
                # Twenty calls for each login and callback.
                requests = running.callbacks(running.newcomers(20)) + running.calls("/call", 400)
                sent = running.send(requests, left)
                served += len(sent["answers"])
                errors += _errors(sent)
    return {"kind": "gthread", "errors": errors, "requests": served, "samples": samples}
