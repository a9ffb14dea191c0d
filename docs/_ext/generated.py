"""Directives for what the code knows best: the settings and the sandbox's answers.

``.. setting:: WEPAY_TIMEOUT`` describes a setting and adds its default.
``.. settings-table::`` lists all of them, and the build fails where one has no description.
``.. commands::`` shows what each command of ``flask wepay`` says of itself.
``.. sandbox-answers::`` lists every error that the sandbox gives.
``.. sandbox-actions::`` lists what the sandbox's control API does, with all arguments.
``.. sandbox-views::`` lists what that API shows.
``.. sandbox-calls::`` lists the calls that the sandbox has, with ``:others:`` those it has not.
``.. repeated-calls::`` lists the calls that are made again where an answer was lost.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeVar

import click
from docutils import nodes
from docutils.parsers.rst import directives
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import stringify_annotation

from flask_wepay import extension
from flask_wepay.api.calls import LOOKUPS_REPEATED
from flask_wepay.cli import wepay
from flask_wepay.sandbox.answers import ANSWERS, OTHER_ENVIRONMENT, Answer
from flask_wepay.sandbox.calls import CALLS, OTHER_CALLS, Call
from flask_wepay.sandbox.command import sandbox_command
from flask_wepay.sandbox.control import ACTIONS, VIEWS, Action
from flask_wepay.settings import DEFAULTS

_DESCRIBED = re.compile(
    r"^\.\. setting:: (\w+)\n(?: +:default: (.+)\n)?(?: +:\w+: .+\n)*\n +(.+)$", re.MULTILINE
)


def described(source: Path) -> dict[str, tuple[str, str]]:
    """Return each described setting's default and first sentence, in the page's order."""
    return {
        key: (default or f"``{DEFAULTS.get(key)!r}``".replace("'", '"'), sentence)
        for key, default, sentence in _DESCRIBED.findall(source.read_text())
    }


class _Generated(SphinxDirective):
    """A directive that writes reStructuredText."""

    def parse(self, lines: Iterable[str]) -> list[nodes.Node]:
        container = nodes.container()
        text = StringList(list(lines), source=self.get_source_info()[0])
        self.state.nested_parse(text, self.content_offset, container, match_titles=True)
        return container.children


class Setting(_Generated):
    """Describe a setting: its type, an example and its page; the default comes from the code."""

    required_arguments = 1
    has_content = True
    option_spec = {"default": str, "type": str, "example": str, "see": str}

    def run(self) -> list[nodes.Node]:
        """Write it."""
        key = self.arguments[0]
        if key not in DEFAULTS:
            raise self.error(f"{key!r} is no setting: flask_wepay.settings.DEFAULTS lacks it.")
        default = self.options.get("default", f"``{DEFAULTS[key]!r}``".replace("'", '"'))
        if missing := {"type", "example", "see"} - self.options.keys():
            raise self.error(f"{key} lacks {sorted(missing)}.")
        indented = [f"   {line}" for line in self.content]
        example = f"   Example: ``{key} = {self.options['example']}``."
        return self.parse(
            [
                f".. confval:: {key}",
                f"   :type: {self.options['type']}",
                f"   :default: {default}",
                "",
                *indented,
                "",
                f"{example} See {self.options['see']}.",
                "",
            ]
        )


class SettingsTable(_Generated):
    """List the settings, each with its default and the first sentence about it."""

    def run(self) -> list[nodes.Node]:
        """Write it."""
        texts = described(Path(self.env.doc2path(self.env.docname)))
        if texts.keys() != DEFAULTS.keys():
            raise self.error(f"No description: {sorted(DEFAULTS.keys() - texts.keys())}")
        rows = [
            (f":confval:`{key}`", default, sentence) for key, (default, sentence) in texts.items()
        ]
        return self.parse(_table(("Key", "Default", "Meaning"), rows))


class Commands(_Generated):
    """Show the help of every command, as a terminal of 80 columns does."""

    def run(self) -> list[nodes.Node]:
        """Write it."""
        group = click.Context(wepay, info_name="flask wepay")
        lines = []
        for name in wepay.list_commands(group):
            # The sandbox's options are those of a command that is imported late.
            command = sandbox_command if name == "sandbox" else wepay.get_command(group, name)
            context = click.Context(command, group, name, terminal_width=80)
            title = f"flask wepay {name}"
            lines += [f".. _command-{name}:", "", title, "~" * len(title), ""]
            lines += [".. code-block:: text", ""]
            lines += [f"   {line}" for line in command.get_help(context).splitlines()] + [""]
        return self.parse(lines)


class SandboxAnswers(_Generated):
    """List what the sandbox refuses calls with, and how each line is known."""

    def run(self) -> list[nodes.Node]:
        """Write it."""
        rows = [
            (
                str(answer.error_code),
                answer.meaning,
                str(answer.status),
                f"``{answer.error}``",
                answer.error_description,
                _known_how(answer),
            )
            for answer in sorted(
                [*ANSWERS.values(), OTHER_ENVIRONMENT], key=attrgetter("error_code")
            )
        ]
        head = ("error_code", "Meaning", "Status", "error", "error_description", "Known how")
        return self.parse(_table(head, rows))


class SandboxActions(_Generated):
    """List the actions of the control API: what each does, takes and answers."""

    def run(self) -> list[nodes.Node]:
        """Write it."""
        lines = [".. list-table::", "   :header-rows: 1", "   :class: stacked", ""]
        lines += ["   * - Action", "     - What it does, and its arguments", "     - Its answer"]
        for name, action in ACTIONS.items():
            lines += [f"   * - ``{name}``", f"     - {_as_text(action.does)}", ""]
            lines += [f"       - {argument}" for argument in _arguments(action)]
            lines += ["", f"     - {action.shown}"]
        return self.parse([*lines, ""])


class SandboxViews(_Generated):
    """List what the control API shows."""

    def run(self) -> list[nodes.Node]:
        """Write it."""
        return self.parse([", ".join(f"``{name}``" for name in VIEWS) + ".", ""])


class SandboxCalls(_Generated):
    """List the calls of the sandbox as they are declared, or those that it has not."""

    option_spec = {"others": directives.flag}

    def run(self) -> list[nodes.Node]:
        """Write it."""
        if "others" in self.options:
            calls = [f"``/{name}``" for name in sorted(OTHER_CALLS)]
            return self.parse([", ".join(calls) + ".", ""])
        return self.parse([line for _, called in sorted(CALLS.items()) for line in _entry(called)])


def _entry(called: Call) -> list[str]:
    """Return the entry of a call; the arguments that are required are bold."""
    arguments = [
        f"{f'**{argument.name}**' if argument.required else argument.name} ({argument.kind.name})"
        for argument in called.arguments
    ]
    credentials = ", ".join(argument.name for argument in called.credentials)
    sent_with = " or ".join(filter(None, [called.permission, credentials]))
    answer = f"an array, each {called.answer.name}" if called.many else called.answer.name
    return [
        f"``/{called.name}``",
        f"   {called.summary}",
        "",
        f"   | Arguments: {', '.join(arguments) or 'none'}",
        f"   | Sent with: {sent_with}",
        f"   | Answer: {answer}",
        f"   | Its own errors: {', '.join(map(str, called.errors)) or 'none'}",
        "",
    ]


class RepeatedCalls(_Generated):
    """List the look-ups that are repeated."""

    def run(self) -> list[nodes.Node]:
        """Write it."""
        calls = [f"``{call}``" for call in sorted(LOOKUPS_REPEATED)]
        return self.parse([", ".join(calls) + ".", ""])


def _arguments(action: Action) -> Iterable[str]:
    docstring = inspect.getdoc(action.method) or ""
    texts = dict(re.findall(r"^:param (\w+): ((?:.|\n +)+)", docstring, re.MULTILINE))
    for name, (kind, default) in action.arguments.items():
        written = "" if default is inspect.Parameter.empty else f" = ``{json.dumps(default)}``"
        text = _as_text(" ".join(texts.get(name, "").split()).rstrip("."))
        yield f"``{name}``: {kind}{written}{': ' + text if text else ''}"


def _as_text(text: str) -> str:
    # What a docstring refers to is an action's name here.
    return re.sub(r":\w+:`(\w+)`", r"``\1``", text)


def _known_how(answer: Answer) -> str:
    others = {"status": answer.status_source, "error": answer.error_source}
    differ = [f"{part} {source}" for part, source in others.items() if source != answer.source]
    return "; ".join([answer.source, *differ])


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", "   :class: stacked", ""]
    for row in [head, *rows]:
        lines += [f"   {'* -' if not index else '  -'} {cell}" for index, cell in enumerate(row)]
    return [*lines, ""]


def draw_errors(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Keep the tree in the docstring of the errors as it is drawn."""
    if name == "flask_wepay.errors":
        lines[1:] = ["", ".. code-block:: text", "", *(f"    {line}" for line in lines[2:])]


def draw_hooks(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, None] | None:
    """Show what a hook is, not the name of the type variable that stands for it."""
    kind = vars(extension).get(str(returns).rpartition(".")[2])
    if not isinstance(kind, TypeVar):
        return None
    hook = stringify_annotation(kind.__bound__, "smart").replace("~collections.abc.", "")
    return f"(function: {hook})", None


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directives."""
    app.add_directive("setting", Setting)
    app.add_directive("settings-table", SettingsTable)
    app.add_directive("repeated-calls", RepeatedCalls)
    app.add_directive("commands", Commands)
    app.add_directive("sandbox-answers", SandboxAnswers)
    app.add_directive("sandbox-calls", SandboxCalls)
    app.add_directive("sandbox-actions", SandboxActions)
    app.add_directive("sandbox-views", SandboxViews)
    app.connect("autodoc-process-docstring", draw_errors)
    app.connect("autodoc-process-signature", draw_hooks)
    return {"parallel_read_safe": True}
