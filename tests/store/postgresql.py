"""A PostgreSQL server of one's own, made of the binaries that are found on the machine."""

from __future__ import annotations

import os
import shutil
import signal
from functools import cache
from pathlib import Path

import pytest
from store.servers import Server, end_with_process, without_table

FOR_TESTS = {
    # What it keeps need not survive the machine.
    "fsync": "off",
    # A mistake with time zones shows where it is not UTC.
    "timezone": "America/New_York",
}


class PostgreSQL(Server):
    """A server that is reached by a socket in its directory; its other defaults stay."""

    prefix = "wepay-pg-"
    stop_signal = signal.SIGINT

    def __init__(self, **settings: str) -> None:
        self._binaries = find_binaries()
        self._settings = settings
        super().__init__()
        initdb = self._binaries / "initdb"
        self.run(initdb, "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self.directory}"

    def start(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            **self._settings,
        }
        arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        self.launch(self._binaries / "postgres", "-D", "data", *arguments)

    def answers(self) -> bool:
        return takes_connections(self.directory)


def takes_connections(directory: Path, **options: object) -> bool:
    """Return whether a PostgreSQL, or what stands before it, has its socket in a directory."""
    import psycopg

    try:
        psycopg.connect(host=str(directory), user="postgres", dbname="postgres", **options).close()
    except psycopg.OperationalError:
        return False
    return True


def find_binaries() -> Path:
    """Find the newest server, which Debian keeps off the PATH, or skip the test."""
    on_path = shutil.which("postgres")
    places = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: float(place.parent.name)
    )
    if on_path is not None:
        places.append(Path(on_path).resolve().parent)
    places = [place for place in places if (place / "initdb").exists()]
    if not places:
        pytest.skip("PostgreSQL's binaries are neither on the PATH nor in /usr/lib/postgresql")
    return places[-1]


@cache
def own_server() -> PostgreSQL:
    """Give the one server of this process, which a test may stop if it starts it again."""
    running = PostgreSQL(**FOR_TESTS)
    end_with_process(running)
    return running


def database_url() -> str:
    """Give the address of a PostgreSQL with no token table in it, or skip the test.

    WEPAY_TEST_DATABASE_URL names another one; its table "wepay_token" is dropped.
    """
    return without_table(os.environ.get("WEPAY_TEST_DATABASE_URL") or own_server().url)
