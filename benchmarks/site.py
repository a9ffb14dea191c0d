"""A site on gunicorn, PostgreSQL and Redis, with users who visit it from another process."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from . import certificates, servers
from .contender import FIRST_NEW, NEVER_CONNECTED, create_tables
from .contenders import Setup
from .processes import Child

THREADS = 8
CONNECTIONS = 16
#: Owners that are connected and call.
OWNERS = range(1, 51)
#: Seconds that one measurement may take at most.
LONGEST = 15.0


class Site:
    """A site, and a load generator for it.

    Its owners are connected once. Newcomers are never the same, so that the callbacks of
    the second kind of worker are of users as new as the first's.
    """

    def __init__(self, load: Child, setup: dict[str, Any]) -> None:
        self._load = load
        self._setup = setup
        self._running = ExitStack()
        self._kind = ""
        self._port = self._pid = 0
        self._folder = Path()
        self._newcomers = itertools.count(FIRST_NEW)
        self._cookies: dict[int, str] = {}

    def serve(self, kind: str) -> int:
        """Have two workers of a kind serve it, and return gunicorn's pid.

        Those that run already stay, if they are of that kind.
        """
        if kind != self._kind:
            self.close()
            gunicorn = servers.gunicorn(kind, THREADS, self._setup)
            self._port, self._pid, self._folder = self._running.enter_context(gunicorn)
            self._kind = kind
            if not self._cookies:
                self._connect(list(OWNERS))
            # New workers open their connections with their first calls.
            self.send(self.calls("/call", 2 * len(OWNERS)))
        return self._pid

    def in_use(self, worker: int) -> dict[str, int]:
        return servers.in_use(worker, self._folder)

    def close(self) -> None:
        self._running.close()
        self._kind = ""

    def send(self, requests: list[tuple[str, str]], seconds: float = LONGEST) -> dict[str, Any]:
        return self._load.ask(
            port=self._port, requests=requests, connections=CONNECTIONS, seconds=seconds
        )

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

    def _connect(self, users: list[int]) -> None:
        if errors_of(self.send(self.callbacks(users), 60)):
            raise RuntimeError("a callback failed")


def errors_of(sent: dict[str, Any]) -> int:
    """Count the answers that are none; who is sent to the login was not served either."""
    return sum(
        status >= 400 or location.partition("?")[0].endswith("/wepay/login")
        for _, status, location, *_ in sent["answers"]
    )


def _state(location: str) -> str:
    return location.partition("state=")[2].partition("&")[0]


@contextmanager
def opened(directory: Path) -> Iterator[Site]:
    """Run provider, PostgreSQL, Redis and load generator, and create the tables."""
    certificate = certificates.make(directory)
    with (
        Child("provider", str(certificate)) as provider,
        Child("load") as load,
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
        with closing(Site(load, setup)) as site:
            yield site
