"""``flask wepay`` itself: its help, its errors, and what it loads."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import FlaskGroup

from flask_wepay import WePay
from flask_wepay.cli import wepay as commands
from flask_wepay.errors import ConfigurationError
from flask_wepay.sandbox import Sandbox

Run = Callable[..., Result]

NAMES = [
    "call",
    "callback-uri",
    "check",
    "forget",
    "generate-key",
    "prune",
    "rotate-keys",
    "sandbox",
    "tokens",
]


def test_names(run: Run) -> None:
    """The help lists every command with a sentence that is not cut off."""
    result = run("--help")

    listed = result.output.partition("Commands:\n")[2].splitlines()
    assert [line.split()[0] for line in listed] == NAMES
    assert [line for line in listed if not line.endswith(".") or line.endswith("...")] == []


@pytest.mark.parametrize("name", NAMES)
def test_help(run: Run, name: str) -> None:
    """Every command and every option explains itself, within 80 columns."""
    result = run(name, "--help")

    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: wepay {name}")
    assert max(map(len, result.output.splitlines())) <= 80
    command = commands.commands[name]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help


def test_own_runner(app: Flask) -> None:
    """An application's own runner finds the commands too, their help and their errors."""
    runner = app.test_cli_runner()

    assert runner.invoke(args=["wepay", "--help"]).output.count("\n  prune ") == 1
    assert runner.invoke(args=["wepay", "prune"]).exit_code == 0
    unknown = runner.invoke(args=["wepay", "call", "user", "--owner", "nobody"])
    assert (unknown.exit_code, type(unknown.exception)) == (1, SystemExit)
    assert "Error: Owner 'nobody'" in unknown.stderr


def test_own_command_of_the_name() -> None:
    """An application's own command "wepay" stays in its own runner."""
    app = Flask("own")
    app.config.update(SECRET_KEY="a secret key", WEPAY_ENVIRONMENT="sandbox")
    app.cli.command("wepay")(lambda: click.echo("my own"))
    WePay(app)

    assert app.test_cli_runner().invoke(args=["wepay"]).output == "my own\n"


def test_entry_point() -> None:
    """Flask finds the commands by itself, and those that need no application work without."""
    [entry_point] = [e for e in entry_points(group="flask.commands") if e.name == "wepay"]

    result = CliRunner().invoke(FlaskGroup(), ["wepay", "generate-key"])

    assert entry_point.load() is commands
    assert result.exit_code == 0


def test_imports() -> None:
    """The commands load neither SQLAlchemy nor the sandbox before they need them."""
    code = (
        "import sys, flask_wepay.cli;"
        "print([m for m in sys.modules if m.startswith(('sqlalchemy', 'flask_wepay.sandbox'))])"
    )

    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout

    assert output == "[]\n"


@pytest.mark.parametrize(
    "args", [["bogus"], ["tokens", "--bogus"], ["forget"], ["prune", "--days=x"]]
)
def test_wrong_usage(run: Run, args: list[str]) -> None:
    """What can't be understood exits with 2."""
    result = run(*args)

    assert result.exit_code == 2
    assert "Error: " in result.stderr


@pytest.mark.parametrize("name", ["tokens", "prune", "rotate-keys", "check"])
def test_no_extension(wepay_sandbox: Sandbox, name: str) -> None:
    """An application without Flask-WePay is told so, and what it may have forgotten."""
    result = Flask("plain").test_cli_runner().invoke(commands, [name])

    assert result.exit_code == 2
    assert "Did you forget to call 'init_app' on it?" in result.stderr


def test_application_that_does_not_load(make_app: Any) -> None:
    """A wrong setting, which keeps the application from loading, is a sentence and 2."""
    group = FlaskGroup(create_app=lambda: make_app(WEPAY_TIMEOUT=-1))

    result = CliRunner().invoke(group, ["wepay", "tokens"])

    assert result.exit_code == 2
    assert result.stderr.startswith("Error: 'WEPAY_TIMEOUT' is -1")
    with pytest.raises(ConfigurationError):
        make_app(WEPAY_TIMEOUT=-1)


@pytest.mark.parametrize("kind", ["hooks", "merchant", "missing"])
@pytest.mark.parametrize(
    "args",
    [
        ["tokens"],
        ["tokens", "--verify"],
        ["prune"],
        ["rotate-keys"],
        ["callback-uri", "--all"],
    ],
    ids=" ".join,
)
def test_commands_about_the_table(
    run: Run, without_table: dict[str, tuple[Flask, str]], kind: str, args: list[str]
) -> None:
    """Without a token table the commands about it exit with 2 and say where tokens are."""
    app, where = without_table[kind]

    result = run(*args, app=app)

    assert result.exit_code == 2
    assert where in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "args",
    [
        ["tokens"],
        ["tokens", "--verify"],
        ["tokens", "--json"],
        ["call", "user", "--owner", "alice"],
        ["forget", "alice", "--yes"],
        ["prune"],
        ["rotate-keys"],
        ["callback-uri", "--all"],
    ],
    ids=" ".join,
)
def test_database_away(run: Run, make_app: Any, args: list[str]) -> None:
    """With the database away every command says so and exits with 1."""
    app = make_app(WEPAY_CALLBACK_URI="https://hooks.example/in")
    with app.app_context():
        app.extensions["test"]["db"].drop_all()

    result = run(*args, app=app)

    assert result.exit_code == 1
    assert "Error: The token table can't be used right now" in result.stderr


@pytest.mark.parametrize(
    "args",
    [
        ["tokens", "--verify"],
        ["call", "user", "--owner", "alice"],
        ["callback-uri", "--all"],
    ],
    ids=" ".join,
)
def test_wepay_away(
    run: Run, make_app: Any, connect: Any, wepay_sandbox: Sandbox, args: list[str]
) -> None:
    """With WePay away what asks it says so and exits with 1."""
    app = make_app(WEPAY_CALLBACK_URI="https://hooks.example/in")
    connect("alice", app=app)
    wepay_sandbox.unreachable = True

    result = run(*args, app=app)

    assert result.exit_code == 1
    assert "Error: WePay can't be reached for" in result.stderr
