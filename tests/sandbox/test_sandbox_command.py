"""The command that runs the sandbox."""

from __future__ import annotations

import runpy
import socket

import pytest
from click.testing import CliRunner

from flask_wepay.sandbox.command import sandbox_command
from flask_wepay.sandbox.server import LiveSandbox


@pytest.fixture
def runner() -> CliRunner:
    return CliRunner()


def test_run_until_interrupted(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says where it is and how to use it, and ends quietly on Ctrl-C."""
    ran: list[LiveSandbox] = []

    def interrupt(sandbox: LiveSandbox) -> None:
        ran.append(sandbox)
        raise KeyboardInterrupt

    monkeypatch.setattr(LiveSandbox, "wait", interrupt)

    options = ["--port", "0", "--throttle", "--production", "--name", "wepay"]
    result = runner.invoke(sandbox_command, options)

    (sandbox,) = ran
    assert result.exit_code == 0
    assert f"The WePay sandbox is at {sandbox.url}" in result.output
    assert "client_id 12345, client_secret 1a2b3c4d5e6f" in result.output
    assert sandbox.world.throttled
    assert sandbox.world.environment == "production"
    browser = sandbox.app.test_client()
    assert browser.get("/", headers={"Host": "wepay:8010"}).status_code == 200


def test_run_until_stopped(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends when it is stopped."""
    monkeypatch.setattr(LiveSandbox, "_keep_delivering", lambda sandbox: sandbox._stopped.set())

    result = runner.invoke(sandbox_command, ["--port", "0"])

    assert result.exit_code == 0


@pytest.mark.parametrize(("options", "strict"), [([], False), (["--strict"], True)])
def test_strict(
    runner: CliRunner, monkeypatch: pytest.MonkeyPatch, options: list[str], strict: bool
) -> None:
    """Any client may come to the command's sandbox, so it is strict only where that is wanted."""
    ran: list[LiveSandbox] = []
    monkeypatch.setattr(LiveSandbox, "wait", lambda sandbox: ran.append(sandbox))

    runner.invoke(sandbox_command, ["--port", "0", *options])

    assert [sandbox.world.strict for sandbox in ran] == [strict]


def test_busy_port(runner: CliRunner) -> None:
    """A port that is in use is one line, and exit code 1."""
    with LiveSandbox() as other:
        port = other.url.rpartition(":")[2]
        result = runner.invoke(sandbox_command, ["--port", port])

    assert result.exit_code == 1
    assert result.output == f"Error: Port {port} of 127.0.0.1 is in use. Try --port.\n"


def test_forbidden_port(runner: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that can't be used for another reason says so."""

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)

    result = runner.invoke(sandbox_command, ["--port", "80"])

    assert result.exit_code == 1
    assert "can't be used" in result.output


def test_module(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """``python -m flask_wepay.sandbox`` is the command."""
    monkeypatch.setattr("sys.argv", ["sandbox", "--help"])

    with pytest.raises(SystemExit) as ended:
        runpy.run_module("flask_wepay.sandbox", run_name="__main__")

    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("Usage: python -m flask_wepay.sandbox")


def test_stop_without_start() -> None:
    """Stopping what never ran is nothing."""
    LiveSandbox().stop()
