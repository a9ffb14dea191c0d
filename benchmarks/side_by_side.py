"""Five ways to the same provider, in one run, each in a process of its own.

The contenders take turns request by request, in random order, so that whatever the machine does
else hits all of them alike. A view's cost is the median of its time less that of the bare view
called just before it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from . import certificates
from .processes import Child

CONTENDERS = {
    "floor": "Floor",
    "limit": "Limit",
    "authlib_client": "Authlib",
    "flask_dance_client": "Flask-Dance",
    "flask_wepay_client": "Flask-WePay",
}
VIEWS = ("login", "callback", "lookup", "call")
#: Requests of each contender in one round.
BURST = 5
#: Logins that a browser has abandoned before the one that is measured.
ABANDONED = (0, 10, 40)


def run(directory: Path, rounds: int, bundles: Iterable[str]) -> dict[str, Any]:
    """Measure all contenders with each bundle; `directory` is for files of the run."""
    certificate = certificates.make(directory)
    return {bundle: _run(directory, certificate, bundle, rounds) for bundle in bundles}


def _run(directory: Path, certificate: Path, bundle: str, rounds: int) -> dict[str, Any]:
    with contenders(directory, certificate, bundle) as (provider, children):
        at_rest = {name: child.ask(do="prepare") for name, child in children.items()}
        result: dict[str, Any] = {"views": {}}
        for view in VIEWS:
            _take_turns(children, 1, view=view)
            figures = summarize(_take_turns(children, rounds, view=view))
            for name, child in children.items():
                figures[name]["connections"] = _connections(provider, child, view)
                figures[name]["statements"] = child.ask(do="count", view=view)
            result["views"][view] = figures
        result["five calls"] = {
            name: {
                "connections": _connections(provider, child, "calls"),
                "statements": child.ask(do="count", view="calls"),
            }
            for name, child in children.items()
        }
        result["abandoned"] = _after_abandoned(children, rounds)
        result["memory"] = {
            name: {"at rest": at_rest[name], "peak": child.ask(do="memory")}
            for name, child in children.items()
        }
        return result


def _after_abandoned(children: dict[str, Child], rounds: int) -> dict[int, Any]:
    """Measure logins after so many abandoned ones; these numbers take turns as well."""
    times: dict[int, dict[str, Any]] = {number: {n: [] for n in children} for number in ABANDONED}
    for _ in range(rounds):
        for number, of_contenders in times.items():
            asked = {"view": "login", "abandoned": number}
            for name, pairs in _take_turns(children, 1, **asked).items():
                of_contenders[name] += pairs
    return {number: summarize(of_contenders) for number, of_contenders in times.items()}


@contextmanager
def contenders(
    directory: Path, certificate: Path, bundle: str, names: Any = CONTENDERS
) -> Iterator[tuple[Child, dict[str, Child]]]:
    """Start the provider and a process for each contender, and end them all."""
    trusted = str(directory / f"{bundle}.pem")
    with ExitStack() as stack:
        provider = stack.enter_context(Child("provider", str(certificate)))
        children = {
            name: stack.enter_context(
                Child(
                    "contender",
                    name,
                    f"--provider=https://127.0.0.1:{provider.greeting['port']}",
                    f"--database=sqlite:///{directory}/{name}-{bundle}.sqlite",
                    f"--bundle={trusted}",
                    # How requests, and so Authlib and Flask-Dance, learn what to trust.
                    REQUESTS_CA_BUNDLE=trusted,
                )
            )
            for name in names
        }
        yield provider, children


def _take_turns(
    children: dict[str, Child], rounds: int, burst: int = BURST, **what: Any
) -> dict[str, list[tuple[int, int]]]:
    times: dict[str, list[tuple[int, int]]] = {name: [] for name in children}
    for _ in range(rounds * burst):
        for name in random.sample(list(children), len(children)):
            times[name] += children[name].ask(do="measure", count=1, **what)
    return times


def _connections(provider: Child, child: Child, view: str, times: int = 5) -> float:
    """Return how many TLS connections a view opens, once warm."""
    before = provider.ask()["connections"]
    child.ask(do="measure", view=view, count=times)
    return (provider.ask()["connections"] - before) / times


def summarize(
    times: dict[str, list[tuple[int, int]]], reference: str = "floor"
) -> dict[str, dict[str, Any]]:
    """Return each contender's cost in microseconds, and its ratio to the reference's."""
    figures = {name: cost(pairs) for name, pairs in times.items()}
    for figure in figures.values():
        figure["ratio"] = figure["cost"] / figures[reference]["cost"]
    return figures


def cost(pairs: list[tuple[int, int]]) -> dict[str, Any]:
    """Return the median of what a view costs beyond the bare one beside it, in microseconds."""
    beyond = [(view - bare) / 1000 for bare, view in pairs]
    low, _, high = quantiles(beyond, n=4) if len(beyond) > 1 else beyond * 3
    return {
        "cost": median(beyond),
        "quartiles": [low, high],
        "bare": median(bare for bare, _ in pairs) / 1000,
        "view": median(view for _, view in pairs) / 1000,
        "requests": len(pairs),
    }
