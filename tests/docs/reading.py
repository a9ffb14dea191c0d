"""Run what a page of the documentation shows, as its reader would.

A page's blocks run in their order, in one namespace. What a reader has around a block but
the page does not show stands before it in a comment of reStructuredText::

    .. run:

       new_app()
"""

from __future__ import annotations

import doctest
import importlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from jinja2 import Environment

from flask_wepay.sandbox import DEFAULT_URL, Sandbox

MakeApp = Callable[..., Flask]
DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.with_name("README.rst")

_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. (?:code-block:: (?P<language>[\w+]+)|(?P<hidden>run:))\n"
    r"(?P<options>(?: +:[\w-]+:.*\n)*)"
    r"(?P<body>(?:\n|(?P=indent) {3,}.*\n)*)",
    re.MULTILINE,
)
#: What runs the tests of other languages.
INTERPRETERS = ("node", "php", "ruby")
_CAPTION = re.compile(r":caption: (.+)")


@dataclass(frozen=True)
class Block:
    """A block of code, and where it stands."""

    page: Path
    line: int
    language: str
    caption: str | None
    text: str

    @property
    def code(self) -> Any:
        """Compile the block so that a traceback points into the page."""
        return compile("\n" * self.line + self.text, str(self.page), "exec", dont_inherit=True)


def blocks_of(page: Path) -> Iterator[Block]:
    """Give a page's blocks in their order."""
    source = page.read_text()
    for match in _BLOCK.finditer(source):
        caption = _CAPTION.search(match["options"])
        line = source.count("\n", 0, match.start("body"))
        text = textwrap.dedent(match["body"]).strip("\n") + "\n"
        line += len(match["body"]) - len(match["body"].lstrip("\n"))
        language = "run" if match["hidden"] else match["language"]
        yield Block(page, line, language, caption and caption[1], text)


class Reader:
    """Somebody who follows a page in an empty directory, with the sandbox in WePay's place."""

    def __init__(
        self,
        directory: Path,
        make_app: MakeApp,
        sandbox: Sandbox,
        monkeypatch: pytest.MonkeyPatch,
        **helpers: Any,
    ) -> None:
        self._directory = directory
        self._make_app = make_app
        self._monkeypatch = monkeypatch
        self._apps: dict[int, Flask] = {}
        self._contexts: list[Any] = []
        self._joined = ExitStack()
        self._unrun: list[Path] = []
        self.namespace: dict[str, Any] = {
            "__name__": "page",
            "new_app": self.new_app,
            "enter": self.enter,
            "leave": self.leave,
            "take": self.take,
            "stage": self.stage,
            "DOCS": DOCS,
            "directory": directory,
            "pytest": pytest,
            "monkeypatch": monkeypatch,
            "sandbox": sandbox,
            "wepay_sandbox": sandbox,
            **helpers,
        }

    def new_app(self, wepay: Any = None, **options: Any) -> Flask:
        """Give the page an application of its own: app, db, wepay, and alice's client."""
        self.leave()
        self.namespace["sandbox"].reset()
        app = self._make_app(wepay, **options)
        app.template_folder = str(self._directory / "templates")
        self.adopt({"app": app, **app.extensions["test"]})
        self._note_apps()
        return app

    def adopt(self, names: dict[str, Any]) -> None:
        """Take names over, and make a browser where there is an application among them."""
        self.namespace |= {name: value for name, value in names.items() if name[:2] != "__"}
        if "app" in names:
            client: FlaskClient = names["app"].test_client()
            with client.session_transaction() as browser:
                browser["user"] = "alice"
            self.namespace["client"] = client

    def enter(self, owner: str = "alice") -> None:
        """Be in a view, as this owner, until the page leaves it."""
        self.leave()
        context = self.namespace["app"].test_request_context("/")
        context.push()
        session["user"] = owner
        self._contexts.append(context)

    def leave(self) -> None:
        """Leave the view."""
        while self._contexts:
            self._contexts.pop().pop()

    def take(self, page: str, *captions: str) -> None:
        """Save files that another page shows, or all of them as the page leaves them."""
        for block in blocks_of(DOCS / f"{page}.rst"):
            if block.caption in captions if captions else block.caption:
                (self._diff if block.language == "diff" else self._save)(block)

    def stage(self) -> Sandbox:
        """Put a sandbox in the place of WePay's stage, for as long as the page is read."""
        stage = Sandbox(url="https://stage.wepayapi.com")
        self._joined.enter_context(stage.joined())
        return stage

    def read(self, block: Block) -> None:
        """Do what a block says."""
        act: Callable[[Block], None] = getattr(
            self, "_" + re.sub(r"\W", "_", block.language), _look
        )
        act(block)

    def finish(self) -> None:
        """Be done with the page, which has shown how to run each test that it shows."""
        assert not self._unrun, f"No command runs {self._unrun}"

    def close(self) -> None:
        """Give connections and the names of modules back."""
        self.leave()
        self._forget()
        self._joined.close()
        for app in self._apps.values():
            if "sqlalchemy" in app.extensions:
                with app.app_context():
                    app.extensions["sqlalchemy"].session.remove()
                    for engine in app.extensions["sqlalchemy"].engines.values():
                        engine.dispose()

    def _note_apps(self) -> None:
        # A page gives one name to several in turn, and each has connections.
        self._apps |= {
            id(value): value for value in self.namespace.values() if isinstance(value, Flask)
        }

    def _run(self, block: Block) -> None:
        self._note_apps()
        exec(block.code, self.namespace)
        self._note_apps()

    def _python(self, block: Block) -> None:
        if block.caption is None:
            self._run(block)
            return
        file = self._save(block)
        if file.name == "conftest.py":
            return
        if file.name.startswith("test_"):
            self._unrun.append(file)
            return
        name = block.caption.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        sys.modules.pop(name, None)
        importlib.invalidate_caches()
        self.adopt(vars(importlib.import_module(name)))

    def _diff(self, block: Block) -> None:
        """Change a file as its reader does, who finds each place by the lines around it."""
        file = self._directory / str(block.caption)
        for hunk in re.split(r"^@@\n", block.text, flags=re.MULTILINE):
            lines = hunk.splitlines(keepends=True)
            before, after = (
                "".join(line[1:] or line for line in lines if line[0] != sign) for sign in "+-"
            )
            assert file.read_text().count(before) == 1, f"{file} does not have once:\n{before}"
            file.write_text(file.read_text().replace(before, after))
        self._forget()

    def _forget(self) -> None:
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", "")).startswith(str(self._directory)):
                del sys.modules[name]

    def _pycon(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(
            block.text, self.namespace, str(block.page), str(block.page), block.line
        )
        runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
        report: list[str] = []
        failed = runner.run(test, out=report.append, clear_globs=False).failed
        assert not failed, "".join(report)
        self.namespace |= test.globs

    def _json(self, block: Block) -> None:
        json.loads(block.text)

    def _html_jinja(self, block: Block) -> None:
        Environment(autoescape=True).parse(block.text)
        if block.caption is not None:
            self._save(block)

    def _console(self, block: Block) -> None:
        for command, expected in _commands(block.text):
            if command.startswith("flask wepay") and "app" in self.namespace:
                self._flask(command, expected)
            elif command == "pytest":
                self._pytest(expected)
            elif command.startswith("python -m flask_wepay.sandbox") and expected:
                _start_sandbox(command, expected)
            elif command.split()[0] in INTERPRETERS:
                self._interpret(command, expected)
            elif command.startswith("export "):
                for assignment in shlex.split(command)[1:]:
                    self._monkeypatch.setenv(*assignment.split("=", 1))

    def _foreign(self, block: Block) -> None:
        # Without a name it is a piece of a page, for a browser.
        if block.caption is not None:
            self._unrun.append(self._save(block))

    _javascript = _php = _ruby = _foreign

    def _interpret(self, command: str, expected: str) -> None:
        program, *arguments = shlex.split(command)
        if shutil.which(program) is None:
            reason = f"There is no {program!r} here."
            pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
        result = subprocess.run(
            [program, *arguments], cwd=self._directory, capture_output=True, text=True, timeout=120
        )
        assert result.returncode == 0, result.stdout + result.stderr
        _compare(command, expected, result.stdout)
        self._unrun.remove(self._directory / arguments[-1])

    def _flask(self, command: str, expected: str) -> None:
        # An entry point brings the commands, and a test's runner does not look at those.
        from flask_wepay.cli import wepay as commands

        runner = self.namespace["app"].test_cli_runner()
        result = runner.invoke(commands, shlex.split(command)[2:])
        _compare(command, expected, result.output)

    def _pytest(self, expected: str) -> None:
        # As the command does, and as "python -m" alone does not, -P leaves the folder out of
        # the path. The page's reader has no plugins, nor any settings, of ours.
        plain = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p no:cacheprovider"}
        result = subprocess.run(
            [sys.executable, "-P", "-m", "pytest", "-q"],
            cwd=self._directory,
            env={k: v for k, v in os.environ.items() if k[:6] != "FLASK_"} | plain,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        _compare("pytest", expected, result.stdout)
        self._unrun.clear()

    def _save(self, block: Block) -> Path:
        file = self._directory / str(block.caption)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text)
        return file


def _look(block: Block) -> None:
    """Pass over what is not code of ours."""


def _start_sandbox(command: str, expected: str) -> None:
    # On any free port: somebody else may have the one that the page shows.
    arguments = [sys.executable, *command.split()[1:], "--port", "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        patience = Timer(60, process.kill)
        patience.start()
        assert process.stdout
        lines = [process.stdout.readline() for _ in expected.splitlines()]
        process.terminate()
        patience.cancel()
    port = DEFAULT_URL.rpartition(":")[2]
    _compare(command, expected, re.sub(r"(?<=//127\.0\.0\.1:)\d+", port, "".join(lines)))


def _commands(text: str) -> Iterator[tuple[str, str]]:
    """Give each command after a prompt, and the output that is shown below it."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        lines = part.replace("\\\n", "").split("\n", 1)
        yield lines[0], (lines[1] if len(lines) > 1 else "").strip("\n")


def _compare(command: str, expected: str, output: str) -> None:
    if expected:
        same = doctest.OutputChecker().check_output(
            expected.strip() + "\n",
            output.strip() + "\n",
            doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
        )
        assert same, f"$ {command}\n{output}\ninstead of\n{expected}"
