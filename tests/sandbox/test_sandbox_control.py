"""The control API: another process moves the world as a test in Python would."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import requests
from asking import (
    BILL,
    CALLBACK_URI,
    MARY,
    REDIRECT_URI,
    Call,
    Donate,
    authorize_url,
    exchange,
    problem,
)
from flask.testing import FlaskClient

from flask_wepay.sandbox import Clock, Sandbox, World
from flask_wepay.sandbox.server import LiveSandbox


class Control:
    """Another process, which scripts the sandbox over HTTP."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client

    def __call__(self, action: str, **arguments: Any) -> Any:
        answer = self._client.post(f"/sandbox/{action}", json=arguments)
        assert answer.status_code == 200, answer.text
        return answer.json

    def show(self, what: str) -> Any:
        answer = self._client.get(f"/sandbox/{what}")
        assert answer.status_code == 200, answer.text
        return answer.json


@pytest.fixture
def control(browser: FlaskClient) -> Control:
    return Control(browser)


def test_control_users_and_tokens(sandbox: Sandbox, control: Control) -> None:
    """Users and tokens can be made and ended over HTTP."""
    user = control("make_user", email="zoe@example.com", user_id=2**60)
    token = control("issue_token", user_id=2**60, callback_uri=CALLBACK_URI)["access_token"]
    revoked = control("revoke", user_id=2**60)
    control("delete_user", user_id=BILL)

    assert (user["user_id"], user["email"]) == (2**60, "zoe@example.com")
    assert [entry["access_token"] for entry in revoked] == [token]
    states = {entry["user_id"]: entry["state"] for entry in control.show("users")}
    assert states == {BILL: "deleted", MARY: "registered", 2**60: "registered"}
    assert control.show("tokens")[0]["reason"] == "user"


def test_control_authorize(sandbox: Sandbox, control: Control) -> None:
    """A consent can be given over HTTP, and codes made and expired."""
    url = authorize_url(sandbox)

    back = control("authorize", authorize_url=url, email="zoe@example.com")["redirect_uri"]
    code = control("issue_code", redirect_uri=REDIRECT_URI)["code"]
    control("expire_codes")

    assert back.startswith(REDIRECT_URI + "?code=")
    assert exchange(sandbox, code).json["error_code"] == 1012


def test_control_faults(control: Control, call: Call) -> None:
    """Answers, delays and drops can be scripted over HTTP."""
    control("answer_next", call="user", error_code=1011)
    assert call("user").json["error_code"] == 1011

    control("drop_next", call="user", before=False)
    with pytest.raises(ConnectionError):
        call("user")

    control("drop_next", call="user", raw="garbage")
    with pytest.raises(ConnectionError):
        call("user")

    control("delay_next", call="user", seconds=0)
    assert call("user").status_code == 200


def test_control_payments(control: Control, donate: Donate, account_id: int) -> None:
    """Accounts and payments can be moved on over HTTP."""
    checkout = donate()

    control("verify_account", account_id=account_id)
    control("pay", checkout_id=checkout["checkout_id"])

    assert control.show("accounts")[0]["state"] == "active"
    assert control.show("checkouts")[0]["state"] == "authorized"


def test_control_ipns_and_clock(
    control: Control, sandbox: Sandbox, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IPNs can be delivered and the clock moved over HTTP."""
    monkeypatch.setattr("flask_wepay.sandbox.ipns.post_over_http", lambda address, fields: 500)
    sandbox.revoke(BILL)

    control("deliver_ipns")
    control("move_clock", seconds=900)
    control("deliver_ipns")

    (ipn,) = control.show("ipns")
    assert [attempt["status"] for attempt in ipn["attempts"]] == [500, 500]


def test_control_switches(control: Control, sandbox: Sandbox) -> None:
    """What is unknown of WePay can be set over HTTP."""
    control("set", state_on_denial=False, expires_in=60, throttled=True)

    assert sandbox.state_on_denial is False
    assert (sandbox.world.expires_in, sandbox.world.throttled) == (60, True)
    for expires_in in (None, "absent"):
        assert control("set", expires_in=expires_in) == {"expires_in": expires_in}
        assert sandbox.world.expires_in == expires_in


@pytest.mark.parametrize(
    ("switches", "text"),
    [
        ({"secret": 1}, "secret; there are state_on_denial"),
        ({"expires_in": "soon"}, "expires_in must be integer or \"absent\" or null, not 'soon'"),
        ({"expires_in": True}, "expires_in must be integer or"),
        ({"shows_deleted_users": "no"}, "shows_deleted_users must be boolean"),
    ],
)
def test_unusable_switch(
    browser: FlaskClient, sandbox: Sandbox, switches: dict[str, Any], text: str
) -> None:
    """A switch that there is not, or another kind of value, sets nothing at all."""
    answer = browser.post("/sandbox/set", json={"throttled": True, **switches})

    assert answer.status_code == 400
    assert text in answer.json["problem"]
    assert sandbox.world.throttled is False


def test_control_log_and_reset(control: Control, call: Call) -> None:
    """The log can be read over HTTP, and everything begun anew."""
    call("user", "STAGE_x")

    (entry,) = control.show("log")
    control("reset")

    assert (entry["path"], entry["status"], entry["body"]) == ("/v2/user", 401, "{}")
    assert entry["problems"] == ["1006: a valid access_token is required"]
    assert control.show("log") == []


def test_control_holds() -> None:
    """Another process can hold a request and let it go."""
    with LiveSandbox() as sandbox, ThreadPoolExecutor() as pool:

        def control(action: str, **arguments: Any) -> Any:
            return requests.post(f"{sandbox.url}/sandbox/{action}", json=arguments).json()

        hold = control("hold", call="app", when="after")["hold"]
        answer = pool.submit(requests.post, f"{sandbox.url}/v2/app", json={})
        control("wait", hold=hold)
        done = answer.done()
        control("release", hold=hold)

        assert not done
        assert answer.result(10).status_code == 400


@pytest.mark.parametrize(
    ("action", "arguments", "text"),
    [
        ("make_user", {"email": "bill@example.com"}, "There is a user"),
        ("make_user", {"mail": "x"}, "unexpected keyword"),
        ("revoke", {}, "missing"),
        ("delete_user", {"user_id": 1}, "KeyError"),
        ("authorize", {"authorize_url": "http://localhost/"}, "not the authorize page"),
        ("answer_next", {"call": "user", "error_code": 1}, "error_code 1 is none"),
        (
            "answer_next",
            {"call": "user", "status": "503"},
            "status must be integer or null, not '503'",
        ),
        ("hold", {"call": "user", "when": "sometime"}, "when must be"),
        ("release", {"hold": 4711}, "no hold 4711"),
        ("wait", {"hold": 4711}, "no hold 4711"),
        ("make_user", {"email": 5}, "email must be string, not 5"),
        ("make_user", {"state": "gone"}, 'state must be "pending" or "registered" or "deleted"'),
        ("issue_token", {"scope": ["view_user", 1]}, "scope must be array"),
        ("issue_token", {"scope": "view_user"}, "scope must be array"),
        ("answer_next", {"call": "user", "headers": []}, "headers must be object or null"),
        ("answer_next", {"call": "user", "times": 0}, "times must be 1 or more"),
        ("answer_next", {"call": "user", "body": ["a"], "pause": 1, "times": None}, "read once"),
        ("delay_next", {"call": "user", "seconds": True}, "seconds must be number"),
        ("add_application", {"client_id": "7", "client_secret": "s"}, "client_id must be integer"),
        (
            "add_application",
            {"client_id": 7, "client_secret": "s", "api_version": "2020-01-01"},
            "no api_version '2020-01-01'",
        ),
        ("replay_ipn", {"ipn_id": 4711}, "no IPN 4711"),
        ("set_clock", {"at": "yesterday"}, "isoformat"),
        ("set_clock", {"at": -1}, "between 1970 and 9999"),
        ("set_clock", {"at": 1e300}, "between 1970 and 9999"),
        ("move_clock", {"seconds": 1e12}, "between 1970 and 9999"),
    ],
)
def test_control_refuses(
    browser: FlaskClient, action: str, arguments: dict[str, Any], text: str
) -> None:
    """What can't be done is told in a sentence."""
    answer = browser.post(f"/sandbox/{action}", json=arguments)

    assert answer.status_code == 400
    assert text in answer.json["problem"]


@pytest.mark.parametrize(
    "options",
    [{"data": {"user_id": "1"}}, {"json": [1]}, {"data": "{", "content_type": "application/json"}],
)
def test_control_takes_json_only(browser: FlaskClient, options: dict[str, Any]) -> None:
    """A form, as another site could send it, is refused."""
    assert browser.post("/sandbox/revoke", **options).status_code == 400


def test_control_unknown(browser: FlaskClient) -> None:
    """What there is not is answered with what there is."""
    assert "make_user" in browser.post("/sandbox/nothing", json={}).json["actions"]
    assert "log" in browser.get("/sandbox/nothing").json["views"]


def test_control_lists_itself(browser: FlaskClient) -> None:
    """Everything that can be done is listed, with a sentence and its arguments."""
    listed = browser.get("/sandbox").json

    assert all(action["does"].endswith(".") for action in listed["actions"].values())
    assert listed["actions"]["answer_next"]["arguments"]["times"] == {
        "type": "integer or null",
        "default": 1,
    }
    assert listed["actions"]["pay"]["arguments"]["checkout_id"] == {"type": "integer"}
    assert listed["switches"]["throttled"] == "boolean"
    for view in listed["views"]:
        assert browser.get(f"/sandbox/{view}").status_code == 200


def test_control_applications(control: Control, sandbox: Sandbox, browser: FlaskClient) -> None:
    """An application of one's own is added over HTTP, and disabled by adding it again."""
    credentials = {"client_id": 77, "client_secret": "mine"}
    added = control("add_application", **credentials, hosts=["shop.example"], name="Shop")
    url = authorize_url(sandbox, client_id=77).removeprefix(sandbox.url)
    elsewhere = browser.get(url)
    there = browser.get(url.replace("localhost%3A8000", "shop.example"))
    control("add_application", **credentials, api_version="2018-08-29", state="disabled")

    assert (added["client_id"], added["hosts"]) == (77, ["shop.example"])
    assert (elsewhere.status_code, there.status_code) == (400, 200)
    assert problem(browser.post("/v2/app", json=credentials)) == (403, 1010)
    assert control.show("applications")[1]["api_version"] == "2018-08-29"


def test_standing_answer(control: Control, call: Call) -> None:
    """A standing answer is given until it is cleared; one that counts goes first."""
    control("answer_next", call="user", error_code=1008, times=None)
    control("answer_next", call="*", error_code=1010, times=None)
    control("answer_next", call="user", error_code=1011)

    codes = [call(name).json["error_code"] for name in ("user", "user", "app", "user")]
    control("answer_next", call="user", error_code=1007, times=None)
    newest = call("user").json["error_code"]
    control("clear_faults")

    assert codes == [1011, 1010, 1010, 1010]
    assert newest == 1007
    assert call("user").status_code == 200


def test_standing_answer_of_one_call(control: Control, call: Call) -> None:
    """A standing answer leaves other calls alone."""
    control("drop_next", call="user", times=None)

    assert call("account/find").status_code == 200
    for _ in range(2):
        with pytest.raises(ConnectionError):
            call("user")


def test_log_of_a_call(control: Control, call: Call, browser: FlaskClient) -> None:
    """The log is shown of one call only, counted and cleared."""
    call("user")
    call("account/find")

    assert [entry["path"] for entry in control.show("log?call=user")] == ["/v2/user"]
    assert control("count", call="account/find") == {"count": 1}
    control("clear_log")
    assert control.show("log") == []


def test_verify(control: Control, call: Call, browser: FlaskClient, sandbox: Sandbox) -> None:
    """What was asked is verified over HTTP: the call, how often, and with which arguments."""
    call("account/find", name="Garden", reference_id="a")
    call("account/find", name="Garden")
    browser.get(authorize_url(sandbox).removeprefix(sandbox.url))
    call("user")

    (entry,) = control("verify", call="account/find", arguments={"reference_id": "a"}, times=1)
    control("verify", call="account/find", times=2)
    control("verify", call="oauth2/authorize", arguments={"client_id": "12345"})
    control("verify", call="app", times=0)
    refused = [
        browser.post("/sandbox/verify", json=claim).json["problem"]
        for claim in (
            {"call": "app"},
            {"call": "user", "times": 2},
            {
                "call": "account/find",
                "arguments": {"reference_id": "a", "name": "Garden"},
                "times": 2,
            },
            {"call": "user", "arguments": {"name": "Bill"}},
        )
    ]

    assert entry["path"] == "/v2/account/find"
    assert refused == [
        "AssertionError: 0 of 0 requests to 'app' had these arguments, instead of some.",
        "AssertionError: 1 of 1 requests to 'user' had these arguments, instead of 2.",
        "AssertionError: 1 of 2 requests to 'account/find' had these arguments, instead of 2;"
        " the last lacks reference_id.",
        "AssertionError: 0 of 1 requests to 'user' had these arguments, instead of some;"
        " the last lacks name.",
    ]


def test_verify_what_is_no_object(sandbox: Sandbox, browser: FlaskClient) -> None:
    """A body that is no JSON object has no arguments."""
    for body in ("[1]", "{"):
        browser.post("/v2/user", data=body, content_type="application/json")

    with pytest.raises(AssertionError, match="0 of 2 requests"):
        sandbox.verify("user", arguments={"name": "x"})


def test_control_of_one_ipn(
    control: Control, sandbox: Sandbox, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One IPN can fail, be delivered before its time, and come once more."""
    monkeypatch.setattr("flask_wepay.sandbox.ipns.post_over_http", lambda address, fields: 200)
    sandbox.revoke(BILL)

    failed = control("fail_ipn", ipn_id=1)
    delivered = control("deliver_ipn", ipn_id=1)
    again = control("replay_ipn", ipn_id=1)

    assert (failed["state"], delivered["state"], again["state"]) == (
        "retrying",
        "delivered",
        "waiting",
    )
    assert (again["ipn_id"], again["fields"]) == (2, failed["fields"])


def test_control_pays_at_the_page(control: Control, donate: Donate) -> None:
    """A payer's decision on the hosted page is made over HTTP."""
    checkout = donate(hosted_checkout={"redirect_uri": "http://localhost:8000/thanks"})

    back = control("pay_at", checkout_uri=checkout["hosted_checkout"]["checkout_uri"])

    assert back["redirect_uri"].startswith("http://localhost:8000/thanks?checkout_id=")


# Time


def test_set_clock(control: Control, sandbox: Sandbox) -> None:
    """The time is set from outside, by a date or in seconds, stands still, and goes on."""
    real = Clock()
    sandbox.world.clock = real

    at_noon = control("set_clock", at="2026-03-01T12:00:00Z", frozen=True)
    stands = [control.show("clock") for _ in range(2)]
    control("move_clock", seconds=60)
    moved = control.show("clock")
    control("set_clock")

    assert at_noon == {"now": 1772366400.0}
    assert stands == [{"now": 1772366400.0, "frozen": True}] * 2
    assert moved == {"now": 1772366460.0, "frozen": True}
    assert control.show("clock")["frozen"] is False
    assert 1772366460 <= control.show("clock")["now"] < 1772366520
    assert control("set_clock", at=5, frozen=True) == {"now": 5.0}
    assert control("set_clock", at="2026-03-01T12:00:00", frozen=True) == at_noon
    assert control("set_clock", frozen=True) == at_noon


def test_set_a_clock_of_ones_own() -> None:
    """A clock that is none of the sandbox's can't be set."""
    sandbox = Sandbox(World(lambda: 1.0))

    with pytest.raises(TypeError, match="can't be moved"):
        sandbox.set_clock(5)

    shown = sandbox.app.test_client().get("/sandbox/clock").json
    assert shown == {"now": 1.0, "frozen": False}


# What a function takes


@pytest.mark.parametrize(
    ("value", "fit"),
    [
        (1, True),
        (1.5, True),
        ("2.50", True),
        (True, False),
        ("x", False),
        ("NaN", False),
        (None, False),
    ],
)
def test_amounts(value: object, fit: bool) -> None:
    """An amount is a number, in quotes or not."""
    from flask_wepay.sandbox.signatures import describe, fits

    assert fits(value, Decimal) is fit
    assert describe(Decimal) == "number"
