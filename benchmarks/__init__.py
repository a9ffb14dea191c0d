"""What Flask-WePay costs, measured: ``python -m benchmarks --help``."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# PostgreSQL and Redis are started as the tests start them.
sys.path.append(str(ROOT / "tests"))
