"""What one PostgreSQL carries by itself: the package's statements, sent by pgbench.

It has no Python, no TLS and no provider in it: the database's part of a look-up and of a
callback, with 16 clients on the machine that the server runs on.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from . import servers
from .command import OWNERS
from .contenders import Setup
from .contenders.flask_wepay_client import make_app

CLIENTS = 16
#: The database's part of a callback: the row is born, and granted in another transaction.
CALLBACK = """
\\set owner random(10000000, 900000000)
INSERT INTO wepay_token (client_id, owner, state_hash, created_at)
  VALUES (12345, :owner, md5(random()::text) || md5(random()::text), clock_timestamp())
  RETURNING id \\gset
SELECT id, state_hash FROM wepay_token WHERE client_id = 12345 AND owner = :owner::text
  AND granted_at IS NOT NULL AND revoked_at IS NULL;
SELECT max(granted_at) FROM wepay_token WHERE client_id = 12345 AND owner = :owner::text;
UPDATE wepay_token SET user_id = :owner, token = repeat('x', 250), token_type = 'BEARER',
  granted_at = clock_timestamp() WHERE id = :id;
"""


def run(directory: Path, setup: dict[str, Any], seconds: int) -> dict[str, float]:
    """Return look-ups and callbacks per second, and bytes per row, indexes included."""
    app = make_app(Setup(**setup))
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        statement = _look_up(app)
        with engine.connect() as connection:
            row = connection.scalar(
                sa.text(
                    "SELECT pg_total_relation_size('wepay_token')"
                    " / (SELECT count(*) FROM wepay_token)"
                )
            )
        engine.dispose()
    look_up = f"\\set owner random({OWNERS[0]}, {OWNERS[-1]})\n{statement};\n"
    url = sa.make_url(setup["database"])
    return {
        "look-ups": _pgbench(directory, url, look_up, seconds),
        "callbacks": _pgbench(directory, url, CALLBACK, seconds),
        "bytes": row,
    }


def _look_up(app: Any) -> str:
    """Return the package's statement as pgbench takes it."""
    seen: list[tuple[str, dict[str, Any]]] = []
    engine = app.extensions["sqlalchemy"].engine

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        seen.append((statement, parameters))

    sa.event.listen(engine, "before_cursor_execute", note)
    app.extensions["wepay"].store.find("1")
    sa.event.remove(engine, "before_cursor_execute", note)
    statement, parameters = next(one for one in seen if "wepay_token" in one[0])
    for name, value in parameters.items():
        shown = ":owner::text" if value == "1" else str(value)
        statement = re.sub(rf"%\({re.escape(name)}\)s(::\w+)?", shown, statement)
    return statement


def _pgbench(directory: Path, url: sa.URL, script: str, seconds: int) -> float:
    path = directory / "script.sql"
    path.write_text(script)
    done = subprocess.run(
        [
            servers.binaries() / "pgbench",
            *("--no-vacuum", f"--client={CLIENTS}", "--jobs=1", f"--time={seconds}"),
            *("--host", url.query["host"], "--username", "postgres", "--file", path),
            url.database,
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    return float(re.search(r"tps = ([0-9.]+)", done.stdout)[1])
