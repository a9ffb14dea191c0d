"""Worlds that begin with more than the ready-made one, or repeat."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from asking import BILL, CREDENTIALS, REDIRECT_URI, exchange
from click.testing import CliRunner

from flask_wepay.sandbox import Sandbox, Seed, World
from flask_wepay.sandbox.command import sandbox_command
from flask_wepay.sandbox.server import LiveSandbox

ROBIN = "robin@example.org"
CONTENTS: dict[str, Any] = {
    "switches": {"expires_in": 60, "state_on_denial": False},
    "applications": [{"client_id": 77, "client_secret": "mine", "hosts": ["shop.example"]}],
    "users": [{"email": ROBIN, "name": "Robin Birch", "user_id": 100004, "country": "CA"}],
    "tokens": [{"user": ROBIN, "client_id": 77, "access_token": "STAGE_robin"}],
    "accounts": [
        {
            "user": ROBIN,
            "client_id": 77,
            "account_id": 501,
            "name": "Bridge",
            "description": "Steel",
        }
    ],
    "checkouts": [
        {
            "account_id": 501,
            "short_description": "A plank",
            "type": "donation",
            "currency": "CAD",
            "amount": "24.95",
            "state": "captured",
        },
    ],
}


def ask(sandbox: Sandbox, call: str, **arguments: Any) -> Any:
    headers = {"Authorization": "Bearer STAGE_robin"}
    return sandbox.app.test_client().post(f"/v2/{call}", json=arguments, headers=headers).json


def test_seed() -> None:
    """A world begins with what is in its seed, beside the ready-made things."""
    sandbox = Sandbox(World(start=Seed(CONTENTS)))
    (checkout_id,) = sandbox.world.ledger.checkouts

    account = ask(sandbox, "account", account_id=501)
    checkout = ask(sandbox, "checkout", checkout_id=checkout_id)

    assert ask(sandbox, "user")["user_name"] == "Robin Birch"
    assert (account["name"], account["owner_user_id"]) == ("Bridge", 100004)
    assert (checkout["amount"], checkout["state"]) == (24.95, "captured")
    assert sandbox.world.expires_in == 60
    assert sandbox.state_on_denial is False
    assert BILL in sandbox.world.users
    assert 12345 in sandbox.world.applications


def test_ids_of_ones_own() -> None:
    """An id that was chosen by hand is never given to another object."""
    sandbox = Sandbox(World(start=Seed(CONTENTS)))

    made = [sandbox.make_user().user_id for _ in range(3)]

    assert made == [100005, 100006, 100007]
    assert list(sandbox.world.ledger.checkouts) == [100003]


def test_seed_after_a_reset() -> None:
    """A reset begins with the seed again, and with what a function of one's own does."""

    def start(world: World) -> None:
        world.throttled = True
        world.add_user("zoe@example.com")

    seeded = Sandbox(World(start=Seed(CONTENTS)))
    begun = Sandbox(World(start=start))
    for sandbox in (seeded, begun):
        sandbox.world.applications.clear()
        sandbox.world.users.clear()
        sandbox.world.throttled = False

        sandbox.reset()

    assert sorted(seeded.world.applications) == [77, 12345]
    assert ask(seeded, "user")["email"] == ROBIN
    assert begun.world.throttled
    assert begun.world.user_by_email("zoe@example.com")


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        ([], "There are switches, applications, users, tokens, accounts, checkouts, and nothing"),
        ({"user": []}, "There are switches"),
        ({"users": {}}, "users: it must be an array"),
        ({"users": [5]}, r"users\[0\]: .*not iterable"),
        ({"users": [{"email": ROBIN}, {"email": ROBIN}]}, r"users\[1\]: There is a user"),
        ({"users": [{"email": 5}]}, r"users\[0\]: email must be string, not 5"),
        ({"users": [{"mail": "x"}]}, r"users\[0\]: .*unexpected keyword argument 'mail'"),
        ({"switches": {"strickt": True}}, "switches: .*strickt; there are state_on_denial"),
        ({"switches": {"strict": "yes"}}, "switches: strict must be boolean"),
        ({"applications": [{"client_id": "7"}]}, r"applications\[0\]: client_id must be integer"),
        ({"tokens": [{"user": "nobody@example.com"}]}, r"tokens\[0\]: .*no user 'nobody"),
        ({"tokens": [{"user": ["x"]}]}, r"tokens\[0\]: user must be string"),
        (
            {"tokens": [{"user": "bill@example.com", "client_id": 4}]},
            r"tokens\[0\]: .*no application 4",
        ),
        ({"accounts": [{"user": "bill@example.com"}]}, r"accounts\[0\]: .*missing .*'name'"),
        (
            {
                "accounts": [
                    CONTENTS["accounts"][0] | {"user": "bill@example.com", "client_id": 12345}
                ]
                * 2
            },
            r"accounts\[1\]: there is an account 501 already",
        ),
        ({"checkouts": [{"account_id": 4}]}, r"checkouts\[0\]: .*no account 4"),
        (
            CONTENTS | {"checkouts": [CONTENTS["checkouts"][0] | {"amount": "much"}]},
            r"checkouts\[0\]: amount must be number, not 'much'",
        ),
        (
            CONTENTS | {"checkouts": [CONTENTS["checkouts"][0] | {"checkout_id": 5}] * 2},
            r"checkouts\[1\]: there is a checkout 5 already",
        ),
    ],
)
def test_unusable_seed(contents: Any, text: str) -> None:
    """What is wrong with a seed is told with its place."""
    with pytest.raises(ValueError, match=text):
        World(start=Seed(contents))


def test_random_seed() -> None:
    """With a number to begin with, tokens and codes repeat, after a reset too; else never."""

    def happenings(sandbox: Sandbox) -> list[str]:
        code = sandbox.issue_code(REDIRECT_URI)
        return [code, exchange(sandbox, code).json["access_token"], sandbox.issue_token()]

    repeating = Sandbox(World(random_seed=7))
    first = happenings(repeating)
    repeating.reset()

    assert happenings(repeating) == first
    assert happenings(Sandbox(World(random_seed=7))) == first
    assert not {*happenings(Sandbox(World(random_seed=8)))} & {*first}
    assert not {*happenings(Sandbox())} & {*happenings(Sandbox())}


# The command


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the command until it would wait, and give its result and its sandbox."""
    started: list[LiveSandbox] = []
    monkeypatch.setattr(LiveSandbox, "wait", lambda sandbox: started.append(sandbox))

    def run(*arguments: str, given: str = "") -> Any:
        command = ["--port", "0", *arguments]
        return CliRunner().invoke(sandbox_command, command, input=given), started

    return run


def test_command_with_a_seed(run: Any, tmp_path: Path) -> None:
    """The command takes a seed from a file or standard input, and a reset keeps its options."""
    file = tmp_path / "world.json"
    file.write_text(json.dumps(CONTENTS))

    run("--seed", str(file), "--random-seed", "7", "--throttle")
    result, started = run("--seed", "-", given='{"switches": {"strict": true}}')
    run("--strict")
    from_file, from_input, strict = started
    for sandbox in started:
        sandbox.reset()

    assert result.exit_code == 0
    assert from_file.world.user_by_email(ROBIN)
    assert from_file.issue_token() == Sandbox(World(random_seed=7)).issue_token()
    assert (from_file.world.throttled, from_file.world.strict) == (True, False)
    assert (from_input.world.throttled, from_input.world.strict) == (False, True)
    assert strict.world.strict
    assert exchange(strict, "x", **CREDENTIALS).json["error_code"] == 1003


@pytest.mark.parametrize(
    ("given", "text"),
    [("{", "Expecting"), ('{"users": [{"email": 5}]}', "users[0]: email must be string, not 5")],
)
def test_command_with_an_unusable_seed(run: Any, given: str, text: str) -> None:
    """A seed that can't be used is a sentence and exits with 2."""
    result, started = run("--seed", "-", given=given)

    assert result.exit_code == 2
    assert "Invalid value for '--seed'" in result.output
    assert text in result.output
    assert not started
