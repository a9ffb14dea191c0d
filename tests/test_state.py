"""A callback acts only on a login that the same browser, for the same owner, began."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random
from string import printable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import time_machine
from flask import Flask
from flask.testing import FlaskClient

from flask_wepay import WePay
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

MakeApp = Callable[..., Flask]
Rows = Callable[[], list[Any]]


@pytest.fixture
def connected(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, rows: Rows
) -> list[Any]:
    """What the table holds once alice is connected."""
    wepay_connect(client)
    return rows()


def come_back(client: FlaskClient, sandbox: Sandbox, login: str = "/wepay/login?force=1") -> str:
    """Begin a login and consent, and give the address that the browser goes back to."""
    return sandbox.authorize(client.get(login).location)


def with_arguments(address: str, **changes: str | None) -> str:
    """Replace arguments of an address, or leave out those that are None."""
    arguments = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
    arguments |= changes
    kept = {name: value for name, value in arguments.items() if value is not None}
    return f"{urlsplit(address).path}?{urlencode(kept)}"


def another_browser(client: FlaskClient) -> FlaskClient:
    browser = client.application.test_client()
    browser.get("/as/alice")
    return browser


def another_owner(client: FlaskClient) -> FlaskClient:
    client.get("/as/bob")
    return client


def nobody(client: FlaskClient) -> FlaskClient:
    with client.session_transaction() as session:
        del session["user"]
    return client


def without_cookies(client: FlaskClient) -> FlaskClient:
    client.delete_cookie("session")
    return client


def same_browser(client: FlaskClient) -> FlaskClient:
    return client


@pytest.mark.parametrize(
    ("change_browser", "changes"),
    [
        pytest.param(another_browser, {}, id="another browser of the same user"),
        pytest.param(another_owner, {}, id="somebody else logged in meanwhile"),
        pytest.param(nobody, {}, id="logged out meanwhile"),
        pytest.param(without_cookies, {}, id="cookies gone"),
        pytest.param(same_browser, {"state": None}, id="no state"),
        pytest.param(same_browser, {"state": ""}, id="an empty state"),
        pytest.param(same_browser, {"state": "x" * 43}, id="a wrong state"),
        pytest.param(same_browser, {"code": None}, id="no code"),
        pytest.param(same_browser, {"code": ""}, id="an empty code"),
        pytest.param(same_browser, {"code": None, "state": None}, id="nothing at all"),
    ],
)
def test_refused(
    client: FlaskClient,
    wepay: WePay,
    wepay_sandbox: Sandbox,
    connected: list[Any],
    rows: Rows,
    change_browser: Callable[[FlaskClient], FlaskClient],
    changes: dict[str, str | None],
) -> None:
    """A callback without its login is a clean 400, before any exchange, and nothing is lost."""
    back = with_arguments(come_back(client, wepay_sandbox), **changes)

    answer = change_browser(client).get(back)

    assert answer.status_code == 400
    assert "This login can't be finished here" in answer.text
    assert wepay_sandbox.count("oauth2/token") == 1
    assert rows() == connected
    with client.application.app_context():
        assert wepay.client_for("alice").call("user")["user_id"] == connected[0].user_id


@pytest.mark.parametrize(
    "odd",
    ["x" * 256, "with space", "line\nend", "tab\t", "nul\0", "ünïcode", "\u2028", "\x7f", "<>\x1b"],
)
@pytest.mark.parametrize("name", ["code", "state"])
def test_odd_characters_are_refused_unread(
    client: FlaskClient, wepay_sandbox: Sandbox, rows: Rows, name: str, odd: str
) -> None:
    """A code or state that is not short printable ASCII is refused before anything is done."""
    back = with_arguments(come_back(client, wepay_sandbox), **{name: odd})

    answer = client.get(back)

    assert answer.status_code == 400
    assert wepay_sandbox.count("oauth2/token") == 0
    assert rows() == []


def test_longest_code_is_read(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A code of 255 characters is still taken to WePay, which decides about it."""
    back = with_arguments(come_back(client, wepay_sandbox), code="~" * 255)

    client.get(back)

    assert wepay_sandbox.last("oauth2/token").json["code"] == "~" * 255


@pytest.mark.parametrize("name", ["code", "state"])
def test_given_twice(client: FlaskClient, wepay_sandbox: Sandbox, name: str) -> None:
    """A code or state that is given twice is refused, whichever of the two is right."""
    back = come_back(client, wepay_sandbox)

    answers = [client.get(f"{back}&{name}=x"), client.get(back.replace("?", f"?{name}=x&"))]

    assert [answer.status_code for answer in answers] == [400, 400]
    assert wepay_sandbox.count("oauth2/token") == 0


@pytest.mark.parametrize(("seconds", "status"), [(3590, 302), (3601, 400)])
def test_lifetime(client: FlaskClient, wepay_sandbox: Sandbox, seconds: int, status: int) -> None:
    """A login can be finished for an hour, and not after it."""
    location = client.get("/wepay/login").location

    with time_machine.travel(timedelta(seconds=seconds)):
        answer = client.get(wepay_sandbox.authorize(location))

    assert answer.status_code == status
    assert wepay_sandbox.count("oauth2/token") == (status == 302)


@pytest.mark.parametrize(
    "change",
    [
        {"WEPAY_CLIENT_ID": 54321, "WEPAY_CLIENT_SECRET": "another"},
        {"WEPAY_ENVIRONMENT": "stage", "WEPAY_CLIENT_ID": 12345, "WEPAY_CLIENT_SECRET": "another"},
        {"WEPAY_REDIRECT_URI": "http://localhost/wepay/callback?by=setting"},
        {"SECRET_KEY": "a wholly new one"},
    ],
)
def test_settings_changed_meanwhile(
    make_app: MakeApp, wepay_sandbox: Sandbox, change: dict[str, Any]
) -> None:
    """A login begun under another client id, environment, redirect URI or key is refused."""
    before, after = make_app().test_client(), make_app(**change).test_client()
    before.get("/as/alice")
    back = come_back(before, wepay_sandbox)
    after.set_cookie("session", before.get_cookie("session").value)

    answer = after.get(back)

    assert answer.status_code == 400
    assert "This login can't be finished here" in answer.text
    assert wepay_sandbox.count("oauth2/token") == 0


def test_settings_unchanged(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """Another worker with the same settings finishes what the first one began."""
    before, after = make_app().test_client(), make_app().test_client()
    before.get("/as/alice")
    back = come_back(before, wepay_sandbox)
    after.set_cookie("session", before.get_cookie("session").value)

    answer = after.get(back)

    assert answer.status_code == 302
    assert wepay_sandbox.count("oauth2/token") == 1


def test_back_as_the_same_owner(client: FlaskClient, wepay_sandbox: Sandbox, rows: Rows) -> None:
    """Somebody who logs in as another and back again can still finish."""
    back = come_back(client, wepay_sandbox)
    another_owner(client)

    refused, finished = client.get(back), client.get("/as/alice") and client.get(back)

    assert (refused.status_code, finished.status_code) == (400, 302)
    assert [row.owner for row in rows()] == ["alice"]


def test_replay_by_another_owner(client: FlaskClient, wepay_sandbox: Sandbox, rows: Rows) -> None:
    """A callback that was used already tells another owner nothing, and gives them nothing."""
    back = come_back(client, wepay_sandbox)
    client.get(back)

    answer = another_owner(client).get(back)

    assert answer.status_code == 400
    assert wepay_sandbox.count("oauth2/token") == 1
    assert [row.owner for row in rows()] == ["alice"]


def test_refused_login_can_be_begun_anew(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """The page of a refusal leads to a login that works."""
    page = client.get(with_arguments(come_back(client, wepay_sandbox), state="wrong")).text
    assert 'href="/wepay/login"' in page

    answer = client.get(come_back(client, wepay_sandbox, "/wepay/login"))

    assert answer.location == "/"


def test_several_tabs(client: FlaskClient, wepay_sandbox: Sandbox, rows: Rows) -> None:
    """Five tabs opened one after another all finish, in any order, each where it wanted to."""
    backs = [come_back(client, wepay_sandbox, f"/wepay/login?force=1&next=/{n}") for n in range(5)]

    places = [client.get(backs[n]).location for n in (3, 0, 4, 1, 2)]

    assert places == ["/3", "/0", "/4", "/1", "/2"]
    assert [row.reason for row in rows()] == ["replaced"] * 4 + [None]


def test_at_most_five_are_remembered(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Of six tabs the first is forgotten, and refused."""
    backs = [come_back(client, wepay_sandbox) for _ in range(6)]

    statuses = [client.get(back).status_code for back in backs]

    assert statuses == [400, 302, 302, 302, 302, 302]


def test_tabs_with_long_next(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Where the session has no room for every `next`, the older ones give way, not the logins."""
    long = "/" + "n" * 590
    backs = [come_back(client, wepay_sandbox, f"/wepay/login?force=1&next={long}") for _ in "12345"]

    places = [client.get(back).location for back in backs]

    assert places == ["/", "/", "/", "/", long]


def test_a_thousand_abandoned_logins(make_app: MakeApp, wepay_sandbox: Sandbox) -> None:
    """However many logins are abandoned, the cookie stays small and the next login works."""
    app = make_app(WEPAY_LOGIN_REDIRECT="/")
    wepay: WePay = app.extensions["test"]["wepay"]
    wepay.prefill(lambda: {"user_name": "N" * 500, "user_email": "e" * 500 + "@example.com"})
    client = app.test_client()
    client.get("/as/alice")
    bare = len(client.get_cookie("session").value)
    largest = 0
    random = Random(1)
    for _ in range(1000):
        # As long and as incompressible as a `next` can be, or shorter.
        path = "/" + "".join(random.choices(printable[:62], k=random.choice([20, 100, 400, 599])))
        client.get(f"/wepay/login?next={path}&force=1")
        largest = max(largest, len(client.get_cookie("session").value))

    answer = client.get(come_back(client, wepay_sandbox, "/wepay/login?next=/here"))

    assert 900 < largest - bare < 1500
    assert answer.location == "/here"


def test_state_is_not_in_the_cookie(client: FlaskClient, app: Flask) -> None:
    """The session, which a browser can read, holds no state."""
    location = client.get("/wepay/login").location
    (state,) = parse_qs(urlsplit(location).query)["state"]

    with client.session_transaction() as session:
        assert state not in str(dict(session))
    assert len(state) == 43


@pytest.mark.parametrize(
    "stored",
    [
        "text",
        7,
        [1, "x", None],
        [["digest", "no time", ""]],
        [["ümlaut", 1, ""], ["short"], ["a", 1, "", "long"]],
        {"state": "of another extension"},
    ],
)
def test_odd_session(client: FlaskClient, wepay_sandbox: Sandbox, stored: Any) -> None:
    """Whatever stands in the session already, a login works."""
    with client.session_transaction() as session:
        session["_wepay_logins"] = stored

    answer = client.get(come_back(client, wepay_sandbox, "/wepay/login"))

    assert answer.location == "/"


def test_session_is_left_clean(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A login that is done leaves nothing in the session."""
    client.get(come_back(client, wepay_sandbox))

    with client.session_transaction() as session:
        assert dict(session) == {"user": "alice"}


def test_session_keeps_other_logins(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """A login that is done leaves the others of the browser alone."""
    first, second = (come_back(client, wepay_sandbox) for _ in range(2))
    client.get(second)

    answer = client.get(first)

    assert answer.status_code == 302
