"""The sandbox as a service beside others."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import requests
import yaml

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "examples/sandbox/compose.yaml").read_text())["services"]


def test_files_of_the_image() -> None:
    """The image is made of files that are there."""
    build = SERVICES["wepay"]["build"]
    context = ROOT / "examples/sandbox" / build["context"]
    copied = re.findall(r"^COPY (.+) \S+$", build["dockerfile_inline"], re.MULTILINE)

    assert len(copied) == 2
    assert all((context / name).exists() for line in copied for name in line.split())


def test_service() -> None:
    """The image's command answers under the service's name, and ends as it is told to."""
    (command,) = re.findall(
        r"^CMD (.+)$", SERVICES["wepay"]["build"]["dockerfile_inline"], re.MULTILINE
    )
    program, *arguments = json.loads(command)
    started = [sys.executable, *arguments, "--port", "0"]

    with subprocess.Popen(started, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[-1]
            answer = requests.get(
                f"{url}/sandbox/clock", headers={"Host": "wepay:8010"}, timeout=10
            )
        finally:
            process.send_signal(signal.Signals[SERVICES["wepay"]["stop_signal"]])
        rest = process.stdout.read()

    assert program == "python"
    assert list(SERVICES) == ["wepay"]
    assert answer.status_code == 200
    assert rest.endswith("Stopped.\n")
    assert process.returncode == 0
