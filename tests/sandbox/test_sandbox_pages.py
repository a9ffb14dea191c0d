"""The settings and the control panel."""

from __future__ import annotations

import re

import pytest
from asking import BILL, CALLBACK_URI, MARY, REDIRECT_URI, Call, Donate, authorize_url, exchange
from flask.testing import FlaskClient

from flask_wepay.sandbox import Clock, Sandbox, create_app
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


@pytest.mark.parametrize(
    ("method", "page", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/checkout/1", 404),
        ("GET", "/settings/1", 404),
        ("POST", "/settings", 405),
    ],
)
def test_page_that_is_not_there(browser: FlaskClient, method: str, page: str, status: int) -> None:
    """A page that there is not looks like the others, and leads to the panel too."""
    answer = browser.open(page, method=method)

    assert answer.status_code == status
    assert 'name="viewport"' in answer.text
    assert 'href="/static/sandbox.css"' in answer.text
    assert '<a href="/">Control panel</a>' in answer.text


def test_way_back_to_the_panel(sandbox: Sandbox, browser: FlaskClient, donate: Donate) -> None:
    """Every page but the panel itself leads to it."""
    checkout = donate(hosted_checkout={"mode": "regular"})
    pages = [
        "/settings",
        f"/settings/{BILL}",
        f"/checkout/{checkout['checkout_id']}",
        authorize_url(sandbox).removeprefix(sandbox.url),
        "/v2/oauth2/authorize",
    ]

    assert all('<a href="/">Control panel</a>' in browser.get(page).text for page in pages)
    assert "Control panel</a>" not in browser.get("/").text


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


def test_stopped_clock(sandbox: Sandbox, browser: FlaskClient) -> None:
    """The panel says the world's time, and whether it stands still."""
    runs = browser.get("/").text
    sandbox.set_clock("2026-03-01T12:00:00Z", frozen=True)

    assert "2023-11-14 22:13:20 UTC" in runs
    assert ", stopped" not in runs
    assert "2026-03-01 12:00:00 UTC, stopped" in browser.get("/").text


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
    sandbox: Sandbox, browser: FlaskClient, donate: Donate, account_id: int
) -> None:
    """Verify an account, move a payment on."""
    checkout = donate()

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


def test_create_app() -> None:
    """The application alone can be had too."""
    app = create_app()

    assert app.test_client().get("/").status_code == 200
    assert isinstance(app.extensions["wepay_sandbox"], Sandbox)
