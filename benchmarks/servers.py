"""PostgreSQL, Redis and gunicorn, on loopback, ended by their pid."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .processes import ROOT

#: Seconds for a server to start or to stop.
PATIENCE = 30


@contextmanager
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL of the machine's newest binaries, with its default settings; give a URL."""
    directory = Path(tempfile.mkdtemp(prefix="wepay-bench-pg-"))
    user = _unprivileged_user()
    if user is not None:
        os.chown(directory, user.pw_uid, user.pw_gid)
    run_as: dict[str, Any] = {"cwd": directory, "stdout": subprocess.DEVNULL}
    if user is not None:
        run_as |= {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    programs = binaries()
    initialise = ["-D", "data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "-N"]
    subprocess.run([programs / "initdb", *initialise], check=True, **run_as)
    arguments = ["-D", "data", "-c", "listen_addresses=", "-k", str(directory)]
    with (directory / "log").open("wb") as log:
        server = subprocess.Popen([programs / "postgres", *arguments], stderr=log, **run_as)
    try:
        _await(lambda: (directory / ".s.PGSQL.5432").exists() and _pg_answers(programs, directory))
        yield f"postgresql+psycopg://postgres@/postgres?host={directory}"
    finally:
        _end(server, signal.SIGINT)
        shutil.rmtree(directory, ignore_errors=True)


def _pg_answers(programs: Path, directory: Path) -> bool:
    ask = [programs / "pg_isready", "-q", "-h", directory]
    return subprocess.run(ask, check=False).returncode == 0


def _unprivileged_user() -> pwd.struct_passwd | None:
    # PostgreSQL refuses to run as root.
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def binaries() -> Path:
    """Return the folder of PostgreSQL's programs, which Debian keeps off the PATH."""
    places = _places()
    if not places:
        raise SystemExit("This benchmark needs PostgreSQL: apt-get install postgresql")
    return places[-1]


def _places() -> list[Path]:
    places = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: float(place.parent.name)
    )
    on_path = shutil.which("postgres")
    if on_path is not None:
        places.append(Path(on_path).resolve().parent)
    return places


def versions() -> dict[str, str]:
    """Return the versions of PostgreSQL and Redis, where they are on this machine."""
    redis_server = shutil.which("redis-server")
    programs = {
        "PostgreSQL": [place / "postgres" for place in _places()[-1:]],
        "Redis": [redis_server] if redis_server else [],
    }
    found = {}
    for name, (program, *_) in ((name, paths) for name, paths in programs.items() if paths):
        said = subprocess.run([program, "--version"], check=True, capture_output=True, text=True)
        number = re.search(r"\d+(\.\d+)+", said.stdout)
        found[name] = number[0] if number else "unknown"
    return found


@contextmanager
def redis() -> Iterator[str]:
    """Run a Redis that keeps nothing; give a URI for `limits`."""
    program = shutil.which("redis-server")
    if program is None:
        raise SystemExit("This benchmark needs Redis: apt-get install redis-server")
    port = free_port()
    settings = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    server = subprocess.Popen([program, *settings], stdout=subprocess.DEVNULL)
    try:
        _await(lambda: _listens(port))
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        _end(server, signal.SIGTERM)


@contextmanager
def gunicorn(kind: str, threads: int, setup: dict[str, Any]) -> Iterator[tuple[int, int, Path]]:
    """Run the application of `benchmarks.wsgi` in two workers; give port, pid and their folder."""
    port = free_port()
    arguments = ["--workers", "2", "--worker-class", kind, "--bind", f"127.0.0.1:{port}"]
    arguments += ["--threads", str(threads)] if kind == "gthread" else ["--worker-connections=200"]
    arguments += ["--log-level", "warning", "--keep-alive", "30", "benchmarks.wsgi:app"]
    with tempfile.TemporaryDirectory(prefix="wepay-bench-") as ready:
        environment = {"BENCHMARK_SETUP": json.dumps(setup), "BENCHMARK_READY": ready}
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *arguments], cwd=ROOT, env=os.environ | environment
        )
        try:
            _await(lambda: len(list(Path(ready).iterdir())) == 2)
            yield port, server.pid, Path(ready)
        finally:
            _end(server, signal.SIGTERM)


def in_use(worker: int, folder: Path) -> dict[str, int]:
    """Have one of gunicorn's workers tell what its memory holds."""
    told = folder / str(worker)
    told.unlink()
    os.kill(worker, signal.SIGUSR2)
    _await(told.exists)
    return json.loads(told.read_text())  # type: ignore[no-any-return]


def children(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def _listens(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


def _await(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not ready():
        if time.monotonic() > deadline:
            raise RuntimeError("a server did not start")
        time.sleep(0.05)


def _end(server: subprocess.Popen[bytes], how: int) -> None:
    server.send_signal(how)
    try:
        server.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
