"""The application that gunicorn serves: Flask-WePay's contender."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from .contenders import Setup
from .contenders.flask_wepay_client import make_app
from .processes import in_use

app = make_app(Setup(**json.loads(os.environ["BENCHMARK_SETUP"])))
TOLD = Path(os.environ["BENCHMARK_READY"], str(os.getpid()))


def tell(*_: object) -> None:
    """Write down what this worker's memory holds, which nobody else can know."""
    part = TOLD.with_suffix(".part")
    part.write_text(json.dumps(in_use()))
    part.rename(TOLD)


signal.signal(signal.SIGUSR2, tell)
# This worker is ready, which gunicorn tells nobody.
TOLD.touch()
