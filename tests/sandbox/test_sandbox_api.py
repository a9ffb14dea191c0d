"""The API calls: headers, arguments, answers and errors."""

from __future__ import annotations

from typing import Any

import pytest
from asking import BILL, CALLBACK_URI, CREDENTIALS, MARY, REGISTRATION, Call, problem
from flask.testing import FlaskClient

from flask_wepay.sandbox import ANSWERS, Clock, Refused, Sandbox, World
from flask_wepay.sandbox.answers import OTHER_ENVIRONMENT

# Headers and bodies


def test_user_agent_is_required(browser: FlaskClient, token: str) -> None:
    """A call without a User-Agent is refused."""
    headers = {"Authorization": f"Bearer {token}", "User-Agent": ""}

    assert problem(browser.post("/v2/user", json={}, headers=headers)) == (401, 1002)


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_calls_are_posts(browser: FlaskClient, method: str) -> None:
    """Any other method is refused."""
    assert problem(browser.open("/v2/user", method=method, json={})) == (405, 1003)


def test_unknown_call(call: Call) -> None:
    """A call that there is not has its own error."""
    answer = call("account/close")

    assert problem(answer) == (501, 1001)
    assert answer.json["error_description"] == "that is not a recognized WePay API call"


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Basic abc", "Bearer  x", "Bearer x "],
)
def test_garbled_authorization(browser: FlaskClient, authorization: str | None) -> None:
    """Without a readable Bearer header the call is refused with 1002."""
    headers = {} if authorization is None else {"Authorization": authorization}

    answer = browser.post("/v2/user", json={}, headers=headers)

    assert problem(answer) == (401, 1002)
    assert "could not parse authorization header" in answer.json["error_description"]


def test_unknown_token(call: Call) -> None:
    """A token that there is not is 1006."""
    assert problem(call("user", "STAGE_unknown")) == (401, 1006)


@pytest.mark.parametrize(
    ("environment", "prefix", "text"),
    [
        ("stage", "PRODUCTION_", "from production on stage"),
        ("production", "STAGE_", "from stage on production"),
    ],
)
def test_token_of_the_other_environment(environment: Any, prefix: str, text: str) -> None:
    """A mix-up of the environments is named."""
    client = Sandbox(World(environment=environment)).app.test_client()

    answer = client.post("/v2/user", json={}, headers={"Authorization": f"Bearer {prefix}1"})

    assert problem(answer) == (401, 1006)
    assert answer.json["error_description"] == f"You are trying to use an access_token {text}"


def test_line_of_the_other_environment(call: Call) -> None:
    """The table's second line for 1006 is what the stage says to a production token."""
    answer = call("user", "PRODUCTION_1")

    assert problem(answer) == (OTHER_ENVIRONMENT.status, OTHER_ENVIRONMENT.error_code)
    assert answer.json["error"] == OTHER_ENVIRONMENT.error
    assert answer.json["error_description"] == OTHER_ENVIRONMENT.error_description
    assert OTHER_ENVIRONMENT.source == "seen"


def test_revoked_token(sandbox: Sandbox, call: Call) -> None:
    """A revoked token is 1011, and says so."""
    sandbox.revoke(BILL)

    answer = call("user")

    assert problem(answer) == (401, 1011)
    assert answer.json["error_description"] == "this access_token has been revoked"


def test_token_as_query_argument(browser: FlaskClient, token: str) -> None:
    """A token never travels in the address."""
    headers = {"Authorization": f"Bearer {token}"}

    answer = browser.post(f"/v2/user?access_token={token}", json={}, headers=headers)

    assert problem(answer) == (400, 1003)


def test_token_as_argument(call: Call, token: str) -> None:
    """A token never travels in the body."""
    assert problem(call("user", access_token=token)) == (400, 1003)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{"),
        ("application/json", b"[]"),
        ("application/json", b"\xff"),
        ("application/json", b'{"a": NaN}'),
        ("application/json", b"[" * 100_000),
        ("text/plain", b"{}"),
        ("application/x-www-form-urlencoded", b"a=b"),
        ("", b"{}"),
    ],
)
def test_body_is_a_json_object(
    browser: FlaskClient, token: str, content_type: str, body: bytes
) -> None:
    """Anything but a JSON object, called one, is 1005."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}

    assert problem(browser.post("/v2/user", data=body, headers=headers)) == (400, 1005)


def test_empty_body(browser: FlaskClient, token: str) -> None:
    """WePay's own SDKs send nothing where there is nothing to say."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    assert browser.post("/v2/user", headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("version", "error_code"),
    [
        ("2019-04-03", None),
        ("2016-08-10", None),
        ("2011-01-15", 1016),
        ("2019-04-04", 1015),
        ("latest", 1015),
    ],
)
def test_api_version(
    browser: FlaskClient, token: str, version: str, error_code: int | None
) -> None:
    """An Api-Version must exist and be available to the application."""
    headers = {"Authorization": f"Bearer {token}", "Api-Version": version}

    answer = browser.post("/v2/user", json={}, headers=headers)

    assert answer.json.get("error_code") == error_code


def test_version_newer_than_the_application(sandbox: Sandbox, call: Call) -> None:
    """The application's own version is the newest it may ask for."""
    sandbox.world.applications[12345].api_version = "2016-08-10"
    headers = {"Api-Version": "2018-08-29"}

    answer = sandbox.app.test_client().post("/v2/app", json=CREDENTIALS, headers=headers)

    assert problem(answer) == (400, 1016)


@pytest.mark.parametrize(("version", "detailed"), [("2016-08-10", False), ("2018-08-29", True)])
def test_shape_of_errors(browser: FlaskClient, version: str, detailed: bool) -> None:
    """Errors carry details and documentation_url from 2018-08-29 on."""
    answer = browser.post("/v2/nothing", json={}, headers={"Api-Version": version})

    assert {"error", "error_description", "error_code"} <= answer.json.keys()
    assert ("details" in answer.json) == ("documentation_url" in answer.json) == detailed


@pytest.mark.parametrize(("version", "detailed"), [("2016-08-10", False), ("2018-08-29", True)])
def test_version_without_a_header(
    sandbox: Sandbox, call: Call, token: str, version: str, detailed: bool
) -> None:
    """Without an Api-Version, the version of whose request it is holds."""
    sandbox.world.applications[12345].api_version = version
    mary = sandbox.issue_token(MARY)
    sandbox.revoke(MARY)
    member = {"call": "/account", "authorization": token}

    errors = [
        call("account").json,
        call("user", mary).json,
        call("app", None, client_id=12345, client_secret="wrong").json,
        call("batch/create", None, **CREDENTIALS).json,
        call("batch/create", None, **CREDENTIALS, calls=[member]).json["calls"][0]["response"],
    ]

    assert [error["error_code"] for error in errors] == [1004, 1011, 1003, 1004, 1004]
    assert ["details" in error for error in errors] == [detailed] * 5


@pytest.mark.parametrize("client_id", [999, [12345], None])
def test_version_of_nobody(sandbox: Sandbox, call: Call, client_id: Any) -> None:
    """Where nobody knows whose request it is, errors are those of the latest version."""
    sandbox.world.applications[12345].api_version = "2016-08-10"

    assert "details" in call("app", None, client_id=client_id, client_secret="x").json


def test_token_without_an_application(sandbox: Sandbox, call: Call) -> None:
    """A token of an application that there is not is refused."""
    token = sandbox.issue_token(client_id=999)

    assert problem(call("user", token)) == (400, 1003)


def test_risk_headers(browser: FlaskClient, token: str) -> None:
    """WePay-Risk-Token and Client-IP may go with any call."""
    headers = {
        "Authorization": f"Bearer {token}",
        "WePay-Risk-Token": "1",
        "Client-IP": "192.0.2.1",
    }

    assert browser.post("/v2/user", json={}, headers=headers).status_code == 200


@pytest.mark.parametrize("error_code", ANSWERS)
def test_error_table(error_code: int) -> None:
    """Each line of the table can be raised, and says how it is known."""
    line = ANSWERS[error_code]

    body = Refused(error_code).body()

    assert body["error_code"] == error_code
    assert body["error_description"] == line.error_description
    known = {line.source, line.status_source, line.error_source}
    assert known <= {"documented", "seen", "guessed"}
    assert line.meaning


@pytest.mark.parametrize("error_code", [2010, 3006, 4005, 5007, 6003, 8001, 10002, 10999])
def test_codes_of_a_class(error_code: int) -> None:
    """Any code of the documented classes can be raised."""
    body = Refused(error_code).body()

    assert body["error_code"] == error_code
    assert body["error"] == "processing_error"


@pytest.mark.parametrize("error_code", [-1, 0, 1, 1017, 7004, 9001, 11000])
def test_codes_that_there_are_not(error_code: int) -> None:
    """Any other code is refused with the codes that there are."""
    with pytest.raises(ValueError, match=rf"{error_code} .* 1001, .* 7003, .* 10xxx"):
        Refused(error_code)


# Throttling


def test_throttle(sandbox: Sandbox, clock: Clock, call: Call) -> None:
    """The 31st call within ten seconds is 1007, until they are over."""
    sandbox.world.throttled = True
    statuses = [call("user").status_code for _ in range(30)]

    refused = call("user")
    clock.move(10)

    assert set(statuses) == {200}
    assert refused.json["error_code"] == 1007
    assert refused.json["error"] == "throttle_exceeded"
    assert call("user").status_code == 200


def test_throttle_is_off_by_itself(call: Call) -> None:
    """Nobody is throttled who did not ask for it."""
    assert {call("user").status_code for _ in range(40)} == {200}


def test_a_batch_counts_once(sandbox: Sandbox, call: Call, token: str) -> None:
    """The members of a batch are free."""
    sandbox.world.throttled = True
    members = [{"call": "/user", "authorization": token}] * 50

    call("batch/create", None, **CREDENTIALS, calls=members)

    assert call("user").status_code == 200


# /user


def test_user(call: Call) -> None:
    """``/user`` shows the documented fields."""
    # https://developer.wepay.com/api/api-calls/user
    assert call("user").json == {
        "user_id": BILL,
        "user_name": "Bill Baker",
        "first_name": "Bill",
        "last_name": "Baker",
        "email": "bill@example.com",
        "state": "registered",
        "callback_uri": CALLBACK_URI,
    }


def test_user_modify(sandbox: Sandbox, call: Call) -> None:
    """``/user/modify`` changes where IPNs go."""
    answer = call("user/modify", callback_uri="http://localhost/other")
    sandbox.revoke(BILL)

    assert answer.json["callback_uri"] == "http://localhost/other"
    assert sandbox.ipns[0].callback_uri == "http://localhost/other"


def test_user_modify_nothing(call: Call) -> None:
    """A call with nothing to change changes nothing; null is nothing."""
    assert call("user/modify", callback_uri=None).json["callback_uri"] == CALLBACK_URI


def test_user_without_callback_uri(sandbox: Sandbox, call: Call) -> None:
    """Without a callback_uri it is an empty string, and no IPN is queued."""
    token = sandbox.issue_token(MARY)

    assert call("user", token).json["callback_uri"] == ""
    sandbox.revoke(MARY)
    assert sandbox.ipns == []


@pytest.mark.parametrize("shows_state", [False, True])
def test_deleted_user(sandbox: Sandbox, call: Call, shows_state: bool) -> None:
    """A deleted user is 7003, or shown as deleted by ``/user`` where that is wanted."""
    sandbox.delete_user(BILL, shows_state=shows_state)

    answer = call("user")

    if shows_state:
        assert answer.json["state"] == "deleted"
    else:
        assert problem(answer) == (400, 7003)
    assert problem(call("account/find")) == (400, 7003)
    assert [ipn.fields for ipn in sandbox.ipns] == [{"user_id": str(BILL)}]


def test_register(sandbox: Sandbox, call: Call) -> None:
    """``/user/register`` makes a pending user and gives their token."""
    answer = call("user/register", None, **REGISTRATION, callback_uri=CALLBACK_URI)

    user = call("user", answer.json["access_token"]).json
    assert answer.json["token_type"] == "BEARER"
    assert (user["user_name"], user["state"]) == ("Pen Ding", "pending")
    assert user["callback_uri"] == CALLBACK_URI


@pytest.mark.parametrize(
    ("changes", "error", "error_code"),
    [
        ({"scope": "view_user"}, "invalid_scope", 1003),
        ({"email": "bill@example.com"}, "invalid_request", 7002),
    ],
)
def test_register_refused(call: Call, changes: dict[str, str], error: str, error_code: int) -> None:
    """A part of the permissions, or a mail address that is taken, is refused."""
    answer = call("user/register", None, **(REGISTRATION | changes))

    assert (answer.json["error"], answer.json["error_code"]) == (error, error_code)


def test_send_confirmation(sandbox: Sandbox, call: Call) -> None:
    """Only a pending user can be sent a confirmation."""
    pending = sandbox.issue_token(sandbox.make_user(state="pending").user_id)

    for name in ("user/send_confirmation", "user/resend_confirmation"):
        assert call(name, pending, email_message="Hi").status_code == 200
        refused = call(name)
        assert problem(refused) == (400, 7002)
        assert refused.json["error_description"] == "This access_token is already approved."
        assert refused.json["documentation_url"].endswith("#7002")


def test_a_registration_is_confirmed(sandbox: Sandbox, clock: Clock, call: Call) -> None:
    """A registration's token ends in 90 days, unless the user confirms; so does the waiting."""
    lost, kept = [
        call("user/register", None, **REGISTRATION | {"email": email}).json
        for email in ("lost@example.com", "kept@example.com")
    ]
    account = {"name": "A", "description": "a", "callback_uri": CALLBACK_URI}
    made = call("account/create", kept["access_token"], **account).json
    call("account/create", lost["access_token"], **account)

    confirmed = sandbox.confirm_user(kept["user_id"])
    clock.move(90 * 24 * 3600)

    assert (lost["expires_in"], made["state"]) == (7_776_000, "pending")
    assert problem(call("user", lost["access_token"])) == (401, 1006)
    assert call("user", kept["access_token"]).json["state"] == confirmed.state == "registered"
    (shown,) = call("account/find", kept["access_token"]).json
    assert shown["state"] == "action_required"
    assert [ipn.fields for ipn in sandbox.ipns] == [{"account_id": str(made["account_id"])}]
    with pytest.raises(ValueError, match="is registered, not pending"):
        sandbox.confirm_user(BILL)


def test_missing_permission(sandbox: Sandbox, call: Call) -> None:
    """A token that lacks a permission is 1010 where it is needed."""
    token = sandbox.issue_token(MARY, scope=["view_user"])

    assert call("user", token).status_code == 200
    assert problem(call("account/find", token)) == (403, 1010)


# /app


def test_app(call: Call) -> None:
    """``/app`` shows the application, without a token."""
    assert call("app", None, **CREDENTIALS).json == {
        "client_id": 12345,
        "status": "approved",
        "state": "active",
        "api_version": "2019-04-03",
    }


def test_app_modify(call: Call) -> None:
    """``/app/modify`` changes the theme and the analytics domains."""
    theme = {"name": "Green", "primary_color": "00ff00"}

    call("app/modify", None, **CREDENTIALS, theme_object=theme, gaq_domains=["UA-1"])

    shown = call("app", None, **CREDENTIALS).json
    assert (shown["theme_object"], shown["gaq_domains"]) == (theme, ["UA-1"])


@pytest.mark.parametrize(
    "arguments",
    [{"theme_object": "green"}, {"gaq_domains": "UA-1"}, {"gaq_domains": [1]}],
)
def test_app_modify_refused(call: Call, arguments: dict[str, Any]) -> None:
    """The types are checked."""
    assert problem(call("app/modify", None, **CREDENTIALS, **arguments)) == (400, 1003)


def test_token_of_a_disabled_application(sandbox: Sandbox, call: Call) -> None:
    """A disabled application's tokens do nothing."""
    sandbox.world.applications[12345].state = "disabled"

    assert problem(call("user")) == (403, 1010)


# /batch/create


def test_batch(sandbox: Sandbox, call: Call, token: str) -> None:
    """A batch answers in order, each failure in its place."""
    mary = sandbox.issue_token(MARY)
    members = [
        {"call": "/user", "authorization": token, "reference_id": "1"},
        {
            "call": "/account/create",
            "authorization": mary,
            "parameters": {"name": "Mary's", "description": "Mill"},
        },
        {"call": "/user"},
        {"call": "/nothing", "authorization": token},
        {"call": "/user", "authorization": "STAGE_x"},
        {"call": "/app", "parameters": CREDENTIALS},
        {"call": "/app"},
    ]

    results = call("batch/create", None, **CREDENTIALS, calls=members).json["calls"]

    assert results[0]["reference_id"] == "1"
    assert results[0]["response"]["user_id"] == BILL
    assert results[1]["response"]["owner_user_id"] == MARY
    assert results[5]["response"]["client_id"] == 12345
    codes = [result["response"].get("error_code") for result in results]
    assert codes == [None, None, 1002, 1001, 1006, None, 1004]
    assert [result["call"] for result in results] == [member["call"] for member in members]


def test_batch_with_a_token_of_another_application(sandbox: Sandbox, call: Call) -> None:
    """A batch acts for its own application's users only."""
    sandbox.world.add_application(77, "secret")
    token = sandbox.issue_token(client_id=77)
    members = [{"call": "/user", "authorization": token}]

    results = call("batch/create", None, **CREDENTIALS, calls=members).json["calls"]

    assert results[0]["response"]["error_code"] == 1010


@pytest.mark.parametrize(
    ("calls", "error_code"),
    [
        (None, 1004),
        ([], 1003),
        ([{"call": "/app"}] * 51, 1003),
        ("/user", 1003),
        (["/user"], 1003),
        ([{}], 1004),
        ([{"call": "/user", "access_token": "x"}], 1003),
    ],
)
def test_batch_refused(call: Call, calls: Any, error_code: int) -> None:
    """A batch has 1 to 50 members, and nothing undocumented in them."""
    answer = call("batch/create", None, **CREDENTIALS, calls=calls)

    assert problem(answer) == (400, error_code)
