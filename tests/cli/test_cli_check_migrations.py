"""``flask wepay check`` on migrations, with real ones of Flask-Migrate."""

from __future__ import annotations

import json
import logging.config
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask
from flask_sqlalchemy import SQLAlchemy
from store import mariadb
from store.postgresql import database_url

from flask_wepay import WePay
from flask_wepay.sqla import WePayTokenMixin

Run = Callable[..., Result]
Make = Callable[..., Flask]

# Flask-Migrate's own env.py tries what older versions of Flask-SQLAlchemy had.
pytestmark = pytest.mark.filterwarnings("ignore:'get_engine' is deprecated:DeprecationWarning")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a database that no migration has seen."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/shop.sqlite"
        return
    url = {"postgresql": database_url, "mariadb": mariadb.database_url}[request.param]()
    yield url
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        cascade = " CASCADE" * (engine.name == "postgresql")
        connection.execute(sa.text(f"DROP SCHEMA IF EXISTS history{cascade}"))
        connection.execute(sa.text("DROP TABLE IF EXISTS alembic_version"))


@pytest.fixture
def make_migrated(
    make_app: Any, database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Make:
    """Make applications with two migrations, in the current folder; none was run."""
    monkeypatch.chdir(tmp_path)
    # Their env.py would take the log away from other tests.
    monkeypatch.setattr(logging.config, "fileConfig", lambda name: None)

    def make(**options: Any) -> Flask:
        app = make_app(SQLALCHEMY_DATABASE_URI=database)
        flask_migrate.Migrate(app, app.extensions["test"]["db"], **options)
        with app.app_context():
            flask_migrate.init()
            flask_migrate.revision(rev_id="0001")
            flask_migrate.revision(rev_id="0002")
        return app

    return make


@pytest.fixture
def app(make_migrated: Make) -> Flask:
    """An application with two migrations."""
    return make_migrated()


@pytest.fixture
def look(run: Run, app: Flask) -> Callable[..., list[str]]:
    """Run the check, and give the status and text of what it found of the migrations."""

    def look(app: Flask = app) -> list[str]:
        checks = json.loads(run("check", "--json", app=app).stdout)["checks"]
        return [f"{c['status']}: {c['text']}" for c in checks if c["name"] == "migrations"]

    return look


def upgrade(app: Flask, revision: str = "head") -> None:
    with app.app_context():
        flask_migrate.upgrade(revision=revision)


def script(revision: str) -> Path:
    return next(Path("migrations/versions").glob(f"{revision}_*.py"))


def test_up_to_date(run: Run, app: Flask) -> None:
    """A database at the scripts' head is well."""
    upgrade(app)

    table, array = run("check"), run("check", "--json")

    assert (table.exit_code, array.exit_code) == (0, 0)
    assert "\nmigrations      ok      the database is at 0002, the scripts' head\n" in table.stdout
    assert json.loads(array.stdout)["ok"] is True


def test_behind(run: Run, look: Any, app: Flask) -> None:
    """A database that was not upgraded is a failed check, with what to run."""
    upgrade(app, "0001")

    result = run("check")

    assert look() == [
        "fail: the database is at 0001, the scripts' head is 0002: run 'flask db upgrade'"
    ]
    assert result.exit_code == 1
    assert result.stdout.endswith("\nNot all is well.\n")
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_behind_without_the_table(run: Run, look: Any, app: Flask) -> None:
    """Where the token table is still to be made, the revision says that its migration is."""
    upgrade(app, "0001")
    with app.app_context():
        app.extensions["test"]["db"].drop_all()

    checks = {c["name"]: c for c in json.loads(run("check", "--json").stdout)["checks"]}

    assert checks["token table"]["status"] == "fail"
    assert look()[0].startswith("fail: the database is at 0001, ")


def test_never_migrated(run: Run, look: Any) -> None:
    """Tables that were made without migrations are warned of: the first one will fail."""
    assert look() == [
        "warn: the token table's database has no revision in 'alembic_version', the scripts' head"
        " is 0002: run 'flask db upgrade', or 'flask db stamp' if all tables exist"
    ]
    assert run("check").exit_code == 1


def test_older_scripts(look: Any, app: Flask) -> None:
    """A database that newer scripts have upgraded is not sent on by these."""
    upgrade(app)
    script("0002").unlink()

    assert look() == [
        "fail: the database is at 0002, which the scripts in 'migrations' do not know: are they"
        " older?"
    ]


def test_branches(look: Any, app: Flask) -> None:
    """Where scripts have several heads, the database must be at all of them."""
    with app.app_context():
        flask_migrate.revision(rev_id="0003", head="0001", splice=True)
    upgrade(app, "0002")
    [before] = look()
    upgrade(app, "heads")

    assert before.startswith(
        "fail: the database is at 0002, the scripts' heads are 0002 and 0003: run"
    )
    assert look() == ["ok: the database is at 0002 and 0003, the scripts' head"]


def test_no_migrations_yet(look: Any) -> None:
    """A folder without migrations wants its first one."""
    for revision in ("0001", "0002"):
        script(revision).unlink()

    assert look() == ["note: there are none: run 'flask db migrate'"]


def test_no_folder(look: Any, app: Flask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run from elsewhere, it says that the folder is not here."""
    upgrade(app)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    assert look() == [f"note: there is no folder 'migrations' in {str(elsewhere)!r}"]


@pytest.mark.parametrize(
    ("file", "text", "kind"),
    [
        ("versions/bad_.py", "revision = (", "SyntaxError"),
        ("versions/bad_.py", "import no_such_module", "ModuleNotFoundError"),
        ("versions/bad_.py", "no revision", "SyntaxError"),
        ("versions/bad_.py", "revision, down_revision = '0003', 'lost'", ""),
        ("versions/bad_.py", "revision, down_revision = '0003', '0003'", ""),
        ("alembic.ini", "script_location", "MissingSectionHeaderError"),
    ],
    ids=["syntax", "import", "no-script", "lost", "circle", "ini"],
)
def test_broken_scripts(look: Any, app: Flask, file: str, text: str, kind: str) -> None:
    """Scripts that can't be read are a failed check, not a traceback."""
    Path("migrations", file).write_text(text)

    [found] = look()

    assert found.startswith(f"fail: the scripts in 'migrations' can't be read ({kind}")
    assert found.endswith("): run 'flask db heads'")


def test_options_of_flask_migrate(make_migrated: Make, look: Any, database: str) -> None:
    """The name and schema of the version table are those that Flask-Migrate was given."""
    options = {"version_table": "shop_version", "version_table_schema": "history"}
    app = make_migrated(directory="scripts", command="schema", **options)

    before = look(app)

    assert "no revision in 'history.shop_version'" in before[0]
    assert "run 'flask schema upgrade'" in before[0]
    # SQLite knows schemas only where another database is attached.
    if not database.startswith("sqlite"):
        with app.app_context(), app.extensions["test"]["db"].engine.begin() as connection:
            connection.execute(sa.text("CREATE SCHEMA history"))
        upgrade(app)
        assert look(app) == ["ok: the database is at 0002, the scripts' head"]


def test_unreadable_revision(look: Any, app: Flask) -> None:
    """A version table that can't be read is a failed check, and nothing else is blamed."""
    with app.app_context(), app.extensions["test"]["db"].engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (nothing_of_alembic integer)"))

    [found] = look()

    assert found.startswith("fail: the database's revision can't be read (")


@pytest.fixture
def make_two_databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Make an application whose token table is in another database than the rest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.config, "fileConfig", lambda name: None)
    app = Flask("tests.two_databases")
    app.config.update(
        SECRET_KEY="a secret key for tests only",
        WEPAY_ENVIRONMENT="sandbox",
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/shop.sqlite",
        SQLALCHEMY_BINDS={"payments": f"sqlite:///{tmp_path}/payments.sqlite"},
    )
    db = SQLAlchemy(app)
    model: Any = type("T", (WePayTokenMixin, db.Model), {"__bind_key__": "payments"})
    WePay(app, token_model=model).owner_loader(lambda: "alice")
    flask_migrate.Migrate(app, db, directory="of_both")

    def make(*, multidb: bool) -> Flask:
        with app.app_context():
            flask_migrate.init(multidb=multidb)
            db.create_all()
            flask_migrate.revision(rev_id="0001")
            flask_migrate.upgrade()
        return app

    yield make
    with app.app_context():
        for engine in db.engines.values():
            engine.dispose()


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("multidb", "found"),
    [(True, "ok: the database is at 0001"), (False, "warn: the token table's database has no rev")],
)
def test_two_databases(look: Any, make_two_databases: Any, multidb: bool, found: str) -> None:
    """With several databases it is the token table's that is looked at."""
    assert look(make_two_databases(multidb=multidb))[0].startswith(found)


def test_without_flask_migrate(look: Any, make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application without Flask-Migrate needs no Alembic, and nothing is said."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "alembic"]:
        monkeypatch.setitem(sys.modules, name, None)

    assert look(make_app()) == []
