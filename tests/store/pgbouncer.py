"""A PgBouncer in transaction mode before the tests' own PostgreSQL, ended by its pid."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from store.postgresql import PostgreSQL, own_server, takes_connections
from store.servers import Server

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


class PgBouncer(Server):
    """A pooler that is reached by a socket in its directory."""

    prefix = "wepay-pgb-"

    def __init__(self, program: str, server: PostgreSQL) -> None:
        super().__init__()
        ini = self.directory / "pgbouncer.ini"
        ini.write_text(
            CONFIGURATION.format(server=server.directory, directory=self.directory, port=PORT)
        )
        self.launch(program, "-q", ini)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://postgres@/postgres?host={self.directory}&port={PORT}"

    def answers(self) -> bool:
        return takes_connections(self.directory, port=PORT)


@contextmanager
def pgbouncer(server: PostgreSQL | None = None) -> Iterator[str]:
    """Run one, and give the address of the database behind it, or skip the test."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    running = PgBouncer(program, server or own_server())
    try:
        yield running.url
    finally:
        running.remove()
