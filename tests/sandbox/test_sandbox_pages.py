"""The settings, the control panel and the control API."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from asking import BILL, CALLBACK_URI, MARY, REDIRECT_URI, Call, authorize_url, exchange
from flask.testing import FlaskClient

from flask_wepay.sandbox import Clock, Sandbox, create_app
from flask_wepay.sandbox.server import LiveSandbox
from flask_wepay.sandbox.web import show_money

PAGES = ["/", "/settings", f"/settings/{BILL}"]


@pytest.mark.parametrize("page", PAGES)
def test_pages_say_what_they_are(browser: FlaskClient, page: str) -> None:
    """No page could be taken for WePay's, and none needs anything from elsewhere."""
    text = browser.get(page).text

    assert "this is not WePay" in text
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert '<html lang="en">' in text
    assert 'name="viewport"' in text


def test_style_sheet(browser: FlaskClient) -> None:
    """The sandbox serves its own style sheet."""
    answer = browser.get("/static/sandbox.css")

    assert answer.mimetype == "text/css"
    answer.close()


def test_settings(sandbox: Sandbox, browser: FlaskClient, token: str) -> None:
    """A user sees the applications that may act for them, and nobody else's."""
    assert "Sandbox application" in browser.get(f"/settings/{BILL}").text
    assert "No application may act for you" in browser.get(f"/settings/{MARY}").text
    assert browser.get("/settings/4711").status_code == 404


def test_revoke_in_the_settings(sandbox: Sandbox, browser: FlaskClient, token: str) -> None:
    """Revoking ends the token and queues the IPN."""
    page = browser.post(
        f"/settings/{BILL}/revoke", data={"client_id": "12345"}, follow_redirects=True
    )

    assert "No application may act for you" in page.text
    assert sandbox.tokens(BILL) == []
    assert [ipn.fields for ipn in sandbox.ipns] == [{"user_id": str(BILL)}]


# The control panel


def test_panel(sandbox: Sandbox, browser: FlaskClient, call: Call, account_id: int) -> None:
    """The panel shows what there is and what was asked, and whole tokens nowhere."""
    call(
        "checkout/create",
        account_id=account_id,
        short_description="A <bench>",
        type="donation",
        amount=1200,
        currency="USD",
    )
    exchange(sandbox, sandbox.issue_code(REDIRECT_URI), client_secret="wrong")
    exchange(sandbox, sandbox.issue_code(REDIRECT_URI, user_id=MARY))
    sandbox.authorize(authorize_url(sandbox), deny=True)
    call("user", "not json")
    sandbox.app.test_client().post("/v2/user", data=b"\xff")
    sandbox.revoke(BILL)
    sandbox.deliver_ipns(lambda address, fields: 500)

    text = browser.get("/").text

    for shown in ("Bill Baker", "Garden", "A &lt;bench&gt;", "$1,200.00", CALLBACK_URI):
        assert shown in text
    assert "1003: invalid client_secret parameter" in text
    assert "the user denied" in text
    assert not any(access_token in text for access_token in sandbox.world.tokens)


def test_live_panel(browser: FlaskClient) -> None:
    """The panel looks again by itself only where that is wanted."""
    assert 'http-equiv="refresh"' in browser.get("/?live=1").text
    assert 'http-equiv="refresh"' not in browser.get("/").text


def test_buttons_of_users(sandbox: Sandbox, browser: FlaskClient, token: str) -> None:
    """Revoke, delete and expire the codes."""
    code = sandbox.issue_code(REDIRECT_URI)

    for action in ("revoke", "delete", "expire-codes"):
        answer = browser.post(f"/panel/{action}", data={"id": BILL})
        assert answer.location == "/#users"

    assert sandbox.tokens(BILL) == []
    assert sandbox.world.users[BILL].state == "deleted"
    assert sandbox.world.codes[code].expires_at <= sandbox.world.clock()


def test_token_of_a_deleted_user(sandbox: Sandbox, browser: FlaskClient, token: str) -> None:
    """The panel says of no token that it lives whose user was deleted."""
    assert ">living<" in browser.get("/").text

    sandbox.delete_user(BILL)

    assert ">living<" not in browser.get("/").text


def test_buttons_of_payments(
    sandbox: Sandbox, browser: FlaskClient, call: Call, account_id: int
) -> None:
    """Verify an account, move a payment on."""
    card = {"type": "credit_card"}
    checkout = call(
        "checkout/create",
        account_id=account_id,
        payment_method=card,
        short_description="A bench",
        type="donation",
        amount=1,
        currency="USD",
    ).json

    browser.post("/panel/verify", data={"id": account_id})
    browser.post("/panel/move", data={"id": checkout["checkout_id"], "state": "captured"})

    assert sandbox.world.ledger.accounts[account_id].state == "active"
    assert sandbox.world.ledger.checkout(checkout["checkout_id"]).state == "captured"
    assert "Charge back" in browser.get("/").text


def test_buttons_of_ipns(
    sandbox: Sandbox,
    browser: FlaskClient,
    token: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fail, deliver and replay an IPN, and move the clock."""
    monkeypatch.setattr("flask_wepay.sandbox.ipns.post_over_http", lambda address, fields: 200)
    sandbox.revoke(BILL)

    states = []
    for action in ("fail", "deliver", "replay"):
        browser.post(f"/panel/{action}", data={"id": "1"})
        states.append([ipn.state for ipn in sandbox.ipns])
    browser.post("/panel/move-clock", data={"seconds": "900"})

    assert states == [["retrying"], ["delivered"], ["delivered", "waiting"]]
    assert clock() == 1_700_000_900


def test_clear_log(sandbox: Sandbox, browser: FlaskClient, call: Call) -> None:
    """The log can be emptied."""
    call("user")

    browser.post("/panel/clear-log")

    assert len(sandbox.log) == 0


@pytest.mark.parametrize(
    ("action", "form"),
    [
        ("nothing", {}),
        ("revoke", {"id": "me"}),
        ("deliver", {"id": "4711"}),
        ("verify", {"id": "4711"}),
        ("delete", {"id": "4711"}),
        ("revoke", {}),
    ],
)
def test_unusable_button(browser: FlaskClient, action: str, form: dict[str, str]) -> None:
    """A button for nothing is not found."""
    assert browser.post(f"/panel/{action}", data=form).status_code in {400, 404}


@pytest.mark.parametrize(
    ("currency", "text"), [("USD", "$1.00"), ("CAD", "CA$1.00"), ("JPY", "JPY 1.00")]
)
def test_money(currency: str, text: str) -> None:
    """An amount is written with its currency."""
    from decimal import Decimal

    assert show_money(Decimal(1), currency) == text


# The control API


class Control:
    """Another process, which scripts the sandbox over HTTP."""

    def __init__(self, client: FlaskClient) -> None:
        self._client = client

    def __call__(self, action: str, **arguments: Any) -> Any:
        answer = self._client.post(f"/sandbox/{action}", json=arguments)
        assert answer.status_code == 200, answer.text
        return answer.json

    def show(self, what: str) -> Any:
        return self._client.get(f"/sandbox/{what}").json


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


def test_control_payments(control: Control, call: Call, account_id: int) -> None:
    """Accounts and payments can be moved on over HTTP."""
    checkout = call(
        "checkout/create",
        account_id=account_id,
        short_description="A bench",
        type="donation",
        amount=1,
        currency="USD",
    ).json

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
        ({"expires_in": "soon"}, "expires_in must be int or None, not 'soon'"),
        ({"expires_in": True}, "expires_in must be int or None"),
        ({"shows_deleted_users": "no"}, "shows_deleted_users must be bool"),
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
        ("answer_next", {"call": "user", "status": "503"}, "status must be int"),
        ("hold", {"call": "user", "when": "sometime"}, "when must be"),
        ("release", {"hold": 4711}, "no hold 4711"),
        ("wait", {"hold": 4711}, "no hold 4711"),
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


def test_create_app() -> None:
    """The application alone can be had too."""
    app = create_app()

    assert app.test_client().get("/").status_code == 200
    assert isinstance(app.extensions["wepay_sandbox"], Sandbox)
