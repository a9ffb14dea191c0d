"""What requests leave to the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from benchmarks import provider
from benchmarks.contender import Contender
from benchmarks.contenders import Setup

VIEWS = ("login", "callback", "lookup", "call", "calls")
TIMES = 20


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contender]:
    """Flask-WePay's contender on SQLite, with a provider in another process."""
    directory = tmp_path_factory.mktemp("site")
    with provider.over_tls(directory) as its_provider:
        database = f"sqlite:///{directory / 'site.db'}"
        setup = Setup(its_provider.url(), database, str(directory / "tiny.pem"), {})
        contender = Contender("flask_wepay_client", setup)
        contender.prepare()
        yield contender
        with contender.app.app_context():
            contender.app.extensions["sqlalchemy"].engine.dispose()


@contextmanager
def _collected_by_hand() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("view", VIEWS)
def test_a_request_makes_no_cycles(site: Contender, view: str) -> None:
    """What a request used is freed at its end, not when the garbage is collected.

    The cycles of the bare view are Werkzeug's.
    """
    browsers = [site._visitor(view) for _ in range(TIMES)]
    visits = [partial(browser.get, site._address(view, browser)) for browser in browsers]
    bares = [partial(browser.get, site.bare(view)) for browser in browsers]
    cycles = []
    for requests in (bares, visits):
        with _collected_by_hand():
            for request in requests:
                request()
            cycles.append(gc.collect())

    assert cycles[1] - cycles[0] < TIMES
