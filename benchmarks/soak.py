"""A site kept busy for minutes, and whether its workers leave anything allocated behind.

Resident memory doesn't tell: allocators keep what is free, and glibc's arenas, one for each
thread, fragment. So the verdict is on what is allocated after a garbage collection.
"""

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
#: Twenty calls for each login and callback.
CALLBACKS, CALLS = 20, 400
#: What a request may leave allocated: less than an object of Python's per callback, and fewer
#: bytes than any allocation of C has. The caches of threads count as allocated until they are full.
MOST = {"blocks": 0.5 * CALLBACKS / (CALLBACKS + CALLS), "bytes": 16.0}


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
        samples.append({"seconds": round(at), "served": served, **_memory(site, workers)})
        if at >= seconds:
            break
        answered, failed = _busy(site, time.monotonic() + min(every, seconds - at))
        served += answered
        errors += failed
    judged = judge(samples)
    return {"kind": KIND, "errors": errors, "requests": served, "samples": samples, **judged}


def _memory(site: Site, workers: list[int]) -> dict[str, float]:
    resident = sum(memory(worker) for worker in workers)
    used = [site.in_use(worker) for worker in workers]
    return {"MiB": resident, **{what: sum(one[what] for one in used) for what in MOST}}


def _busy(site: Site, until: float) -> tuple[int, int]:
    """Send requests until then; return how many were answered, and how many of them wrongly."""
    served = errors = 0
    while (left := until - time.monotonic()) > 0:
        requests = site.callbacks(site.newcomers(CALLBACKS)) + site.calls("/call", CALLS)
        sent = site.send(requests, left)
        served += len(sent["answers"])
        errors += errors_of(sent)
    return served, errors


def judge(samples: list[dict[str, float]]) -> dict[str, Any]:
    """Fit lines to the second half of the samples, and tell whether what is allocated is flat.

    In the first half caches and pools get their size. None stands for a run that was too
    short to tell.
    """
    warm = samples[len(samples) // 2 :]
    if len(warm) < 3:
        return {"per request": None, "flat": None}
    served = [sample["served"] for sample in warm]
    grown = {
        what: linear_regression(served, [sample[what] for sample in warm]).slope
        for what in ("MiB", *MOST)
    }
    flat = all(grown[what] < most for what, most in MOST.items())
    grown["resident"] = grown.pop("MiB") * 2**20
    return {"per request": grown, "flat": flat}
