"""A site on gunicorn, PostgreSQL and Redis, and sixteen clients that visit it.

The clients keep their connections; each asks, waits for the answer and asks again.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from flask import Flask
from store.postgresql import PostgreSQL
from store.redis_server import Redis
from store.servers import free_port

from . import ROOT, provider
from .contender import FIRST_NEW, NEVER_CONNECTED, back, create_tables
from .contenders import Setup
from .contenders.flask_wepay_client import make_app
from .memory import in_use

WORKERS, THREADS = 2, 8
CLIENTS = 16
#: Owners that are connected and call.
OWNERS = range(1, 51)
#: Seconds that one measurement may take at most.
LONGEST = 15.0


class Request(NamedTuple):
    address: str
    cookie: str = ""


class Answer(NamedTuple):
    status: int
    location: str
    cookie: str
    seconds: float

    def is_error(self) -> bool:
        """Tell whether it is none; who is sent to the login was not served either."""
        return self.status >= 400 or self.location.partition("?")[0].endswith("/wepay/login")


class Site:
    def __init__(self, port: int, pid: int, folder: Path) -> None:
        self._port = port
        self._folder = folder
        self._gunicorn = psutil.Process(pid)
        self._newcomers = itertools.count(FIRST_NEW)
        self._cookies: dict[int, str] = {}

    def workers(self) -> list[psutil.Process]:
        return self._gunicorn.children()

    def in_use(self, worker: psutil.Process) -> dict[str, int]:
        """Have a worker tell what its memory holds."""
        told = self._folder / str(worker.pid)
        told.unlink()
        worker.send_signal(signal.SIGUSR2)
        while not told.exists():
            time.sleep(0.05)
        return json.loads(told.read_text())

    def send(self, requests: list[Request], seconds: float = LONGEST) -> list[Answer]:
        """Send requests until the time is up; return the answers to the first of them."""
        return asyncio.run(_send(self._port, requests, seconds))

    def calls(self, address: str, count: int) -> list[Request]:
        owners = list(itertools.islice(itertools.cycle(OWNERS), count))
        return [Request(address, cookie) for cookie in self._cookies_of(owners)]

    def logins(self, count: int) -> list[Request]:
        (cookie,) = self._cookies_of([NEVER_CONNECTED])
        return [Request("/wepay/login", cookie)] * count

    def callbacks(self, count: int) -> list[Request]:
        """Begin logins of new users, and give the requests with which they end."""
        return self._callbacks(list(itertools.islice(self._newcomers, count)))

    def warm_up(self) -> None:
        """Connect the owners, and let each worker open its connections with some calls."""
        answers = self.send(self._callbacks(list(OWNERS)), 60)
        answers += self.send(self.calls("/call", 2 * len(OWNERS)), 60)
        if any(answer.is_error() for answer in answers):
            raise RuntimeError("the site does not work")

    def _callbacks(self, users: list[int]) -> list[Request]:
        cookies = self._cookies_of(users)
        answers = self.send([Request("/wepay/login?force=1", cookie) for cookie in cookies], 60)
        return [Request(back(a.location), a.cookie) for a in answers]

    def _cookies_of(self, users: list[int]) -> list[str]:
        unknown = [user for user in dict.fromkeys(users) if user not in self._cookies]
        answers = self.send([Request(f"/as/{user}") for user in unknown], 60)
        self._cookies |= {u: answer.cookie for u, answer in zip(unknown, answers, strict=True)}
        return [self._cookies[user] for user in users]


async def _send(port: int, requests: list[Request], seconds: float) -> list[Answer]:
    answers: dict[int, Answer] = {}
    waiting = enumerate(requests)
    ends = time.perf_counter() + seconds

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for index, (address, cookie) in waiting:
            started = time.perf_counter()
            cookies = f"Cookie: {cookie}\r\n" if cookie else ""
            writer.write(f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\n{cookies}\r\n".encode())
            first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (h.partition(": ") for h in lines)}
            await reader.readexactly(int(headers.get("content-length", 0)))
            answers[index] = Answer(
                int(first.split()[1]),
                headers.get("location", ""),
                headers.get("set-cookie", "").partition(";")[0],
                time.perf_counter() - started,
            )
            if headers.get("connection", "").lower() == "close":
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            if time.perf_counter() > ends:
                break
        writer.close()

    await asyncio.gather(*(ask() for _ in range(CLIENTS)))
    return [answer for _, answer in sorted(answers.items())]


@contextmanager
def opened(directory: Path, kind: str) -> Iterator[Site]:
    """Run all servers, with two workers of a kind."""
    with (
        provider.over_tls(directory) as its_provider,
        PostgreSQL() as database,
        Redis() as storage,
    ):
        config = {
            "WEPAY_THROTTLE_STORAGE": storage.url,
            # The budget's own cost without its limit.
            "WEPAY_THROTTLE": "100000 per 10 seconds",
        }
        bundle = str(directory / "certifi.pem")
        setup = Setup(its_provider.url(), database.url, bundle, config)
        app = make_app(setup)
        create_tables(app)
        with app.app_context():
            app.extensions["sqlalchemy"].engine.dispose()
        with _gunicorn(kind, setup) as site:
            site.warm_up()
            yield site


@contextmanager
def _gunicorn(kind: str, setup: Setup) -> Iterator[Site]:
    port = free_port()
    arguments = [f"--workers={WORKERS}", f"--worker-class={kind}", f"--bind=127.0.0.1:{port}"]
    arguments += [f"--threads={THREADS}"] if kind == "gthread" else ["--worker-connections=200"]
    with tempfile.TemporaryDirectory(prefix="wepay-bench-") as folder:
        arguments += ["--log-level=warning", "--keep-alive=30"]
        application = f"benchmarks.site:make_worker({asdict(setup)!r}, {folder!r})"
        command = [sys.executable, "-m", "gunicorn", *arguments, application]
        with subprocess.Popen(command, cwd=ROOT) as server:
            try:
                while len(list(Path(folder).iterdir())) < WORKERS:
                    if server.poll() is not None:
                        raise RuntimeError("gunicorn did not start")
                    time.sleep(0.05)
                yield Site(port, server.pid, Path(folder))
            finally:
                server.terminate()


def make_worker(setup: dict[str, Any], folder: str) -> Flask:
    """Make the application that gunicorn serves."""
    told = Path(folder, str(os.getpid()))

    def tell(*_: object) -> None:
        part = told.with_suffix(".part")
        part.write_text(json.dumps(in_use()))
        part.rename(told)

    app = make_app(Setup(**setup))
    # What its memory holds nobody else can know, nor that it is ready.
    signal.signal(signal.SIGUSR2, tell)
    told.touch()
    return app
