"""No table makes a page wider than a phone."""

from __future__ import annotations

import pytest
from reading import DOCS

pytest.importorskip("sphinx", reason="pip install -r requirements/docs.txt")

from docutils import nodes
from docutils.core import publish_doctree

TABLES = """
.. list-table:: Figures

   * - 1,042 µs
     - 1,941 µs

.. list-table::
   :class: stacked

   * - Key
     - Meaning
"""


def test_a_table_scrolls_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table gets a container to scroll in, unless its cells are stacked on a phone."""
    monkeypatch.syspath_prepend(DOCS / "_ext")
    from wide_tables import wrap

    page = publish_doctree(TABLES)

    wrap(None, page)

    figures, stacked = page.findall(nodes.table)
    assert figures.parent["classes"] == ["wide-table"]
    assert stacked.parent is page
