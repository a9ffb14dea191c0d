"""A denial is believed only with its state, and never changes anything else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox
from flask_wepay.signals import wepay_denied

MakeApp = Callable[..., Flask]
Rows = Callable[[], list[Any]]

DENIED = "You did not connect with WePay"


@pytest.fixture
def denials(app: Flask) -> Any:
    """What the signal told, oldest first."""
    told: list[dict[str, Any]] = []

    def receive(sender: Flask, **facts: Any) -> None:
        told.append(facts)

    with wepay_denied.connected_to(receive, sender=app):
        yield told


def deny(client: FlaskClient, sandbox: Sandbox, login: str = "/wepay/login?next=/there") -> str:
    """Begin a login and refuse it at WePay, and give the address one comes back to."""
    return sandbox.authorize(client.get(login).location, deny=True)


def test_denied(
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    rows: Rows,
    denials: list[dict[str, Any]],
) -> None:
    """Whoever says no gets a page that says so, with both ways on, and is told of once."""
    back = deny(client, wepay_sandbox)

    answer = client.get(back)

    assert answer.status_code == 403
    assert DENIED in answer.text
    assert 'href="/there">Go on without' in answer.text
    assert 'href="/wepay/login?next=/there">Connect with WePay' in answer.text
    assert wepay_sandbox.count("oauth2/token") == 0
    assert rows() == []
    assert denials == [
        {
            "owner": "alice",
            "error": "access_denied",
            "description": "The user denied your request.",
        }
    ]


def test_reloaded(
    client: FlaskClient, wepay_sandbox: Sandbox, denials: list[dict[str, Any]]
) -> None:
    """A reload shows the page again, and tells nobody a second time."""
    back = deny(client, wepay_sandbox)
    client.get(back)

    answer = client.get(back)

    assert answer.status_code == 403
    assert DENIED in answer.text
    assert len(denials) == 1


def without_state(client: FlaskClient, back: str) -> tuple[FlaskClient, str]:
    return client, back.partition("&state=")[0]


def with_another_state(client: FlaskClient, back: str) -> tuple[FlaskClient, str]:
    return client, back + "x"


def as_somebody_else(client: FlaskClient, back: str) -> tuple[FlaskClient, str]:
    client.get("/as/bob")
    return client, back


def as_nobody(client: FlaskClient, back: str) -> tuple[FlaskClient, str]:
    return client.application.test_client(), back


def in_another_browser(client: FlaskClient, back: str) -> tuple[FlaskClient, str]:
    browser = client.application.test_client()
    browser.get("/as/alice")
    return browser, back


@pytest.mark.parametrize(
    "change", [without_state, with_another_state, as_somebody_else, as_nobody, in_another_browser]
)
def test_without_its_state(
    client: FlaskClient,
    wepay_sandbox: Sandbox,
    denials: list[dict[str, Any]],
    change: Callable[[FlaskClient, str], tuple[FlaskClient, str]],
) -> None:
    """A denial that anybody could have made up shows the page and changes nothing."""
    allowed = wepay_sandbox.authorize(client.get("/wepay/login?force=1").location)
    browser, back = change(client, deny(client, wepay_sandbox))

    answer = browser.get(back)

    assert answer.status_code == 403
    assert DENIED in answer.text
    assert denials == []
    client.get("/as/alice")
    assert client.get(allowed).status_code == 302


def test_wepay_that_keeps_the_state(
    client: FlaskClient, wepay_sandbox: Sandbox, denials: list[dict[str, Any]]
) -> None:
    """Should WePay not bring the state back, the page is the same."""
    wepay_sandbox.state_on_denial = False

    answer = client.get(deny(client, wepay_sandbox))

    assert (answer.status_code, denials) == (403, [])
    assert DENIED in answer.text


def test_connection_is_kept(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, rows: Rows
) -> None:
    """Whoever is connected and denies a reconnection stays connected."""
    wepay_connect(client)
    connected = rows()

    answer = client.get(deny(client, wepay_sandbox, "/wepay/login?force=1"))

    assert answer.status_code == 403
    assert rows() == connected
    assert client.get("/wepay/login?next=/there").location == "/there"


def test_connect_after_all(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Whoever has denied can connect afterwards, and not with the state of the denial."""
    back = deny(client, wepay_sandbox)
    client.get(back)
    code = wepay_sandbox.issue_code("http://localhost/wepay/callback")
    used = client.get(f"/wepay/callback?code={code}&{back.partition('&')[2]}")

    answer = wepay_connect(client, login="/wepay/login?next=/there")

    assert used.status_code == 400
    assert answer.location == "/there"


def test_denial_before_the_code(
    client: FlaskClient, wepay_sandbox: Sandbox, denials: list[dict[str, Any]]
) -> None:
    """Where a callback has both an error and a code, nothing is exchanged."""
    back = wepay_sandbox.authorize(client.get("/wepay/login").location)

    answer = client.get(f"{back}&error=access_denied")

    assert answer.status_code == 403
    assert wepay_sandbox.count("oauth2/token") == 0
    assert len(denials) == 1


@pytest.mark.parametrize("error", ["invalid_request", "server_error", "", "access_denied "])
def test_other_errors(
    client: FlaskClient, wepay_sandbox: Sandbox, denials: list[dict[str, Any]], error: str
) -> None:
    """Another error than a denial is a page of its own, and is told of with its name."""
    state = deny(client, wepay_sandbox).partition("state=")[2]

    answer = client.get(f"/wepay/callback?error={quote(error)}&state={state}")

    assert answer.status_code == 400
    assert "WePay did not make the connection" in answer.text
    assert 'href="/wepay/login?next=/there">Connect again' in answer.text
    assert [told["error"] for told in denials] == [error]


def test_nothing_of_it_is_shown(client: FlaskClient) -> None:
    """What the address says is not shown: anybody can make up the address of a callback."""
    words = "<script>alert(1)</script> call 0900 12345"

    pages = [
        client.get(f"/wepay/callback?error={quote(error)}&error_description={quote(words)}").text
        for error in ("access_denied", words)
    ]

    assert not any("0900" in page or "alert(1)" in page for page in pages)
