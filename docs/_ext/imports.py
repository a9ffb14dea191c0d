"""Draw which part of the package imports which, from the code itself.

``.. imports-picture::`` draws a row for each module and package of ``flask_wepay``, in the order
of import-linter's contract in ``pyproject.toml``, and an arrow for each import.
An arrow that a chain of other arrows implies is left out.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "flask_wepay"

#: Pixels: the arrows' part on the left, the names' beside it, the whole, and a row.
_ARROWS, _NAMES, _WIDTH, _ROW = 130, 115, 830, 28


def rooms() -> list[str]:
    """Return the rooms in the order of the linter's contract, the top one first."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = contracts["contracts"][0]["layers"]
    return [name.strip() for layer in layers for name in layer.split("|")]


def imports() -> dict[str, set[str]]:
    """Return for each room of the package the rooms that its code imports."""
    found: dict[str, set[str]] = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        path = file.relative_to(PACKAGE).with_suffix("").parts
        if path == ("__init__",):
            continue
        imported = found.setdefault(path[0], set())
        imported.update(_imported(ast.parse(file.read_text()), ("flask_wepay", *path[:-1])))
        imported.discard(path[0])
    rooms = found.keys()
    return {room: imported & rooms for room, imported in found.items()}


def _imported(tree: ast.AST, package: tuple[str, ...]) -> Iterator[str]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else ()
            module = (*start, *(node.module or "").split("."))
            for alias in node.names:
                yield from _room((*filter(None, module), alias.name))
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield from _room(tuple(alias.name.split(".")))
        yield from _imported(node, package)


def _room(module: tuple[str, ...]) -> Iterator[str]:
    if module[0] == "flask_wepay" and len(module) > 1:
        yield module[1]


def reach(graph: dict[str, set[str]], room: str) -> set[str]:
    """Return all rooms that a room imports, directly or by way of others."""
    below = graph.get(room, set())
    return below.union(*(reach(graph, other) for other in below))


def arrows(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return the imports that no chain of other imports implies."""
    return {
        room: {
            other
            for other in below
            if not any(other in reach(graph, between) for between in below - {other})
        }
        for room, below in graph.items()
    }


def picture() -> str:
    """Return the picture as SVG: a row for each room, and arrows beside them."""
    places = {room: (row + 0.5) * _ROW for row, room in enumerate(rooms())}
    shapes = []
    for room, below in sorted(arrows(imports()).items()):
        for other in sorted(below):
            start, end = places[room] + 4, places[other] - 4
            bow = _ARROWS - 8 - min(_ARROWS - 16, 12 + (end - start) / 2.6)
            shapes.append(
                f'<path d="M{_ARROWS - 6} {start:g} C{bow:g} {start:g} {bow:g} {end:g}'
                f' {_ARROWS - 8} {end:g}"><title>{room} imports {other}</title></path>'
            )
    for room, y in places.items():
        name, file = room, PACKAGE / f"{room}.py"
        if not file.exists():
            name, file = f"{room}/", PACKAGE / room / "__init__.py"
        docstring = ast.get_docstring(ast.parse(file.read_text())) or ""
        says = re.split(r"\n|(?<=\.) ", docstring)[0].replace("`", "")
        shapes.append(
            f'<text x="{_ARROWS}" y="{y + 4:g}" class="room">{name}</text>'
            f'<text x="{_ARROWS + _NAMES}" y="{y + 4:g}">{escape(says)}</text>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {len(places) * _ROW}"'
        ' role="img" aria-label="Which part of the package imports which: every arrow points'
        ' down.">'
        '<defs><marker id="head" viewBox="0 0 6 6" refX="3" refY="3" markerWidth="5"'
        ' markerHeight="5" orient="auto"><path d="M0 0 L6 3 L0 6 z"/></marker></defs>'
        + "".join(shapes)
        + "</svg>"
    )


class ImportsPicture(SphinxDirective):
    """Draw the imports."""

    def run(self) -> list[nodes.Node]:
        """Draw them."""
        for file in PACKAGE.rglob("*.py"):
            self.env.note_dependency(str(file))
        figure = f'<figure class="diagram imports">{picture()}</figure>'
        return [nodes.raw("", figure, format="html")]


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("imports-picture", ImportsPicture)
    return {"parallel_read_safe": True}
