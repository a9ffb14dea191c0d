"""One contender in a process of its own, which measures itself when it is told to."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from .browser import Browser
from .contenders import Setup
from .processes import memory, peak_memory, serve
from .statements import Statement, on_tokens, plan, sent

#: The users from here on connect in callbacks.
FIRST_NEW = 1_001
#: This user is never connected.
NEVER_CONNECTED = 1_000


class Contender:
    def __init__(
        self, name: str, setup: Setup, owners: list[int], first_new: int = FIRST_NEW
    ) -> None:
        module = importlib.import_module(f"benchmarks.contenders.{name}")
        self._make_app = partial(module.make_app, setup)
        self.app = self._make_app()
        self.addresses = module.ADDRESSES
        self._owners = owners
        self._newcomers = itertools.count(first_new)
        self._browsers: dict[int, Browser] = {}
        self._turns = itertools.cycle(owners)

    def prepare(self, *, connect: bool = True) -> float:
        """Create the tables, and connect the owners; return the memory in use."""
        create_tables(self.app)
        if connect:
            for owner in self._owners:
                browser = self.browser(owner)
                _ok(browser.get(self._address("callback", browser)))
        return memory()

    def restart(self) -> None:
        """Make the application anew, as a deployment does: without any connection."""
        self.app = self._make_app()
        self._browsers.clear()

    def browser(self, user: int) -> Browser:
        if user not in self._browsers:
            self._browsers[user] = self._stranger(user)
        return self._browsers[user]

    def measure(self, view: str, count: int, abandoned: int = 0) -> list[tuple[int, int]]:
        """Return nanoseconds of the bare view and of the view, side by side, so many times."""
        bare, _ = self.addresses.of(view)
        pairs = []
        for _ in range(count):
            browser = self._visitor(view, abandoned)
            address = self._address(view, browser)
            # Whoever's turn it was before has the processor's caches.
            _ok(browser.get(bare))
            without = _ok(browser.get(bare)).nanoseconds
            pairs.append((without, _ok(browser.get(address)).nanoseconds))
        return pairs

    def count(self, view: str) -> int:
        """Return the SQL statements of a view, less those of the bare one."""
        bare, _ = self.addresses.of(view)
        browser = self._visitor(view)
        with self._sent() as without:
            _ok(browser.get(bare))
        return len(self.statements(view, browser)) - len(without)

    def statements(self, view: str, browser: Browser | None = None) -> list[Statement]:
        """Return what a view sends to the database."""
        browser = browser or self._visitor(view)
        address = self._address(view, browser)
        with self._sent() as statements:
            _ok(browser.get(address))
        return statements

    def explain(self, view: str) -> list[str]:
        """Return how the database finds the rows of the token table, by statement of a view."""
        statements = on_tokens(self.statements(view))
        with self.app.app_context(), self.app.extensions["sqlalchemy"].engine.connect() as database:
            return [plan(database, statement) for statement in statements]

    def profile(self, view: str, count: int) -> dict[str, Any]:
        """Return whose code runs for how long, less that of the bare view."""
        from .profiles import sample

        self.measure(view, 5)
        bare, _ = self.addresses.of(view)
        visits = []
        for _ in range(count):
            browser = self._visitor(view)
            visits.append(partial(browser.get, self._address(view, browser)))
        browser = self.browser(self._owners[0])
        return sample([partial(browser.get, bare)] * count, visits)

    def _visitor(self, view: str, abandoned: int = 0) -> Browser:
        if view == "callback":
            return self._stranger(next(self._newcomers))
        if view != "login":
            return self.browser(next(self._turns))
        browser = self._stranger(NEVER_CONNECTED)
        for _ in range(abandoned):
            _ok(browser.get(self.addresses.login))
        return browser

    def _stranger(self, user: int) -> Browser:
        browser = Browser(self.app)
        _ok(browser.get(f"/as/{user}"))
        return browser

    def _address(self, view: str, browser: Browser) -> str:
        """Return where a view is; for a callback, log the browser in at the provider."""
        if view != "callback":
            return self.addresses.of(view)[1]
        location = _ok(browser.get(self.addresses.login)).location
        return f"{self.addresses.callback}?{_answer_of_provider(location)}"

    @contextmanager
    def _sent(self) -> Iterator[list[Statement]]:
        if "sqlalchemy" in self.app.extensions:
            with sent() as statements:
                yield statements
            return
        statements = []
        connection = self.app.extensions["connection"]
        connection.set_trace_callback(lambda sql: statements.append((sql, ())))
        yield statements
        connection.set_trace_callback(None)


def _answer_of_provider(location: str) -> str:
    state = location.partition("state=")[2].partition("&")[0]
    return f"code={secrets.token_urlsafe(16)}&state={state}"


def _ok(answer: Any) -> Any:
    if answer.status not in (200, 302, 303) or answer.location.endswith("/wepay/login"):
        raise RuntimeError(f"{answer.status} {answer.location} {answer.body[:500]!r}")
    return answer


def create_tables(app: Any) -> None:
    if "sqlalchemy" in app.extensions:
        with app.app_context():
            app.extensions["sqlalchemy"].create_all()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--provider", required=True)
    parser.add_argument("--database", required=True)
    parser.add_argument("--bundle", required=True)
    parser.add_argument("--config", type=json.loads, default={})
    parser.add_argument("--owners", type=json.loads, default=[1])
    options = parser.parse_args()
    setup = Setup(options.provider, options.database, options.bundle, options.config)
    contender = Contender(options.name, setup, options.owners)
    verbs: dict[str, Callable[..., Any]] = {
        "prepare": contender.prepare,
        "measure": contender.measure,
        "restart": contender.restart,
        "count": contender.count,
        "explain": contender.explain,
        "profile": contender.profile,
        "memory": peak_memory,
    }
    serve(lambda do, **arguments: verbs[do](**arguments))


if __name__ == "__main__":
    main()
