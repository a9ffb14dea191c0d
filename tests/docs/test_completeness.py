"""The documentation leaves nothing out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from reading import DOCS, blocks_of

from flask_wepay import errors, signals
from flask_wepay.settings import DEFAULTS
from flask_wepay.sqla import WePayTokenMixin

PAGES = sorted(DOCS.glob("*.rst"))
TEXT = {page.stem: page.read_text() for page in PAGES}


def test_every_setting_is_described() -> None:
    """No setting lacks a text, none is described twice, and none is made up."""
    described = re.findall(r"^\.\. setting:: (\w+)$", TEXT["settings"], re.MULTILINE)

    assert sorted(described) == sorted(DEFAULTS)


def test_every_column_is_described() -> None:
    """The page on tokens lists the columns of the table, in their order."""
    columns = [name for name in vars(WePayTokenMixin) if not name.startswith("_")]

    assert re.findall(r"^   \* - ``(\w+)``$", TEXT["tokens"], re.MULTILINE) == columns


def test_every_signal_is_listed() -> None:
    """The page on signals lists all of them."""
    rows = re.compile(r"^   \* - :data:`~flask_wepay\.signals\.(\w+)`", re.MULTILINE)
    listed = rows.findall(TEXT["hooks"])

    assert sorted(listed) == sorted(signals.__all__)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_spoken_of(name: str) -> None:
    """There is a page that says when an error is raised, and what to do."""
    assert any(f"`~flask_wepay.errors.{name}`" in text for text in TEXT.values())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_block_is_overlooked(page: Path) -> None:
    """What is marked as code is run: the collector sees every block."""
    marked = len(re.findall(r"^ *\.\. (?:code-block::|run:)", TEXT[page.stem], re.MULTILINE))

    assert len(list(blocks_of(page))) == marked


@pytest.mark.parametrize("page", sorted(TEXT.keys() - {"changes", "contributing"}))
def test_every_page_has_an_example(page: str) -> None:
    """No page does without one."""
    assert re.search(r"^ *\.\. (code-block|literalinclude)::", TEXT[page], re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_one_sentence_a_line(page: Path) -> None:
    """The sources are written one sentence a line, so that changes read well."""
    block = re.compile(r"^ *\.\. (code-block::|run:).*\n(( .*)?\n)*", re.MULTILINE)
    prose = re.sub(r"``.*?``|:alt: .*|\"[^\"]*\"", "", block.sub("", TEXT[page.stem]))

    assert re.findall(r"^.*[a-z)][.!?] [A-Z].*$", prose, re.MULTILINE) == []
