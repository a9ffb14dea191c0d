"""One contender, which measures itself; usually in a process of its own."""

from __future__ import annotations

import importlib
import itertools
import secrets
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask import Flask
from store.statements import Statement, on_tokens, plan, scans, sent
from werkzeug.test import Client, TestResponse

from .contenders import Setup
from .memory import peak_memory
from .profiles import sample

#: The users from here on connect in callbacks.
FIRST_NEW = 1_001
#: This user is never connected.
NEVER_CONNECTED = 1_000
#: Requests of each contender in one turn, where they are not made one by one.
BURST = 5
LOGIN = "/wepay/login"


class Browser:
    """A browser that calls the application itself, and times that alone."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._client = Client(self._timed)
        #: What the last request took.
        self.nanoseconds = 0

    def get(self, address: str) -> TestResponse:
        answer = self._client.get(address, base_url="https://localhost")
        # Who is sent to the login was not served either.
        if answer.status_code >= 400 or str(answer.location).endswith("/wepay/login"):
            raise RuntimeError(f"{address}: {answer.status} {answer.text[:500]}")
        return answer

    def _timed(self, environ: Any, start_response: Callable[..., Any]) -> list[bytes]:
        started = time.perf_counter_ns()
        with closing(self._app(environ, start_response)) as body:
            parts = list(body)
        self.nanoseconds = time.perf_counter_ns() - started
        return parts


class Contender:
    """An application of `benchmarks.contenders`, and those who visit it."""

    def __init__(self, name: str, setup: Setup, owners: range = range(1, 2)) -> None:
        module = importlib.import_module(f"benchmarks.contenders.{name}")
        self._make_app = partial(module.make_app, setup)
        self.app = self._make_app()
        self._bare_login = getattr(module, "BARE_LOGIN", "/bare-redirect")
        self._owners = owners
        self._turns = itertools.cycle(owners)
        self._newcomers = itertools.count(FIRST_NEW)
        self._browsers: dict[int, Browser] = {}

    def prepare(self, *, connect: bool = True) -> None:
        """Create the tables, and connect the owners."""
        create_tables(self.app)
        for owner in self._owners if connect else ():
            browser = self._browser(owner)
            browser.get(self._address("callback", browser))

    def restart(self) -> None:
        """Make the application anew, as a deployment does: without any connection."""
        self.app = self._make_app()
        self._browsers.clear()

    def bare(self, view: str) -> str:
        """Return where a view is without its OAuth part."""
        return {"login": self._bare_login, "callback": "/bare-redirect"}.get(view, "/bare")

    def measure(self, view: str, count: int = 1, abandoned: int = 0) -> list[float]:
        """Return what a view takes beyond the bare one just before it, in microseconds."""
        bare = self.bare(view)
        beyond = []
        for _ in range(count):
            browser = self._visitor(view)
            for _ in range(abandoned):
                browser.get(LOGIN)
            address = self._address(view, browser)
            # Whoever's turn it was before has the processor's caches.
            browser.get(bare)
            browser.get(bare)
            without = browser.nanoseconds
            browser.get(address)
            beyond.append((browser.nanoseconds - without) / 1000)
        return beyond

    def count(self, view: str) -> int:
        """Return the SQL statements of a view, less those of the bare one."""
        bare = self.bare(view)
        return len(self.statements(view)) - len(self._sent(self._visitor(view), bare))

    def statements(self, view: str) -> list[Statement]:
        """Return what a view sends to the database."""
        browser = self._visitor(view)
        return self._sent(browser, self._address(view, browser))

    def scans(self, view: str) -> list[bool]:
        """Tell of each statement on the token table whether the database reads all of it."""
        statements = on_tokens(self.statements(view))
        with self.app.app_context(), self.app.extensions["sqlalchemy"].engine.connect() as database:
            return [scans(plan(database, statement)) for statement in statements]

    def profile(self, view: str, count: int) -> dict[str, float]:
        """Return whose code runs for how long in a view, less that of the bare one."""
        self.measure(view, BURST)
        bare = self.bare(view)
        visits = []
        for _ in range(count):
            browser = self._visitor(view)
            visits.append(partial(browser.get, self._address(view, browser)))
        without = sample([partial(self._browser(self._owners[0]).get, bare)] * count)
        return {group: taken - without[group] for group, taken in sample(visits).items()}

    def peak_memory(self) -> float:
        return peak_memory()

    def _visitor(self, view: str) -> Browser:
        if view == "callback":
            return self._stranger(next(self._newcomers))
        if view == "login":
            return self._stranger(NEVER_CONNECTED)
        return self._browser(next(self._turns))

    def _browser(self, user: int) -> Browser:
        if user not in self._browsers:
            self._browsers[user] = self._stranger(user)
        return self._browsers[user]

    def _stranger(self, user: int) -> Browser:
        browser = Browser(self.app)
        browser.get(f"/as/{user}")
        return browser

    def _address(self, view: str, browser: Browser) -> str:
        """Return where a view is; for a callback, log the browser in at the provider."""
        if view != "callback":
            return LOGIN if view == "login" else f"/{view}"
        return back(browser.get(LOGIN).location)

    def _sent(self, browser: Browser, address: str) -> list[Statement]:
        if "sqlalchemy" in self.app.extensions:
            with sent() as statements:
                browser.get(address)
            return statements
        statements = []
        connection = self.app.extensions["connection"]
        connection.set_trace_callback(lambda sql: statements.append((sql, ())))
        browser.get(address)
        connection.set_trace_callback(None)
        return statements


def back(location: str) -> str:
    """Return where the provider sends a browser that it was sent to."""
    (state,) = parse_qs(urlsplit(location).query)["state"]
    return f"/wepay/callback?code={secrets.token_urlsafe(16)}&state={state}"


def create_tables(app: Flask) -> None:
    if "sqlalchemy" in app.extensions:
        with app.app_context():
            app.extensions["sqlalchemy"].create_all()
