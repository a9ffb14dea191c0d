"""``make demo`` starts what it says, and leaves nothing behind."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import demo
import pytest


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.fixture
def ports() -> dict[str, str]:
    return {"PORT": str(free_port()), "SANDBOX_PORT": str(free_port())}


@contextmanager
def started(settings: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, demo.__file__],
        env=os.environ | settings,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def run(settings: dict[str, str]) -> tuple[int, str]:
    with started(settings) as process:
        errors = process.communicate(timeout=60)[1]
        return process.returncode, errors


def read_until(process: subprocess.Popen[str], words: str) -> str:
    for line in process.stdout:
        if words in line:
            return line
    pytest.fail(f"The demo ended without saying {words!r}: {process.stderr.read()}")


def test_start_and_ctrl_c(ports: dict[str, str], tmp_path: Path) -> None:
    """The address that is printed answers, and Ctrl-C stops both servers."""
    with started(ports | {"DEMO_DATA": str(tmp_path)}) as process:
        assert read_until(process, "Open").split()[-1] == f"http://127.0.0.1:{ports['PORT']}"
        read_until(process, "Ctrl-C")
        for port in ports.values():
            connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
            connection.request("GET", "/")
            assert connection.getresponse().status < 500
            connection.close()

        os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=30)

    assert (process.returncode, output, errors) == (0, "\n  Stopped.\n", "")
    assert all(is_free(int(port)) for port in ports.values())


def test_one_dies(ports: dict[str, str], tmp_path: Path) -> None:
    """When one server dies the other is stopped, and the demo says so."""
    with started(ports | {"DEMO_DATA": str(tmp_path)}) as process:
        read_until(process, "Ctrl-C")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[0]), signal.SIGKILL)
        errors = process.communicate(timeout=30)[1]

    assert process.returncode == 1
    assert errors.startswith("demo: A server stopped.")
    assert all(is_free(int(port)) for port in ports.values())


@pytest.mark.parametrize("name", ["PORT", "SANDBOX_PORT"])
def test_busy_port(name: str, ports: dict[str, str]) -> None:
    """A port in use is one line that names it, and nothing is started."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        busy = server.getsockname()[1]
        code, errors = run(ports | {name: str(busy)})

    assert code == 1
    assert errors.startswith(f"demo: Port {busy} cannot be used (Address already in use)")
    assert f"{name}={busy + 1}" in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize("port", ["0", "65536", "http", "-1"])
def test_not_a_port(port: str) -> None:
    """Something that is no port is one line too."""
    code, errors = run({"PORT": port})

    assert code == 1
    assert errors == f"demo: PORT must be a port, a number up to 65535, not '{port}'.\n"


def test_the_same_port_twice(ports: dict[str, str]) -> None:
    """Both servers cannot have one port."""
    code, errors = run({"PORT": ports["PORT"], "SANDBOX_PORT": ports["PORT"]})

    assert (code, errors) == (1, "demo: PORT and SANDBOX_PORT must be two different ports.\n")
