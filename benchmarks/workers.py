"""Many workers: gunicorn's threads and greenlets, two processes each, PostgreSQL and Redis.

Two cores carry the load generator, the provider, the servers and the workers, so the
requests per second mean nothing by themselves; the ratio to the bare view does.
"""

from __future__ import annotations

from statistics import median, quantiles
from typing import Any

from .site import Site, errors_of

KINDS = ("gevent", "gthread")
#: The views, and what each is without its OAuth part.
VIEWS = {"login": "/bare-redirect", "callback": "/bare-redirect", "call": "/bare"}


def run(site: Site, count: int, rounds: int) -> dict[str, Any]:
    """Measure so many requests of each view, so many times, by each kind of worker."""
    return {kind: _measure(kind, site, count, rounds) for kind in KINDS}


def _measure(kind: str, site: Site, count: int, rounds: int) -> dict[str, Any]:
    results: dict[str, Any] = {}
    site.serve(kind)
    for view, bare in VIEWS.items():
        passes = []
        for _ in range(rounds):
            requests = site.requests(view, count)
            without = _summary(site.send(site.calls(bare, count)))
            passes.append((without, _summary(site.send(requests))))
        results[view] = _of_passes(passes)
    return results


def _summary(sent: dict[str, Any]) -> dict[str, Any]:
    answers = sent["answers"]
    taken = [seconds * 1000 for *_, seconds in answers]
    return {
        "requests": len(answers),
        "per second": len(answers) / sent["seconds"],
        "errors": errors_of(sent),
        "median": median(taken),
        "95 %": quantiles(taken, n=20)[-1],
    }


def _of_passes(passes: list[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    bare = median(without["per second"] for without, _ in passes)
    view = median(within["per second"] for _, within in passes)
    return {
        "requests": sum(one["requests"] for both in passes for one in both),
        "errors": sum(one["errors"] for both in passes for one in both),
        "bare per second": bare,
        "per second": view,
        "ratio": view / bare,
        "milliseconds": median(within["median"] for _, within in passes),
        "milliseconds, 95 %": median(within["95 %"] for _, within in passes),
    }
