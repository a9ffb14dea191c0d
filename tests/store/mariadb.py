"""A MariaDB server of one's own, made of the binaries that are found on the machine."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from functools import cache, partial
from pathlib import Path

import pytest
from store.postgresql import PATIENCE, as_user, end_with_parent

#: What it keeps need not survive the machine.
CARELESS = ("--innodb-flush-method=nosync", "--innodb-log-file-size=8M", "--skip-name-resolve")

INIT = """
CREATE DATABASE IF NOT EXISTS wepay;
CREATE USER IF NOT EXISTS root@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1';
"""


class MariaDB:
    """A server in a temporary directory, on a port of the loopback, ended by its pid."""

    def __init__(self, program: str) -> None:
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix="wepay-my-"))
        self._as_user = as_user(self.directory)
        # Any that starts clears the temporary files of the others away, where it sees them.
        self._places = (f"--datadir={self.directory}/data", f"--tmpdir={self.directory}")
        with (self.directory / "log").open("ab") as log:
            subprocess.run(
                [
                    *("mariadb-install-db", "--no-defaults", *self._places, "--skip-test-db"),
                    # Also where the name of this machine is unknown.
                    *("--auth-root-authentication-method=normal", "--force", *CARELESS),
                ],
                check=True,
                stdout=log,
                stderr=log,
                **self._as_user,
            )
        (self.directory / "init.sql").write_text(INIT)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.start()

    @property
    def url(self) -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self._port}/wepay"

    def start(self) -> None:
        arguments = [
            *("--no-defaults", *self._places, "--bind-address=127.0.0.1", f"--port={self._port}"),
            *(f"--socket={self.directory}/socket", "--pid-file=pid", *CARELESS),
            f"--init-file={self.directory}/init.sql",
            *("--innodb-flush-log-at-trx-commit=0", "--max-connections=200"),
            # What an old installation has: characters that don't fit, and look alike.
            *("--character-set-server=utf8mb3", "--collation-server=utf8mb3_general_ci"),
            # A mistake with time zones shows where it is not UTC.
            "--default-time-zone=-05:00",
            "--sql-mode=STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION",
        ]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._program, *arguments],
                stdout=log,
                stderr=log,
                preexec_fn=partial(end_with_parent, signal.SIGTERM),
                **self._as_user,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self.directory / "log").read_text())
            time.sleep(0.02)

    def stop(self) -> None:
        """Break all connections and end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _answers(self) -> bool:
        import pymysql

        try:
            pymysql.connect(host="127.0.0.1", port=self._port, user="root").close()
        except pymysql.OperationalError:
            return False
        return True


@cache
def server() -> MariaDB | None:
    """Start the one server of this process at first use, or give None where there is none."""
    program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
    if program is None or shutil.which("mariadb-install-db") is None:
        return None
    running = MariaDB(program)
    atexit.register(_end, running, os.getpid())
    return running


def _end(running: MariaDB, pid: int) -> None:
    # A forked child must not take its parent's server away.
    if os.getpid() == pid:
        running.remove()


def own_server() -> MariaDB:
    """Give a server that may be stopped and started, or skip the test."""
    running = server()
    if running is None:
        pytest.skip("mariadbd is neither on the PATH nor in /usr/sbin")
    return running


def database_url() -> str:
    """Give the address of a MariaDB with no token table in it, or skip the test.

    WEPAY_TEST_MARIADB_URL names another one, which may be a MySQL; its table "wepay_token" is
    dropped.
    """
    import sqlalchemy as sa

    url = os.environ.get("WEPAY_TEST_MARIADB_URL") or own_server().url
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS wepay_token"))
    return url
