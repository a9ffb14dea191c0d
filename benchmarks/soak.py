"""A site kept busy for minutes, and whether its workers' memory stays as it is."""

from __future__ import annotations

import time
from statistics import linear_regression
from typing import Any

from . import servers
from .processes import memory
from .site import Site, errors_of

KIND = "gthread"
#: Seconds between two samples.
EVERY = 60.0
#: Bytes that a request may leave behind: Python has no smaller object, so it is none.
SMALLEST = 16.0


def run(site: Site, seconds: float, every: float = EVERY) -> dict[str, Any]:
    """Keep a site busy for so long, and note its workers' memory every minute."""
    samples: list[dict[str, float]] = []
    errors = served = 0
    pid = site.serve(KIND)
    workers = servers.children(pid)
    started = time.monotonic()
    while True:
        if servers.children(pid) != workers:
            raise RuntimeError("a worker ended")
        at = time.monotonic() - started
        used = sum(memory(worker) for worker in workers)
        samples.append({"seconds": round(at), "MiB": used, "served": served})
        if at >= seconds:
            break
        answered, failed = _busy(site, min(started + seconds, time.monotonic() + every))
        served += answered
        errors += failed
    judged = judge(samples)
    return {"kind": KIND, "errors": errors, "requests": served, "samples": samples, **judged}


def _busy(site: Site, until: float) -> tuple[int, int]:
    """Send requests until then; return how many were answered, and how many of them wrongly."""
    served = errors = 0
    while (left := until - time.monotonic()) > 0:
        # Twenty calls for each login and callback.
        requests = site.callbacks(site.newcomers(20)) + site.calls("/call", 400)
        sent = site.send(requests, left)
        served += len(sent["answers"])
        errors += errors_of(sent)
    return served, errors


def judge(samples: list[dict[str, float]]) -> dict[str, Any]:
    """Fit a line to the second half of the samples, and tell whether it is flat.

    In the first half caches, pools and the allocator's arenas get their size. None stands
    for a run that was too short to tell.
    """
    warm = samples[len(samples) // 2 :]
    if len(warm) < 3:
        return {"bytes per request": None, "flat": None}
    line = linear_regression([s["served"] for s in warm], [s["MiB"] for s in warm])
    left_behind = line.slope * 2**20
    return {"bytes per request": left_behind, "flat": left_behind < SMALLEST}
