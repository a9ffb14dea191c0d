"""The example platform does what its pages say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

CAMPAIGN = {"title": "A bench", "summary": "For two.", "story": "Oak.", "goal": "300"}


def test_home_lists_the_campaigns(client: FlaskClient) -> None:
    """Everybody sees the campaigns, newest first, and a way to each."""
    page = client.get("/").text

    assert page.index("footbridge") < page.index("Winter coats") < page.index("youth orchestra")
    assert 'href="/campaigns/3"' in page


def test_register(client: FlaskClient) -> None:
    """Somebody new registers, is logged in, and has no campaigns yet."""
    form = {"name": "Sam Reed", "email": "Sam@Example.org", "password": "eight or more"}

    page = client.post("/register", data=form, follow_redirects=True)

    assert page.request.path == "/dashboard"
    assert "You have no campaigns yet." in page.text


def test_register_twice(client: FlaskClient) -> None:
    """One address registers once, however it is spelled."""
    form = {"name": "Robin", "email": "ROBIN@example.org", "password": "eight or more"}

    page = client.post("/register", data=form)

    assert "Somebody has registered with this address." in page.text


def test_wrong_password(client: FlaskClient) -> None:
    """A wrong password logs nobody in."""
    page = client.post("/login", data={"email": "robin@example.org", "password": "wrong"})

    assert "The e-mail or the password is wrong." in page.text
    assert client.get("/dashboard").location.startswith("/login")


def test_login_leads_to_the_page_that_was_asked_for(client: FlaskClient) -> None:
    """Who had to log in first goes on where they were going."""
    client.get("/campaigns/new")

    form = {"email": "robin@example.org", "password": "lanterns-at-dusk"}
    assert client.post("/login", data=form).location == "/campaigns/new"


def test_login_stays_on_the_site(client: FlaskClient) -> None:
    """A ``next`` in the address of the login page leads nowhere."""
    form = {"email": "robin@example.org", "password": "lanterns-at-dusk"}

    answer = client.post("/login?next=https://evil.example/", data=form)

    assert answer.location == "/dashboard"


def test_logout(robin: FlaskClient) -> None:
    """After logging out the dashboard is closed."""
    robin.post("/logout")

    assert robin.get("/dashboard").location.startswith("/login")


def test_demo_login_is_shown_in_the_demo_only(app: Flask, client: FlaskClient) -> None:
    """The demo's password is on no page of a site that is not the demo."""
    assert "lanterns-at-dusk" in client.get("/").text
    assert "lanterns-at-dusk" in client.get("/login").text

    app.config["DEMO"] = False
    assert "lanterns-at-dusk" not in client.get("/").text
    assert "lanterns-at-dusk" not in client.get("/login").text


def test_seed_twice(app: Flask, client: FlaskClient) -> None:
    """Seeding again adds nothing."""
    result = app.test_cli_runner().invoke(args=["seed"])

    assert result.exit_code == 0
    assert client.get("/").text.count('class="card"') == 3


def test_connect(robin: FlaskClient, wepay_connect: Connect, wepay_sandbox: Sandbox) -> None:
    """A connected organizer sees who they are at WePay, by a call with the stored token."""
    assert "Connect with WePay" in robin.get("/dashboard").text

    wepay_connect(robin)
    page = robin.get("/dashboard")

    (user,) = (user for user in wepay_sandbox.world.users.values() if "robin" in user.email)
    assert "Connected to WePay" in page.text
    assert "robin@example.org" in page.text
    assert f"<dd>{user.user_id}</dd>" in page.text
    assert "Connect with WePay" not in page.text


def test_prefill(robin: FlaskClient) -> None:
    """WePay's form knows the organizer's name and address already."""
    location = robin.get("/wepay/login").location

    assert "user_name=Robin+Ashdown" in location.replace("%20", "+")
    assert "user_email=robin%40example.org" in location


def test_connection_is_the_users_own(
    app: Flask, robin: FlaskClient, wepay_connect: Connect
) -> None:
    """Another user of the platform is not connected by it."""
    wepay_connect(robin)
    sam = app.test_client()

    form = {"name": "Sam Reed", "email": "sam@example.org", "password": "eight or more"}
    page = sam.post("/register", data=form, follow_redirects=True)

    assert "Not connected" in page.text


def test_deny(robin: FlaskClient, wepay_connect: Connect) -> None:
    """Somebody who says no comes back to a page that says so, and is asked nothing again."""
    page = robin.get(wepay_connect(robin, deny=True).location)

    assert page.request.path == "/dashboard"
    assert "You did not connect WePay." in page.text
    assert "Not connected" in page.text


def test_disconnect(robin: FlaskClient, wepay_connect: Connect) -> None:
    """Disconnecting takes a press on the button, and the button to connect is back."""
    wepay_connect(robin)

    page = robin.post("/payments/disconnect", follow_redirects=True)

    assert "Disconnected." in page.text
    assert "Not connected" in page.text
    assert robin.get("/payments/disconnect").status_code == 405


def test_disconnect_wants_a_csrf_token(
    app: Flask, robin: FlaskClient, wepay_connect: Connect
) -> None:
    """Another site cannot disconnect an organizer."""
    wepay_connect(robin)
    app.config["WTF_CSRF_ENABLED"] = True

    assert robin.post("/payments/disconnect").status_code == 400
    assert "Connected to WePay" in robin.get("/dashboard").text


def test_revoked_at_wepay(
    robin: FlaskClient, wepay_connect: Connect, wepay_sandbox: Sandbox
) -> None:
    """Who took the access back at WePay is told so, and can connect again."""
    wepay_connect(robin)
    for user_id in wepay_sandbox.world.users:
        wepay_sandbox.revoke(user_id)

    page = robin.get("/dashboard")

    assert page.status_code == 200
    assert "Your connection to WePay has ended." in page.text
    assert "Not connected" in page.text


def test_wepay_away(robin: FlaskClient, wepay_connect: Connect, wepay_sandbox: Sandbox) -> None:
    """While WePay is away the dashboard works, and the connection is kept."""
    wepay_connect(robin)

    wepay_sandbox.unreachable = True
    page = robin.get("/dashboard")

    assert page.status_code == 200
    assert "WePay does not answer at the moment." in page.text

    wepay_sandbox.unreachable = False
    assert "robin@example.org" in robin.get("/dashboard").text


@pytest.mark.parametrize(
    ("error_code", "said"),
    [(1006, "does not know your connection"), (1007, "does not answer")],
)
def test_wepay_refuses(
    error_code: int,
    said: str,
    robin: FlaskClient,
    wepay_connect: Connect,
    wepay_sandbox: Sandbox,
) -> None:
    """An error of WePay's shows as a sentence, and disconnects nobody."""
    wepay_connect(robin)

    wepay_sandbox.answer_next("user", error_code=error_code)

    assert said in robin.get("/dashboard").text
    assert "robin@example.org" in robin.get("/dashboard").text


def test_new_campaign(robin: FlaskClient, wepay_connect: Connect) -> None:
    """A connected organizer begins a campaign, which can receive donations at once."""
    wepay_connect(robin)

    page = robin.post("/campaigns/new", data=CAMPAIGN, follow_redirects=True)

    assert "Your campaign is online." in page.text
    assert "Donate with WePay" in page.text


def test_new_campaign_wants_a_connection(robin: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Who isn't connected is taken to WePay, and back to the form."""
    to_login = robin.get("/campaigns/new")
    to_wepay = robin.get(to_login.location)

    page = robin.get(wepay_sandbox.authorize(to_wepay.location), follow_redirects=True)

    assert page.request.path == "/campaigns/new"
    assert "Put it online" in page.text


def test_form_sent_without_a_connection(robin: FlaskClient) -> None:
    """A form sent after the connection has ended is refused, on a page that says why."""
    page = robin.post("/campaigns/new", data=CAMPAIGN)

    assert page.status_code == 403
    assert "Lantern Street" in page.text
    assert "Connect with WePay" in page.text


def test_donors_see_whether_donations_arrive(
    app: Flask, robin: FlaskClient, wepay_connect: Connect
) -> None:
    """Whether a campaign takes donations depends on its organizer, not on who looks."""
    donor = app.test_client()
    assert "No donations at the moment" in donor.get("/campaigns/1").text

    wepay_connect(robin)

    assert "Donate with WePay" in donor.get("/campaigns/1").text


def test_organizers_connect_from_their_campaign(robin: FlaskClient) -> None:
    """Somebody whose campaign takes no donations can connect right there, and come back."""
    page = robin.get("/campaigns/1").text

    assert 'href="/wepay/login?next=/campaigns/1"' in page
    assert "You have not connected WePay yet." in page


def test_stale_callback(robin: FlaskClient) -> None:
    """A callback of nobody's login ends on a page of this site, with a way on."""
    page = robin.get("/wepay/callback?code=abc&state=made-up")

    assert 400 <= page.status_code < 500
    assert "Lantern Street" in page.text
    assert "Connect with WePay" in page.text


def test_missing_campaign(client: FlaskClient) -> None:
    """A campaign that isn't there is a 404, on a page of this site."""
    page = client.get("/campaigns/99")

    assert page.status_code == 404
    assert "<h1>This page does not exist</h1>" in page.text
    assert "Lantern Street" in page.text
    assert '<meta name="viewport"' in page.text


def test_form_of_another_site(app: Flask, client: FlaskClient) -> None:
    """What is refused otherwise is a page of this site too."""
    app.config["WTF_CSRF_ENABLED"] = True

    page = client.post("/login")

    assert page.status_code == 400
    assert "Lantern Street" in page.text


def test_error_is_for_the_log(app: Flask, robin: FlaskClient, caplog: Any) -> None:
    """What is wrong with the settings is in the log, and no visitor reads it."""
    app.config["SESSION_COOKIE_PATH"] = "/elsewhere"

    page = robin.get("/wepay/login")

    assert page.status_code == 500
    assert "This site is not set up for WePay correctly" in page.text
    assert "SESSION_COOKIE_PATH" in caplog.text
    assert "SESSION_COOKIE_PATH" not in page.text


def test_no_external_resources() -> None:
    """No template or style loads anything from elsewhere."""
    example = Path(__file__).parents[2] / "examples" / "crowdfunding"
    files = [*example.rglob("*.html"), *example.rglob("*.css")]

    assert files
    assert not [file for file in files if "//" in file.read_text()]
