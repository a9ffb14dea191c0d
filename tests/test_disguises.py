"""What says that it is a string, and is none or more, is taken as the string that it stands for."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import pytest
from applications import MakeApp, rows_of
from flask import Flask, session
from flask.testing import FlaskClient
from markupsafe import Markup
from werkzeug.local import LocalProxy

from flask_wepay import WePay, current_wepay
from flask_wepay.errors import InvalidCall
from flask_wepay.oauth.client import WePayApp
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox


class Liar(str):
    """Is what it is made of, and says something else."""

    __slots__ = ()

    def __str__(self) -> str:
        return "mallory"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7

    def __getitem__(self, key: Any) -> str:
        return "mallory"


DISGUISES: list[Callable[[str], Any]] = [
    lambda text: LocalProxy(lambda: text),
    lambda text: LocalProxy(lambda: LocalProxy(lambda: text)),
    lambda text: LocalProxy(lambda: Markup(text)),
    Markup,
    Liar,
    lambda text: enum.StrEnum("Text", {"ONE": text}).ONE,  # type: ignore[attr-defined]
    lambda text: enum.Enum("Text", {"ONE": text}, type=str).ONE,  # type: ignore[attr-defined]
]

disguised = pytest.mark.parametrize("disguise", DISGUISES)


@disguised
def test_owner(
    make_app: MakeApp,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    disguise: Callable[[str], Any],
) -> None:
    """An owner in disguise logs in, is stored and is found again as the string."""
    app = make_app()
    wepay: WePay = app.extensions["test"]["wepay"]
    wepay.owner_loader(lambda: disguise(session["user"]))
    app.add_url_rule("/owner", "owner", lambda: f"{type(current_wepay.owner)}{current_wepay.owner}")
    client = app.test_client()
    client.get("/as/alice")

    assert wepay_connect(client).location == "/"

    assert [row.owner for row in rows_of(app)] == ["alice"]
    assert client.get("/owner").text == "<class 'str'>alice"
    with app.app_context():
        owner = disguise("alice")
        assert wepay.client_for(owner).call("user")["email"] == "bill@example.com"
        [user, nobody] = wepay.batch([(owner, "user", {}), (disguise("bob"), "user", {})])
        assert user["email"] == "bill@example.com"
        assert nobody.owner == "bob"
        wepay.client_for(owner).disconnect()
        assert not wepay.client_for("alice").authorized


def test_proxy_of_nobody(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """A proxy of None is nobody, and one of something else is named for what it is."""
    app = make_app()
    app.extensions["test"]["wepay"].owner_loader(lambda: LocalProxy(lambda: session.get("user")))

    assert app.test_client().get("/wepay/login").status_code == 401


@disguised
def test_call(
    client: FlaskClient,
    app: Flask,
    wepay: WePay,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    disguise: Callable[[str], Any],
) -> None:
    """The name of a call, its headers and the names of its parameters are taken as strings."""
    wepay_connect(client)

    with app.app_context():
        alice = wepay.client_for("alice")
        alice.call(
            disguise("account/create"),
            params={disguise("name"): "n", "description": "d"},
            risk_token=disguise("risk"),
            client_ip=disguise("203.0.113.7"),
            api_version=disguise("2019-04-03"),
        )
        with pytest.raises(InvalidCall, match="'access_token'"):
            alice.call("user", params={disguise("access_token"): "t"})

    sent = wepay_sandbox.last("account/create")
    assert sent.json == {"name": "n", "description": "d"}
    assert sent.headers["wepay-risk-token"] == "risk"
    assert sent.headers["client-ip"] == "203.0.113.7"
    assert sent.headers["api-version"] == "2019-04-03"


@disguised
def test_hooks(
    make_app: MakeApp,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    disguise: Callable[[str], Any],
) -> None:
    """What hooks give of a token and for WePay's form is taken as strings."""
    kept: dict[str, Any] = {}
    wepay = WePay()
    app = make_app(wepay)
    wepay.token_setter(lambda owner, token: kept.update({owner: token}))

    @wepay.token_getter
    def getter(owner: str) -> Any:
        token = kept.get(owner)
        texts = {k: disguise(v) if isinstance(v, str) else v for k, v in (token or {}).items()}
        return LocalProxy(lambda: texts) if token else None

    wepay.prefill(lambda: {"user_name": disguise("Alice"), "user_country": disguise("CA")})
    client = app.test_client()
    client.get("/as/alice")
    login = client.get("/wepay/login").location
    client.get(wepay_sandbox.authorize(login))

    assert "user_name=Alice&user_country=CA" in login
    with app.app_context():
        alice = wepay.client_for("alice")
        assert alice.call("user")["email"] == "bill@example.com"
        assert type(alice.token.access_token if alice.token else None) is str
        oauth: WePayApp = wepay.oauth.wepay
        token = {"access_token": disguise(kept["alice"]["access_token"])}
        assert oauth.post("user", json={}, token=token).json()["email"] == "bill@example.com"


@disguised
def test_settings(
    make_app: MakeApp,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    disguise: Callable[[str], Any],
) -> None:
    """Settings are taken as strings, also where they are lazy."""
    app = make_app(
        WEPAY_CLIENT_ID=disguise("12345"),
        WEPAY_CLIENT_SECRET=disguise("1a2b3c4d5e6f"),
        WEPAY_ENVIRONMENT=disguise("sandbox"),
        WEPAY_PROXIES={disguise("https"): disguise("http://127.0.0.1:1")},
    )
    client = app.test_client()
    client.get("/as/alice")

    assert wepay_connect(client).location == "/"
    assert wepay_sandbox.last("oauth2/token").json["client_id"] == 12345
