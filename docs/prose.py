"""Check the prose of pages, docstrings, comments and messages, as ``make docs`` does.

It refuses the words on the right of the table in CONTRIBUTING.rst, and what proselint finds.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
STYLE_PAGE = ROOT / "CONTRIBUTING.rst"
#: The end of a word on the style page that is refused only where a docstring starts with it.
START = " …"
#: The checks of proselint that suit text about code.
CHECKS = (
    "cliches",
    "hedging",
    "malapropisms",
    "misc.illogic",
    "misc.metadiscourse",
    "misc.pretension",
    "mixed_metaphors",
    "needless_variants",
    "nonwords",
    "oxymorons",
    "redundancy",
    "skunked_terms",
    "spelling",
    "uncomparables",
)

_ROW = re.compile(r"^   \* - (.+)\n     - (.+)$", re.MULTILINE)
#: Code in reStructuredText: blocks, options of directives, literals, roles and targets.
_CODE = re.compile(
    r"^(?P<indent> *)\.\. (?:code-block|run|literalinclude):.*\n(?:(?P=indent) {3}.*\n|\s*\n)*"
    r"|(?<=::\n)(?:\n|    .*\n)+|``[^`]*``|:[\w:-]+:`[^`]*`|^ *:[\w-]+: .*$|^\.\. .*$",
    re.MULTILINE,
)
_CODE_IN_PYTHON = re.compile(r"``[^`]*``|:[\w:]+:`[^`]*`|`\w+`|\{[^{}]*\}|\"\w+\"|^#:?|\"")


def refused_words() -> dict[str, str]:
    """Return the words not to write, each with what to write instead, from the style page."""
    return {
        word: instead
        for instead, words in _ROW.findall(STYLE_PAGE.read_text())[1:]
        for word in words.split(", ")
    }


def prose_of(path: Path) -> str:
    """Return a file's text with spaces in place of code, so that lines keep their numbers."""
    text = path.read_text()
    if path.suffix == ".py":
        return _prose_of_python(text)
    if path == STYLE_PAGE:
        text = _ROW.sub(_blank, text)
    return _CODE.sub(_blank, text)


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"\S", " ", match[0])


def _prose_of_python(source: str) -> str:
    lines = [[" "] * len(line) for line in source.splitlines()]
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind == "COMMENT" or (kind in ("STRING", "FSTRING_MIDDLE") and " " in token.string):
            row, column = token.start
            text = _CODE_IN_PYTHON.sub(_blank, token.string)
            for line in text.splitlines():
                lines[row - 1][column : column + len(line)] = line
                row, column = row + 1, 0
    return "\n".join(map("".join, lines)) + "\n"


def refused(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line of each word that the style page refuses, with what to write instead."""
    for word, instead in refused_words().items():
        if word.endswith(START):
            continue
        pattern = re.escape(word).replace(r"\ ", r"\s+")
        for match in re.finditer(rf"(?<![\w-]){pattern}(?![\w-])", text, re.IGNORECASE):
            line = text.count("\n", 0, match.start()) + 1
            yield line, f"Write {instead!r} instead of {word!r}."


def refused_starts(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line of each docstring that starts with a refused word, as :func:`refused`."""
    starts = {word: instead for word, instead in refused_words().items() if word.endswith(START)}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            start = (ast.get_docstring(node) or "").partition(" ")[0] + START
            if start in starts:
                yield node.body[0].lineno, f"Write {starts[start]!r} instead of {start!r}."


def doubted(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line of each finding of proselint, with its advice.

    Proselint compiles its patterns for each text, so it is given all files as one.
    """
    from proselint.checks import __register__
    from proselint.config import DEFAULT
    from proselint.registry import CheckRegistry
    from proselint.tools import LintFile

    CheckRegistry().register_many(__register__)
    checks = dict.fromkeys(DEFAULT["checks"], False) | dict.fromkeys(CHECKS, True)
    for result in LintFile("prose", text).lint({"max_errors": 1000, "checks": checks}):
        yield result.pos[0] - 1, result.check_result.message


def sources() -> Iterator[Path]:
    """Yield the files whose prose is checked."""
    yield from sorted(ROOT.glob("*.rst"))
    yield from sorted((ROOT / "docs").glob("*.rst"))
    yield from sorted((ROOT / "flask_wepay").rglob("*.py"))


def main() -> int:
    """Print all findings, and return 1 if there are any."""
    texts = {path.relative_to(ROOT): prose_of(path) for path in sources()}
    lines = [
        f"{path}:{number}"
        for path, text in texts.items()
        for number, _ in enumerate(text.split("\n")[:-1], 1)
    ]
    text = "".join(texts.values())
    findings = [f"{lines[line - 1]}: {advice}" for line, advice in (*refused(text), *doubted(text))]
    findings += [
        f"{path}:{line}: {advice}"
        for path in texts
        if path.suffix == ".py"
        for line, advice in refused_starts((ROOT / path).read_text())
    ]
    print("\n".join(sorted(findings)))  # noqa: T201
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
