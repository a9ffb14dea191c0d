"""The button for templates shows the connection's state, and nothing more."""

from __future__ import annotations

import re
from typing import Any

import pytest
from applications import MakeApp
from flask import Flask, render_template_string
from flask.testing import FlaskClient
from flask_babel import Babel
from jinja2 import DictLoader

from flask_wepay import WePay
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox


@pytest.fixture
def app(app: Flask) -> Flask:
    """An application that shows the button."""

    @app.get("/shop/<name>")
    def shop(name: str) -> str:
        return render_template_string("{{ wepay_connect_button() }}")

    return app


def show(app: Flask, call: str, **headers: str) -> str:
    app.add_url_rule("/shown", "shown", lambda: render_template_string(f"{{{{ {call} }}}}"))
    client = app.test_client()
    client.get("/as/alice")
    return client.get("/shown", headers=headers).text


def test_not_connected(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Whoever is not connected gets a link that leads to WePay and back to the page."""
    page = client.get("/shop/stra%C3%9Fe?x=1&y=2").text

    assert page == (
        '<a class="wepay-connect" href="/wepay/login?next=/shop/stra%25C3%259Fe?x%3D1%26y%3D2"'
        ' data-wepay="not-connected">Connect with WePay</a>'
    )


def test_leads_back(client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """From there one comes back, and reads that it worked."""
    link = re.search('href="(.*?)"', client.get("/shop/stra%C3%9Fe?x=1").text)[1]

    back = wepay_connect(client, login=link).location

    assert back == "/shop/stra%C3%9Fe?x=1"
    assert client.get(back).text == (
        '<span class="wepay-connect" data-wepay="connected">Connected with WePay</span>'
    )
    assert wepay_sandbox.count("user") == 0


def test_database_away(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nobody can tell, the page is shown all the same, and the log says why."""
    with app.app_context():
        app.extensions["test"]["db"].drop_all()

    answers = [client.get("/shop/x") for _ in range(30)]

    assert {(answer.status_code, answer.text) for answer in answers} == {
        (
            200,
            '<span class="wepay-connect" data-wepay="unknown">'
            "WePay is not available just now</span>",
        )
    }
    assert caplog.text.count("A button can't show the connection: ") == 20


def test_popup(app: Flask, wepay_sandbox: Sandbox) -> None:
    """A button for a pop-up says that it opens a window, and what it says afterwards."""
    assert show(app, "wepay_connect_button(popup=true)") == (
        '<a class="wepay-connect" href="/wepay/login?next=/shown" data-wepay="not-connected"'
        ' data-wepay-popup data-wepay-connected="Connected with WePay"'
        ' title="Opens a window">Connect with WePay</a>'
    )


@pytest.mark.parametrize(
    ("next_url", "leads"),
    [
        ("/other?x=1", "/wepay/login?next=/other?x%3D1"),
        ("//evil.example", "/wepay/login?next=/shown"),
        ("https://evil.example", "/wepay/login?next=/shown"),
    ],
)
def test_next_url(app: Flask, wepay_sandbox: Sandbox, next_url: str, leads: str) -> None:
    """It leads back to another page of this site where that is asked for."""
    assert f'href="{leads}"' in show(app, f"wepay_connect_button('{next_url}')")


def test_part_of_a_page(app: Flask, wepay_sandbox: Sandbox) -> None:
    """In what a script loads it leads back to the script's page."""
    headers = {"HX-Request": "true", "HX-Current-URL": "http://localhost/board"}

    assert 'href="/wepay/login?next=/board"' in show(app, "wepay_connect_button()", **headers)


def test_attributes(app: Flask, wepay_sandbox: Sandbox) -> None:
    """The element's attributes are the template's to give, and are escaped."""
    shown = show(app, "wepay_connect_button(class='button', id='\"><script>')")

    assert shown.startswith('<a class="button" id="&#34;&gt;&lt;script&gt;" href=')


def test_in_a_macro(app: Flask, wepay_sandbox: Sandbox) -> None:
    """It is there in macros of the application, which see no context."""
    macros = "{% macro bar() %}[{{ wepay_connect_button() }}]{% endmacro %}"
    app.jinja_loader = DictLoader({"macros.html": macros})
    app.add_url_rule(
        "/bar",
        "bar",
        lambda: render_template_string("{% from 'macros.html' import bar %}{{ bar() }}"),
    )

    assert app.test_client().get("/bar").text.startswith('[<a class="wepay-connect"')


def test_own_template(app: Flask, wepay_sandbox: Sandbox) -> None:
    """An application's template of the same name is used."""
    app.jinja_loader = DictLoader({"wepay/button.html": "{{ connection }} {{ label }}"})

    assert show(app, "wepay_connect_button()") == "not-connected Connect with WePay"


def test_language(app: Flask, wepay_sandbox: Sandbox) -> None:
    """It speaks the user's language."""
    Babel(app, default_locale="fr")

    assert ">Se connecter à WePay</a>" in show(app, "wepay_connect_button()")


def test_merchant(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """A merchant with a token of its own is connected."""
    app = make_app(WePay(), WEPAY_ACCESS_TOKEN=wepay_sandbox.issue_token(), owner_loader=False)

    assert 'data-wepay="connected"' in show(app, "wepay_connect_button()")


def test_own_global(app: Flask, make_app: MakeApp) -> None:
    """A global of the application's own keeps its place, and other applications theirs."""
    shown: Any = lambda: "mine"  # noqa: E731
    app.jinja_env.globals["wepay_connect_button"] = shown
    other = make_app()

    assert show(app, "wepay_connect_button()") == "mine"
    assert show(other, "wepay_connect_button()") != "mine"
