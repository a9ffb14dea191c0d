"""wepay_required lets only a connected owner in, and leads the others to login and back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from ada_url import URL
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_wepay import WePay, current_wepay, wepay_required
from flask_wepay.errors import APIError, NotAuthorized, TokenRevoked
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

MakeApp = Callable[..., Flask]
Rows = Callable[[], list[Any]]

LONG_AGO = timedelta(seconds=70)


@pytest.fixture
def app(app: Flask) -> Flask:
    """An application with views that want a connection."""

    @app.route("/account", methods=["GET", "POST", "PUT", "DELETE"])
    @wepay_required
    def account() -> str:
        """Show the account."""
        return str(current_wepay.user_id)

    @app.get("/call")
    @wepay_required
    def call() -> Any:
        return current_wepay.call("user")

    @app.post("/pay")
    @wepay_required
    def pay() -> Any:
        return current_wepay.call("account/create", name="n", description="d")

    @app.get("/merchant/<owner>")
    @wepay_required
    def merchant(owner: str) -> Any:
        wepay: WePay = app.extensions["test"]["wepay"]
        return wepay.client_for(owner).call("user")

    @app.get("/<path:anything>")
    @wepay_required
    def other(anything: str) -> str:
        return anything

    @app.get("/refused")
    @wepay_required
    def refused() -> Any:
        raise APIError("refused", error_code=1010)

    return app


def follow(client: FlaskClient, address: str, sandbox: Sandbox) -> tuple[TestResponse, list[str]]:
    """Follow redirects, consent at WePay by itself, and give the last answer and the way."""
    way: list[str] = []
    for _ in range(20):
        answer = client.get(address)
        if answer.location is None:
            return answer, way
        address = answer.location
        way.append(address.partition("?")[0])
        if address.startswith(sandbox.url):
            address = sandbox.authorize(address)
    raise AssertionError(f"It goes round in circles: {way}")


def test_connected(client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """Whoever is connected gets the view, and WePay is not asked."""
    wepay_connect(client)

    answers = [client.get("/account"), client.post("/account"), client.head("/account")]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert wepay_sandbox.count("user") == 0


def test_not_connected(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Whoever is not goes through login, and comes back to the view."""
    answer, way = follow(client, "/account", wepay_sandbox)

    assert answer.status_code == 200
    assert way == [
        "/wepay/login",
        "http://127.0.0.1:8010/v2/oauth2/authorize",
        "/account",
    ]


@pytest.mark.parametrize(
    "address",
    [
        "/a?x=1&y=2",
        "/a?",
        "/a/b/",
        "/stra%C3%9Fe?gr%C3%B6%C3%9Fe=5%E2%82%AC",
        "/100%25",
        "/100%2525",
        "/a%20b?q=c+d%20e%2Bf",
        "/a%3Fb%23c?d%23e",
        "/a&b=c;d,e@f:g!$'()*+~",
        "/%22%3C%3E%5C%7B?q=%5C%22",
        "/a?next=/wepay/login&force=1",
        "/a?q=%00%0A",
        "/%E2%80%AE",
    ],
)
def test_back_to_the_same_address(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, address: str
) -> None:
    """After the login the browser is led to exactly the address that it asked for."""
    login = client.get(address).location
    assert login.startswith("/wepay/login?next=")

    back = wepay_connect(client, login=login).location

    assert URL(back, base="http://localhost/").href == f"http://localhost{address.rstrip('?')}"


def test_back_below_a_path(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Behind a SCRIPT_NAME the way back has it, too."""
    login = client.get("/account?x=1", base_url="http://localhost/shop").location

    assert login == "/shop/wepay/login?next=/shop/account?x%3D1"


def test_raw_bytes(client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """What no browser would send unencoded comes back encoded, byte for byte."""
    environ = {"QUERY_STRING": "q=\xfc \x7f", "PATH_INFO": "/a\xff"}
    login = client.get("/", environ_overrides=environ).location

    back = wepay_connect(client, login=login).location

    assert back == "/a%FF?q=%FC%20%7F"


def test_address_that_is_no_next(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """An address that looks like another host does not come back as one."""
    login = client.get("/", environ_overrides={"PATH_INFO": "//evil.example/x"}).location

    assert login is None or wepay_connect(client, login=login).location == "/"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_other_methods(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, method: str
) -> None:
    """What could not be repeated by coming back is a 403 page with a way to connect."""
    answer = client.open("/account", method=method)

    assert answer.status_code == 403
    assert "Connect with WePay first" in answer.text
    assert 'href="/wepay/login"' in answer.text
    assert len(wepay_sandbox.log) == 0


def test_head(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A HEAD is answered as the GET would be."""
    assert client.head("/account").location == client.get("/account").location


def test_not_authorized_names_the_owner(app: Flask) -> None:
    """An application's handler finds out whose connection is missing."""
    caught: list[NotAuthorized] = []

    @app.errorhandler(NotAuthorized)
    def handle(error: NotAuthorized) -> tuple[str, int]:
        caught.append(error)
        return "mine", 418

    client = app.test_client()
    client.get("/as/alice")
    answer = client.post("/account")

    assert (answer.status_code, answer.text) == (418, "mine")
    assert [error.owner for error in caught] == ["alice"]


@pytest.fixture
def connected(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, rows: Rows
) -> int:
    """WePay's user that alice is connected to."""
    wepay_connect(client)
    return int(rows()[0].user_id)


def test_revoked_inside(client: FlaskClient, wepay_sandbox: Sandbox, connected: int) -> None:
    """A connection that turns out dead inside of the view leads to login and back."""
    wepay_sandbox.revoke(connected)

    with time_machine.travel(LONG_AGO):
        answer, way = follow(client, "/call", wepay_sandbox)

    assert answer.json["user_id"] == connected
    assert way == ["/wepay/login", "http://127.0.0.1:8010/v2/oauth2/authorize", "/call"]


def test_revoked_inside_of_a_post(
    client: FlaskClient, wepay_sandbox: Sandbox, connected: int
) -> None:
    """The same on a POST is a 403 page: what was sent is not repeated."""
    wepay_sandbox.revoke(connected)

    with time_machine.travel(LONG_AGO):
        answer = client.post("/pay")

    assert answer.status_code == 403
    assert "Connect with WePay first" in answer.text


def test_revoked_just_after_the_grant(
    client: FlaskClient, wepay_sandbox: Sandbox, connected: int
) -> None:
    """Within a minute of a grant the error goes on, so that nothing goes round in circles."""
    wepay_sandbox.revoke(connected)

    with time_machine.travel(timedelta(seconds=50)), pytest.raises(TokenRevoked) as raised:
        client.get("/call")

    assert "does another owner connect the same WePay user?" in str(raised.value)
    assert "wepay.login" not in str(raised.value)


def test_dead_for_good(client: FlaskClient, wepay_sandbox: Sandbox, connected: int) -> None:
    """Where every token is dead at once, one login is tried, and then the error goes on."""
    wepay_sandbox.answer_next("user", error_code=1011, times=99)

    with time_machine.travel(LONG_AGO), pytest.raises(TokenRevoked):
        follow(client, "/call", wepay_sandbox)

    assert wepay_sandbox.count("oauth2/token") == 2


def test_another_owner_inside(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, connected: int, rows: Rows
) -> None:
    """A donor is not asked to connect because the merchant was cut off."""
    donor = client.application.test_client()
    donor.get("/as/donor")
    wepay_connect(donor, email="mary@example.com")
    wepay_sandbox.revoke(connected)

    with time_machine.travel(LONG_AGO):
        with pytest.raises(TokenRevoked) as revoked:
            donor.get("/merchant/alice")
        with pytest.raises(NotAuthorized) as nobody:
            donor.get("/merchant/stranger")

    assert (revoked.value.owner, nobody.value.owner) == ("alice", "stranger")


def test_other_errors_inside(client: FlaskClient, connected: int) -> None:
    """Any other error of the view is the application's."""
    with pytest.raises(APIError, match="refused"):
        client.get("/refused")


def test_disconnected_inside(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A view that disconnects its own user and then calls leads to login, a minute later."""
    app = make_app()

    @app.get("/leave")
    @wepay_required
    def leave() -> Any:
        current_wepay.disconnect()
        return current_wepay.call("user")

    client = app.test_client()
    client.get("/as/alice")
    wepay_connect(client)

    with time_machine.travel(LONG_AGO):
        answer = client.get("/leave")

    assert answer.location == "/wepay/login?next=/leave"


def test_disconnected_inside_just_after_the_grant(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Within the minute the error says so, and sends nobody to the login that was refused."""
    app = make_app()

    @app.get("/leave")
    @wepay_required
    def leave() -> Any:
        current_wepay.disconnect()
        try:
            return current_wepay.call("user")
        except NotAuthorized as error:
            seen.append(error)
            raise

    seen: list[NotAuthorized] = []
    client = app.test_client()
    client.get("/as/alice")
    wepay_connect(client)

    assert client.get("/leave").status_code == 403
    assert "was it disconnected" in str(seen[0])


def test_async_view(make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """An asynchronous view works, and an end inside of it is noticed."""
    app = make_app()

    @app.get("/async")
    @wepay_required
    async def view() -> Any:
        return current_wepay.call("user")

    client = app.test_client()
    client.get("/as/alice")
    wepay_connect(client)

    works = client.get("/async")
    wepay_sandbox.revoke(works.json["user_id"])
    with time_machine.travel(LONG_AGO):
        ended = client.get("/async")

    assert works.status_code == 200
    assert ended.location == "/wepay/login?next=/async"


def test_own_token_that_died(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """With WEPAY_ACCESS_TOKEN there is no login to be led to: the error goes on."""
    token = wepay_sandbox.issue_token()
    app = make_app(WePay(), WEPAY_ACCESS_TOKEN=token, owner_loader=False)

    @app.get("/call")
    @wepay_required
    def call() -> Any:
        return current_wepay.call("user")

    client = app.test_client()
    works = client.get("/call")
    wepay_sandbox.revoke(works.json["user_id"])

    assert works.status_code == 200
    with pytest.raises(TokenRevoked):
        client.get("/call")


def test_nothing_of_the_view_is_lost(app: Flask) -> None:
    """The decorator keeps the view's name and docstring."""
    view = app.view_functions["account"]

    assert (view.__name__, view.__doc__) == ("account", "Show the account.")


def test_stand_in_on_a_post(make_app: MakeApp) -> None:
    """A new browser whose session could own an authorization gets the 403 page, too."""
    app = make_app(owner_loader=False)
    app.add_url_rule("/pay", view_func=wepay_required(lambda: ""), methods=["POST"], endpoint="pay")

    answer = app.test_client().post("/pay")

    assert answer.status_code == 403
    assert "Connect with WePay first" in answer.text
