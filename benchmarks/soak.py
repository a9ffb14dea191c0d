"""A site kept busy for minutes, and whether its workers leave anything allocated behind.

Resident memory doesn't tell: allocators keep what is free, and glibc's arenas, one for each
thread, fragment. So the verdict is on what is allocated after a garbage collection.
"""

from __future__ import annotations

import time
from pathlib import Path
from statistics import linear_regression
from typing import Any

from .results import Tables
from .site import Answer, Site, opened

KIND = "gthread"
#: Seconds between two samples.
EVERY = 60.0
#: Twenty calls for each login and callback.
CALLBACKS, CALLS = 20, 400
#: What a request may leave allocated: less than an object of Python's per callback, and fewer
#: bytes than any allocation of C has. The caches of threads count as allocated until they are full.
MOST = {"blocks": 0.5 * CALLBACKS / (CALLBACKS + CALLS), "bytes": 16.0}


def run(options: Any, directory: Path) -> Tables:
    """Keep a site busy for so long, and note its workers' memory every minute."""
    rows = {}
    samples: list[dict[str, float]] = []
    errors = served = 0
    with opened(directory, KIND) as site:
        workers = site.workers()
        started = time.monotonic()
        while True:
            if site.workers() != workers:
                raise RuntimeError("a worker ended")
            at = time.monotonic() - started
            sample = _memory(site)
            samples.append({"served": served, **sample})
            rows[f"minute {round(at / 60, 1):g}"] = {
                "requests so far": f"{served:,}",
                "Python blocks": f"{sample['blocks']:,}",
                "MiB beside them": f"{sample['bytes'] / 2**20:.2f}",
                "resident MiB": f"{sample['MiB']:.1f}",
            }
            if at >= options.seconds:
                break
            answers = _busy(site, time.monotonic() + min(EVERY, options.seconds - at))
            served += len(answers)
            errors += sum(answer.is_error() for answer in answers)
    verdict = as_words(judge(samples))
    title = f"Memory of two workers ({KIND}): {verdict}, {errors} errors in {served:,} requests"
    return {title: rows}


def _memory(site: Site) -> dict[str, float]:
    resident = sum(worker.memory_info().rss for worker in site.workers()) / 2**20
    used = [site.in_use(worker) for worker in site.workers()]
    return {"MiB": resident, **{what: sum(one[what] for one in used) for what in MOST}}


def _busy(site: Site, until: float) -> list[Answer]:
    """Send requests until then."""
    answers = []
    while (left := until - time.monotonic()) > 0:
        answers += site.send(site.callbacks(CALLBACKS) + site.calls("/call", CALLS), left)
    return answers


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


def as_words(judged: dict[str, Any]) -> str:
    if judged["flat"] is None:
        return "too short a run to tell"
    flat = "flat" if judged["flat"] else "not flat"
    grown = (
        "in the second half {blocks:+.3f} Python blocks and {bytes:+.1f} bytes beside them"
        " a request, resident {resident:+.0f} bytes"
    )
    return f"{flat} ({grown.format(**judged['per request'])})"
