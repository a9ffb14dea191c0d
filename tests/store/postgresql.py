"""A PostgreSQL server of one's own, made of the binaries that are found on the machine."""

from __future__ import annotations

import atexit
import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest

#: Seconds for the server to start or to stop.
PATIENCE = 30


class PostgreSQL:
    """A server in a temporary directory, reached by a socket in it, ended by its pid."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="wepay-pg-"))
        self._as_user = as_user(self.directory)
        self._run("initdb", "-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self.directory}"

    def start(self) -> None:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.directory),
            "max_connections": "100",
            # What it keeps need not survive the machine.
            "fsync": "off",
            # A mistake with time zones shows where it is not UTC.
            "timezone": "America/New_York",
        }
        arguments = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", "data", *arguments],
                stdout=subprocess.DEVNULL,
                stderr=log,
                preexec_fn=end_with_parent,
                **self._as_user,
            )
        self._await(self._answers)

    def stop(self) -> None:
        """Break all connections and end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(host=str(self.directory), user="postgres", dbname="postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _await(self, ready: object) -> None:
        deadline = time.monotonic() + PATIENCE
        while not ready():  # type: ignore[operator]
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self.directory / "log").read_text())
            time.sleep(0.02)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._binaries / program, *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            **self._as_user,
        )


def as_user(directory: Path) -> dict[str, object]:
    """Return how to start a server that refuses to run as root, and give it a directory."""
    here: dict[str, object] = {"cwd": directory, "start_new_session": True}
    user = _unprivileged_user()
    if user is None:
        return here
    os.chown(directory, user.pw_uid, user.pw_gid)
    return here | {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def end_with_parent(number: int = signal.SIGINT) -> None:
    # A test run that is killed leaves no server behind, where the kernel knows how.
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, number)


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _binaries() -> Path | None:
    """Find the directory of the newest server: Debian keeps them off the PATH."""
    on_path = shutil.which("postgres")
    places = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: float(place.parent.name)
    )
    if on_path is not None:
        places.append(Path(on_path).resolve().parent)
    places = [place for place in places if (place / "initdb").exists()]
    return places[-1] if places else None


@cache
def server() -> PostgreSQL | None:
    """Start the one server of this process at first use, or give None where there is none."""
    binaries = _binaries()
    if binaries is None:
        return None
    running = PostgreSQL(binaries)
    atexit.register(_end, running, os.getpid())
    return running


def _end(running: PostgreSQL, pid: int) -> None:
    # A forked child must not take its parent's server away.
    if os.getpid() == pid:
        running.remove()


def own_server() -> PostgreSQL:
    """Give a server that may be stopped and started, or skip the test."""
    running = server()
    if running is None:
        pytest.skip("PostgreSQL's binaries are neither on the PATH nor in /usr/lib/postgresql")
    return running


def database_url() -> str:
    """Give the address of a PostgreSQL with no token table in it, or skip the test.

    WEPAY_TEST_DATABASE_URL names another one; its table "wepay_token" is dropped.
    """
    import sqlalchemy as sa

    url = os.environ.get("WEPAY_TEST_DATABASE_URL") or own_server().url
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS wepay_token"))
    return url
