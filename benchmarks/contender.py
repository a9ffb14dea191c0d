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

#: Users that there are from the beginning; those from FIRST_NEW on connect in callbacks.
USERS = 20_000
FIRST_NEW = 1_001
#: This user is never connected.
NEVER_CONNECTED = 1_000


class Contender:
    def __init__(self, name: str, setup: Setup, owners: list[int]) -> None:
        module = importlib.import_module(f"benchmarks.contenders.{name}")
        self.app = module.make_app(setup)
        self.addresses = module.ADDRESSES
        self._owners = owners
        self._newcomers = itertools.count(FIRST_NEW)
        self._browsers: dict[int, Browser] = {}
        self._turns = itertools.cycle(owners)

    def prepare(self, *, connect: bool = True) -> float:
        """Create the tables and the users, and connect the owners; return the memory in use."""
        create_tables(self.app)
        if connect:
            for owner in self._owners:
                self._callback(self.browser(owner))
        return memory()

    def browser(self, user: int) -> Browser:
        if user not in self._browsers:
            self._browsers[user] = self._stranger(user)
        return self._browsers[user]

    def measure(self, view: str, count: int, abandoned: int = 0) -> list[tuple[int, int]]:
        """Return nanoseconds of the bare view and of the view, side by side, so many times."""
        bare, address = self.addresses.of(view)
        pairs = []
        for _ in range(count):
            browser = self._visitor(view, abandoned)
            without = _ok(browser.get(bare)).nanoseconds
            if view == "callback":
                pairs.append((without, self._callback(browser)))
            else:
                pairs.append((without, _ok(browser.get(address)).nanoseconds))
        return pairs

    def count(self, view: str) -> int:
        """Return the SQL statements of a view, less those of the bare one."""
        bare, address = self.addresses.of(view)
        browser = self._visitor(view)
        with counted(self.app) as without:
            _ok(browser.get(bare))
        callback = self._authorized(browser) if view == "callback" else address
        with counted(self.app) as within:
            _ok(browser.get(callback))
        return len(within) - len(without)

    def profile(self, view: str, count: int) -> dict[str, Any]:
        """Return whose code runs for how long, less that of the bare view."""
        from .profiles import sample

        self.measure(view, 5)
        bare, address = self.addresses.of(view)
        visits = []
        for _ in range(count):
            browser = self._visitor(view)
            callback = self._authorized(browser) if view == "callback" else address
            visits.append(partial(browser.get, callback))
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

    def _authorized(self, browser: Browser) -> str:
        location = _ok(browser.get(self.addresses.login)).location
        return f"{self.addresses.callback}?{_answer_of_provider(location)}"

    def _callback(self, browser: Browser) -> int:
        return _ok(browser.get(self._authorized(browser))).nanoseconds


def _answer_of_provider(location: str) -> str:
    state = location.partition("state=")[2].partition("&")[0]
    return f"code={secrets.token_urlsafe(16)}&state={state}"


def _ok(answer: Any) -> Any:
    if answer.status not in (200, 302, 303) or answer.location.endswith("/wepay/login"):
        raise RuntimeError(f"{answer.status} {answer.location} {answer.body[:500]!r}")
    return answer


def create_tables(app: Any) -> None:
    if "sqlalchemy" not in app.extensions:
        return
    db = app.extensions["sqlalchemy"]
    with app.app_context():
        db.create_all()
        users = db.metadata.tables["user"]
        with db.engine.begin() as connection:
            known = connection.scalar(db.select(db.func.count()).select_from(users))
            new = range(known + 1, USERS + 1)
            if new:
                connection.execute(users.insert(), [{"id": n, "name": f"user {n}"} for n in new])


@contextmanager
def counted(app: Any) -> Iterator[list[str]]:
    """Collect the SQL statements of a block, BEGIN and COMMIT left out."""
    statements: list[str] = []
    if "sqlalchemy" not in app.extensions:
        connection = app.extensions["connection"]
        connection.set_trace_callback(statements.append)
        yield statements
        connection.set_trace_callback(None)
        return
    import sqlalchemy as sa

    def note(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    yield statements
    sa.event.remove(sa.Engine, "before_cursor_execute", note)


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
        "count": contender.count,
        "profile": contender.profile,
        "memory": peak_memory,
    }
    serve(lambda do, **arguments: verbs[do](**arguments))


if __name__ == "__main__":
    main()
