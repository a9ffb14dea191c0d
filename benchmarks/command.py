"""One command on a token table in a process of its own; it tells its time and its memory."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask import Flask
from flask.cli import FlaskGroup

from flask_wepay.tokens.encryption import Keyring

from .contender import create_tables
from .contenders import CLIENT_ID, Setup
from .contenders.flask_wepay_client import make_app
from .processes import memory, peak_memory

CHUNK = 10_000
#: Owners of living tokens that are users too, spread over the table.
OWNERS = range(1, 51)
#: The other owners' names follow upon this number.
FIRST_OTHER = 1_000_000


def fill(app: Flask, size: int) -> None:
    """Fill the table: of ten rows eight live, one was replaced and one was never granted."""
    create_tables(app)
    table = app.extensions["token_table"]
    keyring = Keyring.of_fernet(app.config["WEPAY_TOKEN_KEYS"])
    with app.app_context(), app.extensions["sqlalchemy"].engine.begin() as connection:
        for start in range(0, size, CHUNK):
            rows = list(_chunk(keyring, start, min(start + CHUNK, size), size))
            connection.execute(table.insert(), rows)
    _settle(app)


def _settle(app: Flask) -> None:
    """Do at once what PostgreSQL would do by itself in the midst of the measuring."""
    with app.app_context():
        engine = app.extensions["sqlalchemy"].engine
        if engine.dialect.name == "postgresql":
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("VACUUM ANALYZE"))


def _chunk(keyring: Keyring, start: int, stop: int, size: int) -> Iterator[dict[str, Any]]:
    long_ago = datetime.now(UTC) - timedelta(days=400)
    living = living_of(size)
    for number in range(start, stop):
        kind = {8: "replaced", 9: "pending"}.get(number % 10, "living")
        # Owners come in no order, and those of replaced rows have a living one too.
        serial = number // 10 * 8 + number % 10 if kind == "living" else number // 10
        owner = _owner(serial * 7919 % living + 1)
        granted = kind != "pending"
        yield {
            "client_id": CLIENT_ID,
            "owner": owner,
            "state_hash": f"{number:064x}",
            "user_id": 10**9 + int(owner) if granted else None,
            "token": _sealed(keyring, owner) if kind == "living" else None,
            "token_type": "BEARER" if granted else None,
            "expires_at": None,
            "created_at": long_ago,
            "granted_at": long_ago + timedelta(seconds=kind == "living") if granted else None,
            "revoked_at": long_ago + timedelta(seconds=1) if kind == "replaced" else None,
            "reason": "replaced" if kind == "replaced" else None,
        }


def living_of(size: int) -> int:
    """Return how many rows of a table live."""
    return size * 8 // 10


def _owner(number: int) -> str:
    # The other users are yet to connect.
    return str(number if number in OWNERS else FIRST_OTHER + number)


def _sealed(keyring: Keyring, owner: str) -> str:
    user_id = 10**9 + int(owner)
    return keyring.seal(f"STAGE_{user_id:064}", client_id=CLIENT_ID, owner=owner, user_id=user_id)


def run(app: Flask, command: str) -> None:
    """Run a command of ``flask wepay``, and drop what it prints."""
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        FlaskGroup(create_app=lambda: app).main(["wepay", command], standalone_mode=False)


def main() -> None:
    name, *arguments = sys.argv[1:]
    app = make_app(Setup(**json.loads(sys.stdin.read())))
    at_rest = memory()
    started = time.perf_counter()
    if name == "fill":
        fill(app, int(arguments[0]))
    else:
        run(app, name)
    figures = {
        "seconds": time.perf_counter() - started,
        "at rest": at_rest,
        "peak": peak_memory(),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
