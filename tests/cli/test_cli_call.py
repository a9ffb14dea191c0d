"""``flask wepay call``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from flask_wepay.sandbox import Sandbox

Run = Callable[..., Result]
BILL = 100001


@pytest.fixture(autouse=True)
def connected(connect: Any) -> str:
    """Alice has connected Bill."""
    return connect("alice", BILL)


def test_answer(run: Run) -> None:
    """The answer is printed as JSON and nothing else, so that a program can read it."""
    result = run("call", "user", "--owner", "alice")

    assert result.exit_code == 0
    assert json.loads(result.stdout)["email"] == "bill@example.com"
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x=1", 1),
        ('x="1"', "1"),
        ("x=1.5", 1.5),
        ("x=true", True),
        ("x=null", None),
        ('x={"a": [1]}', {"a": [1]}),
        ("x=Bill Baker", "Bill Baker"),
        ("x=", ""),
        ("x=a=b", "a=b"),
        ("x=007", "007"),
        ("x=" + "[" * 5000, "[" * 5000),
    ],
)
def test_values(run: Run, wepay_sandbox: Sandbox, text: str, value: object) -> None:
    """A value is JSON where it can be, else text."""
    wepay_sandbox.answer_next("account/find", body=[])

    run("call", "account/find", "--owner", "alice", text)

    assert wepay_sandbox.last("account/find").json == {"x": value}


def test_file(run: Run, wepay_sandbox: Sandbox, tmp_path: Path) -> None:
    """Parameters come from a file, and those given beside it win."""
    file = tmp_path / "parameters.json"
    file.write_text('{"name": "Shop", "reference_id": "1"}')

    result = run("call", "account/find", "--owner", "alice", "name=Mill", "--json", str(file))

    assert result.exit_code == 0
    assert wepay_sandbox.last("account/find").json == {"name": "Mill", "reference_id": "1"}


def test_stdin(run: Run, wepay_sandbox: Sandbox) -> None:
    """Parameters come from stdin too."""
    run("call", "account/find", "--owner", "alice", "--json", "-", typed='{"name": "Shop"}')

    assert wepay_sandbox.last("account/find").json == {"name": "Shop"}


@pytest.mark.parametrize(
    ("args", "typed", "message"),
    [
        (["user"], None, "Missing option '--owner'"),
        (["https://evil.example/", "--owner", "alice"], None, "is not the name of a call"),
        (["User", "--owner", "alice"], None, "is not the name of a call"),
        (["user", "--owner", "\udcff"], None, "has characters that a database can't store"),
        (["user", "--owner", "alice", "x"], None, "'x' is not a parameter: write KEY=VALUE"),
        (["user", "--owner", "alice", "=x"], None, "'=x' is not a parameter"),
        (["user", "--owner", "alice", "access_token=x"], None, "'access_token'"),
        (["user", "--owner", "alice", "x=NaN"], None, "can't be encoded as JSON"),
        (["user", "--owner", "alice", "--json", "-"], "{", "is not JSON"),
        (["user", "--owner", "alice", "--json", "-"], "[" * 100_000, "is not JSON"),
        (["user", "--owner", "alice", "--json", "-"], "[1]", "is not a JSON object"),
        (["user", "--owner", "alice", "--json", "/nowhere"], None, "No such file"),
    ],
)
def test_wrong_usage(
    run: Run, wepay_sandbox: Sandbox, args: list[str], typed: str | None, message: str
) -> None:
    """What can't be sent exits with 2, and nothing is sent."""
    result = run("call", *args, typed=typed)

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert len(wepay_sandbox.log) == 0


def test_refusal(run: Run) -> None:
    """WePay's refusal is a sentence on stderr and exits with 1."""
    result = run("call", "checkout", "--owner", "alice", "checkout_id=1")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("Error: WePay refused 'checkout' with error_code ")


def test_echoed_secrets(run: Run, wepay_sandbox: Sandbox, connected: str) -> None:
    """Should WePay echo a secret, or an escape sequence, the terminal does not show it."""
    text = f"\x1b[31m{connected} {wepay_sandbox.client_secret}"
    body = {"error": "x", "error_code": 1003, "error_description": text}
    wepay_sandbox.answer_next("user", status=400, body=body)

    result = run("call", "user", "--owner", "alice")

    assert "\\x1b[31m[redacted] [redacted]" in result.stderr


def test_answer_with_secrets(run: Run, wepay_sandbox: Sandbox) -> None:
    """A token and our own signature are cut out of an answer, wherever they are."""
    uri = "https://x.example/ipn?a=1&wepay_signature=SIGNED&b=2"
    body = {"access_token": "STAGE_x", "of": [{"access_token": "STAGE_y"}], "callback_uri": uri}
    wepay_sandbox.answer_next("user", body=body)

    result = run("call", "user", "--owner", "alice")

    assert json.loads(result.stdout) == {
        "access_token": "[redacted]",
        "of": [{"access_token": "[redacted]"}],
        "callback_uri": "https://x.example/ipn?a=1&wepay_signature=[redacted]&b=2",
    }


def test_nobody(run: Run) -> None:
    """An owner who is not connected is a sentence and 1."""
    result = run("call", "user", "--owner", "nobody")

    assert result.exit_code == 1
    assert "Error: Owner 'nobody': The owner is not connected" in result.stderr


def test_revoked(run: Run, wepay_sandbox: Sandbox, told: list[Any]) -> None:
    """A revoked token exits with 1, and is marked and told as in any call."""
    wepay_sandbox.revoke(BILL)

    result = run("call", "user", "--owner", "alice")

    assert result.exit_code == 1
    assert told == [("alice", BILL, "revoked")]


def test_unreadable(run: Run, app: Flask, make_app: Any, tmp_path: Path, connect: Any) -> None:
    """A token that no key opens exits with 1 and names the likeliest mistake."""
    uri = f"sqlite:///{tmp_path}/db.sqlite"
    connect("alice", BILL, app=make_app(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY="an old key"))
    app = make_app(SQLALCHEMY_DATABASE_URI=uri, SECRET_KEY="another key")

    result = run("call", "user", "--owner", "alice", app=app)

    assert result.exit_code == 1
    assert "without the old key among the fallbacks" in result.stderr


def test_hooks(run: Run, without_table: dict[str, tuple[Flask, str]], connect: Any) -> None:
    """With token hooks calls are made as well."""
    app, _ = without_table["hooks"]
    connect("alice", BILL, app=app)

    result = run("call", "user", "--owner", "alice", app=app)

    assert json.loads(result.stdout)["user_id"] == BILL


def test_missing_store(run: Run, without_table: dict[str, tuple[Flask, str]]) -> None:
    """Without any store it exits with 2 and says what was forgotten."""
    app, where = without_table["missing"]

    result = run("call", "user", "--owner", "alice", app=app)

    assert result.exit_code == 2
    assert where in result.stderr


def test_merchant(run: Run, make_app: Any, wepay_sandbox: Sandbox) -> None:
    """A merchant's own token needs no owner."""
    from flask_wepay import WePay

    app = make_app(WePay(), WEPAY_ACCESS_TOKEN=wepay_sandbox.issue_token(BILL))

    result = run("call", "user", app=app)

    assert json.loads(result.stdout)["user_id"] == BILL


def test_revoked_merchant(run: Run, make_app: Any, wepay_sandbox: Sandbox) -> None:
    """A merchant's own token that was revoked is a sentence that names the setting, and 1."""
    from flask_wepay import WePay

    app = make_app(WePay(), WEPAY_ACCESS_TOKEN=wepay_sandbox.issue_token(BILL))
    wepay_sandbox.revoke(BILL)

    result = run("call", "user", app=app)

    assert result.exit_code == 1
    assert "'WEPAY_ACCESS_TOKEN'" in result.stderr
    assert "Owner" not in result.stderr
