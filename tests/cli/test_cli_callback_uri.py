"""``flask wepay callback-uri``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from flask import Flask

from flask_wepay.sandbox import Sandbox

Run = Callable[..., Result]
BILL = 100001
HOOKS = "https://hooks.example/in"


@pytest.fixture
def app(make_app: Any) -> Flask:
    return make_app(WEPAY_CALLBACK_URI=HOOKS)


def addresses(sandbox: Sandbox) -> list[str]:
    return [(token.callback_uri or "").partition("?")[0] for token in sandbox.world.tokens.values()]


def test_all(run: Run, app: Flask, connect: Any, wepay_sandbox: Sandbox) -> None:
    """Every connected user's address is set, each with a signature that causes a look-up."""
    connect("alice", BILL)
    for i in range(59):
        connect(f"owner{i}")

    result = run("callback-uri", "--all")

    assert result.exit_code == 0
    assert result.stdout == "Set for 60 users; 0 had it already, 0 no longer connected.\n"
    assert "Setting callback_uri" in result.stderr
    assert addresses(wepay_sandbox) == [HOOKS] * 60
    # 50 users a request, and as many requests to ask as to set.
    assert wepay_sandbox.count("batch/create") == 4
    [token] = wepay_sandbox.revoke(BILL)
    query = (token.callback_uri or "").partition("?")[2]
    assert app.test_client().post(f"/wepay/ipn?{query}", data={"user_id": BILL}).status_code == 200
    with app.app_context():
        assert app.extensions["wepay"].store.find("alice").ended == "revoked"


def test_again(run: Run, connect: Any, wepay_sandbox: Sandbox) -> None:
    """Running it again asks, and sets nothing that is set already."""
    connect("alice", BILL)
    run("callback-uri", "--all")

    result = run("callback-uri", "--all")

    assert result.stdout == "Set for 0 users; 1 had it already, 0 no longer connected.\n"
    assert wepay_sandbox.count("batch/create") == 3


def test_interrupted(run: Run, connect: Any, wepay_sandbox: Sandbox) -> None:
    """Where WePay went away in between, running it again goes on where it stopped."""
    for i in range(60):
        connect(f"owner{i}")
    failing = [None, None, {"status": 500}]
    for fault in failing:
        if fault is None:
            wepay_sandbox.delay_next("batch/create", 0)
        else:
            wepay_sandbox.answer_next("batch/create", **fault)

    first = run("callback-uri", "--all")
    half = addresses(wepay_sandbox).count(HOOKS)
    second = run("callback-uri", "--all")

    assert first.exit_code == 1
    assert "Error: WePay failed at 'batch/create'" in first.stderr
    assert half == 50
    assert second.exit_code == 0
    assert second.stdout == "Set for 10 users; 50 had it already, 0 no longer connected.\n"


def test_changed_address(
    run: Run, make_app: Any, connect: Any, wepay_sandbox: Sandbox, tmp_path: Path
) -> None:
    """A new address, or a new key, is set where another one was."""
    uri = f"sqlite:///{tmp_path}/db.sqlite"
    old = {"SQLALCHEMY_DATABASE_URI": uri, "SECRET_KEY": "old key"}
    new = {**old, "SECRET_KEY": "new key", "SECRET_KEY_FALLBACKS": ["old key"]}
    connect("alice", BILL, app=make_app(**old))
    results = [
        run("callback-uri", "--all", app=make_app(**config)).stdout.split(";")[0]
        for config in (
            {**old, "WEPAY_CALLBACK_URI": HOOKS},
            {**old, "WEPAY_CALLBACK_URI": HOOKS},
            {**old, "WEPAY_REDIRECT_URI": "https://shop.example/wepay/callback"},
            {**new, "WEPAY_REDIRECT_URI": "https://shop.example/wepay/callback"},
        )
    ]

    assert results == ["Set for 1 user", "Set for 0 users", "Set for 1 user", "Set for 1 user"]
    assert addresses(wepay_sandbox) == ["https://shop.example/wepay/ipn"]


def test_no_longer_connected(
    run: Run, connect: Any, wepay_sandbox: Sandbox, told: list[Any], rows: Any
) -> None:
    """A user whom WePay says is gone is marked and told, as in any call."""
    connect("alice", BILL)
    wepay_sandbox.revoke(BILL)

    result = run("callback-uri", "--all")

    assert result.exit_code == 0
    assert result.stdout == "Set for 0 users; 0 had it already, 1 no longer connected.\n"
    assert told == [("alice", BILL, "revoked")]
    assert rows()[0].reason == "revoked"


def batch(*responses: object) -> dict[str, Any]:
    return {
        "body": {
            "calls": [
                {"call": "/user", "reference_id": str(i), "response": response}
                for i, response in enumerate(responses)
            ]
        }
    }


REFUSAL = {"error": "x", "error_code": 1010, "error_description": "not permitted"}


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([batch(REFUSAL)], id="asking"),
        pytest.param([batch({"callback_uri": ""}), batch(REFUSAL)], id="setting"),
        pytest.param([batch([]), batch(REFUSAL)], id="odd-answer"),
    ],
)
def test_refused(
    run: Run, connect: Any, wepay_sandbox: Sandbox, rows: Any, answers: list[dict[str, Any]]
) -> None:
    """What WePay refuses is said by owner, keeps the row, and exits with 1."""
    connect("ali\x1bce", BILL)
    for answer in answers:
        wepay_sandbox.answer_next("batch/create", **answer)

    result = run("callback-uri", "--all")

    assert result.exit_code == 1
    assert result.stdout == "Set for 0 users; 0 had it already, 0 no longer connected.\n"
    assert "ali\\x1bce: WePay refused" in result.stderr
    assert "Error: WePay refused it for 1 user." in result.stderr
    assert rows()[0].revoked_at is None


@pytest.mark.parametrize(
    ("args", "config", "message"),
    [
        ([], {"WEPAY_CALLBACK_URI": HOOKS}, "Pass '--all'"),
        (["--all"], {"WEPAY_CALLBACK_URI": False}, "No IPN can reach this application"),
        (
            ["--all"],
            {"WEPAY_CALLBACK_URI": HOOKS + "x" * 2040},
            "No IPN can reach this application",
        ),
        (["--all"], {}, "set 'WEPAY_CALLBACK_URI', 'WEPAY_REDIRECT_URI'"),
    ],
)
def test_wrong_usage(
    run: Run,
    make_app: Any,
    wepay_sandbox: Sandbox,
    args: list[str],
    config: dict[str, Any],
    message: str,
) -> None:
    """Without --all, or an address to set, it exits with 2 and asks nothing."""
    result = run("callback-uri", *args, app=make_app(**config))

    assert result.exit_code == 2
    assert message in result.stderr
    assert len(wepay_sandbox.log) == 0
