"""The application that gunicorn serves: Flask-WePay's contender."""

from __future__ import annotations

import json
import os
from pathlib import Path

from .contenders import Setup
from .contenders.flask_wepay_client import make_app

app = make_app(Setup(**json.loads(os.environ["BENCHMARK_SETUP"])))
# This worker is ready, which gunicorn tells nobody.
Path(os.environ["BENCHMARK_READY"], str(os.getpid())).touch()
