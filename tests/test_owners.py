"""Whose authorization it is: the owner loader, Flask-Login, or a stand-in in the session."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, session
from flask.testing import FlaskClient
from flask_login import LoginManager, UserMixin, login_user, logout_user

from flask_wepay import WePay, current_wepay, wepay_required
from flask_wepay.errors import ConfigurationError
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

MakeApp = Callable[..., Flask]

PRODUCTION = {
    "WEPAY_ENVIRONMENT": "production",
    "WEPAY_CLIENT_ID": 1,
    "WEPAY_CLIENT_SECRET": "x",
    "WEPAY_REDIRECT_URI": "https://shop.example/wepay/callback",
}
STAGE = {**PRODUCTION, "WEPAY_ENVIRONMENT": "stage"}


def rows_of(app: Flask) -> list[Any]:
    db, model = app.extensions["test"]["db"], app.extensions["test"]["model"]
    with app.app_context(), db.engine.connect() as connection:
        return list(connection.execute(model.__table__.select()))


def add_views(app: Flask) -> None:
    @app.get("/account")
    @wepay_required
    def account() -> str:
        return str(current_wepay.user_id)

    @app.get("/open")
    def everybody() -> str:
        return str(current_wepay.authorized)


# The loader


@pytest.mark.parametrize("owner", ["alice", "7", "ü" * 255, "x" * 255, "a b/c", "None"])
def test_loader(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect, owner: str
) -> None:
    """What the loader returns owns the authorization."""
    app = make_app()
    hook = app.extensions["test"]["wepay"].owner_loader
    loader = hook(lambda: owner)

    wepay_connect(app.test_client())

    assert loader() == owner
    assert [row.owner for row in rows_of(app)] == [owner]


@pytest.mark.parametrize("owner", [7, b"alice", True, object(), "", "x" * 256, "nul\0", "\udcff"])
@pytest.mark.parametrize("path", ["/wepay/login", "/wepay/callback?code=c&state=s"])
def test_loader_with_an_odd_id(
    make_app: MakeApp, wepay_sandbox: Sandbox, caplog: Any, path: str, owner: Any
) -> None:
    """An owner that is no string, or none to be stored, is an error that says what to return."""
    app = make_app()
    app.extensions["test"]["wepay"].owner_loader(lambda: owner)

    answer = app.test_client().get(path)

    assert answer.status_code == 500
    assert "not set up for WePay correctly" in answer.text
    assert "owner_loader gave an owner" in caplog.text
    assert len(wepay_sandbox.log) == 0


def test_loader_is_asked_once_where_a_login_begins(make_app: MakeApp) -> None:
    """A loader that asks the database does so once."""
    app = make_app(owner_loader=False)
    asked: list[str] = []

    @app.extensions["test"]["wepay"].owner_loader
    def load() -> str:
        asked.append("alice")
        return "alice"

    assert app.test_client().get("/wepay/login?force=1").status_code == 302
    assert asked == ["alice"]


def test_odd_id_in_a_view(make_app: MakeApp) -> None:
    """In a view of the application the error is the application's."""
    app = make_app()
    app.extensions["test"]["wepay"].owner_loader(lambda: 7)
    add_views(app)

    with pytest.raises(ConfigurationError, match=r"give str\(user.id\)"):
        app.test_client().get("/open")


def test_nobody_without_flask_login(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """Without Flask-Login nobody is answered 401, at login and where a connection is required."""
    app = make_app()
    add_views(app)
    client = app.test_client()

    statuses = [client.get(path).status_code for path in ("/wepay/login", "/account", "/open")]

    assert statuses == [401, 401, 200]


def test_callback_of_nobody(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """The callback of nobody is a page, and never leads on with the code."""
    answer = make_app().test_client().get("/wepay/callback?code=c&state=s")

    assert answer.status_code == 400
    assert answer.location is None


# Production


def test_production_without_a_loader(make_app: MakeApp) -> None:
    """In production a loader is required: no random id ever owns real money."""
    app = make_app(owner_loader=False, **PRODUCTION)
    add_views(app)
    client = app.test_client()

    answer = client.get("/wepay/login", base_url="https://shop.example")

    assert answer.status_code == 500
    assert "not set up for WePay correctly" in answer.text
    assert client.get_cookie("session", "shop.example") is None
    for path in ("/account", "/open"):
        with pytest.raises(ConfigurationError, match="'owner_loader' is required"):
            client.get(path, base_url="https://shop.example")


def test_production_with_a_loader(make_app: MakeApp) -> None:
    """With a loader production starts the flow at WePay's own host."""
    app = make_app(**PRODUCTION)
    app.extensions["test"]["wepay"].owner_loader(lambda: "alice")

    answer = app.test_client().get("/wepay/login", base_url="https://shop.example")

    assert answer.location.startswith("https://www.wepay.com/v2/oauth2/authorize?")


# The stand-in


@pytest.fixture
def stand_in(make_app: MakeApp) -> Flask:
    """An application in the sandbox that has no users of its own."""
    app = make_app(owner_loader=False)
    add_views(app)
    return app


def owner_in(client: FlaskClient) -> str | None:
    with client.session_transaction() as browser:
        return browser.get("_wepay_owner")


def test_stand_in(stand_in: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """A random id in the browser's session owns what this browser connects."""
    mine, yours = stand_in.test_client(), stand_in.test_client()

    wepay_connect(mine, login="/wepay/login?next=/account")

    assert mine.get("/account").text == str(rows_of(stand_in)[0].user_id)
    assert [row.owner for row in rows_of(stand_in)] == [owner_in(mine)]
    assert len(owner_in(mine) or "") >= 20
    assert yours.get("/open").text == "False"


def test_made_at_login_only(stand_in: Flask, wepay_sandbox: Sandbox) -> None:
    """Reading makes no session: neither a view that looks nor a callback out of nowhere."""
    client = stand_in.test_client()

    answers = [client.get(path) for path in ("/open", "/account", "/wepay/callback?state=x")]

    assert not any("Set-Cookie" in answer.headers for answer in answers)
    client.get("/wepay/login")
    assert owner_in(client) is not None


def test_stays_the_same(stand_in: Flask, wepay_sandbox: Sandbox) -> None:
    """The browser keeps its id over many logins."""
    client = stand_in.test_client()

    client.get("/wepay/login")
    first = owner_in(client)
    client.get("/wepay/login?force=1")

    assert owner_in(client) == first is not None


def test_required_for_a_new_browser(
    stand_in: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Where a browser can own, wepay_required leads a new one to login, not to a 401."""
    client = stand_in.test_client()
    answer = client.get("/account")
    assert answer.location == "/wepay/login?next=/account"

    back = wepay_connect(client, login=answer.location)

    assert back.location == "/account"


@pytest.mark.parametrize("config", [{}, STAGE])
def test_one_warning(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture, config: dict[str, Any]
) -> None:
    """The stand-in is warned of once, however often it is used."""
    app = make_app(owner_loader=False, **config)
    add_views(app)
    for _ in range(3):
        client = app.test_client()
        client.get("/wepay/login", base_url="https://shop.example" if config else None)
        client.get("/open")

    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "no owner_loader and no Flask-Login" in warnings[0].getMessage()


def test_odd_stand_in(stand_in: Flask, wepay_sandbox: Sandbox, caplog: Any) -> None:
    """What another version may have left in the session is an error, not an owner."""
    client = stand_in.test_client()
    with client.session_transaction() as browser:
        browser["_wepay_owner"] = 7

    answer = client.get("/wepay/login")

    assert answer.status_code == 500
    assert "the session gave an owner of type int" in caplog.text


# Flask-Login


class User(UserMixin):
    def __init__(self, id_: str) -> None:
        self.id = id_


def add_flask_login(app: Flask, login_view: str | None = "ask") -> LoginManager:
    login_manager = LoginManager(app)
    login_manager.login_view = login_view
    login_manager.user_loader(User)

    @app.get("/log-in")
    def ask() -> str:
        return "Who are you?"

    @app.get("/log-in/<name>")
    def log_in_as(name: str) -> str:
        login_user(User(name))
        return name

    @app.get("/log-out")
    def log_out() -> str:
        logout_user()
        return ""

    return login_manager


@pytest.fixture
def with_flask_login(make_app: MakeApp) -> Flask:
    """An application with Flask-Login and no loader of its own."""
    app = make_app(owner_loader=False)
    add_flask_login(app)
    add_views(app)
    return app


def test_flask_login(
    with_flask_login: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """With Flask-Login the logged-in user owns the authorization."""
    client = with_flask_login.test_client()
    client.get("/log-in/alice")

    wepay_connect(client)

    assert [row.owner for row in rows_of(with_flask_login)] == ["alice"]
    assert client.get("/open").text == "True"
    client.get("/log-in/bob")
    assert client.get("/open").text == "False"
    client.get("/log-out")
    assert client.get("/open").text == "False"


def test_another_user_within_a_request(
    with_flask_login: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A login, another one and a logout in the midst of a request each change the owner."""
    client = with_flask_login.test_client()
    client.get("/log-in/alice")
    wepay_connect(client)

    with with_flask_login.test_request_context():
        seen = [current_wepay.owner]
        for name in ("alice", "bob", "alice"):
            login_user(User(name))
            seen.append(f"{current_wepay.owner} {current_wepay.authorized}")
        logout_user()
        seen.append(current_wepay.owner)

    assert seen == [None, "alice True", "bob False", "alice True", None]


def test_committed_view_holds_no_connection(
    make_app: MakeApp, tmp_path: Path, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A view that commits before it calls WePay has given its connection back, its user's too."""
    app = make_app(owner_loader=False, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    db = app.extensions["test"]["db"]

    class Member(UserMixin, db.Model):  # type: ignore[misc,name-defined]
        id = db.Column(db.Integer, primary_key=True)

    LoginManager(app).user_loader(lambda id_: db.session.get(Member, int(id_)))

    @app.get("/enter")
    def enter() -> str:
        login_user(db.session.get(Member, 1))
        return ""

    @app.get("/pay")
    @wepay_required
    def pay() -> str:
        db.session.commit()
        return str(current_wepay.call("user")["email"])

    with app.app_context():
        db.create_all()
        db.session.add(Member(id=1))
        db.session.commit()
        pool = db.engine.pool
    client = app.test_client()
    client.get("/enter")
    wepay_connect(client)

    with ThreadPoolExecutor() as threads, wepay_sandbox.hold("user", "before") as hold:
        answer = threads.submit(client.get, "/pay")
        hold.wait()
        held = pool.checkedout()  # type: ignore[attr-defined]

    assert answer.result().text == "bill@example.com"
    assert held == 0


@pytest.mark.parametrize("path", ["/wepay/login?next=/there", "/account"])
def test_flask_login_and_nobody(with_flask_login: Flask, path: str) -> None:
    """For nobody, login and wepay_required do what Flask-Login's unauthorized() does."""
    client = with_flask_login.test_client()

    answer = client.get(path)

    assert answer.location.startswith("/log-in?next=")
    assert "no-store" in answer.headers.get("Cache-Control", "") or path == "/account"


def test_flask_login_without_a_login_view(make_app: MakeApp) -> None:
    """Without a login view Flask-Login's unauthorized() is a 401."""
    app = make_app(owner_loader=False)
    add_flask_login(app, login_view=None)

    assert app.test_client().get("/wepay/login").status_code == 401


def test_flask_login_with_a_handler(make_app: MakeApp) -> None:
    """An application's own unauthorized_handler is what answers."""
    app = make_app(owner_loader=False)
    add_flask_login(app).unauthorized_handler(lambda: ("Who goes there?", 418))

    assert app.test_client().get("/wepay/login").status_code == 418


def test_flask_login_and_the_callback(with_flask_login: Flask, wepay_sandbox: Sandbox) -> None:
    """The callback of somebody who was logged out is a page: the code goes into no `next`."""
    client = with_flask_login.test_client()
    client.get("/log-in/alice")
    back = wepay_sandbox.authorize(client.get("/wepay/login").location)
    client.get("/log-out")

    answer = client.get(back)

    assert answer.status_code == 400
    assert answer.location is None
    assert wepay_sandbox.count("oauth2/token") == 0
    client.get("/log-in/alice")
    assert client.get(back).status_code == 302


def test_loader_before_flask_login(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A loader of the application's own comes before Flask-Login."""
    app = make_app(owner_loader=False)
    add_flask_login(app)
    wepay = app.extensions["test"]["wepay"]
    wepay.owner_loader(lambda: session.get("organisation"))
    app.add_url_rule("/work-for/<org>", "work", lambda org: session.update(organisation=org) or org)
    client = app.test_client()
    client.get("/log-in/alice")
    client.get("/work-for/acme")

    wepay_connect(client)

    assert [row.owner for row in rows_of(app)] == ["acme"]


@pytest.mark.parametrize("owner", [7, "", "x" * 256])
def test_client_for_an_odd_owner(app: Flask, wepay: WePay, owner: Any) -> None:
    """A client is made for an owner that can be one, and for no other."""
    with app.app_context(), pytest.raises(ConfigurationError, match="client_for"):
        wepay.client_for(owner)
