"""The README shows code that runs."""

from __future__ import annotations

import re
import textwrap
from importlib.metadata import version
from pathlib import Path

from packaging.requirements import Requirement

from flask_wepay.settings import DEFAULTS

ROOT = Path(__file__).parents[2]


README = (ROOT / "README.rst").read_text()


def test_readme_shows_the_quickstart() -> None:
    """The twenty lines in the README are ``examples/quickstart.py``, to the letter."""
    first_block = re.search(
        r"^\.\. code-block:: python\n\n((?: {4}.*\n|\n)+)", README, re.MULTILINE
    )

    quickstart = (ROOT / "examples" / "quickstart.py").read_text()
    assert textwrap.dedent(first_block[1]).strip() == quickstart.strip()


def test_readme_lists_every_setting() -> None:
    """No setting is missing from the README's table, and none there is made up."""
    first_cells = re.findall(r"^ {3}\* - (.*)$", README, re.MULTILINE)

    assert set(re.findall(r"WEPAY_[A-Z_]+", " ".join(first_cells))) == DEFAULTS.keys()


def test_readme_asks_for_this_package() -> None:
    """What another package is to ask for takes this version, and not the abandoned one."""
    written = re.findall(r"``(Flask-WePay>=[^`]+)``", README)

    wanted = [Requirement(text).specifier for text in written]
    assert len(wanted) == 1
    assert wanted[0].contains(version("Flask-WePay"), prereleases=True)
    assert not wanted[0].contains("0.0.7", prereleases=True)


def test_links_of_the_readme_lead_somewhere() -> None:
    """Each file that the README links to is there."""
    targets = re.findall(r"^\.\. _[\w.-]+: (?!https?:)(\S+)$", README, re.MULTILINE)

    assert len(targets) > 5
    assert [target for target in targets if not (ROOT / target).exists()] == []
