"""Where the time of a view goes, by whose code was running, sampled with pyinstrument."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

from . import certificates
from .side_by_side import contenders

VIEWS = ("login", "lookup", "call", "callback")
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
    "tenacity": r"/tenacity/",
    "Flask, Werkzeug, ItsDangerous": r"/flask/|/werkzeug/|/itsdangerous/|/flask_login/|/blinker/",
    "json": r"/json/",
    "logging": r"/logging/",
}
#: Seconds between two samples; more often, the sampling would be most of what is sampled.
INTERVAL = 0.001


def run(directory: Path, count: int) -> dict[str, Any]:
    """Return by view the microseconds per request of each group, the bare view's taken off.

    The call trees are apart: they are long, and hold paths.
    """
    certificate = certificates.make(directory)
    with contenders(directory, certificate, "certifi", ["flask_wepay_client"]) as (_, children):
        child = children["flask_wepay_client"]
        child.ask(do="prepare")
        sampled = {view: child.ask(do="profile", view=view, count=count) for view in VIEWS}
    trees = {view: of_view.pop("tree") for view, of_view in sampled.items()}
    return {**sampled, "trees": trees}


def sample(bare: list[Any], visits: list[Any]) -> dict[str, Any]:
    """Make requests under the profiler; each is a function without arguments."""
    without, _ = _sampled(bare)
    within, tree = _sampled(visits)
    return {
        "groups": {group: within[group] - without[group] for group in within},
        "tree": tree,
    }


def _sampled(visits: list[Any]) -> tuple[Counter[str], str]:
    from pyinstrument import Profiler
    from pyinstrument.renderers import ConsoleRenderer

    profiler = Profiler(interval=INTERVAL, async_mode="disabled")
    with profiler:
        for visit in visits:
            visit()
    groups: Counter[str] = Counter()
    _add(profiler.last_session.root_frame(), groups)
    for group in groups:
        groups[group] *= 1e6 / len(visits)
    shown = {"filter_threshold": 0.01}
    renderer = ConsoleRenderer(color=False, show_all=True, processor_options=shown)
    return groups, profiler.output(renderer)


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
