"""Errors of our own routes go through Flask's error handling, and end in pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from flask import Blueprint, Flask, jsonify
from flask.testing import FlaskClient
from flask_talisman import Talisman
from jinja2 import DictLoader
from werkzeug.test import TestResponse

from flask_wepay import WePay, current_wepay, wepay_required
from flask_wepay.errors import (
    AuthorizationDenied,
    AuthorizationError,
    ExchangeFailed,
    InvalidCall,
    NotAuthorized,
    OutcomeUnknown,
    StateMismatch,
    WePayError,
)
from flask_wepay.sandbox import Sandbox

MakeApp = Callable[..., Flask]


@pytest.fixture
def bare() -> Flask:
    """An application on which WePay is not initialised yet."""
    app = Flask("errors")
    app.config.update(SECRET_KEY="x", WEPAY_ENVIRONMENT="sandbox")
    return app


def init(app: Flask, owner: str | None = "alice") -> FlaskClient:
    """Initialise WePay, with tokens nowhere, and give a browser."""
    wepay = WePay(app)
    wepay.owner_loader(lambda: owner)
    wepay.token_getter(lambda owner: None)
    wepay.token_setter(lambda owner, token: None)
    return app.test_client()


def mine(error: Exception) -> tuple[str, int]:
    return f"mine: {type(error).__name__}", 418


MISMATCH = "/wepay/callback?code=c&state=s"
DENIED = "/wepay/callback?error=access_denied"


def test_page_leads_to_ones_own_next(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """Where one application context serves many requests, nobody sees where another one was."""
    app = make_app()
    app.add_url_rule("/pay", "pay", wepay_required(lambda: "paid"), methods=["POST"])
    alice, bob = app.test_client(), app.test_client()
    alice.get("/as/alice")
    bob.get("/as/bob")

    with app.app_context():
        alice.get("/wepay/login?next=/alices/secret/path")
        page = bob.post("/pay")

    assert page.status_code == 403
    assert "secret" not in page.text


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    ("handled", "address", "own_page"),
    [
        (AuthorizationError, MISMATCH, False),
        (AuthorizationError, DENIED, False),
        (WePayError, MISMATCH, False),
        (WePayError, DENIED, False),
        (StateMismatch, MISMATCH, False),
        (StateMismatch, DENIED, True),
        (AuthorizationDenied, DENIED, False),
        (ExchangeFailed, MISMATCH, True),
        (Exception, MISMATCH, True),
        (500, MISMATCH, True),
    ],
)
def test_applications_handler(
    bare: Flask, handled: Any, address: str, own_page: bool, before: bool
) -> None:
    """An application's handler for our errors is used, whichever was registered first.

    One for Exception, which most applications have for what nobody foresaw, is not.
    """
    if before:
        bare.register_error_handler(handled, mine)
    client = init(bare)
    if not before:
        bare.register_error_handler(handled, mine)

    answer = client.get(address)

    assert answer.text.startswith("mine: ") is not own_page
    assert answer.status_code == (418 if not own_page else 403 if address == DENIED else 400)
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_handler_gets_the_error(bare: Flask) -> None:
    """The handler is given what the page knows: WePay's error and its description."""
    client = init(bare)
    bare.register_error_handler(
        AuthorizationError, lambda error: jsonify([error.error, error.description])
    )

    answer = client.get(DENIED + "&error_description=no+thanks")

    assert answer.json == ["access_denied", "no thanks"]


@pytest.mark.parametrize(
    ("address", "page"), [(DENIED, "wepay/denied.html"), (MISMATCH, "wepay/error.html")]
)
def test_templates(bare: Flask, address: str, page: str) -> None:
    """An application's template of the same name is used, with the documented variables."""
    template = "{{ error.__class__.__name__ }} {{ retry_url }} {{ next_url }} {{ current_wepay }}"
    bare.jinja_loader = DictLoader({page: template})
    bare.config["WEPAY_LOGIN_REDIRECT"] = "/home"

    answer = init(bare).get(address)

    name = "AuthorizationDenied" if address == DENIED else "StateMismatch"
    assert answer.text.startswith(f"{name} /wepay/login /home &lt;WePayClient")


def test_layout(bare: Flask) -> None:
    """An application's layout in the place of ours gets each page into its block "main"."""
    layout = "my layout [{% block main %}{% endblock %}]"
    bare.jinja_loader = DictLoader({"wepay/base.html": layout})
    client = init(bare)

    pages = [client.get(address).text for address in (DENIED, MISMATCH)]

    assert [re.search(r"\[.*<h1>(.*)</h1>.*\]", page, re.DOTALL)[1] for page in pages] == [
        "You did not connect with WePay",
        "This login can't be finished here",
    ]


def test_next_url(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """The page knows where the login wanted to go, and offers both ways."""
    login = client.get("/wepay/login?next=/there%3Fx%3D1%26y").location

    page = client.get(wepay_sandbox.authorize(login, deny=True)).text

    assert 'href="/there?x=1&amp;y"' in page
    assert 'href="/wepay/login?next=/there?x%3D1%26y"' in page


def test_next_url_without_an_endpoint(bare: Flask) -> None:
    """A wrong WEPAY_LOGIN_REDIRECT does not keep an error page from being shown."""
    bare.config["WEPAY_LOGIN_REDIRECT"] = "no.such_endpoint"

    answer = init(bare).get(DENIED)

    assert answer.status_code == 403
    assert 'href="/">Go on without' in answer.text


# Layouts that fail


LAYOUT = """<nav>{% if current_wepay.authorized %}on{% endif %}</nav>{% block b %}{% endblock %}"""
PAGE = """{% extends "layout.html" %}{% block b %}Sorry{% endblock %}"""


@pytest.fixture
def dressed(app: Flask) -> Flask:
    """An application whose pages have a layout that asks whether one is connected."""
    app.jinja_loader = DictLoader({"layout.html": LAYOUT, "wepay/error.html": PAGE})
    app.add_url_rule("/pay", "pay", wepay_required(lambda: "paid"), methods=["POST"])
    return app


def lose_database(app: Flask) -> None:
    with app.app_context():
        app.extensions["test"]["db"].drop_all()


def spoil_tokens(app: Flask) -> None:
    db, model = app.extensions["test"]["db"], app.extensions["test"]["model"]
    with app.app_context():
        db.session.execute(model.__table__.update().values(token="spoilt"))
        db.session.commit()


@pytest.mark.parametrize(
    ("break_it", "address", "heading"),
    [
        (lose_database, "/wepay/login", "This site can't reach its records just now"),
        (spoil_tokens, "/wepay/login", "Your connection can't be read just now"),
        (lose_database, MISMATCH, "This site can't reach its records just now"),
    ],
)
def test_layout_that_asks_for_what_failed(
    dressed: Flask,
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Callable[..., TestResponse],
    caplog: pytest.LogCaptureFixture,
    break_it: Callable[[Flask], None],
    address: str,
    heading: str,
) -> None:
    """Where an application's page fails ours stands in, with its status, and the log says why."""
    wepay_connect(client)
    assert client.get(DENIED).status_code == 403
    break_it(dressed)

    answer = client.get(address)

    assert answer.status_code == 503
    assert f"<h1>{heading}</h1>" in answer.text
    assert "Sorry" not in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    (line,) = (record for record in caplog.records if record.exc_info)
    assert line.getMessage().startswith("The template 'wepay/error.html' failed")


def test_layout_that_works(dressed: Flask, client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """An application's page is shown where it can be."""
    answer = client.get(MISMATCH)

    assert (answer.status_code, answer.text) == (400, "<nav></nav>Sorry")


def test_context_processor_that_fails(dressed: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """One that asks the database fails every page of the application; ours needs none."""
    dressed.context_processor(lambda: {"cart": 1 // 0})
    client = dressed.test_client()
    client.get("/as/alice")

    answers = [client.get(DENIED), client.post("/pay")]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert "<h1>You did not connect with WePay</h1>" in answers[0].text
    assert "<h1>Connect with WePay first</h1>" in answers[1].text
    assert caplog.text.count("ZeroDivisionError: ") == 2


def test_failing_layout_in_the_log(dressed: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody fills the log by asking for a page that fails."""
    dressed.context_processor(lambda: {"cart": 1 // 0})
    client = dressed.test_client()

    for _ in range(40):
        assert client.get(DENIED).status_code == 403

    assert caplog.text.count("ZeroDivisionError: ") == 20


# Headers


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/wepay/login", 302),
        ("/wepay/login?next=//evil.example", 302),
        (MISMATCH, 400),
        (DENIED, 403),
        ("/wepay/callback", 400),
        ("/wepay/callback?error=server_error", 400),
    ],
)
def test_headers(bare: Flask, address: str, status: int) -> None:
    """No answer of login or callback is cached, or tells the next page its address."""
    answer = init(bare).get(address)

    assert answer.status_code == status
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.parametrize("path", ["/wepay/login", "/wepay/callback"])
def test_headers_of_the_odd_answers(bare: Flask, path: str) -> None:
    """Neither are the answers to HEAD, to nobody, and those of an error nobody foresaw."""
    client = init(bare, owner=None)

    @bare.before_request
    def fail() -> None:
        from flask import request

        if request.args.get("fail"):
            raise ZeroDivisionError

    answers = [client.head(path), client.get(path), client.get(f"{path}?fail=1")]

    assert [answer.status_code for answer in answers] == [
        405,
        401 if path.endswith("login") else 400,
        500,
    ]
    for answer in answers:
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_headers_of_the_connected(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Callable[..., TestResponse]
) -> None:
    """Nor is the answer that ends a login."""
    answer = wepay_connect(client)

    assert answer.status_code == 302
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_other_views_keep_their_headers(bare: Flask) -> None:
    """The application's own answers are left alone."""
    bare.add_url_rule("/", view_func=lambda: "home", endpoint="home")

    answer = init(bare).get("/")

    assert "Cache-Control" not in answer.headers
    assert "Referrer-Policy" not in answer.headers


# Other views


def fails_with(error: Exception) -> Callable[[], str]:
    def view() -> str:
        raise error

    return view


def test_other_views_errors(bare: Flask) -> None:
    """What goes wrong in a view of the application is a 500 of the application."""
    bare.add_url_rule("/view", view_func=fails_with(OutcomeUnknown("lost")), endpoint="view")
    client = init(bare)

    answer = client.get("/view")

    assert answer.status_code == 500
    assert "WePay" not in answer.text


def test_other_views_errors_propagate(bare: Flask) -> None:
    """In tests and in the debugger it is the very error."""
    bare.testing = True
    error = OutcomeUnknown("lost")
    bare.add_url_rule("/view", view_func=fails_with(error), endpoint="view")
    client = init(bare)

    with pytest.raises(OutcomeUnknown) as raised:
        client.get("/view")

    assert raised.value is error


@pytest.mark.parametrize(
    ("handled", "error"),
    [
        (Exception, OutcomeUnknown("lost")),
        (ValueError, InvalidCall("no call")),
        (Exception, InvalidCall("no call")),
        (WePayError, OutcomeUnknown("lost")),
        (OutcomeUnknown, OutcomeUnknown("lost")),
        (Exception, NotAuthorized("cut off", owner="the merchant")),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_other_views_handlers(bare: Flask, handled: Any, error: WePayError, before: bool) -> None:
    """The application's handlers get its views' errors as if we had registered none."""
    bare.add_url_rule("/view", view_func=fails_with(error), endpoint="view")
    if before:
        bare.register_error_handler(handled, mine)
    client = init(bare)
    if not before:
        bare.register_error_handler(handled, mine)

    answer = client.get("/view")

    assert (answer.status_code, answer.text) == (418, f"mine: {type(error).__name__}")


def test_asynchronous_handler(bare: Flask) -> None:
    """Such a handler may be asynchronous."""

    @bare.errorhandler(Exception)
    async def handle(error: Exception) -> tuple[str, int]:
        return mine(error)

    bare.add_url_rule("/view", view_func=fails_with(OutcomeUnknown("lost")), endpoint="view")

    assert init(bare).get("/view").text == "mine: OutcomeUnknown"


def test_other_blueprints_handlers(bare: Flask) -> None:
    """A blueprint's handler comes first for its own views."""
    blueprint = Blueprint("shop", __name__)
    blueprint.register_error_handler(Exception, mine)
    blueprint.add_url_rule("/view", view_func=fails_with(OutcomeUnknown("lost")), endpoint="view")
    bare.register_blueprint(blueprint)

    assert init(bare).get("/view").text == "mine: OutcomeUnknown"


@pytest.mark.parametrize(
    ("owner", "status", "heading", "link"),
    [
        ("alice", 403, "Connect with WePay first", 'href="/wepay/login">Connect with WePay'),
        (None, 401, "Log in first", 'href="/">Back to the site'),
    ],
)
def test_refused_in_another_view(
    bare: Flask, owner: str | None, status: int, heading: str, link: str
) -> None:
    """A view that calls for somebody who is not connected, or for nobody, is refused: a page."""
    bare.add_url_rule(
        "/view", view_func=lambda: current_wepay.call("user"), endpoint="view", methods=["POST"]
    )

    answer = init(bare, owner).post("/view")

    assert answer.status_code == status
    assert f"<h1>{heading}</h1>" in answer.text
    assert link in answer.text


# What the pages must not do


@pytest.mark.parametrize("address", [MISMATCH, DENIED])
def test_pages_ask_nobody_else(bare: Flask, address: str) -> None:
    """A page loads its style and its script from this site: its address holds a code."""
    page = init(bare).get(address).text

    loads = re.findall(r"""(?:src|<link[^>]* href)="(.*?)"|@import|url\(|style[>=]""", page)
    assert loads in (
        ["/wepay/_static/pages.css"],
        ["/wepay/_static/pages.css", "/wepay/_static/popup.js"],
    )


@pytest.mark.parametrize(
    ("prefix", "address"), [("/wepay", "/wepay/_static/pages.css"), ("", "/_static/pages.css")]
)
def test_style(bare: Flask, prefix: str, address: str) -> None:
    """The style is a file of ours, which browsers may keep, wherever the routes are."""
    bare.config["WEPAY_URL_PREFIX"] = prefix
    client = init(bare)

    answer = client.get(address)

    assert f'href="{address}"' in client.get(f"{prefix}/callback?error=access_denied").text
    assert answer.mimetype == "text/css"
    assert "no-store" not in answer.headers["Cache-Control"]
    assert "Referrer-Policy" not in answer.headers
    answer.close()


def test_flask_talisman(bare: Flask) -> None:
    """Under the policy that Flask-Talisman sends by default the pages have their style.

    Its Referrer-Policy takes the place of ours, so the pages say it themselves.
    """
    Talisman(bare, force_https=False)

    page = init(bare).get(DENIED)

    assert page.headers["Content-Security-Policy"] == "default-src 'self'; object-src 'none'"
    assert '<meta name="referrer" content="no-referrer">' in page.text
    assert page.headers["Cache-Control"] == "no-store"
    assert not re.search("<style|style=|<script>| on[a-z]+=", page.text)


def test_foreign_text_stays_out(bare: Flask) -> None:
    """What a hook raises in our routes is not shown: its text may be anybody's."""
    client = init(bare)

    @bare.before_request
    def fail() -> None:
        raise AuthorizationError("<b>foreign</b>")

    answer = client.get("/wepay/callback")

    assert answer.status_code == 409
    assert "foreign" not in answer.text
    assert "WePay may or may not have finished it." in answer.text


@pytest.mark.parametrize("address", [MISMATCH, DENIED + "&state=s3cret", "/wepay/login?next=/x"])
def test_pages_hold_no_secrets(bare: Flask, address: str) -> None:
    """Neither code nor state stands on a page."""
    page = init(bare).get(address.replace("code=c", "code=c0de").replace("=s", "=s3cret")).text

    assert "c0de" not in page
    assert "s3cret" not in page
