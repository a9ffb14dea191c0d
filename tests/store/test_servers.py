"""The servers that tests start."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

KILLED = """
import pathlib, shutil, sys
from store.servers import Server

class Sleeper(Server):
    prefix = "wepay-sleeper-"
    def answers(self):
        return pathlib.Path(f"/proc/{self._process.pid}/comm").read_text() == "sleep\\n"

sleeper = Sleeper()
sleeper.launch(shutil.which("sleep"), "600")
print(sleeper.directory, sleeper._process.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other kernels do not know how")
def test_servers_end_with_a_process_that_is_killed() -> None:
    """A test run that is killed leaves no server behind."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    parent = subprocess.Popen(
        [sys.executable, "-c", KILLED],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    )
    with parent:
        directory, pid = parent.stdout.readline().split()
        server = os.pidfd_open(int(pid))
        parent.send_signal(signal.SIGKILL)
    Path(directory, "log").unlink()
    Path(directory).rmdir()

    ended, _, _ = select.select([server], [], [], 30)

    os.close(server)
    assert ended
