"""The Dockerfile's own command serves the shop under gunicorn, and logs no query."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import requests

EXAMPLES = Path(__file__).parents[2] / "examples"


def command() -> list[str]:
    """Read what the container runs."""
    text = (EXAMPLES / "recipes" / "Dockerfile").read_text().replace("\\\n", "")
    found = re.search(r"^CMD (.*)", text, re.MULTILINE)
    assert found is not None
    words: list[str] = json.loads(found[1])
    return words


def test_it_serves(tmp_path: Path) -> None:
    """It answers a callback, with no code or state in its log, and ends when it is told to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [word.replace("0.0.0.0:8000", f"127.0.0.1:{port}") for word in command()[1:]]
    words[-1] = f"recipes.{words[-1]}"
    log = tmp_path / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", *words],
            env={**os.environ, "PYTHONPATH": str(EXAMPLES), "WEB_CONCURRENCY": "1"},
            cwd=tmp_path,
            stdout=output,
            stderr=output,
        )
    address = f"http://127.0.0.1:{port}/wepay/callback?code=TheCode&state=TheState"
    end = time.monotonic() + 60
    status = None
    while status is None and time.monotonic() < end:
        try:
            status = requests.get(address, timeout=10).status_code
        except requests.ConnectionError:
            assert server.poll() is None, log.read_text()
    server.send_signal(signal.SIGTERM)

    assert server.wait(60) == 0
    assert status == 400
    assert "/wepay/callback" in log.read_text()
    assert "TheCode" not in log.read_text()
    assert "TheState" not in log.read_text()
