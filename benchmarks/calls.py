"""API calls from a cold start, beside one kept `requests.Session` and the same SELECT.

The others open a connection with each call, or with each request that makes calls; so the
calls are made one in a request, and then several in a request. Each contender starts
without any connection, and all that it opens is counted.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from . import certificates
from .contenders import CALLS
from .processes import Child
from .side_by_side import BURST, contenders, summarize

CONTENDERS = {
    "bare_session": "Bare session",
    "authlib_client": "Authlib",
    "authlib_kept": "Authlib, session kept",
    "flask_dance_client": "Flask-Dance",
    "flask_wepay_client": "Flask-WePay",
}
#: The views, and how many calls each makes.
VIEWS = {"call": 1, "calls": CALLS}


def run(directory: Path, rounds: int, bundles: Iterable[str]) -> dict[str, Any]:
    """Return by bundle and view what the calls cost; a round is BURST calls of each contender."""
    certificate = certificates.make(directory)
    results: dict[str, Any] = {}
    for bundle in bundles:
        with contenders(directory, certificate, bundle, CONTENDERS) as (provider, children):
            for child in children.values():
                child.ask(do="prepare")
            results[bundle] = {
                view: _measure(provider, children, view, rounds, BURST // calls)
                for view, calls in VIEWS.items()
            }
    return results


def _measure(
    provider: Child, children: dict[str, Child], view: str, rounds: int, count: int
) -> dict[str, Any]:
    times: dict[str, list[tuple[int, int]]] = {name: [] for name in children}
    opened = dict.fromkeys(children, 0)
    for child in children.values():
        child.ask(do="restart")
    for _ in range(rounds):
        for name, child in children.items():
            before = provider.ask()["connections"]
            times[name] += child.ask(do="measure", view=view, count=count)
            opened[name] += provider.ask()["connections"] - before
    figures = summarize(times, "bare_session")
    for name, figure in figures.items():
        figure |= {"calls": rounds * count * VIEWS[view], "connections": opened[name]}
    return figures
