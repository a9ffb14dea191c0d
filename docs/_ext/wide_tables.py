"""Let a table that is wider than a phone scroll by itself, and not the page with it.

A table of the class ``stacked`` needs none of it: its cells stand below one another there.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def wrap(app: Sphinx, doctree: nodes.document) -> None:
    """Put a container around each table that is not stacked."""
    for table in list(doctree.findall(nodes.table)):
        if "stacked" not in table["classes"]:
            container = nodes.container(classes=["wide-table"])
            table.replace_self(container)
            container += table


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect it."""
    app.connect("doctree-read", wrap)
    return {"parallel_read_safe": True}
