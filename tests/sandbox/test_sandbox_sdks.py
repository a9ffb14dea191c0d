"""Clients that others wrote go through a platform's whole story, and none of it is made up here."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from asking import BILL, CARD, CREDENTIALS, REDIRECT_URI, SCOPE, authorize_url

from flask_wepay.sandbox import Sandbox
from flask_wepay.sandbox.server import LiveSandbox

#: Where "make" puts them, beside the environment's packages.
PYTHON_WEPAY = Path(sys.prefix) / "python-wepay"
NODE_MODULES = Path(sys.prefix) / "npm" / "node_modules"

Calling = Callable[..., Any]


def tell_story(sandbox: Sandbox, call: Calling) -> None:
    """Log in, take payments by card and by page, give one back, call one off, lose the token."""
    code = parse_qs(urlsplit(sandbox.authorize(authorize_url(sandbox))).query)["code"][0]
    token = call("/oauth2/token", {**CREDENTIALS, "redirect_uri": REDIRECT_URI, "code": code})
    assert call("/user", {}, token["access_token"])["user_id"] == BILL
    assert call("/app", CREDENTIALS)["state"] == "active"
    account = call("/account/create", {"name": "Garden", "description": "Seeds"})
    account_id = {"account_id": account["account_id"]}
    card = call("/credit_card/create", CARD)
    payment = {
        **account_id,
        "short_description": "A bench",
        "type": "goods",
        "amount": 20,
        "currency": "USD",
    }
    method = {"id": card["credit_card_id"], "auto_capture": False}
    by_card = {"payment_method": {"type": "credit_card", "credit_card": method}}
    paid = {"checkout_id": call("/checkout/create", payment | by_card)["checkout_id"]}
    call("/checkout/capture", paid)
    refunded = call("/checkout/refund", {**paid, "refund_reason": "Rain"})
    hosted = call("/checkout/create", payment | {"hosted_checkout": {"redirect_uri": REDIRECT_URI}})
    back = sandbox.pay_at(hosted["hosted_checkout"]["checkout_uri"])
    reason = {"cancel_reason": "Sun"}
    cancelled = call("/checkout/cancel", {"checkout_id": hosted["checkout_id"], **reason})

    assert (refunded["state"], cancelled["state"]) == ("refunded", "cancelled")
    assert back == f"{REDIRECT_URI}?checkout_id={hosted['checkout_id']}"
    assert len(call("/checkout/find", account_id)) == 2
    sandbox.revoke(BILL)
    assert call("/user", {})["error_code"] == 1011


# NodeJS: https://www.npmjs.com/package/wepay


@pytest.fixture
def nodejs_sdk(wepay_live_sandbox: LiveSandbox) -> Iterator[Calling]:
    """Give the SDK's ``call``, in a process of its own."""
    node = shutil.which("node")
    if node is None or not NODE_MODULES.is_dir():
        pytest.skip('The SDK wants "node", and "npm" when "make" installs what the tests need.')
    environment = {
        **os.environ,
        "NODE_PATH": str(NODE_MODULES),
        "SANDBOX_URL": wepay_live_sandbox.url,
    }
    command = [node, str(Path(__file__).with_name("nodejs_sdk.js"))]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin
        assert process.stdout

        def call(name: str, params: dict[str, Any], token: str | None = None) -> Any:
            line = json.dumps({"call": name, "params": params, "token": token})
            print(line, file=process.stdin, flush=True)
            return json.loads(process.stdout.readline())

        yield call
        process.stdin.close()
        assert process.wait(10) == 0


def test_nodejs_sdk(wepay_live_sandbox: LiveSandbox, nodejs_sdk: Calling) -> None:
    """WePay's NodeJS SDK goes through the whole story, even where the sandbox is strict."""
    tell_story(wepay_live_sandbox, nodejs_sdk)

    assert {exchange.headers["user-agent"] for exchange in wepay_live_sandbox.log[-3:]} == {
        "WePay NodeJS SDK"
    }


# python-wepay: https://pypi.org/project/python-wepay/


@pytest.fixture
def python_wepay(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """Give the package, whose module has the same name as the one of WePay's own SDK."""
    if not PYTHON_WEPAY.is_dir():
        pytest.skip('"make" installs python-wepay beside the environment.')
    others = [name for name in sys.modules if name.partition(".")[0] == "wepay"]
    kept = {name: sys.modules.pop(name) for name in others}
    monkeypatch.syspath_prepend(PYTHON_WEPAY)
    yield importlib.import_module("wepay")
    for name in [name for name in sys.modules if name.partition(".")[0] == "wepay"]:
        del sys.modules[name]
    sys.modules.update(kept)


@pytest.fixture
def api(python_wepay: ModuleType, wepay_sandbox: Sandbox) -> Any:
    # It breaks on the errors of 2018-08-29 and later, which have more fields than it knows.
    api = python_wepay.WePay(production=False, silent=True, api_version="2018-03-21")
    api.api_endpoint = api.browser_endpoint = f"{wepay_sandbox.url}/v2"
    return api


def test_story_of_python_wepay(api: Any, python_wepay: ModuleType, wepay_sandbox: Sandbox) -> None:
    """python-wepay goes through the whole story, even where the sandbox is strict."""

    def call(name: str, params: dict[str, Any], token: str | None = None) -> Any:
        api.access_token = token or api.access_token
        try:
            return api.call(name, params)
        except python_wepay.exceptions.WePayClientError as error:
            return {"error_code": error.error_code}

    tell_story(wepay_sandbox, call)


def test_calls_of_python_wepay(api: Any, wepay_sandbox: Sandbox) -> None:
    """The calls as python-wepay spells them out are answered, with its own login."""
    client_id, secret = CREDENTIALS.values()
    wepay_sandbox.world.strict = False
    url = api.oauth2.authorize(client_id, REDIRECT_URI, SCOPE, state="opaque")
    query = parse_qs(urlsplit(wepay_sandbox.authorize(url)).query)
    token = api.oauth2.token(client_id, REDIRECT_URI, secret, query["code"][0])
    api.access_token = token["access_token"]
    account_id = api.account.create("Garden", "Seeds")["account_id"]
    update = api.account.get_update_uri(account_id, redirect_uri=REDIRECT_URI)
    wepay_sandbox.update_at(update["uri"])
    asked = api.preapproval.create("A magazine", "monthly", account_id=account_id, amount="20.00")
    wepay_sandbox.change_preapproval(asked["preapproval_id"], "approved")
    payment = api.checkout.create(
        account_id,
        "An issue",
        "GOODS",
        "5.00",
        currency="USD",
        payment_method={
            "type": "preapproval",
            "preapproval": {"id": asked["preapproval_id"]},
        },
    )
    wepay_sandbox.pay(payment["checkout_id"], state="released")
    withdrawal = api.withdrawal.create(account_id, redirect_uri=REDIRECT_URI)
    wepay_sandbox.withdraw_at(withdrawal["withdrawal_uri"])
    card = api.credit_card.create(**CARD)["credit_card_id"]

    assert api.withdrawal(withdrawal["withdrawal_id"])["amount"] == 5
    assert len(api.withdrawal.find(account_id)) == len(api.preapproval.find()) == 1
    assert api.preapproval.cancel(asked["preapproval_id"])["state"] == "cancelled"
    assert api.credit_card.authorize(client_id, secret, card)["state"] == "authorized"
    assert api.credit_card.find(client_id, secret)[0]["last_four"] == "4769"
    assert api.credit_card.delete(client_id, secret, card)["state"] == "deleted"
    assert api.account.get_reserve_details(account_id)["reserved_amount"] == 0
    closed = api.account.create("Other", "o")["account_id"]
    assert api.account.delete(closed)["state"] == "deleted"
