"""The documentation shows code that runs."""

from __future__ import annotations

import gc
import os
import re
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from reading import DOCS, README, MakeApp, Reader, blocks_of

from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import Sandbox

PAGES = [*sorted(DOCS.glob("*.rst")), README]


@pytest.fixture
def reader(
    tmp_path: Path,
    make_app: MakeApp,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    wepay_ipn: DeliverIPN,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Reader]:
    for name in list(os.environ):
        if name.startswith("FLASK_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FLASK_SECRET_KEY", "dev")
    monkeypatch.setenv("FLASK_WEPAY_ENVIRONMENT", "sandbox")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    reader = Reader(
        tmp_path,
        make_app,
        wepay_sandbox,
        monkeypatch,
        wepay_connect=wepay_connect,
        wepay_ipn=wepay_ipn,
    )
    yield reader
    reader.close()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_answer_goes_out_as_it_is(page: Path) -> None:
    """No view returns a whole answer of WePay's, which has our signed callback_uri in it."""
    whole = re.compile(
        r"\.(get|route)\(.*\n(.*\n){1,4} +return .*\.call\(\"[a-z/]+\"\)$", re.MULTILINE
    )

    assert [found[0] for found in whole.finditer(page.read_text())] == []


class ConnectionOfThePage(sqlite3.Connection):
    """A connection whose name tells it from those that earlier tests left."""


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a page opens be known by its name."""
    connect = partial(sqlite3.connect, factory=ConnectionOfThePage)
    for module in (sqlite3, sqlite3.dbapi2):
        monkeypatch.setattr(module, "connect", connect)


@pytest.mark.filterwarnings(
    r"error:unclosed database in <test_pages\.ConnectionOfThePage:ResourceWarning"
)
@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_run(page: Path, reader: Reader) -> None:
    """Every block of code on a page runs, one after another, and closes what it opens."""
    for block in blocks_of(page):
        reader.read(block)
    reader.finish()
    gc.collect()
