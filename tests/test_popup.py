"""A login in a pop-up ends in a page that tells the one that opened it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from applications import MakeApp
from flask import Flask, redirect
from flask.testing import FlaskClient
from flask_talisman import Talisman
from jinja2 import DictLoader

from flask_wepay import WePay
from flask_wepay.errors import AuthorizationDenied, AuthorizationError, StoreUnavailable, WePayError
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

LOGIN = "/wepay/login?display=popup&next=/there"


def told(page: str) -> dict[str, str] | None:
    """Read what a page's script tells, or None if it has none."""
    script = re.search(r'<script src="/wepay/_static/popup\.js" (.*?)>', page)
    return dict(re.findall(r'data-([a-z]+)="(.*?)"', script[1])) if script else None


def test_connected(client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """Whoever connected sees a page that says so, and leads on where there is no opener."""
    answer = wepay_connect(client, login=LOGIN)

    assert answer.status_code == 200
    assert "<h1>Connected with WePay</h1>" in answer.text
    assert told(answer.text) == {
        "popup": "yes",
        "result": "connected",
        "error": "",
        "next": "/there",
    }
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_connected_already(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Whose connection works is told the same without leaving the site."""
    wepay_connect(client)

    answer = client.get(LOGIN)

    assert told(answer.text)["result"] == "connected"


def test_loaded_again(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A callback that is loaded again is still one of a pop-up, though its login is forgotten."""
    back = wepay_sandbox.authorize(client.get(LOGIN).location)

    answers = [client.get(back), client.get(back)]

    assert [told(answer.text)["result"] for answer in answers] == ["connected", "connected"]


@pytest.mark.parametrize("login", ["/wepay/login", "/wepay/login?display=page"])
def test_no_popup(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, login: str
) -> None:
    """Any other login goes on by a redirect."""
    assert wepay_connect(client, login=login).location == "/"


def test_denied(client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """A no is told, and its page begins another pop-up."""
    answer = wepay_connect(client, login=LOGIN, deny=True)

    assert answer.status_code == 403
    assert told(answer.text) == {
        "popup": "yes",
        "result": "denied",
        "error": "AuthorizationDenied",
        "next": "/there",
    }
    assert 'href="/wepay/login?next=/there&amp;display=popup">Connect with WePay' in answer.text


def test_denied_without_its_state(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Where WePay keeps the state to itself the window's name says whether it is a pop-up."""
    wepay_sandbox.state_on_denial = False

    answer = wepay_connect(client, login=LOGIN, deny=True)

    assert told(answer.text)["popup"] == "maybe"


def test_error(client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """An error is told by the name of its class; its page offers to try again in the window."""
    wepay_sandbox.answer_next("oauth2/token", error_code=1012)

    answer = wepay_connect(client, login=LOGIN)

    assert answer.status_code == 502
    assert told(answer.text) == {
        "popup": "yes",
        "result": "error",
        "error": "ExchangeFailed",
        "next": "/there",
    }
    assert 'href="/wepay/login?next=/there&amp;display=popup">Connect again' in answer.text
    assert '<a data-wepay-close href="/there">Back to the site' in answer.text


def test_error_at_login(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """So is one that comes before WePay is reached."""
    wepay_connect(client)
    wepay_sandbox.unreachable = True

    answer = client.get(LOGIN)

    assert answer.status_code == 503
    assert told(answer.text)["result"] == "error"
    assert "display=popup&amp;force=1" in answer.text or "force=1&amp;display=popup" in answer.text


def test_forged_state(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A state that nobody gave out is an error in a pop-up as well."""
    answer = client.get("/wepay/callback?code=x&state=popup.made-up")

    assert answer.status_code == 400
    assert told(answer.text)["result"] == "error"
    assert "made-up" not in answer.text


@pytest.mark.parametrize("next_path", ["//evil.example", "javascript:alert(1)", "/wepay/callback"])
def test_next_of_a_popup(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, next_path: str
) -> None:
    """Where there is no opener the page leads nowhere but to this site."""
    answer = wepay_connect(client, login=f"/wepay/login?display=popup&next={next_path}")

    assert told(answer.text)["next"] == "/"


@pytest.mark.parametrize("deny", [True, False])
def test_no_secrets(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, deny: bool
) -> None:
    """What the opener is told holds neither code nor state nor token."""
    back = wepay_sandbox.authorize(client.get(LOGIN).location, deny=deny)

    page = client.get(back).text

    secrets = re.findall(r"(?:code|state)=([^&]+)", back)
    secrets += [token.access_token for token in wepay_sandbox.world.tokens.values()]
    assert len(secrets) >= 1
    assert not [secret for secret in secrets if secret in page]


def test_layout_that_fails(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """The opener is told where an application's layout fails, too."""
    app.jinja_loader = DictLoader({"wepay/base.html": "{{ 1 // 0 }}"})

    answer = wepay_connect(client, login=LOGIN)

    assert told(answer.text)["result"] == "connected"


def test_nonce(app: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """Where Flask-Talisman gives nonces, script and style have them."""
    policy = {"default-src": "'none'", "script-src": "'strict-dynamic'", "style-src": ""}
    Talisman(
        app,
        force_https=False,
        session_cookie_secure=False,
        content_security_policy=policy,
        content_security_policy_nonce_in=["script-src", "style-src"],
    )
    client = app.test_client()
    client.get("/as/alice")

    answer = wepay_connect(client, login=LOGIN)

    (nonce,) = set(re.findall(r"'nonce-(.+?)'", answer.headers["Content-Security-Policy"]))
    assert re.findall(r'<(link|script).* nonce="(.+?)"', answer.text) == [
        ("link", nonce),
        ("script", nonce),
    ]


# Handlers


@pytest.fixture
def caught(app: Flask, wepay: WePay) -> list[WePayError]:
    """What a handler of the application's was given; it leaves pop-ups to the extension."""
    caught: list[WePayError] = []

    def handle(error: WePayError) -> Any:
        caught.append(error)
        return wepay.error_response(error) if error.popup else redirect("/mine")

    for kind in (AuthorizationError, StoreUnavailable):
        app.register_error_handler(kind, handle)
    return caught


@pytest.mark.parametrize(
    ("login", "next_url", "popup"),
    [
        ("/wepay/login?next=/there%3Fx%3D1", "/there?x=1", False),
        ("/wepay/login", None, False),
        (LOGIN, "/there", True),
        ("/wepay/login?display=popup", None, True),
    ],
)
def test_handler_knows_where(
    caught: list[WePayError],
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    login: str,
    next_url: str | None,
    popup: bool,
) -> None:
    """A handler of the application's learns where the login wanted to go, and in which window."""
    answer = wepay_connect(client, login=login, deny=True)

    (error,) = caught
    assert isinstance(error, AuthorizationDenied)
    assert (error.next_url, error.popup) == (next_url, popup)
    if popup:
        assert (answer.status_code, told(answer.text)["result"]) == (403, "denied")
    else:
        assert answer.location == "/mine"


def test_handler_knows_where_at_login(
    make_app: MakeApp, caught: list[WePayError], client: FlaskClient, wepay_sandbox: Sandbox
) -> None:
    """So it does of a login that did not get as far as WePay."""
    with client.application.app_context():
        client.application.extensions["test"]["db"].drop_all()

    client.get(LOGIN)

    assert [(error.next_url, error.popup) for error in caught] == [("/there", True)]


def test_other_errors_know_nothing(
    caught: list[WePayError], app: Flask, wepay: WePay, wepay_sandbox: Sandbox
) -> None:
    """An error of another view has no login that it is about."""
    app.add_url_rule("/view", "view", lambda: str(wepay.client_for("x").call("user")))
    view: Callable[[], str] = lambda: (_ for _ in ()).throw(AuthorizationError("mine"))  # noqa: E731
    app.add_url_rule("/mine-too", "mine_too", view)

    app.test_client().get("/mine-too?display=popup")

    assert [(error.next_url, error.popup) for error in caught] == [(None, False)]
