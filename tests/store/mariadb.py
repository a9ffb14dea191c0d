"""A MariaDB server of one's own, made of the binaries that are found on the machine."""

from __future__ import annotations

import os
import shutil
from functools import cache

import pytest
from store.servers import Server, end_with_process, free_port, without_table

#: What it keeps need not survive the machine.
CARELESS = ("--innodb-flush-method=nosync", "--innodb-log-file-size=8M", "--skip-name-resolve")

INIT = """
CREATE DATABASE IF NOT EXISTS wepay;
CREATE USER IF NOT EXISTS root@'127.0.0.1';
GRANT ALL ON *.* TO root@'127.0.0.1';
"""


class MariaDB(Server):
    """A server on a port of the loopback."""

    prefix = "wepay-my-"

    def __init__(self, program: str) -> None:
        super().__init__()
        self._program = program
        # Any that starts clears the temporary files of the others away, where it sees them.
        self._places = (f"--datadir={self.directory}/data", f"--tmpdir={self.directory}")
        self.run(
            *("mariadb-install-db", "--no-defaults", *self._places, "--skip-test-db"),
            # Also where the name of this machine is unknown.
            *("--auth-root-authentication-method=normal", "--force", *CARELESS),
        )
        (self.directory / "init.sql").write_text(INIT)
        self._port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self._port}/wepay"

    def start(self) -> None:
        self.launch(
            self._program,
            *("--no-defaults", *self._places, "--bind-address=127.0.0.1", f"--port={self._port}"),
            *(f"--socket={self.directory}/socket", "--pid-file=pid", *CARELESS),
            f"--init-file={self.directory}/init.sql",
            *("--innodb-flush-log-at-trx-commit=0", "--max-connections=200"),
            # What an old installation has: characters that don't fit, and look alike.
            *("--character-set-server=utf8mb3", "--collation-server=utf8mb3_general_ci"),
            # A mistake with time zones shows where it is not UTC.
            "--default-time-zone=-05:00",
            "--sql-mode=STRICT_TRANS_TABLES,ONLY_FULL_GROUP_BY,NO_ENGINE_SUBSTITUTION",
        )

    def answers(self) -> bool:
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
    end_with_process(running)
    return running


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
    return without_table(os.environ.get("WEPAY_TEST_MARIADB_URL") or own_server().url)
