"""What "make docs" says of the prose, by the words of the style page."""

from __future__ import annotations

from pathlib import Path

import pytest
from reading import DOCS

PAGE = """
A row dies.

.. code-block:: python

   row.dies()

It ``dies`` where the row is
born.
"""
MODULE = '''
"""Tell whether a row dies."""
dies = "dies"
raise ValueError(f"The {row.dies} is no row, so it dies.")  # it dies
'''


@pytest.fixture(autouse=True)
def beside_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("page.rst", PAGE, {(2, "dies"), (8, "is born")}),
        ("m.py", MODULE, {(2, "dies"), (4, "dies")}),
    ],
)
def test_words_are_refused(
    tmp_path: Path, name: str, text: str, expected: set[tuple[int, str]]
) -> None:
    """A word that the style page refuses is found in prose, over line ends too, and not in code."""
    import prose

    (tmp_path / name).write_text(text)

    found = {
        (line, word)
        for line, advice in prose.refused(prose.prose_of(tmp_path / name))
        for word in ("dies", "is born")
        if repr(word) in advice
    }

    assert found == expected


def test_a_docstring_is_imperative(tmp_path: Path) -> None:
    """What is refused comes with what to write instead."""
    import prose

    (tmp_path / "m.py").write_text(MODULE)

    advice = [text for _, text in prose.refused(prose.prose_of(tmp_path / "m.py"))]

    assert "Write 'Return whether' instead of 'Tell whether'." in advice


@pytest.mark.parametrize("kind", ["module", "class", "function"])
def test_a_docstring_starts_as_the_style_page_wants(kind: str) -> None:
    """A word with "…" on the style page is refused at the start of a docstring, and only there."""
    import prose

    text = '"""Give the id. Give it again."""'
    source = {
        "module": text,
        "class": f"class Row:\n    {text}",
        "function": f"async def id_of():\n    {text}",
    }[kind]

    line = 1 if kind == "module" else 2
    assert list(prose.refused_starts(source)) == [(line, "Write 'Return …' instead of 'Give …'.")]
    assert not any("…" in advice for _, advice in prose.refused(source))


def test_the_style_page_may_show_them() -> None:
    """The table of the style page is no violation of itself."""
    import prose

    assert list(prose.refused(prose.prose_of(prose.STYLE_PAGE))) == []
