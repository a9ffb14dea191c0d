"""``flask wepay check`` on SQLite: what several processes need that the engine lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from flask_wepay import WePay

Run = Callable[..., Result]

NO_WAL = "SQLite in journal mode 'delete': use WAL with more than one process"
DEFERRED = "SQLite's BEGIN is deferred: use BEGIN IMMEDIATE with more than one process"
AUTOCOMMIT = "SQLite commits each statement on its own: begin transactions with BEGIN IMMEDIATE"


@pytest.fixture
def make(make_app: Any, tmp_path: Path) -> Callable[..., Flask]:
    """Make an application on a file, in WAL mode unless it is told another one."""

    def make(journal: str = "wal", begin: str | None = None, **options: Any) -> Flask:
        app = make_app(
            SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/shop.sqlite",
            SQLALCHEMY_ENGINE_OPTIONS=options,
        )
        engine = engine_of(app)

        @sa.event.listens_for(engine, "connect")
        def set_up(connection: Any, record: Any) -> None:
            if begin is not None:
                connection.isolation_level = None
            connection.execute(f"PRAGMA journal_mode={journal}").close()

        if begin:
            sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql(begin))
        engine.dispose()
        return app

    return make


def engine_of(app: Flask) -> sa.Engine:
    with app.app_context():
        engine: sa.Engine = app.extensions["test"]["db"].engine
    return engine


@pytest.fixture
def advice(run: Run) -> Callable[[Flask], list[str]]:
    """Run the check, and give what it says of the database."""

    def advice(app: Flask) -> list[str]:
        checks = json.loads(run("check", "--json", app=app).stdout)["checks"]
        assert {c["status"] for c in checks if c["name"] == "database"} <= {"note"}
        return [c["text"] for c in checks if c["name"] == "database"]

    return advice


@pytest.mark.parametrize(
    ("journal", "expected"),
    [
        ("wal", []),
        ("delete", [NO_WAL]),
        ("memory", [NO_WAL.replace("delete", "memory")]),
    ],
)
def test_journal_mode(make: Any, advice: Any, journal: str, expected: list[str]) -> None:
    """Without WAL, readers and the writer get in each other's way."""
    assert advice(make(journal)) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (30, []),
        (5, []),
        (
            4.999,
            ["SQLite waits 4999 ms for a lock: let it wait 30 s with more than one process"],
        ),
        (0, ["SQLite waits 0 ms for a lock: let it wait 30 s with more than one process"]),
    ],
)
def test_wait(make: Any, advice: Any, seconds: float, expected: list[str]) -> None:
    """Under the 5 seconds that Python lets it wait, a busy database fails logins."""
    assert advice(make(connect_args={"timeout": seconds})) == expected


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        # Python begins at the first write, which takes the lock whatever was read before.
        ({}, []),
        ({"connect_args": {"isolation_level": "IMMEDIATE"}}, []),
        ({"begin": "BEGIN IMMEDIATE"}, []),
        ({"begin": "begin  exclusive transaction"}, []),
        ({"begin": "BEGIN"}, [DEFERRED]),
        ({"begin": "BEGIN DEFERRED /* IMMEDIATE */"}, [DEFERRED]),
        # Somebody has forgotten half of what is in the documentation.
        ({"begin": ""}, [AUTOCOMMIT]),
        ({"isolation_level": "AUTOCOMMIT"}, [AUTOCOMMIT]),
    ],
    ids=["usual", "isolation", "immediate", "exclusive", "begin", "deferred", "half", "autocommit"],
)
def test_begin(make: Any, advice: Any, how: dict[str, Any], expected: list[str]) -> None:
    """How a transaction really begins is what counts."""
    assert advice(make(**how)) == expected


def test_options_of_an_engine(make: Any, make_app: Any, advice: Any, tmp_path: Path) -> None:
    """A session may use an engine that shares its pool, and its listeners, with another."""
    from sqlalchemy.orm import Session

    app = make(begin="BEGIN IMMEDIATE")
    engine = engine_of(app).execution_options(logging_token="wepay")
    own = WePay(token_model=app.extensions["test"]["model"], session=lambda: Session(engine))

    assert advice(make_app(own)) == []


def test_another_driver(make: Any, advice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another driver than Python's it is not known how a transaction begins."""
    app = make(begin="BEGIN")
    monkeypatch.setattr(engine_of(app).dialect, "driver", "another")

    assert advice(app) == []


def test_nothing_is_left_behind(make: Any, advice: Any) -> None:
    """The connections go on as they were."""
    app = make(begin="BEGIN IMMEDIATE")
    engine = engine_of(app)

    advice(app)

    assert not engine.pool.dispatch.checkout
    with engine.begin() as connection:
        assert connection.execute(sa.text("SELECT 1")).scalar() == 1


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///file:shop?mode=memory&uri=true"])
def test_in_memory(make_app: Any, advice: Any, uri: str) -> None:
    """A database in memory belongs to one process."""
    options = {"poolclass": sa.StaticPool, "connect_args": {"timeout": 0}}
    app = make_app(SQLALCHEMY_DATABASE_URI=uri, SQLALCHEMY_ENGINE_OPTIONS=options)

    assert advice(app) == []


def test_all_at_once(run: Run, make: Any) -> None:
    """All of it is told, one after another, and fits on a narrow terminal."""
    app = make("delete", begin="BEGIN", connect_args={"timeout": 0.1})

    result = run("check", app=app)

    assert "database        note    SQLite in journal mode 'delete'" in result.stdout
    assert "database        note    SQLite waits 100 ms for a lock" in result.stdout
    assert "database        note    SQLite's BEGIN is deferred" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.exit_code == 0
