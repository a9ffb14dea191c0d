"""Donors and organizers with a browser: donate, give back, revoke."""

from __future__ import annotations

from visitor import Visitor

from flask_wepay.sandbox.server import LiveSandbox

CAMPAIGN = "/campaigns/3"


def test_donate_and_revoke(visitor: Visitor, sandbox: LiveSandbox) -> None:
    """The whole story: connect, take a donation, give it back, revoke, be asked to reconnect."""
    visitor.connect()
    visitor.click("Log out")

    visitor.open(CAMPAIGN)
    visitor.sees("Organized by Robin Ashdown.")
    visitor.take_picture("1-campaign")
    visitor.fill("amount", "40")
    visitor.click("Donate with WePay")
    visitor.sees("to Robin Ashdown")
    visitor.take_picture("2-pay")
    visitor.click("Pay $40.00")
    visitor.sees("Thank you!")
    visitor.take_picture("3-thanks")
    visitor.click("Back to the campaign")
    visitor.sees("$40")
    visitor.take_picture("4-raised")

    visitor.log_in()
    visitor.sees("authorized")
    visitor.take_picture("5-dashboard")
    visitor.click("Give back")
    visitor.sees("cancelled")
    visitor.take_picture("6-given-back")

    visitor.open(f"{sandbox.url}/settings")
    visitor.take_picture("7-whose-settings")
    visitor.click("Robin Ashdown")
    visitor.sees("Connected applications")
    visitor.take_picture("8-settings")
    visitor.click("Revoke Sandbox application")
    visitor.sees("No application may act for you.")
    visitor.take_picture("9-revoked")
    visitor.wait.until(lambda _: all(ipn.delivered for ipn in sandbox.ipns))

    visitor.open(CAMPAIGN)
    visitor.sees("Your connection to WePay has ended.")
    visitor.take_picture("10-campaign-disconnected")
    visitor.browser.execute_script("window.isTheSame = true")
    visitor.find("Connect again").click()
    visitor.go_to_popup()
    visitor.take_picture("11-popup")
    visitor.find("Allow").click()
    visitor.sees_popup_close()
    visitor.sees("WePay is connected.")
    visitor.sees("Donate with WePay")
    visitor.take_picture("12-connected-again")
    assert visitor.browser.execute_script("return window.isTheSame")


def test_decline_and_try_again(visitor: Visitor, sandbox: LiveSandbox) -> None:
    """A donor whose card is declined, or who goes away before paying, sees how it stands."""
    visitor.connect()
    visitor.open(CAMPAIGN)
    visitor.click("Donate with WePay")
    (checkout,) = sandbox.world.ledger.all_checkouts()

    visitor.open(checkout.hosted_checkout["redirect_uri"])
    visitor.sees("Your donation is not complete")
    visitor.take_picture("1-not-complete")
    visitor.click("Try again")
    visitor.click("Decline")
    visitor.sees("The payment did not go through")
    visitor.take_picture("2-declined")

    visitor.open(f"{sandbox.url}/checkout/{checkout.checkout_id}")
    visitor.sees("The card was declined.")
    visitor.take_picture("3-declined-at-wepay")


def test_wepay_away(visitor: Visitor, sandbox: LiveSandbox) -> None:
    """While WePay is away a donor can only try again later, and an organizer stays connected."""
    visitor.connect()
    sandbox.answer_next("*", status=503, times=9)

    visitor.open(CAMPAIGN)
    visitor.click("Donate with WePay")
    visitor.sees("You have paid nothing.")
    visitor.take_picture("1-away")
    visitor.open("/dashboard")
    visitor.sees("Your connection is kept.")
    visitor.take_picture("2-dashboard")
    sandbox.faults.clear()

    visitor.browser.back()
    visitor.click("Try again")
    visitor.sees("to Robin Ashdown")


def test_connect_from_the_donation_dialog(visitor: Visitor, sandbox: LiveSandbox) -> None:
    """An organizer connects in a pop-up: the page stays, and says no, an error, and yes."""
    visitor.log_in()
    visitor.open(CAMPAIGN)
    visitor.browser.execute_script("window.isTheSame = true")

    visitor.find("Connect with WePay").click()
    visitor.go_to_popup()
    visitor.find("Deny").click()
    visitor.sees_popup_close()
    visitor.sees("You did not connect WePay.")
    visitor.take_picture("1-denied")

    sandbox.answer_next("oauth2/token", error_code=1012)
    visitor.find("Connect with WePay").click()
    visitor.go_to_popup()
    visitor.find("Allow").click()
    visitor.sees("WePay did not make the connection")
    visitor.take_picture("2-error-in-the-popup")
    visitor.expect("502 (BAD GATEWAY)")
    visitor.find("Back to the site").click()
    visitor.sees_popup_close()
    visitor.sees("That did not work.")

    visitor.find("Connect with WePay").click()
    visitor.go_to_popup()
    visitor.find("Allow").click()
    visitor.sees_popup_close()
    visitor.sees("WePay is connected.")
    visitor.sees("Donate with WePay")
    visitor.take_picture("3-connected")
    assert visitor.browser.execute_script("return window.isTheSame")
    visitor.expected += visitor.said("403 (FORBIDDEN)")
