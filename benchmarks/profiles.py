"""Where the time of a view goes, by whose code was running, sampled with pyinstrument."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

#: Whose code a file is; the first match counts.
GROUPS = {
    "Flask-WePay": r"/flask_wepay/",
    "Authlib": r"/authlib/|/joserfc/",
    "requests": r"/requests/",
    "urllib3, http.client": r"/urllib3/|/http/|/email/",
    "waiting for the provider": r"/ssl\.py|/socket\.py",
    "SQLAlchemy, sqlite3": r"/sqlalchemy/|/flask_sqlalchemy/",
    "cryptography": r"/cryptography/",
    "limits": r"/limits/|/threading\.py",
    "Flask, Werkzeug, ItsDangerous": r"/flask/|/werkzeug/|/itsdangerous/|/flask_login/|/blinker/",
    "json": r"/json/",
    "logging": r"/logging/",
}
#: Seconds between two samples; more often, the sampling would be most of what is sampled.
INTERVAL = 0.001


def sample(visits: list[Callable[[], Any]]) -> Counter[str]:
    """Make requests under the profiler; return the microseconds per request of each group."""
    # Contenders that are not profiled would be larger with it.
    from pyinstrument import Profiler

    profiler = Profiler(interval=INTERVAL, async_mode="disabled")
    with profiler:
        for visit in visits:
            visit()
    groups: Counter[str] = Counter()
    _add(profiler.last_session.root_frame(), groups)
    return Counter({group: taken * 1e6 / len(visits) for group, taken in groups.items()})


def _add(frame: Any, groups: Counter[str], path: str = "") -> None:
    # A built-in function counts as part of whoever calls it.
    if (frame.file_path or "<").startswith("/"):
        path = frame.file_path
    if not frame.children:
        groups[group_of(path)] += frame.time
    for child in frame.children:
        _add(child, groups, path)


def group_of(path: str) -> str:
    """Return whose code a file is."""
    return next((g for g, pattern in GROUPS.items() if re.search(pattern, path)), "Python")
