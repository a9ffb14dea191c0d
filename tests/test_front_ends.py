"""A login begins where a browser goes to a page; scripts and htmx are told where to send it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from applications import MakeApp
from flask import Flask, redirect, session
from flask.testing import FlaskClient
from flask_login import LoginManager
from werkzeug.test import TestResponse

from flask_wepay import WePay, current_wepay, wepay_required
from flask_wepay.errors import ConfigurationError, NotAuthorized, WePayError
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

NAVIGATION = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
PAGE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Accept": NAVIGATION}
FETCH = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Accept": "*/*"}
HTMX = {**FETCH, "HX-Request": "true", "HX-Current-URL": "http://localhost/board?x=1"}
ON_BOARD = {"Referer": "http://localhost/board?x=1"}


@pytest.fixture
def app(app: Flask) -> Flask:
    """An application with a view that wants a connection, for pages and for scripts."""

    @app.route("/api/account", methods=["GET", "POST"])
    @wepay_required
    def account() -> Any:
        return {"user_id": current_wepay.user_id}

    return app


def logins_begun(client: FlaskClient) -> int:
    with client.session_transaction() as browser:
        return len(browser.get("_wepay_logins", []))


def follow(client: FlaskClient, answer: TestResponse, headers: dict[str, str]) -> TestResponse:
    """Follow redirects within the site, as ``fetch()`` and browsers do."""
    while answer.location is not None and answer.location.startswith("/"):
        answer = client.get(answer.location, headers=headers)
    return answer


PAGES = {
    "a browser": PAGE,
    "a browser over http": {"Accept": NAVIGATION},
    "a test": {},
    "a frame": {**PAGE, "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"},
    "a browser that asks for XHTML": {"Accept": "application/xhtml+xml"},
}
SCRIPTS = {
    "fetch": FETCH,
    "fetch of JSON": {**FETCH, "Accept": "application/json"},
    "fetch of HTML": {**FETCH, "Accept": "text/html"},
    "fetch without CORS": {**FETCH, "Sec-Fetch-Mode": "no-cors"},
    "fetch of the same origin": {**FETCH, "Sec-Fetch-Mode": "same-origin"},
    "fetch over http": {"Accept": "*/*"},
    "a client of JSON": {"Accept": "application/json"},
    "jQuery over http": {"Accept": "text/html, */*; q=0.01", "X-Requested-With": "XMLHttpRequest"},
    "an image over http": {"Accept": "image/avif,image/webp,*/*;q=0.8"},
    "a page fetched in advance": {**PAGE, "Sec-Purpose": "prefetch;prerender"},
    "one of an older browser": {"Accept": NAVIGATION, "Purpose": "prefetch"},
    "htmx": HTMX,
}


@pytest.mark.parametrize("headers", PAGES.values(), ids=PAGES)
def test_a_page(client: FlaskClient, wepay_sandbox: Sandbox, headers: dict[str, str]) -> None:
    """Whatever goes to a page is led to WePay."""
    answer = follow(client, client.get("/api/account", headers=headers), headers)

    assert answer.location.startswith("http://127.0.0.1:8010/v2/oauth2/authorize?")
    assert logins_begun(client) == 1


@pytest.mark.parametrize("address", ["/api/account", "/wepay/login", "/wepay/login?force=1"])
@pytest.mark.parametrize("headers", SCRIPTS.values(), ids=SCRIPTS)
def test_no_navigation(
    client: FlaskClient, wepay_sandbox: Sandbox, headers: dict[str, str], address: str
) -> None:
    """A request that is no navigation begins no login, whatever it asks for."""
    answer = client.get(address, headers=headers)

    assert answer.status_code == 403
    assert answer.mimetype == "application/problem+json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.location is None
    assert logins_begun(client) == 0


@pytest.mark.parametrize("headers", SCRIPTS.values(), ids=SCRIPTS)
def test_polls_leave_a_login_alone(
    client: FlaskClient, wepay_sandbox: Sandbox, headers: dict[str, str]
) -> None:
    """A login under way is finished however often a script asks meanwhile."""
    login = client.get("/wepay/login?next=/board", headers=PAGE).location

    for _ in range(20):
        follow(client, client.get("/api/account", headers=headers), headers)

    assert client.get(wepay_sandbox.authorize(login), headers=PAGE).location == "/board"
    assert client.get("/api/account", headers=headers).json["user_id"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_problem(client: FlaskClient, wepay_sandbox: Sandbox, method: str) -> None:
    """A script learns what is wrong and where to connect, which leads back to its page."""
    answer = client.open("/api/account?y=2", method=method, headers=FETCH | ON_BOARD)

    assert answer.json == {
        "title": "Forbidden",
        "status": 403,
        "detail": "Connect with WePay first. This needs a connection with WePay. Nothing was done.",
        "error": "NotAuthorized",
        "connect_url": "/wepay/login?next=/board?x%3D1",
    }


def test_connect_url_leads_back(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Whoever connects there comes back to the page, not to the API's address."""
    problem = client.get("/api/account", headers=FETCH | ON_BOARD).json

    assert wepay_connect(client, login=problem["connect_url"]).location == "/board?x=1"


@pytest.mark.parametrize(
    "referer",
    [
        None,
        "",
        "https://evil.example/board",
        "http://localhost.evil.example/board",
        "http://localhost@evil.example/board",
        "http://user@localhost/board",
        "http://localhost:8080/board",
        "http://evil.example\\@localhost/board",
        "http://localhost//evil.example/board",
        "http://localhost/\\evil.example",
        "//localhost/board",
        "/board",
        "javascript:alert(1)",
        "http://[evil/board",
        "http://localhost/wepay/login?next=/board",
        "http://localhost/wepay/callback?code=c0de&state=st4te",
        "http://localhost/./wepay/callback?code=c0de&state=st4te",
        "http://localhost/" + 700 * "x",
    ],
)
@pytest.mark.parametrize("name", ["Referer", "HX-Current-URL"])
def test_other_sites_pages(
    client: FlaskClient, wepay_sandbox: Sandbox, referer: str | None, name: str
) -> None:
    """Only a page of this very site is led back to, and none of the extension's own."""
    headers = FETCH if referer is None else {**FETCH, name: referer}

    answer = client.get("/api/account", headers=headers)

    assert answer.json["connect_url"] == "/wepay/login"
    assert "c0de" not in answer.text
    assert "st4te" not in answer.text


def test_below_a_path(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Behind a SCRIPT_NAME both addresses have it."""
    headers = FETCH | {"Referer": "http://localhost/shop/board"}

    answer = client.get("/api/account", headers=headers, base_url="http://localhost/shop")

    assert answer.json["connect_url"] == "/shop/wepay/login?next=/shop/board"


def test_page_with_a_form(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """The page that answers a form leads back to where the form is."""
    answer = client.post("/api/account", headers=PAGE | ON_BOARD)

    assert answer.status_code == 403
    assert 'href="/wepay/login?next=/board?x%3D1">Connect with WePay' in answer.text


# htmx


@pytest.mark.parametrize(
    ("address", "method", "more", "there"),
    [
        ("/api/account", "GET", {}, "/wepay/login?next=/board?x%3D1"),
        ("/api/account", "POST", {}, "/wepay/login?next=/board?x%3D1"),
        ("/api/account?y=2", "GET", {"HX-Boosted": "true"}, "/wepay/login?next=/api/account?y%3D2"),
        ("/api/account", "POST", {"HX-Boosted": "true"}, "/wepay/login?next=/board?x%3D1"),
        ("/wepay/login?next=/x", "GET", {}, "/wepay/login?next=/x"),
        ("/wepay/login?next=//evil.example", "GET", {}, "/wepay/login"),
        ("/wepay/login?next=/x&force=1", "GET", {}, "/wepay/login?next=/x&force=1"),
    ],
)
def test_htmx(
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    address: str,
    method: str,
    more: dict[str, str],
    there: str,
) -> None:
    """It is told to lead the browser to the login, and does not swap WePay's page into its own."""
    answer = client.open(address, method=method, headers=HTMX | more)

    assert answer.status_code == 403
    assert answer.headers["HX-Redirect"] == there


def test_others_get_no_header_of_htmx(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """HX-Redirect is for htmx, and for the want of a connection."""
    answers = [
        client.get("/api/account", headers=FETCH),
        client.post("/api/account", headers=PAGE),
        client.get("/wepay/callback", headers=HTMX),
    ]

    assert not any("HX-Redirect" in answer.headers for answer in answers)


# Errors of the extension's own routes


def away(client: FlaskClient) -> str:
    with client.application.app_context():
        client.application.extensions["test"]["db"].drop_all()
    return "/wepay/callback?code=c0de&state=st4te"


@pytest.mark.parametrize(
    ("address", "status", "error", "connects"),
    [
        ("/wepay/callback?code=c0de&state=st4te", 400, "StateMismatch", True),
        ("/wepay/callback?error=access_denied&state=st4te", 403, "AuthorizationDenied", True),
        ("/wepay/callback?error=other&error_description=d3scr", 400, "AuthorizationError", True),
        (away, 503, "StoreUnavailable", True),
    ],
)
def test_errors_of_our_routes(
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    address: str | Callable[[FlaskClient], str],
    status: int,
    error: str,
    connects: bool,
) -> None:
    """A script gets a problem document of them, too, without what stood in the address."""
    address = address if isinstance(address, str) else address(client)

    answer = client.get(address, headers=FETCH)

    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json["status"] == status
    assert answer.json["error"] == error
    assert ("connect_url" in answer.json) is connects
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert not any(secret in answer.text for secret in ("c0de", "st4te", "d3scr"))


def test_over_the_budget(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """What a reload would finish says when, and leads to no new login."""
    for _ in range(10):
        login = client.get("/wepay/login?force=1").location
        client.get(wepay_sandbox.authorize(login))
    back = wepay_sandbox.authorize(client.get("/wepay/login?force=1").location)

    answer = client.get(back, headers=FETCH)

    assert answer.status_code == 503
    assert f"try again in {answer.headers['Retry-After']} seconds." in answer.json["detail"]
    assert "connect_url" not in answer.json


def test_configuration(client: FlaskClient, wepay: WePay, wepay_sandbox: Sandbox) -> None:
    """Where the site is set up wrongly there is nowhere to connect."""
    wepay.owner_loader(lambda: 7)

    answer = client.get("/wepay/callback", headers=FETCH)

    assert (answer.status_code, answer.json["error"]) == (500, "ConfigurationError")
    assert "connect_url" not in answer.json


# Nobody


REFUSED = [("/api", "GET"), ("/api", "POST"), ("/wepay/login", "GET")]


@pytest.fixture
def nobody(make_app: MakeApp, wepay_sandbox: Sandbox) -> Flask:
    """An application with Flask-Login, to which nobody has logged in."""
    app = make_app(owner_loader=False)
    login_manager = LoginManager(app)
    login_manager.login_view = "log_in_here"
    login_manager.user_loader(lambda user_id: None)
    app.extensions["test"]["login_manager"] = login_manager
    app.add_url_rule("/log-in", "log_in_here", lambda: "log in")
    view = wepay_required(lambda: "in")
    app.add_url_rule("/api", "api", view, methods=["GET", "POST"])
    return app


@pytest.mark.parametrize(
    ("address", "method"), [("/api", "GET"), ("/api", "POST"), ("/wepay/login", "GET")]
)
def test_nobody_goes_to_a_page(nobody: Flask, address: str, method: str) -> None:
    """Whoever goes to a page without being logged in is led to Flask-Login's."""
    answer = nobody.test_client().open(address, method=method, headers=PAGE)

    assert answer.location.startswith("/log-in?next=")


@pytest.mark.parametrize(
    ("address", "method"), [("/api", "GET"), ("/api", "POST"), ("/wepay/login", "GET")]
)
def test_nobodys_script(nobody: Flask, address: str, method: str) -> None:
    """A script is not, for it would take that page for its answer: it gets a 401."""
    answer = nobody.test_client().open(address, method=method, headers=FETCH)

    assert answer.status_code == 401
    assert answer.json == {
        "title": "Unauthorized",
        "status": 401,
        "detail": "Log in first. This site does not know who you are. Nothing was done.",
        "error": "NotAuthorized",
        "connect_url": "/wepay/login",
    }


def test_nobodys_htmx(nobody: Flask) -> None:
    """With htmx the browser goes to log in by way of the login at WePay."""
    client = nobody.test_client()

    there = client.get("/api", headers=HTMX).headers["HX-Redirect"]

    assert there == "/wepay/login?next=/board?x%3D1"
    assert client.get(there, headers=PAGE).location.startswith("/log-in?next=")


@pytest.mark.parametrize("headers", [PAGE, FETCH], ids=["page", "script"])
def test_unauthorized_handler(nobody: Flask, headers: dict[str, str]) -> None:
    """An application's handler of Flask-Login's decides for all of them."""
    nobody.extensions["test"]["login_manager"].unauthorized_handler(lambda: ("mine", 418))

    answer = nobody.test_client().get("/api", headers=headers)

    assert (answer.status_code, answer.text) == (418, "mine")


@pytest.fixture
def without_login(make_app: MakeApp, wepay_sandbox: Sandbox) -> Flask:
    """An application without Flask-Login, whose owner_loader knows nobody."""
    app = make_app()
    app.add_url_rule("/api", "api", wepay_required(lambda: "in"), methods=["GET", "POST"])
    return app


@pytest.mark.parametrize("headers", [PAGE, FETCH], ids=["page", "script"])
@pytest.mark.parametrize(
    ("address", "method"), [("/api", "GET"), ("/api", "POST"), ("/wepay/login", "GET")]
)
def test_nobody_without_flask_login(
    without_login: Flask, headers: dict[str, str], address: str, method: str
) -> None:
    """Without Flask-Login it is a 401 that says so."""
    answer = without_login.test_client().open(address, method=method, headers=headers)

    assert answer.status_code == 401
    assert "Log in first" in answer.text


@pytest.mark.parametrize("headers", [PAGE, FETCH, HTMX], ids=["page", "script", "htmx"])
@pytest.mark.parametrize("handled", [401, Exception])
def test_handler_for_401(without_login: Flask, headers: dict[str, str], handled: Any) -> None:
    """An application's own handler for 401 comes before."""
    without_login.register_error_handler(handled, lambda error: redirect(f"/sign-in-{error.code}"))

    answer = without_login.test_client().get("/api", headers=headers)

    assert answer.location == "/sign-in-401"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("handled", [NotAuthorized, WePayError])
def test_handler_takes_nobody(without_login: Flask, method: str, handled: Any) -> None:
    """A handler for NotAuthorized takes what wepay_required refuses, for nobody too."""
    caught: list[NotAuthorized] = []
    without_login.register_error_handler(handled, lambda error: caught.append(error) or "mine")

    answer = without_login.test_client().open("/api", method=method, headers=FETCH | ON_BOARD)

    assert answer.text == "mine"
    assert [(error.owner, error.connect_url) for error in caught] == [
        (None, "/wepay/login?next=/board?x%3D1")
    ]


# The application's own word


@pytest.mark.parametrize("headers", [PAGE, FETCH, HTMX], ids=["page", "script", "htmx"])
@pytest.mark.parametrize("chosen", ["page", "script", "htmx", None])
def test_front_end_hook(
    app: Flask, client: FlaskClient, wepay: WePay, headers: dict[str, str], chosen: str | None
) -> None:
    """The hook's word counts, and without one the headers'."""
    assert wepay.front_end(hook := lambda: chosen) is hook
    kind = (
        chosen
        or {"navigate": "page"}.get(headers["Sec-Fetch-Mode"])
        or ("htmx" if "HX-Request" in headers else "script")
    )

    answer = client.get("/api/account", headers=headers)

    assert (answer.location is not None) is (kind == "page")
    assert ("HX-Redirect" in answer.headers) is (kind == "htmx")
    assert (answer.mimetype == "application/problem+json") is (kind != "page")


def test_front_end_hook_that_is_wrong(
    client: FlaskClient, wepay: WePay, caplog: pytest.LogCaptureFixture
) -> None:
    """Another word is an error that names the hook: in our own routes a page, and in the log."""
    wepay.front_end(lambda: "json")

    with pytest.raises(ConfigurationError, match="'front_end' gave 'json': give one of page, htmx"):
        client.get("/api/account")
    answer = client.get("/wepay/login")

    assert answer.status_code == 500
    assert "This site is not set up for WePay correctly" in answer.text
    assert "'front_end' gave 'json'" in caplog.text


def test_handler_knows_where_to_connect(app: Flask) -> None:
    """An application's handler answers scripts in its own way, and has their address."""

    @app.errorhandler(NotAuthorized)
    def refuse(error: NotAuthorized) -> Any:
        return {"please": error.connect_url, "user": session["user"]}, 409

    client = app.test_client()
    client.get("/as/alice")
    answer = client.post("/api/account", headers=FETCH | ON_BOARD)

    assert answer.status_code == 409
    assert answer.json == {"please": "/wepay/login?next=/board?x%3D1", "user": "alice"}
