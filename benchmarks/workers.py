"""Many workers: gunicorn's threads and greenlets, two processes each, PostgreSQL and Redis.

Two cores carry the clients, the provider, the servers and the workers, so the requests per
second mean nothing by themselves; the ratio to the bare view does, and so does the time that
the workers' processes were on a processor.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from .results import Row, Tables
from .site import Request, Site, opened

KINDS = ("gevent", "gthread")
#: The views, and what each is without its OAuth part.
VIEWS = {"login": "/bare-redirect", "callback": "/bare-redirect", "call": "/bare"}


def run(options: Any, directory: Path) -> Tables:
    rows = {}
    for kind in KINDS:
        with opened(directory, kind) as site:
            for view in VIEWS:
                rows[f"{kind}, {view}"] = _measure(site, view, options.requests, options.passes)
    return {"Two workers on PostgreSQL and Redis, 16 clients": rows}


def _measure(site: Site, view: str, count: int, passes: int) -> Row:
    """Send so many requests, so many times, each time beside as many of the bare view."""
    views, bares = [], []
    for _ in range(passes):
        requests = {
            "login": site.logins,
            "callback": site.callbacks,
            "call": lambda count: site.calls("/call", count),
        }[view](count)
        bares.append(_sent(site, site.calls(VIEWS[view], count)))
        views.append(_sent(site, requests))
    bare, its = (
        {figure: median(one[figure] for one in of_passes) for figure in of_passes[0]}
        for of_passes in (bares, views)
    )
    of_all = [sum(one[what] for one in bares + views) for what in ("errors", "answers")]
    return {
        "bare, per s": f"{bare['per second']:.0f}",
        "with OAuth, per s": f"{its['per second']:.0f}",
        "ratio": f"{its['per second'] / bare['per second']:.2f}",
        "median, ms": f"{its['median']:.0f}",
        "95 %, ms": f"{its['95 %']:.0f}",
        "bare, CPU ms": f"{bare['CPU']:.1f}",
        "with OAuth, CPU ms": f"{its['CPU']:.1f}",
        "errors": "{:.0f} of {:.0f}".format(*of_all),
    }


def _sent(site: Site, requests: list[Request]) -> dict[str, float]:
    used, started = _processor_time(site), time.perf_counter()
    answers = site.send(requests)
    seconds = time.perf_counter() - started
    taken = [answer.seconds * 1000 for answer in answers]
    return {
        "answers": len(answers),
        "per second": len(answers) / seconds,
        "errors": sum(answer.is_error() for answer in answers),
        "median": median(taken),
        "95 %": quantiles(taken, n=20)[-1],
        "CPU": (_processor_time(site) - used) * 1000 / len(answers),
    }


def _processor_time(site: Site) -> float:
    """Return the seconds that the workers have used, in user mode and in the kernel."""
    return sum(time for worker in site.workers() for time in worker.cpu_times()[:2])
