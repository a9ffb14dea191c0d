"""The sandbox's control panel: every button does what it says."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
from selenium.webdriver.common.by import By
from visitor import Visitor

from flask_wepay.sandbox.objects import SCOPES
from flask_wepay.sandbox.server import LiveSandbox

BILL = 100001
NOWHERE = "http://127.0.0.1:1/ipn"


@pytest.fixture
def sandbox() -> LiveSandbox:
    """A sandbox in which something has happened already, and that delivers when told to."""
    with LiveSandbox() as sandbox:
        token = sandbox.world.issue_token(12345, BILL, callback_uri=NOWHERE)
        ledger = sandbox.world.ledger
        account = ledger.add_account(token, name="Garden", description="Seeds")
        for title in ("A bench", "A tree"):
            ledger.add_checkout(
                sandbox.client_id,
                account_id=account.account_id,
                short_description=title,
                type="donation",
                currency="USD",
                amount=20,
                callback_uri=NOWHERE,
                hosted_checkout={},
            )
        yield sandbox


def test_every_button(visitor: Visitor, sandbox: LiveSandbox) -> None:
    """Users, accounts, payments, IPNs, the clock and the log are moved by clicking."""
    world = sandbox.world
    bench = world.ledger.all_checkouts()[0]
    sandbox.issue_code("http://localhost/callback")
    sandbox.app.test_client().post("/v2/no/such/call")
    sandbox.pay(bench.checkout_id)

    visitor.open(sandbox.url)
    visitor.sees("WePay sandbox")
    visitor.take_picture("1-panel")

    visitor.click("Expire all codes")
    assert all(code.expires_at <= world.clock() for code in world.codes.values())
    visitor.click("Verify Garden")
    assert world.ledger.accounts[bench.account_id].state == "active"
    visitor.click("Capture A bench")
    visitor.click("Release A bench")
    visitor.click("Charge back A bench")
    assert bench.state == "charged back"

    visitor.click("Fail IPN 1")
    visitor.click("Deliver now IPN 1")
    assert [attempt.problem for attempt in world.ipns.get(1).attempts] == [
        "failed by hand",
        "ConnectionError",
    ]
    known = len(sandbox.ipns)
    visitor.click("Replay IPN 1")
    assert len(sandbox.ipns) == known + 1
    before = world.clock()
    visitor.click("Clock + 15 min")
    visitor.click("+ 1 h")
    assert world.clock() - before >= 4500

    visitor.click(f"Revoke {world.users[BILL].user_name}")
    assert not sandbox.tokens(BILL)
    visitor.click(f"Delete {world.users[BILL].user_name}")
    assert world.users[BILL].state == "deleted"
    visitor.take_picture("2-panel-after")

    visitor.browser.execute_script("document.querySelector('details').open = true")
    visitor.browser.execute_script("document.querySelector('#log').scrollIntoView()")
    visitor.take_picture("3-log")
    visitor.click("Clear")
    assert len(sandbox.log) == 0
    visitor.sees("Nobody has asked anything yet.")


def test_looking_by_itself(visitor: Visitor, sandbox: LiveSandbox) -> None:
    """The panel refreshes itself when told so, and stops when told so."""
    visitor.open(sandbox.url)

    visitor.click("refresh by itself")
    sandbox.make_user("zoe@example.com", name="Zoe Later")
    visitor.sees("Zoe Later")
    visitor.click("stop refreshing")

    visitor.find("refresh by itself")


def test_no_field_lies_under_the_buttons(visitor: Visitor, sandbox: LiveSandbox) -> None:
    """On the authorize page somebody new sees each field and the buttons, without scrolling."""
    arguments = {
        "client_id": 12345,
        "redirect_uri": "http://localhost/callback",
        "scope": ",".join(SCOPES),
        "user_email": "robin@example.org",
    }
    on_top = """
    const box = arguments[0].getBoundingClientRect()
    return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) === arguments[0]
    """

    visitor.open(f"{sandbox.url}/v2/oauth2/authorize?{urlencode(arguments)}")
    visitor.sees_without_scrolling("Allow")
    visitor.take_picture("1-somebody-new")

    for name in ("name", "email", "country"):
        field = visitor.browser.find_element(By.NAME, name)
        assert visitor.browser.execute_script(on_top, field), name


def test_page_for_a_request_that_cannot_be_used(visitor: Visitor, sandbox: LiveSandbox) -> None:
    """An authorize request that WePay would refuse is explained, and leads nowhere."""
    visitor.open(f"{sandbox.url}/v2/oauth2/authorize?client_id=12345&scope=view_user")
    visitor.expect("400 (BAD REQUEST)")

    visitor.sees("redirect_uri parameter is required")
    visitor.take_picture("1-refused")
