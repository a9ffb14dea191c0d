"""Two applications in one process share nothing, though one object serves both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Blueprint, Flask, render_template_string, session, url_for
from flask_sqlalchemy import SQLAlchemy

from flask_wepay import WePay, WePayClient, current_wepay
from flask_wepay.errors import ConfigurationError
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox
from flask_wepay.sqla import WePayTokenMixin

MakeApp = Callable[..., Flask]

OTHER = {"WEPAY_CLIENT_ID": 54321, "WEPAY_CLIENT_SECRET": "another secret"}


@pytest.fixture
def two(wepay_sandbox: Sandbox) -> Iterator[tuple[WePay, Flask, Flask]]:
    """Two applications with one extension object and one model, each with its database."""
    wepay_sandbox.world.add_application(54321, "another secret")
    db = SQLAlchemy()
    wepay = WePay(token_model=type("WePayToken", (WePayTokenMixin, db.Model), {}))
    wepay.owner_loader(lambda: session.get("user"))
    apps = []
    for config in ({}, OTHER):
        app = Flask(f"application{len(apps)}")
        app.config.update(
            SECRET_KEY="the same secret",
            TESTING=True,
            WEPAY_ENVIRONMENT="sandbox",
            SQLALCHEMY_DATABASE_URI="sqlite://",
            **config,
        )
        db.init_app(app)
        wepay.init_app(app)
        app.add_url_rule("/as/<owner>", "as", lambda owner: session.update(user=owner) or owner)
        app.add_url_rule("/user", "user", lambda: str(current_wepay.user_id))
        with app.app_context():
            db.create_all()
        apps.append(app)
    yield wepay, apps[0], apps[1]
    for app in apps:
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


def test_tokens(
    two: tuple[WePay, Flask, Flask], wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Who is connected in one application is not in the other, whatever their name."""
    _, one, other = two
    clients = [app.test_client() for app in (one, other)]
    for client in clients:
        client.get("/as/alice")

    wepay_connect(clients[0])

    assert [client.get("/user").text != "None" for client in clients] == [True, False]


def test_clients(
    two: tuple[WePay, Flask, Flask], wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Each application speaks to WePay with its own id and secret."""
    wepay, one, other = two
    for app in (one, other):
        client = app.test_client()
        client.get("/as/alice")
        wepay_connect(client)

    sent = [exchange.json for exchange in wepay_sandbox.log.of("oauth2/token")]
    assert [(body["client_id"], body["client_secret"]) for body in sent] == [
        (12345, "1a2b3c4d5e6f"),
        (54321, "another secret"),
    ]
    with one.app_context():
        registered = wepay.oauth.wepay
    with other.app_context():
        assert wepay.oauth.wepay is not registered
        assert wepay.oauth.wepay.client_id == 54321


def test_own_blueprint_of_the_name(make_app: MakeApp) -> None:
    """An application's own blueprint "wepay" is refused with a way out, which leads out."""

    def app_with_blueprint(**options: str) -> Flask:
        app = Flask("own")
        app.config.update(SECRET_KEY="a secret key", WEPAY_ENVIRONMENT="sandbox")
        blueprint = Blueprint("wepay", __name__)
        blueprint.add_url_rule("/donate", "donate", lambda: "donated")
        app.register_blueprint(blueprint, **options)
        return app

    with pytest.raises(
        ConfigurationError, match=r"app\.register_blueprint\(…, name=\"payments\"\)"
    ):
        WePay(app_with_blueprint())

    app = app_with_blueprint(name="payments")
    WePay(app)
    assert app.test_client().get("/donate").text == "donated"
    with app.test_request_context():
        assert url_for("payments.donate") == "/donate"
        assert url_for("wepay.login") == "/wepay/login"


def test_nested_contexts(
    two: tuple[WePay, Flask, Flask], wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Inside of the one application's context the other one is still itself."""
    wepay, one, other = two
    client = one.test_client()
    client.get("/as/alice")
    wepay_connect(client)

    with one.app_context():
        before = wepay.client_for("alice").authorized
        with other.app_context():
            inside = wepay.client_for("alice").authorized
        after = wepay.client_for("alice").authorized

    assert (before, inside, after) == (True, False, True)


def test_request_of_another_application(
    two: tuple[WePay, Flask, Flask], wepay_connect: Connect
) -> None:
    """A session names an owner of the request's own application only."""
    _, one, other = two
    for app in (one, other):
        client = app.test_client()
        client.get("/as/7")
        wepay_connect(client)

    with one.test_request_context():
        session["user"] = "7"
        with other.app_context():
            inside = current_wepay.owner
        assert (current_wepay.owner, inside) == ("7", None)


def test_client_of_another_application(
    two: tuple[WePay, Flask, Flask], wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A client is used in its own application only: the other one's database is not asked."""
    wepay, one, other = two
    with one.app_context():
        stray = wepay.client_for("7")

    with other.app_context(), pytest.raises(ConfigurationError, match="belongs to another"):
        stray.call("user")

    with one.app_context():
        assert not stray.authorized
    client = one.test_client()
    client.get("/as/7")
    wepay_connect(client)
    with one.app_context():
        assert stray.authorized


def test_settings(make_app: MakeApp) -> None:
    """Each application has its own settings and routes."""
    wepay = WePay(token_model=object())
    one = make_app(wepay, WEPAY_URL_PREFIX="/one", WEPAY_TIMEOUT=5)
    other = make_app(wepay, WEPAY_URL_PREFIX="/other")

    timeouts = [app.extensions["wepay"].settings.timeout for app in (one, other)]

    assert timeouts == [5, 20]
    assert one.test_client().post("/one/ipn").status_code == 403
    assert one.test_client().post("/other/ipn").status_code == 404


def test_hooks_are_the_extensions(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """Hooks belong to the object: registered once, they serve all of its applications."""
    wepay = WePay()
    tokens: dict[str, Any] = {}
    apps = [make_app(wepay), make_app(wepay)]
    wepay.token_getter(tokens.get)
    wepay.token_setter(tokens.__setitem__)
    tokens["alice"] = {
        "access_token": "STAGE_x",
        "user_id": 7,
        "token_type": "BEARER",
        "expires_at": None,
    }

    found = []
    for app in apps:
        with app.app_context():
            found.append(wepay.client_for("alice").user_id)

    assert found == [7, 7]


def test_two_objects(make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """An object of one application does not reach into that of another."""
    one, other = make_app(), make_app()
    client = one.test_client()
    client.get("/as/alice")
    wepay_connect(client)

    with other.app_context():
        assert not one.extensions["test"]["wepay"].client_for("alice").authorized


def test_initialised_twice(app: Flask, wepay_sandbox: Sandbox) -> None:
    """The second initialisation on one application says that there was a first one."""
    with pytest.raises(ConfigurationError, match="already initialised on this application"):
        WePay().init_app(app)

    with pytest.raises(ConfigurationError, match="already initialised on this application"):
        WePay(app)


def test_not_initialised() -> None:
    """Without init_app the error says what was forgotten."""
    app = Flask("bare")

    with app.app_context(), pytest.raises(RuntimeError, match="Did you forget to call 'init_app'"):
        WePay().client_for("alice")
    with app.app_context(), pytest.raises(RuntimeError, match="Did you forget to call 'init_app'"):
        bool(current_wepay.authorized)


def test_outside_of_an_application() -> None:
    """Importing touches nothing: the proxy is harmless where there is no application."""
    with pytest.raises(RuntimeError, match="application context"):
        bool(current_wepay.authorized)


def test_outside_of_a_request(app: Flask) -> None:
    """In a bare application context the current client is nobody's."""
    with app.app_context():
        assert (current_wepay.authorized, current_wepay.user_id) == (False, None)
        assert current_wepay.owner is None
        assert isinstance(current_wepay, WePayClient)


def test_in_templates(make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """Templates have current_wepay, and find nothing secret in it."""
    app = make_app()
    template = "{{ current_wepay.authorized }} {{ current_wepay }} {{ current_wepay.token }}"
    app.add_url_rule("/page", view_func=lambda: render_template_string(template), endpoint="page")
    client = app.test_client()
    client.get("/as/alice")
    before = client.get("/page").text

    wepay_connect(client)
    after = client.get("/page").text

    assert before.startswith("False ")
    assert after.startswith("True ")
    assert not any(token in after for token in wepay_sandbox.world.tokens)
