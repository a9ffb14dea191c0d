"""Servers of one's own, made of the binaries that are found on the machine."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import ClassVar, Self

#: Seconds for a server to start or to stop.
PATIENCE = 30


class Server:
    """A server in a temporary directory, ended by its pid."""

    prefix: ClassVar[str]
    #: What breaks all connections and ends it.
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self.directory = Path(tempfile.mkdtemp(prefix=self.prefix))
        self._as_user = as_user(self.directory)

    def launch(self, *command: str | Path) -> None:
        """Start the program, and wait until it answers."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*ending_with_parent(self.stop_signal), *command],
                stdout=log,
                stderr=log,
                **self._as_user,
            )
        deadline = time.monotonic() + PATIENCE
        while not self.answers():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError((self.directory / "log").read_text())
            time.sleep(0.02)

    def answers(self) -> bool:
        """Return whether it takes connections."""
        raise NotImplementedError

    def run(self, *command: str | Path) -> None:
        """Run another program in its directory."""
        with (self.directory / "log").open("ab") as log:
            subprocess.run(command, check=True, stdout=log, stderr=log, **self._as_user)

    def stop(self) -> None:
        """Break all connections and end."""
        if self._process is not None:
            self._process.send_signal(self.stop_signal)
            self._process.wait(PATIENCE)
            self._process = None

    def remove(self) -> None:
        """End, and leave nothing behind."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def end_with_process(server: Server) -> None:
    """Remove a server when this process ends."""
    atexit.register(_end, server, os.getpid())


def _end(server: Server, pid: int) -> None:
    # A forked child must not take its parent's server away.
    if os.getpid() == pid:
        server.remove()


def without_table(url: str) -> str:
    """Drop the token table of a database, and give its address."""
    import sqlalchemy as sa

    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE IF EXISTS wepay_token"))
    return url


def as_user(directory: Path) -> dict[str, object]:
    """Return how to start a server that refuses to run as root, and give it a directory."""
    here: dict[str, object] = {"cwd": directory, "start_new_session": True}
    user = _unprivileged_user()
    if user is None:
        return here
    os.chown(directory, user.pw_uid, user.pw_gid)
    return here | {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def ending_with_parent(number: signal.Signals) -> list[str]:
    """Return what starts a program so that the kernel ends it with this process, where it can.

    It is a program, for a function between fork and exec may find a lock of another thread.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, f"--pdeathsig={number.name}", "--"] if setpriv else []


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]
