"""What WePay takes and does not document: a strict sandbox refuses it, another notes it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from asking import BILL, CREDENTIALS, REDIRECT_URI, REGISTRATION, SCOPE, authorize_url, problem
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_wepay.sandbox import AuthorizeRefused, Sandbox

ACCOUNT = {"name": "Garden", "description": "Seeds"}


@pytest.fixture
def lenient(sandbox: Sandbox) -> Sandbox:
    sandbox.world.strict = False
    return sandbox


def post(sandbox: Sandbox, token: str | None, call: str, **request: Any) -> TestResponse:
    """Make a call in whatever way a client has."""
    headers = {**({"Authorization": f"Bearer {token}"} if token else {})}
    headers |= request.pop("headers", {})
    method = request.pop("method", "POST")
    return sandbox.app.test_client().open(f"/v2/{call}", method=method, headers=headers, **request)


def assert_is_passed_over(sandbox: Sandbox, token: str | None, call: str, **request: Any) -> Any:
    """Make a call that a strict sandbox refuses; otherwise it is done, with a line in the log."""
    sandbox.world.strict = True
    refused = post(sandbox, token, call, **dict(request))
    sandbox.world.strict = False
    taken = post(sandbox, token, call, **dict(request))

    assert refused.status_code >= 400
    assert taken.status_code == 200, taken.text
    assert all("a strict sandbox refuses this" in line for line in sandbox.log[-1].problems)
    assert sandbox.log[-1].problems
    return taken.json


def test_ids_and_amounts_in_quotes(sandbox: Sandbox, token: str) -> None:
    """Ids, amounts and truths may be in quotes, and answers show numbers."""
    account_id = post(sandbox, token, "account/create", json=ACCOUNT).json["account_id"]
    payment = {
        "account_id": str(account_id),
        "short_description": "A bench",
        "type": "DONATION",
        "amount": "24.95",
        "currency": "USD",
        "auto_release": "false",
        "fee": {"app_fee": "1.00"},
        "unique_id": "bench-1",
    }

    made = assert_is_passed_over(sandbox, token, "checkout/create", json=payment)
    same = {**payment, "account_id": account_id, "amount": 24.95, "auto_release": False}
    again = post(sandbox, token, "checkout/create", json=same | {"type": "donation"}).json

    assert (made["account_id"], made["amount"]) == (account_id, 24.95)
    assert (made["fee"]["app_fee"], made["auto_release"], made["type"]) == (1, False, "donation")
    assert again == made


@pytest.mark.parametrize("amount", ["1e3", "-1", "1,000", "", " 1", "NaN", "1.005", "٣"])
def test_what_no_amount_is(lenient: Sandbox, token: str, amount: str) -> None:
    """Not everything in quotes is a number."""
    account_id = post(lenient, token, "account/create", json=ACCOUNT).json["account_id"]
    payment = {
        "account_id": account_id,
        "short_description": "A bench",
        "type": "donation",
        "amount": amount,
        "currency": "USD",
    }

    answer = post(lenient, token, "checkout/create", json=payment)

    assert answer.json["error_code"] == (1003 if amount else 1004)


@pytest.mark.parametrize("client_id", ["12345 ", "0x3039", "1" * 20, [12345], True, "١٢٣٤٥"])
def test_what_no_id_is(lenient: Sandbox, client_id: Any) -> None:
    """Digits in quotes are an id, and nothing else in quotes is."""
    answer = post(lenient, None, "app", json=CREDENTIALS | {"client_id": client_id})

    assert problem(answer) == (400, 1003)


def test_client_id_in_quotes(sandbox: Sandbox) -> None:
    """An application's own id may be in quotes, and its version holds for errors too."""
    sandbox.world.applications[12345].api_version = "2016-08-10"
    quoted = CREDENTIALS | {"client_id": "12345"}

    shown = assert_is_passed_over(sandbox, None, "app", json=quoted)
    error = post(sandbox, None, "app", json=quoted | {"client_secret": "wrong"}).json

    assert shown["client_id"] == 12345
    assert "details" not in error


def test_get(sandbox: Sandbox, token: str) -> None:
    """A call without arguments may be a GET."""
    assert assert_is_passed_over(sandbox, token, "user", method="GET")["user_id"] == BILL
    assert assert_is_passed_over(sandbox, token, "account/find", method="GET") == []


@pytest.mark.parametrize(
    ("method", "call", "refusal"),
    [
        ("GET", "account", (400, 1004)),
        ("GET", "user?a=b", (400, 1003)),
        ("PUT", "user", (405, 1003)),
        ("DELETE", "user", (405, 1003)),
    ],
)
def test_other_methods(
    lenient: Sandbox, token: str, method: str, call: str, refusal: tuple[int, int]
) -> None:
    """A GET has no arguments, and other methods nobody was seen to use."""
    assert problem(post(lenient, token, call, method=method)) == refusal


def test_empty_arguments(sandbox: Sandbox, token: str) -> None:
    """An empty optional argument is none, an empty required one is missing."""
    arguments = {**ACCOUNT, "reference_id": "", "image_uri": ""}

    made = assert_is_passed_over(sandbox, token, "account/create", json=arguments)
    missing = post(sandbox, token, "account/create", json=ACCOUNT | {"name": ""})

    assert "reference_id" not in made
    assert problem(missing) == (400, 1004)


def test_undocumented_arguments(sandbox: Sandbox, token: str) -> None:
    """An argument that is not documented is passed over."""
    assert assert_is_passed_over(sandbox, token, "user", json={"state": "x"})["user_id"] == BILL


def test_empty_version(sandbox: Sandbox, token: str) -> None:
    """An empty Api-Version is none."""
    headers = {"Api-Version": ""}

    assert_is_passed_over(sandbox, token, "user", json={}, headers=headers)
    error = post(sandbox, token, "account", json={}, headers=headers).json

    assert "details" in error


@pytest.mark.parametrize(
    "version",
    [
        "2015-08-15",
        "2015-09-09",
        "2016-03-30",
        "2016-07-13",
        "2016-12-07",
        "2017-02-01",
        "2017-05-31",
        "2018-03-21",
        "2018-10-03",
    ],
)
def test_versions_of_the_java_sdk(sandbox: Sandbox, token: str, version: str) -> None:
    """Each version that WePay's Java SDK was made for exists."""
    headers = {"Api-Version": version}

    assert post(sandbox, token, "user", json={}, headers=headers).status_code == 200


@pytest.mark.parametrize("call", ["/user/modify", "user//modify", "user/modify/"])
def test_slashes(sandbox: Sandbox, token: str, call: str) -> None:
    """Slashes too many change nothing about which call it is, for the log neither."""
    assert_is_passed_over(sandbox, token, call, json={})

    assert sandbox.last("user/modify").status == 200


def test_no_call_at_all(lenient: Sandbox, token: str) -> None:
    """There is no call without a name."""
    assert problem(post(lenient, token, "", json={})) == (501, 1001)


def test_form(sandbox: Sandbox, token: str) -> None:
    """A form is taken for JSON, with the members of objects in brackets."""
    account_id = post(sandbox, token, "account/create", json=ACCOUNT).json["account_id"]
    form = {
        "account_id": str(account_id),
        "short_description": "A bench",
        "type": "donation",
        "amount": "20",
        "currency": "USD",
        "fee[app_fee]": "2",
        "fee[fee_payer]": "payee",
    }

    made = assert_is_passed_over(sandbox, token, "checkout/create", data=form)

    assert (made["fee"]["app_fee"], made["fee"]["fee_payer"]) == (2, "payee")


@pytest.mark.parametrize(
    ("form", "error_code"),
    [
        ({"[]": "1"}, None),
        ({"fee": "1", "fee[app_fee]": "1"}, 1005),
        ({"callback_uri": "nowhere"}, 1003),
    ],
)
def test_odd_forms(
    lenient: Sandbox, token: str, form: dict[str, str], error_code: int | None
) -> None:
    """A form that makes no sense is refused as JSON is."""
    answer = post(lenient, token, "user/modify", data=form)

    assert answer.json.get("error_code") == error_code


def test_bearer_with_a_colon(sandbox: Sandbox, token: str) -> None:
    """The colon of old gems is passed over."""
    headers = {"Authorization": f"Bearer: {token}"}

    assert_is_passed_over(sandbox, None, "user", json={}, headers=headers)


def test_scope_of_a_registration(sandbox: Sandbox) -> None:
    """A registration with another scope than WePay documents is taken."""
    registration = REGISTRATION | {"scope": f"{SCOPE},manage_subscriptions"}

    refused = post(sandbox, None, "user/register", json=registration)
    taken = assert_is_passed_over(sandbox, None, "user/register", json=registration)

    assert refused.json["error"] == "invalid_scope"
    assert taken["access_token"]


@pytest.mark.parametrize(
    "changes",
    [
        {"popup": "1"},
        {"scope": f"{SCOPE},manage_subscriptions"},
        {"scope": "manage_accounts,view_balance,collect_payments,refund_payments,view_user"},
        {"response_type": "code"},
    ],
)
def test_authorize(sandbox: Sandbox, changes: dict[str, str]) -> None:
    """What WePay's script and SDKs add to the authorize address is passed over."""
    url = authorize_url(sandbox, **changes)
    with pytest.raises(AuthorizeRefused):
        sandbox.authorize(url)
    sandbox.world.strict = False

    assert sandbox.authorize(url).startswith(f"{REDIRECT_URI}?code=")

    assert "a strict sandbox refuses this" in sandbox.log[-1].problems[0]


def test_empty_arguments_of_authorize(lenient: Sandbox, browser: FlaskClient) -> None:
    """WePay's PHP SDK sends empty arguments, which count as absent."""
    url = authorize_url(lenient, state="", user_name="", user_email="", user_country="")

    assert 'value="US" selected' in browser.get(url).text
    assert "state" not in lenient.authorize(url)


@pytest.mark.parametrize(
    "changes", [{"redirect_uri": "nowhere"}, {"client_id": "x"}, {"scope": None}]
)
def test_what_nobody_takes(lenient: Sandbox, changes: dict[str, Any]) -> None:
    """What can't be used leads nowhere, strict or not."""
    with pytest.raises(AuthorizeRefused):
        lenient.authorize(authorize_url(lenient, **changes))


@pytest.mark.parametrize("call", ["file/upload", "/payment_bank/create"])
def test_calls_that_the_sandbox_has_not(lenient: Sandbox, token: str, call: str) -> None:
    """The log tells a call that WePay has from one that nobody has."""
    post(lenient, token, call, json={})
    post(lenient, token, "user/robots", json={})

    known, unknown = lenient.log[-2].problems, lenient.log[-1].problems
    assert "WePay has this call, the sandbox does not" in known
    assert unknown == ["1001: that is not a recognized WePay API call"]


def test_objections_of_a_refused_request(lenient: Sandbox, token: str) -> None:
    """A request that is refused after all has both in the log."""
    post(lenient, token, "account", data=json.dumps({"account_id": "1"}), content_type="text/json")
    post(lenient, token, "account", json={"account_id": "1"})

    assert [line[:5] for line in lenient.log[-2].problems] == ["1005:"]
    assert [line[:8] for line in lenient.log[-1].problems] == ["3001: th", "a strict"]
