"""Donations to the example platform, tested as a user of the plugin would."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest
from crowdfunding.extensions import db
from crowdfunding.models import Donation
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import Sandbox


def test_connect_donate_revoke(app, robin, wepay_sandbox, wepay_connect, wepay_ipn) -> None:
    """A campaign takes donations from when its organizer connects until they revoke."""
    wepay_connect(robin, email="robin@example.org")
    merchant = wepay_sandbox.world.user_by_email("robin@example.org")
    donor = app.test_client()

    to_wepay = donor.post("/campaigns/3", data={"amount": "25"})
    thanks = donor.get(wepay_sandbox.pay_at(to_wepay.location))
    wepay_sandbox.revoke(merchant.user_id)
    wepay_ipn(donor, merchant.user_id)

    assert "Thank you!" in thanks.text
    assert "No donations at the moment" in donor.get("/campaigns/3").text
    assert "Connect again" in robin.get("/dashboard").text


@pytest.fixture
def connected(robin: FlaskClient, wepay_connect: Connect) -> FlaskClient:
    """A browser of the organizer's, who has connected."""
    wepay_connect(robin)
    return robin


def donate(donor: FlaskClient, amount: str = "25") -> TestResponse:
    return donor.post("/campaigns/3", data={"amount": amount})


def raised(donor: FlaskClient) -> str:
    return re.search(r"<strong>(.*)</strong> of \$1,200", donor.get("/campaigns/3").text)[1]


def donations(app: Flask) -> list[Donation]:
    with app.app_context():
        return list(db.session.scalars(db.select(Donation)))


def accounts(sandbox: Sandbox) -> list[Any]:
    return list(sandbox.world.ledger.accounts.values())


def checkouts(sandbox: Sandbox) -> list[Any]:
    return sandbox.world.ledger.all_checkouts()


def test_account_is_opened_by_connecting(
    robin: FlaskClient, wepay_connect: Connect, wepay_sandbox: Sandbox
) -> None:
    """The first authorization opens an account; connecting again finds it."""
    wepay_connect(robin)
    wepay_connect(robin, login="/wepay/login?force=1")

    (account,) = accounts(wepay_sandbox)
    assert account.name == "Robin Ashdown"
    assert wepay_sandbox.count("account/create") == 1


def test_account_is_opened_at_the_first_need(
    robin: FlaskClient,
    client: FlaskClient,
    wepay_connect: Connect,
    wepay_sandbox: Sandbox,
) -> None:
    """Where it could not be opened at once the organizer is connected, and a donation opens it."""
    wepay_sandbox.answer_next("account/create", status=500)
    wepay_connect(robin)
    assert "Connected to WePay" in robin.get("/dashboard").text
    assert not accounts(wepay_sandbox)

    to_wepay = donate(client)

    assert to_wepay.location.startswith(f"{wepay_sandbox.url}/checkout/")
    assert len(accounts(wepay_sandbox)) == 1


def test_account_whose_answer_was_lost_is_found(
    robin: FlaskClient, client: FlaskClient, wepay_connect: Connect, wepay_sandbox: Sandbox
) -> None:
    """An account that was opened without our hearing of it is used, not opened twice."""
    wepay_sandbox.drop_next("account/create", before=False)
    wepay_connect(robin)

    donate(client)

    (account,) = accounts(wepay_sandbox)
    (checkout,) = checkouts(wepay_sandbox)
    assert checkout.account_id == account.account_id


def test_another_wepay_user_has_an_account_of_their_own(
    robin: FlaskClient, client: FlaskClient, wepay_connect: Connect, wepay_sandbox: Sandbox
) -> None:
    """An organizer who connects as somebody else is paid into that one's account."""
    wepay_connect(robin, email="bill@example.com")
    donate(client)
    wepay_connect(robin, email="mary@example.com", login="/wepay/login?force=1")
    donate(client)

    owners = [
        wepay_sandbox.world.ledger.accounts[checkout.account_id].owner_user_id
        for checkout in checkouts(wepay_sandbox)
    ]
    assert owners == [100001, 100002]


@pytest.mark.usefixtures("connected")
def test_payment_page(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """The donor pays the campaign's organizer what they wrote, on WePay's page."""
    page = wepay_sandbox.app.test_client().get(donate(client, "12.50").location)

    assert "$12.50" in page.text
    assert "A footbridge over Miller&#39;s Brook" in page.text
    assert "to Robin Ashdown" in page.text


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("amount", ["", "0", "0.99", "10001", "a lot", "NaN"])
def test_amount_that_nobody_gives(amount: str, client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Nonsense in the amount's field is said so, and WePay is not bothered."""
    page = donate(client, amount)

    assert 'class="error"' in page.text
    assert wepay_sandbox.count("checkout/create") == 0


@pytest.mark.usefixtures("connected")
def test_notification_updates_the_donation(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_ipn: DeliverIPN
) -> None:
    """An IPN has the donation looked up, and one that comes twice changes nothing more."""
    donate(client)
    (checkout,) = checkouts(wepay_sandbox)
    assert raised(client) == "$0"

    for state in ("authorized", "captured"):
        wepay_sandbox.pay(checkout.checkout_id, state=state)
        assert wepay_ipn(client, checkout_id=checkout.checkout_id).status_code == 200
    wepay_ipn(client, checkout_id=checkout.checkout_id, callback_uri=checkout.callback_uri)

    assert raised(client) == "$25"
    (donation,) = donations(app)
    assert (donation.state, donation.checkout_id) == ("captured", checkout.checkout_id)


@pytest.mark.usefixtures("connected")
def test_notification_while_wepay_is_away(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_ipn: DeliverIPN
) -> None:
    """An IPN that can't be looked up is delivered again, and is not lost."""
    donate(client)
    (checkout,) = checkouts(wepay_sandbox)
    wepay_sandbox.pay(checkout.checkout_id)

    wepay_sandbox.unreachable = True
    assert wepay_ipn(client, checkout_id=checkout.checkout_id).status_code == 503
    wepay_sandbox.unreachable = False
    wepay_sandbox.move_clock(900)
    assert wepay_ipn(client, checkout_id=checkout.checkout_id).status_code == 200

    assert raised(client) == "$25"


@pytest.mark.usefixtures("connected")
def test_notification_of_an_unknown_checkout(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_ipn: DeliverIPN
) -> None:
    """An IPN about what is not ours is taken, and nothing is asked or changed."""
    donate(client)
    (checkout,) = checkouts(wepay_sandbox)

    answer = wepay_ipn(client, checkout_id=7, callback_uri=checkout.callback_uri)

    assert answer.status_code == 200
    assert wepay_sandbox.count("checkout") == 0
    assert [donation.state for donation in donations(app)] == ["new"]


@pytest.mark.usefixtures("connected")
def test_answers_that_overtook_one_another(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_ipn: DeliverIPN
) -> None:
    """An old answer that comes late takes the donation no step back."""
    donate(client)
    (checkout,) = checkouts(wepay_sandbox)
    wepay_sandbox.pay(checkout.checkout_id, state="captured")
    wepay_ipn(client, checkout_id=checkout.checkout_id)

    old = {"state": "authorized", "refund": {"amount_refunded": 0}}
    wepay_sandbox.answer_next("checkout", body=old)
    wepay_ipn(client, checkout_id=checkout.checkout_id, callback_uri=checkout.callback_uri)

    assert [donation.state for donation in donations(app)] == ["captured"]


@pytest.mark.usefixtures("connected")
def test_lost_answer(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A checkout that may have been made is asked for again by its unique_id, and is one."""
    wepay_sandbox.drop_next("checkout/create", before=False)

    to_wepay = donate(client)

    (checkout,) = checkouts(wepay_sandbox)
    assert to_wepay.location == f"{wepay_sandbox.url}/checkout/{checkout.checkout_id}"
    assert wepay_sandbox.count("checkout/create") == 2


@pytest.mark.usefixtures("connected")
def test_try_again_after_answers_were_lost(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A donor who tries again goes on with the same payment."""
    wepay_sandbox.drop_next("checkout/create", before=False, times=2)
    sorry = donate(client)
    assert "You have paid nothing." in client.get(sorry.location).text

    to_wepay = client.post(f"{sorry.location}/pay")

    (checkout,) = checkouts(wepay_sandbox)
    assert to_wepay.location == f"{wepay_sandbox.url}/checkout/{checkout.checkout_id}"
    assert "Thank you!" in client.get(wepay_sandbox.pay_at(to_wepay.location)).text


@pytest.mark.usefixtures("connected")
def test_wepay_away(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """While WePay is away the donor is told so, and the donation waits for them."""
    wepay_sandbox.unreachable = True
    sorry = donate(client)
    page = client.get(sorry.location).text
    assert "WePay does not answer at the moment." in page
    assert "Try again" in page

    wepay_sandbox.unreachable = False

    assert client.post(f"{sorry.location}/pay").location.startswith(wepay_sandbox.url)
    assert len(checkouts(wepay_sandbox)) == 1


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize(
    ("error_code", "said"), [(1007, "does not answer"), (1010, "did not accept"), (1008, "again")]
)
def test_wepay_refuses(
    error_code: int, said: str, client: FlaskClient, wepay_sandbox: Sandbox
) -> None:
    """Whatever WePay refuses for, the donor sees a sentence and has paid nothing."""
    wepay_sandbox.answer_next("checkout/create", error_code=error_code, times=2)

    page = client.get(donate(client).location).text

    assert said in page
    assert "You have paid nothing." in page


@pytest.mark.usefixtures("connected")
def test_declined(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A declined card is no donation."""
    back = wepay_sandbox.pay_at(donate(client).location, decline=True)

    assert "The payment did not go through" in client.get(back).text
    assert raised(client) == "$0"


@pytest.mark.usefixtures("connected")
def test_back_without_paying(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A donor who comes back without having paid can go on."""
    to_wepay = donate(client)
    here = checkouts(wepay_sandbox)[0].hosted_checkout["redirect_uri"]

    assert "Your donation is not complete" in client.get(here).text
    assert client.post(f"{here}/pay").location == to_wepay.location


@pytest.mark.usefixtures("connected")
def test_paid_already(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Somebody who has paid is not sent to pay once more."""
    thanks = client.get(wepay_sandbox.pay_at(donate(client).location)).request.path

    answer = client.post(f"{thanks}/pay")

    assert answer.location == thanks
    assert wepay_sandbox.count("checkout/create") == 1


@pytest.mark.usefixtures("connected")
def test_donor_of_a_revoked_organizer(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A donor is told, and never asked to connect, when the organizer has gone."""
    revoke_all(wepay_sandbox)

    answer = donate(client)

    assert answer.location == "/campaigns/3"
    page = client.get("/campaigns/3").text
    assert "This campaign takes no donations at the moment." in page
    assert "Connect again" not in page


def test_revoked_organizer(
    connected: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, client: FlaskClient
) -> None:
    """An organizer who revoked is asked to connect again, and then donations go on."""
    revoke_all(wepay_sandbox)
    assert "Your connection to WePay has ended." in connected.get("/dashboard").text
    assert "Connect again" in connected.get("/campaigns/3").text

    wepay_connect(connected)

    assert donate(client).location.startswith(wepay_sandbox.url)
    assert len(accounts(wepay_sandbox)) == 1


@pytest.mark.parametrize(
    ("state", "call", "becomes"),
    [("authorized", "checkout/cancel", "cancelled"), ("captured", "checkout/refund", "refunded")],
)
@pytest.mark.parametrize("lost", [False, True])
def test_give_back(
    state: str,
    call: str,
    becomes: str,
    lost: bool,
    connected: FlaskClient,
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_ipn: DeliverIPN,
) -> None:
    """An organizer gives a donation back, once, though WePay's answer be lost."""
    here = paid(client, wepay_sandbox, wepay_ipn, state)
    assert "Give back" in connected.get("/dashboard").text
    if lost:
        wepay_sandbox.drop_next(call, before=False)

    page = connected.post(f"{here}/give-back", follow_redirects=True)

    assert becomes in page.text
    assert "Give back" not in page.text
    assert wepay_sandbox.count(call) == 1
    assert raised(client) == "$0"
    assert "You have your money back" in client.get(here).text


def test_give_back_while_wepay_is_away(
    connected: FlaskClient, client: FlaskClient, wepay_sandbox: Sandbox, wepay_ipn: DeliverIPN
) -> None:
    """What WePay did not confirm is not shown as done."""
    here = paid(client, wepay_sandbox, wepay_ipn, "captured")
    wepay_sandbox.unreachable = True
    connected.post(f"{here}/give-back")
    wepay_sandbox.unreachable = False

    page = connected.get("/dashboard").text

    assert "WePay did not confirm that." in page
    assert "Give back" in page


def test_give_back_after_revoking(
    connected: FlaskClient, client: FlaskClient, wepay_sandbox: Sandbox, wepay_ipn: DeliverIPN
) -> None:
    """An organizer who took the access back is asked to connect first."""
    here = paid(client, wepay_sandbox, wepay_ipn, "captured")
    revoke_all(wepay_sandbox)

    page = connected.post(f"{here}/give-back", follow_redirects=True)

    assert "WePay did not confirm that." in page.text
    assert "Connect again" in page.text


@pytest.mark.usefixtures("connected")
def test_part_of_it_given_back(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_ipn: DeliverIPN
) -> None:
    """A refund of a part, made elsewhere, leaves the rest."""
    paid(client, wepay_sandbox, wepay_ipn, "captured")
    (checkout,) = checkouts(wepay_sandbox)
    wepay_sandbox.world.ledger.refund(checkout, Decimal("5.10"), "Rain")

    wepay_ipn(client, checkout_id=checkout.checkout_id)

    assert raised(client) == "$19.90"


@pytest.mark.usefixtures("connected")
def test_give_back_somebody_elses(
    client: FlaskClient,
    wepay_connect: Connect,
    wepay_sandbox: Sandbox,
    wepay_ipn: DeliverIPN,
) -> None:
    """Nobody gives back what others received."""
    here = paid(client, wepay_sandbox, wepay_ipn, "captured")
    sam = {"name": "Sam Reed", "email": "sam@example.org", "password": "eight or more"}
    client.post("/register", data=sam)
    wepay_connect(client)

    assert client.post(f"{here}/give-back").status_code == 404
    assert raised(client) == "$25"


def paid(client: FlaskClient, sandbox: Sandbox, wepay_ipn: DeliverIPN, state: str) -> str:
    """Donate and pay; give the path of the donation."""
    here = client.get(sandbox.pay_at(donate(client).location)).request.path
    (checkout,) = checkouts(sandbox)
    sandbox.pay(checkout.checkout_id, state=state)
    wepay_ipn(client, checkout_id=checkout.checkout_id)
    return here


def revoke_all(sandbox: Sandbox) -> None:
    for user_id in sandbox.world.users:
        sandbox.revoke(user_id)
