"""A token table of a given size, and the commands that go through all of it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from flask.cli import FlaskGroup

from flask_wepay.tokens.encryption import Keyring

from .contender import create_tables
from .contenders import CLIENT_ID, Setup
from .contenders.flask_wepay_client import make_app
from .memory import peak_memory

CHUNK = 10_000
#: Owners of living tokens that are users too, spread over the table.
OWNERS = range(1, 51)
#: The other owners' names follow upon this number.
FIRST_OTHER = 1_000_000


class TokenTable:
    def __init__(self, setup: Setup) -> None:
        self._app = make_app(setup)

    def fill(self, size: int) -> None:
        """Fill the table: of ten rows eight live, one was replaced and one was never granted."""
        create_tables(self._app)
        table = self._app.extensions["token_table"]
        keyring = Keyring.of_fernet(self._app.config["WEPAY_TOKEN_KEYS"])
        with self._app.app_context():
            engine = self._app.extensions["sqlalchemy"].engine
        with engine.begin() as connection:
            for start in range(0, size, CHUNK):
                numbers = range(start, min(start + CHUNK, size))
                connection.execute(table.insert(), list(_rows(keyring, numbers, size)))
        if engine.dialect.name == "postgresql":
            # Which it would do by itself, in the midst of the measuring.
            analyze(engine)

    def run(self, command: str) -> tuple[float, float]:
        """Run a command of ``flask wepay``, and drop what it prints.

        Return its seconds, and the process's peak memory in MiB.
        """
        started = time.perf_counter()
        with Path(os.devnull).open("w") as null, redirect_stdout(null), redirect_stderr(null):
            group = FlaskGroup(create_app=lambda: self._app)
            group.main(["wepay", command], standalone_mode=False)
        return time.perf_counter() - started, peak_memory()


def analyze(engine: sa.Engine) -> None:
    """Let the database know how many rows there are of what."""
    how = "VACUUM ANALYZE" if engine.dialect.name == "postgresql" else "ANALYZE"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text(how))


def living_of(size: int) -> int:
    """Return how many rows of a table live."""
    return size * 8 // 10


def _rows(keyring: Keyring, numbers: range, size: int) -> Iterator[dict[str, Any]]:
    long_ago = datetime.now(UTC) - timedelta(days=400)
    living = living_of(size)
    for number in numbers:
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


def _owner(number: int) -> str:
    # The other users are yet to connect.
    return str(number if number in OWNERS else FIRST_OTHER + number)


def _sealed(keyring: Keyring, owner: str) -> str:
    user_id = 10**9 + int(owner)
    return keyring.seal(f"STAGE_{user_id:064}", client_id=CLIENT_ID, owner=owner, user_id=user_id)
