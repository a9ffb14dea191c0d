"""A PgBouncer in transaction mode before the tests' own PostgreSQL, ended by its pid."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from store.postgresql import PATIENCE, PostgreSQL, as_user, end_with_parent, own_server

PORT = 6432

CONFIGURATION = """
[databases]
postgres = host={server} dbname=postgres user=postgres
[pgbouncer]
listen_addr =
listen_port = {port}
unix_socket_dir = {directory}
pool_mode = transaction
auth_type = any
default_pool_size = 8
max_client_conn = 200
# What a DBA sets for everybody.
server_connect_timeout = 5
query_wait_timeout = 10
"""


@contextmanager
def pgbouncer(server: PostgreSQL | None = None) -> Iterator[str]:
    """Run one, and give the address of the database behind it, or skip the test."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    server = server or own_server()
    directory = Path(tempfile.mkdtemp(prefix="wepay-pgb-"))
    ini = directory / "pgbouncer.ini"
    ini.write_text(CONFIGURATION.format(server=server.directory, directory=directory, port=PORT))
    user = as_user(directory)
    log = (directory / "log").open("ab")
    process = subprocess.Popen(
        [program, "-q", str(ini)], stdout=log, stderr=log, preexec_fn=end_with_parent, **user
    )
    try:
        _await(directory, process)
        yield f"postgresql+psycopg://postgres@/postgres?host={directory}&port={PORT}"
    finally:
        process.terminate()
        process.wait(PATIENCE)
        log.close()
        shutil.rmtree(directory, ignore_errors=True)


def _await(directory: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            psycopg.connect(
                host=str(directory), port=PORT, user="postgres", dbname="postgres"
            ).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline or process.poll() is not None:
                raise RuntimeError((directory / "log").read_text()) from None
            time.sleep(0.02)
        else:
            return
