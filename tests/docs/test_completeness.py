"""The documentation leaves nothing out."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
from blinker import NamedSignal
from flask import Flask
from reading import DOCS, README, blocks_of

import flask_wepay
from flask_wepay import WePay, errors, pytest_plugin, sandbox, signals
from flask_wepay.sandbox import objects
from flask_wepay.settings import DEFAULTS
from flask_wepay.sqla import WePayTokenMixin
from flask_wepay.web import texts

PAGES = sorted(DOCS.glob("*.rst"))
TEXT = {page.stem: page.read_text() for page in PAGES}
#: The pages of the reference that document names of Python.
REFERENCE = ("api", "errors", "signals", "api_testing", "api_sandbox")
FIXTURES = [name for name in vars(pytest_plugin) if name.startswith("wepay_")]
#: The headings of error pages that the page on troubleshooting explains.
QUOTED = re.findall(r'^"(.*)", [45]\d\d$', TEXT["troubleshooting"], re.MULTILINE)


def test_every_setting_is_described() -> None:
    """No setting lacks a text, none is described twice, and none is made up."""
    described = re.findall(r"^\.\. setting:: (\w+)$", TEXT["settings"], re.MULTILINE)

    assert sorted(described) == sorted(DEFAULTS)


@pytest.mark.parametrize("key", sorted(DEFAULTS))
def test_every_example_of_a_setting_is_accepted(key: str) -> None:
    """Each setting has a type, a page, and an example that an application starts with."""
    options = re.search(
        rf"^\.\. setting:: {key}\n((?: +:\w+: .+\n)+)", TEXT["settings"], re.MULTILINE
    )
    given = dict(re.findall(r"^ +:(\w+): (.+)$", options[1] if options else "", re.MULTILINE))
    example = ast.literal_eval(given["example"])
    if key == "WEPAY_CA_BUNDLE":
        # Where the system's certificates are, differs from system to system.
        example = certifi.where()
    app = Flask("shop")
    app.config.update(SECRET_KEY="dev", TRUSTED_HOSTS=["www.example.com"], WEPAY_CLIENT_ID=1)
    app.config.update({"WEPAY_CLIENT_SECRET": "secret", key: example})

    WePay(app)

    assert given.keys() - {"default"} == {"type", "example", "see"}


def test_the_readme_gives_the_defaults() -> None:
    """The README's table has the defaults of the code, or words that stand for them."""
    words = {
        "none": None,
        "from ``SECRET_KEY``": None,
        "the callback route": None,
        "the IPN route": None,
        "certifi's": None,
        "in memory": "memory://",
    }
    rows = re.findall(r"^   \* - (.*WEPAY_.*)\n     - (.+)$", README.read_text(), re.MULTILINE)

    given = {
        key: words[default] if default in words else ast.literal_eval(default.strip("`"))
        for keys, default in rows
        for key in re.findall(r"WEPAY_\w+", keys)
    }

    assert given == DEFAULTS


def test_every_column_is_described() -> None:
    """The page on tokens lists the columns of the table, in their order."""
    columns = [name for name in vars(WePayTokenMixin) if not name.startswith("_")]

    assert re.findall(r"^   \* - ``(\w+)``$", TEXT["tokens"], re.MULTILINE) == columns


def test_every_signal_is_listed() -> None:
    """The page on signals lists all of them."""
    rows = re.compile(r"^   \* - :data:`~flask_wepay\.signals\.(\w+)`", re.MULTILINE)
    listed = rows.findall(TEXT["signals"])

    assert sorted(listed) == sorted(signals.__all__)


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_spoken_of(name: str) -> None:
    """There is a page that says when an error is raised, and what to do."""
    assert any(f"`~flask_wepay.errors.{name}`" in text for text in TEXT.values())


def test_every_error_has_its_remedy() -> None:
    """The page on errors has a row for each error, which says what to do."""
    rows = re.findall(
        r"^   \* - :exc:`~flask_wepay\.errors\.(\w+)`\n     - .+\n     - .+$",
        TEXT["errors"],
        re.MULTILINE,
    )

    assert sorted([*rows, "WePayError"]) == sorted(errors.__all__)


def _log_messages() -> Iterator[str]:
    """Give the longest literal part of each message that the package logs."""
    for module in sorted(DOCS.with_name("flask_wepay").rglob("*.py")):
        for node in ast.walk(ast.parse(module.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and ast.unparse(node.func.value) == "_logger"
                and node.func.attr != "isEnabledFor"
                and "sandbox" not in module.parts
            ):
                message = ast.literal_eval(node.args[0])
                yield max(re.split(r"%(?:\(\w+\))?[srd]|:\n", message), key=len).strip()


@pytest.mark.parametrize("message", sorted({*_log_messages()}))
def test_every_log_record_is_listed(message: str) -> None:
    """The page on logging has each message of the package."""
    assert message in TEXT["logging"]


def _headings() -> Iterator[str]:
    """The headings of the pages that a failed login may end on."""
    for _, text in texts._ANYWHERE + texts._AT_CALLBACK:
        yield text.heading
    yield from (text.heading for text in (texts._NOBODY, texts._AT_LOGIN, texts._OVER_BUDGET))


def test_every_error_page_is_explained() -> None:
    """The page on troubleshooting has each heading of an error page, and no other."""
    assert set(QUOTED) == set(_headings())


def _public_names() -> Iterator[tuple[str, str]]:
    """Give the module and the name of what the reference has, and of pytest's fixtures."""
    directive = re.compile(r"^\.\. (\w+):: ([\w.]+).*\n((?: +:.*\n)*)", re.MULTILINE)
    module = ""
    for kind, name, options in directive.findall("".join(TEXT[page] for page in REFERENCE)):
        if kind in ("module", "automodule"):
            module = name
            if ":members:" in options:
                yield from ((name, member) for member in importlib.import_module(name).__all__)
        elif kind.startswith("auto"):
            inner, _, last = name.rpartition(".")
            yield inner or module, last
    for fixture in FIXTURES:
        yield "flask_wepay.pytest_plugin", fixture


@pytest.mark.parametrize(("module", "name"), list(_public_names()))
def test_every_public_name_says_since_when(module: str, name: str) -> None:
    """Each class, function, signal and fixture has the version that it came with."""
    home = importlib.import_module(module)
    text = inspect.getdoc(getattr(home, name)) or ""
    if isinstance(getattr(home, name), NamedSignal):
        comment = re.search(rf"((?:^#:.*\n)+){name} = ", inspect.getsource(home), re.MULTILINE)
        text = comment[1] if comment else ""

    assert ".. versionadded:: " in text


def _shown_names() -> Iterator[str]:
    """Give the names that a user of the package may import or request."""
    for module in (flask_wepay, errors, signals, sandbox):
        yield from module.__all__
    yield from (WePayTokenMixin.__name__, "LiveSandbox", *FIXTURES)
    yield from re.findall(r"autoclass:: flask_wepay\.sandbox\.objects\.(\w+)", TEXT["api_sandbox"])


@pytest.mark.parametrize("name", sorted({*_shown_names()}))
def test_every_public_name_has_an_example(name: str) -> None:
    """The reference shows each public name in code that its reader sees."""
    shown = "".join(
        block.text
        for page in REFERENCE
        for block in blocks_of(DOCS / f"{page}.rst")
        if block.language != "run"
    )

    assert re.search(rf"\b{name}\b", shown)


def test_every_fixture_is_in_the_reference() -> None:
    """The reference has a section for each fixture, and for nothing else of that form."""
    sections = re.findall(r"^``(wepay_\w+)``\n-", TEXT["api_testing"], re.MULTILINE)

    assert sorted(sections) == sorted(FIXTURES)


def test_every_object_of_the_sandbox_is_in_the_reference() -> None:
    """The reference has each class of the sandbox's objects that says since when it is there."""
    public = [
        name
        for name, kind in vars(objects).items()
        if inspect.isclass(kind) and ".. versionadded:: " in (kind.__doc__ or "")
    ]
    listed = re.findall(r"autoclass:: flask_wepay\.sandbox\.objects\.(\w+)", TEXT["api_sandbox"])

    assert sorted(listed) == sorted(public)


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.stem)
def test_no_block_is_overlooked(page: Path) -> None:
    """What is marked as code is run: the collector sees every block."""
    marked = len(re.findall(r"^ *\.\. (?:code-block::|run:)", page.read_text(), re.MULTILINE))

    assert len(list(blocks_of(page))) == marked


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tests_are_files(page: Path) -> None:
    """A test that a page shows is a file, so that it runs as its reader runs it."""
    tests = [block for block in blocks_of(page) if re.search(r"(?m)^ *def test_", block.text)]

    assert [test.text for test in tests if not (test.caption or "").startswith("test_")] == []


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
