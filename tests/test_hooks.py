"""Hooks in place of the token table, and hooks that steer a login."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from flask import Flask, session
from flask.testing import FlaskClient

from flask_wepay import WePay, WePayClient, current_wepay
from flask_wepay.errors import ConfigurationError, NotAuthorized, TokenRevoked
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox
from flask_wepay.tokens import Token

MakeApp = Callable[..., Flask]


class Tokens(dict[str, Any]):
    """Where an application keeps tokens by itself."""

    def set(self, owner: str, token: Mapping[str, Any] | None) -> None:
        self[owner] = token


@pytest.fixture
def tokens() -> Tokens:
    """What the hooks keep."""
    return Tokens()


@pytest.fixture
def app(make_app: MakeApp, tokens: Tokens) -> Flask:
    """An application without a token model, whose hooks come after WePay(app)."""
    app = make_app(WePay())
    wepay: WePay = app.extensions["test"]["wepay"]
    assert wepay.token_getter(tokens.get) == tokens.get
    assert wepay.token_setter(tokens.set) == tokens.set
    return app


def client_of(app: Flask, owner: str = "alice") -> WePayClient:
    wepay: WePay = app.extensions["test"]["wepay"]
    return wepay.client_for(owner)


def test_login(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, tokens: Tokens
) -> None:
    """A login hands the setter the whole token, under the documented keys."""
    wepay_sandbox.world.expires_in = None

    answer = wepay_connect(client, login="/wepay/login?next=/there")

    (issued,) = wepay_sandbox.world.tokens.values()
    assert answer.location == "/there"
    assert tokens == {
        "alice": {
            "access_token": issued.access_token,
            "user_id": issued.user_id,
            "token_type": "BEARER",
            "expires_at": None,
        }
    }


def test_expires_at(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, tokens: Tokens
) -> None:
    """A token that ends comes with the second in which it does, and is not used beyond it."""
    wepay_sandbox.world.expires_in = 3600
    with time_machine.travel(timedelta(), tick=False) as clock:
        now = int(time.time())
        wepay_connect(client)

        assert tokens["alice"]["expires_at"] == now + 3600
        with client.application.app_context():
            clock.shift(3599)
            assert client_of(client.application).authorized
            clock.shift(1)
            assert not client_of(client.application).authorized
            with pytest.raises(NotAuthorized, match="expired"):
                client_of(client.application).call("user")


def test_call(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, tokens: Tokens
) -> None:
    """A call is made with what the getter gives, and only for that owner."""
    wepay_connect(client)

    with app.app_context():
        answer = client_of(app).call("user")

        assert answer["user_id"] == tokens["alice"]["user_id"]
        with pytest.raises(NotAuthorized):
            client_of(app, "bob").call("user")


def test_login_while_connected(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """With hooks, too, no new token is asked for while the current one works."""
    wepay_connect(client)

    answer = client.get("/wepay/login?next=/there")

    assert answer.location == "/there"
    assert wepay_sandbox.count("oauth2/token") == 1


def test_revoked(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, tokens: Tokens
) -> None:
    """Once WePay says that the token is dead, the setter is given None."""
    wepay_connect(client)
    wepay_sandbox.revoke(tokens["alice"]["user_id"])

    with app.app_context(), pytest.raises(TokenRevoked):
        client_of(app).call("user")

    assert tokens == {"alice": None}


def test_revoked_while_another_came(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, tokens: Tokens
) -> None:
    """Another token that came meanwhile is kept, and used for the call."""
    wepay_connect(client)
    old = tokens["alice"]
    new = {**old, "access_token": wepay_sandbox.issue_token(old["user_id"])}
    given = iter([old])
    app.extensions["test"]["wepay"].token_getter(lambda owner: next(given, new))

    with app.app_context():
        answer = client_of(app).call("user")

    assert answer["user_id"] == old["user_id"]
    assert tokens == {"alice": old}


def test_hooks_after_the_table_was_used(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Hooks that come after the table was used are not ignored: two stores are an error."""
    app = make_app()
    browser = app.test_client()
    browser.get("/as/alice")
    wepay_connect(browser)
    app.extensions["test"]["wepay"].token_getter(lambda owner: None)

    with app.app_context(), pytest.raises(ConfigurationError, match="register both"):
        client_of(app).call("user")


def test_1006(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, tokens: Tokens
) -> None:
    """Nothing but WePay's word about that very token makes the setter forget it."""
    wepay_connect(client)
    kept = dict(tokens)
    wepay_sandbox.answer_next("user", error_code=1006)

    answer = client.get("/wepay/login")

    assert "/oauth2/authorize" in answer.location
    assert tokens == kept


def test_disconnect(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, tokens: Tokens
) -> None:
    """A disconnect gives the setter None."""
    wepay_connect(client)

    with app.app_context():
        client_of(app).disconnect()

        assert not client_of(app).authorized
    assert tokens == {"alice": None}


def test_reload(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Without rows a callback that comes again is refused, and not exchanged again."""
    back = wepay_sandbox.authorize(client.get("/wepay/login").location)
    client.get(back)

    answer = client.get(back)

    assert answer.status_code == 400
    assert wepay_sandbox.count("oauth2/token") == 1


def test_refused_exchange(client: FlaskClient, wepay_sandbox: Sandbox, tokens: Tokens) -> None:
    """An exchange that brings no token leaves the setter alone."""
    back = wepay_sandbox.authorize(client.get("/wepay/login").location)
    wepay_sandbox.answer_next("oauth2/token", error_code=1012)

    answer = client.get(back)

    assert answer.status_code == 502
    assert tokens == {}


GOOD = {"access_token": "STAGE_x", "user_id": 7, "token_type": "BEARER", "expires_at": None}


@pytest.mark.parametrize(
    "given",
    [
        "STAGE_x",
        ["STAGE_x"],
        7,
        {},
        {**GOOD, "access_token": None},
        {**GOOD, "access_token": ""},
        {**GOOD, "access_token": "two words"},
        {**GOOD, "access_token": "line\nend"},
        {**GOOD, "access_token": b"STAGE_x"},
        {**GOOD, "access_token": "x" * 256},
        {**GOOD, "user_id": "7"},
        {**GOOD, "user_id": True},
        {**GOOD, "user_id": 0},
        {**GOOD, "user_id": 2**63},
        {**GOOD, "token_type": None},
        {**GOOD, "token_type": "MAC"},
        {**GOOD, "expires_at": "1800000000"},
        {**GOOD, "expires_at": 1.5},
    ],
)
def test_malformed_token(app: Flask, tokens: Tokens, wepay_sandbox: Sandbox, given: Any) -> None:
    """What is no token is an error that names the hook and what it returns, not the token."""
    tokens["alice"] = given

    with app.app_context(), pytest.raises(ConfigurationError, match="'token_getter'") as raised:
        client_of(app).call("user")

    assert "STAGE_x" not in str(raised.value)
    assert len(wepay_sandbox.log) == 0


@pytest.mark.parametrize(
    "given", [GOOD, {**GOOD, "user_id": 2**63 - 1}, {**GOOD, "token_type": "bearer", "more": 1}]
)
def test_well_formed_token(app: Flask, tokens: Tokens, given: Any) -> None:
    """Large ids, any case of the type and further keys are fine."""
    tokens["alice"] = given

    with app.app_context():
        assert client_of(app).user_id == given["user_id"]


def test_getter_of_token_objects(app: Flask, tokens: Tokens) -> None:
    """A getter may return the token as it read it from the package."""
    tokens["alice"] = Token.from_mapping(GOOD)  # type: ignore[assignment]

    with app.app_context():
        assert client_of(app).token == Token.from_mapping(GOOD)


def test_malformed_token_in_a_login(
    client: FlaskClient, tokens: Tokens, wepay_sandbox: Sandbox
) -> None:
    """In our own routes it is a page without details."""
    tokens["alice"] = {}

    answer = client.get("/wepay/login")

    assert answer.status_code == 500
    assert "not set up for WePay correctly" in answer.text


def make_store(make_app: MakeApp, *hooks: str, token_model: Any = None) -> Any:
    wepay = WePay(token_model=token_model)
    app = make_app(wepay)
    for hook in hooks:
        getattr(wepay, hook)(lambda *args: None)
    with app.app_context():
        return client_of(app).authorized


def test_no_store(make_app: MakeApp) -> None:
    """A missing store is told of at first use, with what was forgotten."""
    with pytest.raises(ConfigurationError, match="Did you forget WePay"):
        make_store(make_app)


@pytest.mark.parametrize("hook", ["token_getter", "token_setter"])
def test_half_a_pair(make_app: MakeApp, hook: str) -> None:
    """One hook without the other is an error."""
    with pytest.raises(ConfigurationError, match="register both"):
        make_store(make_app, hook)


def test_hooks_and_model(make_app: MakeApp) -> None:
    """Hooks beside a token model are an error."""
    with pytest.raises(ConfigurationError, match="don't pass a token_model"):
        make_store(make_app, "token_getter", "token_setter", token_model=object())


def test_both_hooks(make_app: MakeApp) -> None:
    """Both hooks together are a store."""
    assert make_store(make_app, "token_getter", "token_setter") is False


def test_no_store_in_a_login(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """In a login a missing store is a page, and nothing is sent to WePay."""
    client = make_app(WePay()).test_client()
    client.get("/as/alice")

    answer = client.get("/wepay/login")

    assert answer.status_code == 500
    assert "not set up for WePay correctly" in answer.text


def test_ipn(client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """With hooks there are no rows to sign for, so WePay is given no callback_uri."""
    wepay_connect(client)

    assert "callback_uri" not in wepay_sandbox.last("oauth2/token").json


def test_ipn_from_the_days_of_the_table(
    app: Flask, make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect, tokens: Tokens
) -> None:
    """An IPN for a row that there was before the hooks is taken, and causes nothing."""
    before = make_app().test_client()
    before.get("/as/alice")
    wepay_connect(before)
    address = wepay_sandbox.last("oauth2/token").json["callback_uri"]

    answer = app.test_client().post(address, data={"user_id": "100001"})

    assert answer.status_code == 200
    assert wepay_sandbox.count("user") == 0
    assert app.extensions["wepay"].store.living(100001) == ()


def test_authlib_client(
    app: Flask, client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, tokens: Tokens
) -> None:
    """The registered Authlib client reads and stores through the same hooks."""
    wepay_connect(client)
    wepay: WePay = app.extensions["test"]["wepay"]

    with app.test_request_context():
        session["user"] = "alice"
        response = wepay.oauth.wepay.post("user", json={})
        wepay.oauth.wepay.token = GOOD

    assert response.json()["state"] == "registered"
    assert tokens["alice"] == GOOD


def test_authlib_client_of_nobody(app: Flask) -> None:
    """Nobody's token can't be stored."""
    wepay: WePay = app.extensions["test"]["wepay"]

    with app.test_request_context(), pytest.raises(NotAuthorized):
        wepay.oauth.wepay.token = GOOD


# A merchant's own token


@pytest.fixture
def merchant(make_app: MakeApp) -> Flask:
    """An application with WEPAY_ACCESS_TOKEN."""
    return make_app(WePay(), WEPAY_ACCESS_TOKEN="STAGE_own", owner_loader=False)


def test_own_token_never_changes(merchant: Flask, wepay_sandbox: Sandbox) -> None:
    """A token of the settings can be neither forgotten nor replaced."""
    wepay: WePay = merchant.extensions["test"]["wepay"]

    with merchant.test_request_context():
        with pytest.raises(ConfigurationError, match="WEPAY_ACCESS_TOKEN"):
            wepay.oauth.wepay.token = GOOD
        with pytest.raises(ConfigurationError, match="WEPAY_ACCESS_TOKEN"):
            current_wepay.disconnect()
        assert current_wepay.token is not None
        assert current_wepay.token.access_token == "STAGE_own"


@pytest.mark.parametrize("hook", ["token_getter", "token_setter"])
def test_own_token_and_a_late_hook(merchant: Flask, hook: str) -> None:
    """A token hook beside a merchant's own token is an error, also if it comes later."""
    getattr(merchant.extensions["test"]["wepay"], hook)(lambda *args: None)

    with (
        merchant.test_request_context(),
        pytest.raises(ConfigurationError, match="'WEPAY_ACCESS_TOKEN' is set together"),
    ):
        bool(current_wepay.authorized)


@pytest.mark.parametrize("hook", ["owner_loader", "token_getter", "token_setter", "prefill"])
def test_hook_that_is_async(wepay: WePay, hook: str) -> None:
    """A hook that nobody would await is refused: what it is given would be lost."""

    async def save() -> None:
        raise NotImplementedError

    with pytest.raises(ConfigurationError, match="'save' is an async function"):
        getattr(wepay, hook)(save)


# Prefill


def prefilled(make_app: MakeApp, prefill: Callable[[], Any]) -> Any:
    app = make_app()
    assert app.extensions["test"]["wepay"].prefill(prefill) is prefill
    client = app.test_client()
    client.get("/as/alice")
    return client.get("/wepay/login")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"user_name": "Zoë & Co"},
        {"user_email": "a+b@example.com"},
        {"user_name": "A", "user_email": "a@example.com", "user_country": "CA"},
    ],
)
def test_prefill(make_app: MakeApp, wepay_sandbox: Sandbox, given: dict[str, str]) -> None:
    """What the hook gives goes to WePay's form, and nothing else."""
    query = parse_qs(urlsplit(prefilled(make_app, lambda: given).location).query)

    assert {name: query[name][0] for name in query if name.startswith("user_")} == given


def test_prefill_leaves_out_none(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """A value of None is left out."""
    location = prefilled(make_app, lambda: {"user_name": None, "user_country": "CA"}).location

    assert "user_name" not in location
    assert "user_country=CA" in location


@pytest.mark.parametrize(
    "odd", [{"user_country": "DE"}, {"user_name": "caf\ud800"}, {"user_email": "a\nb@example.com"}]
)
def test_prefill_that_wepay_does_not_take(
    make_app: MakeApp, wepay_sandbox: Sandbox, odd: dict[str, str]
) -> None:
    """Where a user lives, or what one is called, does not break a login."""
    answer = prefilled(make_app, lambda: odd)

    assert answer.status_code == 302
    assert "user_" not in answer.location.replace("view_user", "")


def test_prefill_of_another_type(
    make_app: MakeApp, wepay_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A value that is no string is an error that names it."""
    assert prefilled(make_app, lambda: {"user_name": 7}).status_code == 500
    assert "'user_name' of type int" in caplog.text


def test_prefill_of_nothing(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """A hook that has nothing to fill in may return nothing."""
    location = prefilled(make_app, lambda: None).location

    assert "user_" not in location.replace("view_user", "")


def test_prefill_with_another_name(
    make_app: MakeApp, wepay_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    """A name that WePay does not know is an error that says which ones it knows."""
    answer = prefilled(make_app, lambda: {"email": "a@example.com"})

    assert answer.status_code == 500
    assert "'prefill' returned ['email']" in caplog.text


def test_own_token_has_no_owners(merchant: Flask) -> None:
    """With a merchant's own token there is nobody else to act for."""
    with merchant.app_context():
        wepay: WePay = merchant.extensions["test"]["wepay"]

        with pytest.raises(ConfigurationError, match="can't act for owners"):
            wepay.client_for("alice")


def test_hour_old_login(client: FlaskClient, wepay_sandbox: Sandbox, tokens: Tokens) -> None:
    """With hooks, too, a login ends after an hour."""
    back = wepay_sandbox.authorize(client.get("/wepay/login").location)

    with time_machine.travel(timedelta(hours=1, seconds=1)):
        answer = client.get(back)

    assert answer.status_code == 400
    assert tokens == {}
