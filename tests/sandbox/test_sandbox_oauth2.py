"""The authorize page and the token call, to the letter of the specification."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from asking import (
    BILL,
    CALLBACK_URI,
    CREDENTIALS,
    MARY,
    REDIRECT_URI,
    SCOPE,
    authorize_url,
    exchange,
    problem,
)
from flask.testing import FlaskClient

from flask_wepay.sandbox import AuthorizeRefused, Clock, Sandbox, World


def code_of(back: str) -> str:
    return parse_qs(urlsplit(back).query)["code"][0]


def test_allow(sandbox: Sandbox) -> None:
    """Consent brings the browser back with a code and the state as it was."""
    back = sandbox.authorize(authorize_url(sandbox, state="s t/ä&te="))

    query = parse_qs(urlsplit(back).query)
    assert back.startswith(REDIRECT_URI + "?")
    assert query.keys() == {"code", "state"}
    assert query["state"] == ["s t/ä&te="]


def test_allow_without_state(sandbox: Sandbox) -> None:
    """No state comes back where none was given."""
    back = sandbox.authorize(authorize_url(sandbox, state=None))

    assert parse_qs(urlsplit(back).query).keys() == {"code"}


def test_redirect_uri_keeps_its_query(sandbox: Sandbox) -> None:
    """The redirect_uri's own query stays in front."""
    back = sandbox.authorize(authorize_url(sandbox, redirect_uri=REDIRECT_URI + "?a=b"))

    assert back.startswith(REDIRECT_URI + "?a=b&code=")


@pytest.mark.parametrize("keeps", [True, False])
def test_deny(sandbox: Sandbox, keeps: bool) -> None:
    """A denial is an error and no code; whether the state comes along can be set."""
    sandbox.state_on_denial = keeps

    back = sandbox.authorize(authorize_url(sandbox), deny=True)

    query = parse_qs(urlsplit(back).query)
    assert query["error"] == ["access_denied"]
    assert query["error_description"]
    assert "code" not in query
    assert query.get("state") == (["opaque"] if keeps else None)
    assert not sandbox.world.codes


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"client_id": None}, "client_id parameter is required"),
        ({"client_id": "abc"}, "client_id must be an integer"),
        ({"client_id": "9" * 5000}, "client_id must be an integer"),
        ({"client_id": 999}, "invalid client_id"),
        ({"redirect_uri": None}, "redirect_uri parameter is required"),
        ({"redirect_uri": "/wepay/callback"}, "must be a full URI"),
        ({"redirect_uri": "javascript:alert(1)"}, "must be a full URI"),
        ({"redirect_uri": "http://[::1/x"}, "must be a full URI"),
        ({"redirect_uri": "http://a@b.example/x"}, "must be a full URI"),
        ({"redirect_uri": "http://b.example/a b"}, "must be a full URI"),
        ({"redirect_uri": "http://my_shop.example/x"}, "underscore"),
        ({"redirect_uri": "http://b.example/" + "x" * 2083}, "2083 characters"),
        ({"scope": None}, "scope parameter is required"),
        ({"scope": SCOPE.replace(",", " ")}, "separated by commas"),
        ({"scope": SCOPE.removesuffix(",send_money")}, "scope lacks send_money"),
        ({"scope": SCOPE + ",refund_payments"}, "unknown permission: refund_payments"),
        ({"scope": SCOPE + ",send_money"}, "twice"),
        ({"user_country": "DE"}, "US or CA"),
        ({"response_type": "code"}, "response_type is not an argument"),
        ({"nonce": "1"}, "nonce is not an argument"),
    ],
)
def test_unusable_authorize_request(
    sandbox: Sandbox, browser: FlaskClient, changes: dict[str, Any], complaint: str
) -> None:
    """What the documentation does not allow ends on a page that leads nowhere."""
    url = authorize_url(sandbox, **changes)

    shown = browser.get(url)
    decided = browser.post(url, data={"decision": "allow", "user": str(BILL)})

    assert (shown.status_code, decided.status_code) == (400, 400)
    assert complaint in shown.text
    assert "Location" not in decided.headers
    with pytest.raises(AuthorizeRefused, match=complaint):
        sandbox.authorize(url)


def test_argument_given_twice(sandbox: Sandbox) -> None:
    """An argument that is there twice is refused."""
    with pytest.raises(AuthorizeRefused, match="given twice"):
        sandbox.authorize(authorize_url(sandbox) + "&state=other")


@pytest.mark.parametrize(
    "address",
    [
        "https://stage.wepay.com/v2/oauth2/authorize",
        "http://127.0.0.1:8011/v2/oauth2/authorize",
        "https://127.0.0.1:8010/v2/oauth2/authorize",
        "http://127.0.0.1:8010/v2/oauth2/token",
    ],
)
def test_authorize_elsewhere(sandbox: Sandbox, address: str) -> None:
    """The sandbox does not play along with an address that is not its own."""
    with pytest.raises(AuthorizeRefused, match="not the authorize page"):
        sandbox.authorize(f"{address}?client_id=12345")


@pytest.mark.parametrize("address", ["http://localhost:8010", "http://wepay", "https://wepay:1"])
def test_authorize_by_another_name(address: str) -> None:
    """It plays along by each of its names, and at any port where the name was given to it."""
    sandbox = Sandbox(names=["wepay"])
    url = authorize_url(sandbox).replace(sandbox.url, address)

    assert sandbox.authorize(url).startswith(f"{REDIRECT_URI}?code=")


def test_redirect_uri_off_the_domain(sandbox: Sandbox) -> None:
    """An application with hosts of its own has no other redirect_uri."""
    sandbox.world.add_application(77, "secret", hosts=("shop.example",))

    good = authorize_url(sandbox, client_id=77, redirect_uri="https://shop.example/cb")
    bad = authorize_url(sandbox, client_id=77, redirect_uri="https://evil.example/cb")

    assert sandbox.authorize(good).startswith("https://shop.example/cb?code=")
    with pytest.raises(AuthorizeRefused, match="the application's domain"):
        sandbox.authorize(bad)


def test_scripted_way_back(sandbox: Sandbox, browser: FlaskClient) -> None:
    """The page can be made to send the browser back with an error, as WePay was seen to."""
    back = REDIRECT_URI + "?error=invalid_request"
    sandbox.answer_next("oauth2/authorize", status=302, headers={"Location": back}, times=2)

    assert sandbox.authorize(authorize_url(sandbox)) == back
    assert browser.get(authorize_url(sandbox)).location == back
    assert "code=" in sandbox.authorize(authorize_url(sandbox))


def test_disabled_application(sandbox: Sandbox) -> None:
    """A disabled application gets no users."""
    sandbox.world.applications[12345].state = "disabled"

    with pytest.raises(AuthorizeRefused, match="disabled"):
        sandbox.authorize(authorize_url(sandbox))


def test_prefilled_form(sandbox: Sandbox, browser: FlaskClient) -> None:
    """Name, mail and country that the application knows are in the form."""
    page = browser.get(
        authorize_url(
            sandbox, user_name="Newt <New>", user_email="newt@example.com", user_country="CA"
        )
    )

    assert 'value="Newt &lt;New&gt;"' in page.text
    assert 'value="newt@example.com"' in page.text
    assert '<option value="CA" selected>' in page.text
    assert 'id="user-new" checked' in page.text


def test_prefilled_known_user(sandbox: Sandbox, browser: FlaskClient) -> None:
    """A mail address that is known chooses its user."""
    page = browser.get(authorize_url(sandbox, user_email="MARY@example.com"))

    assert f'value="{MARY}" checked' in page.text


def test_authorize_page_without_users(browser: FlaskClient, sandbox: Sandbox) -> None:
    """Where everybody was deleted, only somebody new can go on."""
    for user_id in (BILL, MARY):
        sandbox.delete_user(user_id)

    page = browser.get(authorize_url(sandbox))

    assert 'id="user-new" checked' in page.text
    assert "Bill" not in page.text


def test_choose_a_user(sandbox: Sandbox, browser: FlaskClient) -> None:
    """The form's choice decides whose code it is."""
    form = {"decision": "allow", "user": str(MARY)}

    back = browser.post(authorize_url(sandbox), data=form).location

    assert sandbox.world.codes[code_of(back)].user_id == MARY


def test_register_a_user(sandbox: Sandbox, browser: FlaskClient) -> None:
    """The form registers somebody new with name and country."""
    form = {"name": "Newt New", "email": "newt@example.com", "country": "CA", "user": "new"}

    browser.post(authorize_url(sandbox), data={"decision": "allow", **form})

    user = sandbox.world.user_by_email("newt@example.com")
    assert user is not None
    assert (user.user_name, user.country, user.state) == ("Newt New", "CA", "registered")


@pytest.mark.parametrize(
    "form",
    [
        {"user": "new", "email": "nobody"},
        {"user": "new", "email": "a@b.example", "country": "FR"},
        {"user": "4711"},
        {"user": "me"},
    ],
)
def test_unusable_choice(sandbox: Sandbox, browser: FlaskClient, form: dict[str, str]) -> None:
    """A form that can't be used is shown again with a sentence."""
    page = browser.post(authorize_url(sandbox), data={"decision": "allow", **form})

    assert page.status_code == 422
    assert 'role="alert"' in page.text
    assert not sandbox.world.codes


def test_exchange(sandbox: Sandbox) -> None:
    """A code becomes a token that stands for its user."""
    back = sandbox.authorize(authorize_url(sandbox), email="zoe@example.com")

    answer = exchange(sandbox, code_of(back), callback_uri=CALLBACK_URI)

    user = sandbox.world.user_by_email("zoe@example.com")
    assert user is not None
    assert answer.status_code == 200
    assert answer.json == {
        "user_id": user.user_id,
        "access_token": sandbox.tokens(user.user_id)[0].access_token,
        "token_type": "BEARER",
        "expires_in": None,
    }
    assert answer.json["access_token"].startswith("STAGE_")
    assert len(answer.json["access_token"]) <= 255


def test_large_user_id(sandbox: Sandbox) -> None:
    """A user_id of 64 bits comes through as the integer it is."""
    user = sandbox.make_user(user_id=2**63 - 1)

    answer = exchange(sandbox, sandbox.issue_code(REDIRECT_URI, user_id=user.user_id))

    assert answer.json["user_id"] == 9223372036854775807


def test_expires_in_given(sandbox: Sandbox, clock: Clock) -> None:
    """A lifetime is told in the answer, and ends the token."""
    sandbox.world.expires_in = 3600
    answer = exchange(sandbox, sandbox.issue_code(REDIRECT_URI))
    token = sandbox.world.authenticate(answer.json["access_token"])

    clock.move(3600)

    assert answer.json["expires_in"] == token.expires_in == 3600
    headers = {"Authorization": f"Bearer {token.access_token}"}
    refused = sandbox.app.test_client().post("/v2/user", json={}, headers=headers)
    assert problem(refused) == (401, 1006)


def test_expires_in_absent(sandbox: Sandbox) -> None:
    """The answer may have no expires_in at all."""
    sandbox.world.expires_in = "absent"

    answer = exchange(sandbox, sandbox.issue_code(REDIRECT_URI))

    assert answer.json.keys() == {"user_id", "access_token", "token_type"}


def test_production_prefix() -> None:
    """A production world gives production tokens."""
    sandbox = Sandbox(World(environment="production"))

    assert sandbox.issue_token().startswith("PRODUCTION_")


@pytest.mark.parametrize(
    ("changes", "error_code", "text"),
    [
        ({"client_id": None}, 1004, "client_id parameter is required"),
        ({"client_secret": None}, 1004, "client_secret parameter is required"),
        ({"redirect_uri": None}, 1004, "redirect_uri parameter is required"),
        ({"code": ""}, 1003, "code parameter must have 1 to 255 characters"),
        ({"code": "unknown"}, 1003, "invalid code parameter"),
        ({"code": 12}, 1003, "Parameter 'code' expected string"),
        ({"client_id": "12345"}, 1003, "Parameter 'client_id' expected integer"),
        ({"client_id": True}, 1003, "Parameter 'client_id' expected integer"),
        ({"client_id": 2**63}, 1003, "client_id parameter must be an integer of 64 bits"),
        ({"client_id": 999}, 1003, "invalid client_id parameter"),
        ({"client_secret": "wrong"}, 1003, "invalid client_secret parameter"),
        ({"client_secret": "x" * 256}, 1003, "1 to 255 characters"),
        ({"redirect_uri": REDIRECT_URI + "/"}, 1003, "redirect_uri does not match"),
        ({"grant_type": "authorization_code"}, 1003, "grant_type is not a parameter"),
        ({"callback_uri": "ftp://shop.example/"}, 1003, "callback_uri parameter must be a full"),
    ],
)
def test_unusable_exchange(
    sandbox: Sandbox, changes: dict[str, Any], error_code: int, text: str
) -> None:
    """A wrong token call is refused in WePay's form, and the code stays good."""
    code = sandbox.issue_code(REDIRECT_URI)

    answer = exchange(sandbox, **({"code": code} | changes))

    assert problem(answer) == (400, error_code)
    assert text in answer.json["error_description"]
    assert not sandbox.world.tokens
    assert exchange(sandbox, code).status_code == 200


def test_code_is_used_once(sandbox: Sandbox) -> None:
    """The second exchange of a code is refused, and revokes nothing."""
    code = sandbox.issue_code(REDIRECT_URI)
    exchange(sandbox, code)

    again = exchange(sandbox, code)

    assert problem(again) == (400, 1003)
    assert len(sandbox.tokens(BILL)) == 1


@pytest.mark.parametrize(("seconds", "error_code"), [(599, None), (600, 1012)])
def test_code_expires(sandbox: Sandbox, clock: Clock, seconds: int, error_code: int | None) -> None:
    """A code is good for ten minutes."""
    code = sandbox.issue_code(REDIRECT_URI)

    clock.move(seconds)

    assert exchange(sandbox, code).json.get("error_code") == error_code


def test_expire_codes(sandbox: Sandbox) -> None:
    """Codes can be let expire at once."""
    code = sandbox.issue_code(REDIRECT_URI)

    sandbox.expire_codes()

    assert exchange(sandbox, code).json["error_description"] == "the code has expired"


def test_code_of_another_application(sandbox: Sandbox) -> None:
    """A code is bound to the client_id that it was made for."""
    sandbox.world.add_application(77, "secret")

    answer = exchange(
        sandbox, sandbox.issue_code(REDIRECT_URI), client_id=77, client_secret="secret"
    )

    assert problem(answer) == (400, 1013)


def test_exchange_for_a_deleted_user(sandbox: Sandbox) -> None:
    """Somebody who was deleted since the consent gets no token."""
    code = sandbox.issue_code(REDIRECT_URI, user_id=MARY)
    sandbox.delete_user(MARY)

    assert problem(exchange(sandbox, code)) == (400, 7003)


def test_exchange_revokes_earlier_tokens(sandbox: Sandbox) -> None:
    """A new token ends all earlier ones of application and user, and no others."""
    sandbox.world.add_application(77, "secret")
    mine, other_app = sandbox.issue_token(BILL), sandbox.issue_token(BILL, client_id=77)
    other_user = sandbox.issue_token(MARY)

    answer = exchange(sandbox, sandbox.issue_code(REDIRECT_URI, user_id=BILL))

    tokens = sandbox.world.tokens
    assert tokens[mine].reason == "replaced"
    assert tokens[other_app].revoked_at is None
    assert tokens[other_user].revoked_at is None
    assert tokens[answer.json["access_token"]].revoked_at is None


@pytest.mark.parametrize("causes", [False, True])
def test_ipn_on_replacement(sandbox: Sandbox, causes: bool) -> None:
    """Whether our own exchange causes an IPN can be set."""
    sandbox.world.ipn_on_replacement = causes
    sandbox.issue_token(BILL, callback_uri=CALLBACK_URI)

    sandbox.issue_token(BILL)

    assert [ipn.fields for ipn in sandbox.ipns] == ([{"user_id": str(BILL)}] if causes else [])


def test_callback_uri_with_a_port_in_production() -> None:
    """Production sends no IPNs to a port."""
    sandbox = Sandbox(World(environment="production"))
    code = sandbox.issue_code(REDIRECT_URI)

    refused = exchange(sandbox, code, callback_uri="https://shop.example:8000/ipn")
    taken = exchange(sandbox, code, callback_uri="https://shop.example/ipn")

    assert "must have no port" in refused.json["error_description"]
    assert taken.status_code == 200


def test_form_body(sandbox: Sandbox) -> None:
    """A form is not JSON."""
    form = {**CREDENTIALS, "redirect_uri": REDIRECT_URI, "code": "x"}

    answer = sandbox.app.test_client().post("/v2/oauth2/token", data=form)

    assert problem(answer) == (400, 1005)
