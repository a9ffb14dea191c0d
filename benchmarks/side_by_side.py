"""Five ways to the same provider, each in a process of its own, and whose code runs in ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from . import provider
from .contender import BURST, Contender
from .contenders import CALLS, Setup
from .provider import BUNDLES, Provider
from .results import Row, Tables
from .turns import apart, in_turns

FLASK_WEPAY = {"flask_wepay_client": "Flask-WePay"}
CONTENDERS = {
    "floor": "Floor",
    "limit": "Limit",
    "authlib_client": "Authlib",
    "flask_dance_client": "Flask-Dance",
    **FLASK_WEPAY,
}
#: The others open a connection with each call, or with each request that makes calls.
CALLERS = {
    "bare_session": "Bare session",
    "authlib_client": "Authlib",
    "authlib_kept": "Authlib, session kept",
    "flask_dance_client": "Flask-Dance",
    **FLASK_WEPAY,
}
VIEWS = ("login", "callback", "lookup", "call")
#: Logins that a browser has abandoned before the one that is measured.
ABANDONED = (0, 10, 40)


@contextmanager
def contenders(
    directory: Path, bundle: str, names: Mapping[str, str]
) -> Iterator[tuple[Provider, dict[str, Contender]]]:
    """Start the provider and, by its label, a process for each contender."""
    with ExitStack() as stack:
        its_provider = stack.enter_context(provider.over_tls(directory))
        started = {}
        for name, label in names.items():
            database = f"sqlite:///{directory}/{name}-{bundle}.sqlite"
            setup = Setup(its_provider.url(), database, str(directory / f"{bundle}.pem"), {})
            started[label] = stack.enter_context(apart(Contender, name, setup))
            started[label].prepare()
        yield its_provider, started


def run(options: Any, directory: Path) -> Tables:
    """Measure all views of all contenders, request by request."""
    return {
        f"Side by side, {BUNDLES[bundle]}": _side_by_side(directory, bundle, options.rounds)
        for bundle in options.bundles
    }


def _side_by_side(directory: Path, bundle: str, rounds: int) -> dict[str, Row]:
    with contenders(directory, bundle, CONTENDERS) as (its_provider, each):
        costs = {view: _costs(each, rounds, view) for view in VIEWS}
        rows = {view: _with_ratio(of_view, of_view["Floor"]) for view, of_view in costs.items()}
        for view in (*VIEWS, "calls"):
            title = view.replace("calls", f"{CALLS} calls")
            opened = {name: _connections(its_provider, one, view) for name, one in each.items()}
            rows[f"{title}, new connections"] = opened
            rows[f"{title}, SQL statements"] = {n: one.count(view) for n, one in each.items()}
        tasks = {
            (name, number): partial(one.measure, "login", abandoned=number)
            for name, one in each.items()
            for number in ABANDONED
        }
        logins = in_turns(tasks, rounds * BURST)
        for number in ABANDONED:
            costs = {name: f"{logins[name, number]:.0f} µs" for name in each}
            rows[f"login after {number} abandoned"] = costs
        rows["peak memory"] = {name: f"{one.peak_memory():.0f} MiB" for name, one in each.items()}
        return rows


def _costs(each: dict[str, Contender], rounds: int, view: str) -> dict[str, float]:
    tasks = {name: partial(one.measure, view) for name, one in each.items()}
    return in_turns(tasks, rounds * BURST, warm_up=BURST)


def _with_ratio(costs: dict[str, float], to: float) -> Row:
    return {name: f"{cost:.0f} µs ({cost / to:.1f})" for name, cost in costs.items()}


def _connections(its_provider: Provider, contender: Contender, view: str) -> str:
    """Return how many TLS connections a view opens, once warm."""
    contender.measure(view)
    before = its_provider.connections()
    contender.measure(view, BURST)
    return f"{(its_provider.connections() - before) / BURST:g}"


def calls(options: Any, directory: Path) -> Tables:
    """Measure API calls, and count all connections that they open from a cold start."""
    return {
        f"API calls from a cold start, {BUNDLES[bundle]}": _calls(directory, bundle, options.rounds)
        for bundle in options.bundles
    }


def _calls(directory: Path, bundle: str, rounds: int) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    with contenders(directory, bundle, CALLERS) as (its_provider, each):
        for view, calls in {"call": 1, "calls": CALLS}.items():
            costs, opened = _from_cold(its_provider, each, view, rounds, BURST // calls)
            what = "one call a request" if calls == 1 else f"{calls} calls a request"
            bare = costs["Bare session"]
            rows[f"{what}, each call"] = {
                name: f"{cost / calls:.0f} µs ({cost / bare:.2f})" for name, cost in costs.items()
            }
            made = rounds * (BURST // calls) * calls
            rows[f"{what}, connections opened by {made} calls"] = opened
    return rows


def _from_cold(
    its_provider: Provider, each: dict[str, Contender], view: str, rounds: int, count: int
) -> tuple[dict[str, float], dict[str, int]]:
    opened = dict.fromkeys(each, 0)

    def measure(name: str) -> list[float]:
        before = its_provider.connections()
        taken = each[name].measure(view, count)
        opened[name] += its_provider.connections() - before
        return taken

    for contender in each.values():
        contender.restart()
    return in_turns({name: partial(measure, name) for name in each}, rounds, warm_up=0), opened


def profile(options: Any, directory: Path) -> Tables:
    """Sample whose code runs; only the shares mean something, for the profiler takes time."""
    with contenders(directory, "certifi", FLASK_WEPAY) as (_, each):
        (contender,) = each.values()
        sampled = {view: contender.profile(view, options.requests) for view in VIEWS}
    shares: dict[str, dict[str, float]] = {}
    for view, groups in sampled.items():
        taken = {group: max(0.0, microseconds) for group, microseconds in groups.items()}
        for group, microseconds in taken.items():
            share = 100 * microseconds / (sum(taken.values()) or 1)
            shares.setdefault(group, dict.fromkeys(VIEWS, 0.0))[view] = share
    rows = sorted(shares.items(), key=lambda of_group: -of_group[1]["call"])
    return {
        "Whose code runs, beyond the bare view": {
            group: {view: f"{share:.0f} %" for view, share in of_views.items()}
            for group, of_views in rows
        }
    }
