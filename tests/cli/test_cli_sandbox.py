"""``flask wepay sandbox``."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Callable

import requests
from click.testing import Result

Run = Callable[..., Result]


def test_port_in_use(run: Run) -> None:
    """A port that is taken is a sentence and exits with 1."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])

        result = run("sandbox", "--port", port)

    assert result.exit_code == 1
    assert result.stderr == f"Error: Port {port} of 127.0.0.1 is in use. Try --port.\n"


def test_wrong_usage(run: Run) -> None:
    """An odd port, or an unknown option, is wrong usage."""
    results = [run("sandbox", "--port", "70000"), run("sandbox", "--bogus"), run("sandbox", "x")]

    assert [result.exit_code for result in results] == [2, 2, 2]
    assert "Usage: wepay sandbox" in results[0].stderr


def test_runs() -> None:
    """It needs no application, says where it is, answers there, and ends on Ctrl-C."""
    command = [sys.executable, "-m", "flask", "wepay", "sandbox", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            answer = requests.get(f"{said.split()[-1]}/v2/user", timeout=10)
        finally:
            process.send_signal(signal.SIGINT)
        rest = process.stdout.read()

    assert said.startswith("The WePay sandbox is at http://127.0.0.1:")
    assert "error_code" in answer.json()
    assert rest.endswith("Stopped.\n")
    assert process.returncode == 0
