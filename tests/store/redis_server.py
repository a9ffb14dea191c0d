"""A Redis or Valkey server of one's own, made of the binary that is found on the machine."""

from __future__ import annotations

import shutil
import socket

import pytest
from store.servers import Server, free_port


class Redis(Server):
    """A server on a port of loopback, which keeps nothing; or skip the test."""

    prefix = "wepay-redis-"

    def __init__(self, port: int | None = None) -> None:
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        if program is None:
            pytest.skip("neither redis-server nor valkey-server is installed")
        super().__init__()
        self._port = port or free_port()
        options = ("--port", str(self._port), "--bind", "127.0.0.1", "--save", "")
        self.launch(program, *options)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._port}/0"

    def answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
