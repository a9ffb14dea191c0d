"""The findings of ``flask wepay check`` about the application's migrations."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flask import current_app

from ..errors import StoreUnavailable
from .output import FAIL, NOTE, OK, WARN, Finding

if TYPE_CHECKING:
    from ..sqla import Maintenance

__all__ = ["migration_findings"]


def migration_findings(table: Maintenance) -> Iterator[Finding]:
    """Compare the database's revision with the scripts' head, if Flask-Migrate is used."""
    flask_migrate = current_app.extensions.get("migrate")
    if flask_migrate is not None:
        yield Finding("migrations", *_compared(table, flask_migrate))


def _compared(table: Maintenance, flask_migrate: Any) -> tuple[str, str]:
    directory, command = flask_migrate.directory, f"flask {flask_migrate.migrate.command}"
    if not Path(directory).is_dir():
        return NOTE, f"there is no folder {directory!r} in {str(Path.cwd())!r}"
    try:
        known, heads = _scripts(flask_migrate)
    except Exception as error:  # noqa: BLE001 - the scripts are the application's own code
        text = f"the scripts in {directory!r} can't be read ({type(error).__name__})"
        return FAIL, f"{text}: run '{command} heads'"
    try:
        present, where = _revisions(table, flask_migrate)
    except StoreUnavailable as error:
        return FAIL, f"the database's revision can't be read ({type(error.__cause__).__name__})"
    if present == heads:
        if not heads:
            return NOTE, f"there are none: run '{command} migrate'"
        return OK, f"the database is at {_named(heads)}, the scripts' head"
    the_head = f"the scripts' {'head is' if len(heads) == 1 else 'heads are'} {_named(heads)}"
    if not present:
        text = f"the token table's database has no revision in {where!r}, {the_head}"
        return WARN, f"{text}: run '{command} upgrade', or '{command} stamp' if all tables exist"
    text = f"the database is at {_named(present)}"
    if present <= known:
        return FAIL, f"{text}, {the_head}: run '{command} upgrade'"
    return FAIL, f"{text}, which the scripts in {directory!r} do not know: are they older?"


def _scripts(flask_migrate: Any) -> tuple[set[str], set[str]]:
    """Return the revisions of the scripts, and their heads."""
    from alembic.script import ScriptDirectory

    config = flask_migrate.migrate.get_config(flask_migrate.directory)
    scripts = ScriptDirectory.from_config(config)
    return {script.revision for script in scripts.walk_revisions()}, set(scripts.get_heads())


def _revisions(table: Maintenance, flask_migrate: Any) -> tuple[set[str], str]:
    """Return the revisions of the token table's database, and the table that stores them."""
    from alembic.runtime.migration import MigrationContext

    def look(connection: Any) -> tuple[set[str], str]:
        # As Flask-Migrate's own env.py passes them.
        options = dict(flask_migrate.configure_args)
        context = MigrationContext.configure(connection, opts=options)
        names = filter(None, (context.version_table_schema, context.version_table))
        return set(context.get_current_heads()), ".".join(names)

    return table.look(look)


def _named(revisions: Collection[str]) -> str:
    return " and ".join(sorted(revisions))
