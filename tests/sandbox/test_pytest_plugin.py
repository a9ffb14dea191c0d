"""The fixtures, used as a user of the package would."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest
import requests
from asking import BILL, CREDENTIALS, SCOPE
from flask import Flask, redirect, request, session, url_for
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue

from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import Sandbox
from flask_wepay.sandbox.server import LiveSandbox


def make_shop(url: str) -> Flask:
    """Make an application that connects by hand, without the extension."""
    app = Flask(__name__)
    app.secret_key = "shop"
    app.config["HEARD"] = []

    @app.get("/wepay/login")
    def login() -> ResponseReturnValue:
        if "user_id" in session:
            return redirect("/")
        query = {
            "client_id": 12345,
            "redirect_uri": url_for("callback", _external=True),
            "scope": SCOPE,
            **request.args,
        }
        return redirect(f"{url}/v2/oauth2/authorize?{urlencode(query)}")

    @app.get("/wepay/callback")
    def callback() -> ResponseReturnValue:
        if "error" in request.args:
            return "denied", 403
        body = {
            **CREDENTIALS,
            "code": request.args["code"],
            "redirect_uri": url_for("callback", _external=True),
            "callback_uri": "http://localhost/wepay/ipn?sig=1",
        }
        answer = requests.post(f"{url}/v2/oauth2/token", json=body, timeout=5).json()
        session["user_id"] = answer["user_id"]
        return f"user {answer['user_id']}"

    @app.post("/wepay/ipn")
    def ipn() -> ResponseReturnValue:
        app.config["HEARD"].append((request.args["sig"], request.form.to_dict()))
        return "", 200

    return app


@pytest.fixture
def client(wepay_sandbox: Sandbox) -> FlaskClient:
    return make_shop(wepay_sandbox.url).test_client()


def test_connect(client: FlaskClient, wepay_connect: Connect, wepay_sandbox: Sandbox) -> None:
    """One line takes a client through the whole login."""
    answer = wepay_connect(client, email="zoe@example.com")

    user = wepay_sandbox.world.user_by_email("zoe@example.com")
    assert user is not None
    assert answer.text == f"user {user.user_id}"


def test_connect_as_the_first_user(client: FlaskClient, wepay_connect: Connect) -> None:
    """Without a mail address it is the first user."""
    assert wepay_connect(client).text == f"user {BILL}"


def test_connect_as_the_prefilled_user(client: FlaskClient, wepay_connect: Connect) -> None:
    """A user that the application pre-fills is the one."""
    answer = wepay_connect(client, login="/wepay/login?user_email=mary@example.com")

    assert answer.text == "user 100002"


def test_connect_and_deny(client: FlaskClient, wepay_connect: Connect) -> None:
    """A denial is as easy."""
    assert wepay_connect(client, deny=True).status_code == 403


def test_connect_while_connected(client: FlaskClient, wepay_connect: Connect) -> None:
    """Where the application does not go to WePay, its own answer is given."""
    wepay_connect(client)

    assert wepay_connect(client).location == "/"


def test_connect_on_another_host(client: FlaskClient, wepay_connect: Connect) -> None:
    """The login may begin on any host, and comes back to it."""
    answer = wepay_connect(client, base_url="https://shop.example")

    assert answer.request.host == "shop.example"


def test_connect_live(
    wepay_live_sandbox: LiveSandbox, wepay_connect: Connect, wepay_ipn: DeliverIPN
) -> None:
    """With the live sandbox in a test, the other fixtures go with that."""
    client = make_shop(wepay_live_sandbox.url).test_client()

    assert wepay_connect(client).text == f"user {BILL}"
    assert wepay_ipn(client, BILL).status_code == 200


def test_queued_ipn(
    client: FlaskClient,
    wepay_connect: Connect,
    wepay_ipn: DeliverIPN,
    wepay_sandbox: Sandbox,
) -> None:
    """An IPN that the sandbox has queued is delivered, once."""
    wepay_connect(client.application.test_client(), email="mary@example.com")
    wepay_connect(client)
    wepay_sandbox.revoke(100002)
    wepay_sandbox.revoke(BILL)

    answer = wepay_ipn(client, BILL)

    assert answer.status_code == 200
    assert client.application.config["HEARD"] == [("1", {"user_id": str(BILL)})]
    assert [ipn.state for ipn in wepay_sandbox.ipns] == ["waiting", "delivered"]


def test_made_ipn(client: FlaskClient, wepay_connect: Connect, wepay_ipn: DeliverIPN) -> None:
    """Without one in the queue an IPN is made up for the token's address."""
    wepay_connect(client)
    wepay_connect(client.application.test_client(), email="mary@example.com")

    wepay_ipn(client, BILL)

    assert client.application.config["HEARD"] == [("1", {"user_id": str(BILL)})]


def test_ipn_to_an_address(client: FlaskClient, wepay_ipn: DeliverIPN) -> None:
    """An IPN can be about anything, and go anywhere."""
    wepay_ipn(client, callback_uri="/wepay/ipn?sig=2", checkout_id=7)

    assert client.application.config["HEARD"] == [("2", {"checkout_id": "7"})]


def test_ipn_for_nobody(client: FlaskClient, wepay_ipn: DeliverIPN) -> None:
    """Without a queued IPN or an address there is nothing to deliver."""
    with pytest.raises(LookupError, match="No IPN is queued"):
        wepay_ipn(client, BILL)


@pytest.mark.parametrize("host", ["wepayapi.com", "stage.wepayapi.com", "www.wepay.com"])
@pytest.mark.usefixtures("wepay_sandbox")
def test_real_wepay_is_out_of_reach(host: str) -> None:
    """With the wrong environment a test fails, instead of asking the real WePay."""
    with pytest.raises(RuntimeError, match=f"was about to ask {host}: is 'WEPAY_ENVIRONMENT'"):
        requests.post(f"https://{host}/v2/checkout/create", json={}, timeout=5)


def test_login_that_leads_to_the_real_wepay(wepay_connect: Connect) -> None:
    """So it does where the browser would be sent there."""
    app = Flask(__name__)
    app.add_url_rule(
        "/wepay/login", "login", lambda: redirect("https://stage.wepay.com/v2/oauth2/authorize?a=b")
    )

    with pytest.raises(AssertionError, match=r"redirects to https://stage\.wepay\.com"):
        wepay_connect(app.test_client())


@pytest.mark.usefixtures("wepay_sandbox")
def test_other_addresses_are_left_alone(wepay_live_sandbox: LiveSandbox) -> None:
    """What is neither the sandbox nor WePay is asked as ever."""
    answer = requests.post(f"{wepay_live_sandbox.url}/v2/app", json={}, timeout=5)

    assert answer.json()["error_code"] == 1004
