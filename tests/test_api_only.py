"""A back end whose users have tokens, and no session that a navigation would bring."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from applications import MakeApp, rows_of
from flask import Flask, request
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, current_user, login_required

from flask_wepay import WePay, current_wepay
from flask_wepay.errors import ConfigurationError
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

ROBIN = {"Authorization": "Bearer token-of-robin"}
SAM = {"Authorization": "Bearer token-of-sam"}


class User(UserMixin):
    def __init__(self, name: str) -> None:
        self.id = name


@pytest.fixture
def app(make_app: MakeApp, wepay_sandbox: Sandbox) -> Flask:
    """An API: Flask-Login knows its users by their tokens alone."""
    app = make_app(owner_loader=False)
    wepay: WePay = app.extensions["test"]["wepay"]
    login_manager = LoginManager(app)
    login_manager.user_loader(lambda user_id: User(user_id))

    @login_manager.request_loader
    def load(request: Any) -> User | None:
        name = request.headers.get("Authorization", "").removeprefix("Bearer token-of-")
        return User(name) if name else None

    @app.post("/api/wepay/login")
    @login_required
    def connect() -> dict[str, str]:
        popup = "popup" in request.args
        next_url = request.args.get("next")
        owner = current_user.get_id()
        return {"connect_url": wepay.login_url_for(owner, next_url=next_url, popup=popup)}

    @app.get("/api/account")
    @login_required
    def account() -> dict[str, Any]:
        return {"connected": current_wepay.authorized}

    @app.get("/whose")
    def whose() -> str:
        return str(current_wepay.owner)

    return app


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def connect_url(browser: FlaskClient, headers: dict[str, str] = ROBIN, query: str = "") -> str:
    return browser.post(f"/api/wepay/login{query}", headers=headers).json["connect_url"]


def owners(app: Flask) -> list[str]:
    return [row.owner for row in rows_of(app) if row.granted_at]


def test_connect(app: Flask, browser: FlaskClient, wepay_connect: Connect) -> None:
    """The browser that asked with a token connects its owner by navigations without one."""
    address = connect_url(browser, query="?next=/done")
    assert address == "/wepay/login?next=/done"

    back = wepay_connect(browser, login=address)

    assert back.location == "/done"
    assert owners(app) == ["robin"]
    assert browser.get("/api/account", headers=ROBIN).json == {"connected": True}
    assert browser.get("/api/account", headers=SAM).json == {"connected": False}


def test_popup(app: Flask, browser: FlaskClient, wepay_connect: Connect) -> None:
    """It does so in a pop-up, too."""
    page = wepay_connect(browser, login=connect_url(browser, query="?popup")).text

    assert 'data-result="connected"' in page
    assert owners(app) == ["robin"]


def test_loaded_again(app: Flask, browser: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A callback that is loaded again goes on as it would with a session."""
    back = wepay_sandbox.authorize(browser.get(connect_url(browser, query="?next=/done")).location)

    answers = [browser.get(back), browser.get(back)]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert wepay_sandbox.count("oauth2/token") == 1


def test_deny(browser: FlaskClient, wepay_connect: Connect) -> None:
    """A no is believed, and may be thought over."""
    address = connect_url(browser)

    assert wepay_connect(browser, login=address, deny=True).status_code == 403
    assert wepay_connect(browser, login="/wepay/login").location == "/"


def test_forwarded_address(app: Flask, browser: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """In another browser the address connects nobody, so nothing is gained by forwarding it."""
    address = connect_url(browser)

    answer = app.test_client().get(address)

    assert answer.status_code == 401
    assert owners(app) == []


def test_forwarded_authorization(app: Flask, browser: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Nor does a callback in another browser, whatever it may connect itself."""
    back = wepay_sandbox.authorize(browser.get(connect_url(browser)).location)
    other = app.test_client()
    connect_url(other, SAM)

    assert other.get(back).status_code == 400
    assert app.test_client().get(back).status_code == 400
    assert owners(app) == []


def test_nobody_is_logged_in_by_it(browser: FlaskClient, wepay_connect: Connect) -> None:
    """The browser's other requests are nobody's, as before."""
    wepay_connect(browser, login=connect_url(browser))

    assert browser.get("/whose").text == "None"
    assert browser.get("/api/account").status_code == 401


def test_once(app: Flask, browser: FlaskClient, wepay_connect: Connect) -> None:
    """After a connection the browser begins no further login by it."""
    wepay_connect(browser, login=connect_url(browser))

    assert browser.get("/wepay/login?force=1").status_code == 401


def test_within_the_hour(app: Flask, browser: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """It is good for an hour."""
    address = connect_url(browser)

    with time_machine.travel(timedelta(minutes=59)):
        assert browser.get(address).status_code == 302
    with time_machine.travel(timedelta(minutes=61)):
        assert browser.get(address).status_code == 401


def test_newest_counts(app: Flask, browser: FlaskClient, wepay_connect: Connect) -> None:
    """Another user of the same browser connects themselves."""
    connect_url(browser, ROBIN)

    wepay_connect(browser, login=connect_url(browser, SAM))

    assert owners(app) == ["sam"]


def test_somebody_else_is_logged_in(
    app: Flask, browser: FlaskClient, wepay_connect: Connect
) -> None:
    """Where a session names somebody else it is refused; the next login is that user's."""
    address = connect_url(browser)
    with browser.session_transaction() as cookie:
        cookie["_user_id"] = "sam"

    assert browser.get(address).status_code == 400
    assert wepay_connect(browser, login="/wepay/login").location == "/"
    assert owners(app) == ["sam"]


def test_same_user_is_logged_in(app: Flask, browser: FlaskClient, wepay_connect: Connect) -> None:
    """Where it names the same one there is nothing to be refused."""
    address = connect_url(browser)
    with browser.session_transaction() as cookie:
        cookie["_user_id"] = "robin"

    assert wepay_connect(browser, login=address).location == "/"
    assert owners(app) == ["robin"]


def test_browser_that_owns(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """The random id that stands in for an owner gives way to a named one."""
    app = make_app(owner_loader=False)
    wepay: WePay = app.extensions["test"]["wepay"]
    app.add_url_rule("/to", "to", lambda: wepay.login_url_for("robin"))
    browser = app.test_client()
    browser.get("/wepay/login")

    wepay_connect(browser, login=browser.get("/to").text)

    assert owners(app) == ["robin"]


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-site", 200)])
def test_other_sites(app: Flask, browser: FlaskClient, site: str, status: int) -> None:
    """A page of another site begins nobody's login in its visitor's browser."""
    answer = browser.post("/api/wepay/login", headers={**ROBIN, "Sec-Fetch-Site": site})

    assert answer.status_code == status
    with browser.session_transaction() as cookie:
        assert ("_wepay_invited" in cookie) is (status == 200)


@pytest.mark.parametrize("next_url", ["//evil.example", "https://evil.example", "/wepay/login"])
def test_next_stays_here(browser: FlaskClient, next_url: str) -> None:
    """What leads off the site is dropped."""
    assert connect_url(browser, query=f"?next={next_url}") == "/wepay/login"


@pytest.mark.parametrize("owner", ["", 7, None, "x" * 300])
def test_owner_that_is_none(app: Flask, wepay_sandbox: Sandbox, owner: Any) -> None:
    """What can't be an owner is refused."""
    wepay: WePay = app.extensions["test"]["wepay"]

    with app.test_request_context(), pytest.raises(ConfigurationError):
        wepay.login_url_for(owner)


@pytest.mark.parametrize("junk", ["robin", ["robin"], ["robin", "now", False], 7, None])
def test_junk_in_the_session(browser: FlaskClient, junk: Any) -> None:
    """What another version may have written there invites nobody."""
    with browser.session_transaction() as cookie:
        cookie["_wepay_invited"] = junk

    assert browser.get("/wepay/login").status_code == 401


def test_session_stays_small(app: Flask, browser: FlaskClient) -> None:
    """However often it is asked for, the session has one note of it."""
    for _ in range(20):
        connect_url(browser)

    with browser.session_transaction() as cookie:
        assert [key for key in cookie if key.startswith("_wepay")] == ["_wepay_invited"]
