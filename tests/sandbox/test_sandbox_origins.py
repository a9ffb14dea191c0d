"""Who may come in: requests by the sandbox's own names, from no other site."""

from __future__ import annotations

import json
import socket
from http.client import HTTPConnection

import pytest
import requests
from asking import BILL, authorize_url
from flask.testing import FlaskClient

from flask_wepay.sandbox import Sandbox, create_app
from flask_wepay.sandbox.server import LiveSandbox

#: What browsers say of a request that a page made to its own site, and to another one.
OWN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "empty"}
FOREIGN = {
    "Origin": "https://evil.example",
    "Sec-Fetch-Site": "cross-site",
    "Sec-Fetch-Dest": "empty",
}


def test_rebound_name(wepay_live_sandbox: LiveSandbox) -> None:
    """A stranger's page whose name is rebound to this machine reads and moves nothing."""
    requests.post(
        f"{wepay_live_sandbox.url}/v2/oauth2/token",
        json={"client_id": 99, "client_secret": "a real secret", "redirect_uri": "x", "code": "c"},
    )
    wepay_live_sandbox.answer_next("user", error_code=1008)
    address = wepay_live_sandbox.url.removeprefix("http://")
    port = address.partition(":")[2]
    before = len(wepay_live_sandbox.log), len(wepay_live_sandbox.world.users)

    def ask(method: str, path: str) -> tuple[int, str]:
        connection = HTTPConnection(address)
        host = f"evil.example:{port}"
        headers = {"Host": host, "Origin": f"http://{host}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps({"email": "mallory@evil.example"}), headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, text

    answers = [
        ask("GET", "/"),
        ask("GET", "/sandbox/log"),
        ask("POST", "/sandbox/make_user"),
        ask("POST", "/v2/user"),
        ask("GET", "/static/sandbox.css"),
    ]

    assert [status for status, _ in answers] == [403] * 5
    assert "a real secret" not in str(answers)
    assert [json.loads(text)["error_code"] for _, text in answers] == [1010] * 5
    assert f"not to 'evil.example:{port}'" in json.loads(answers[0][1])["problem"]
    assert before == (len(wepay_live_sandbox.log), len(wepay_live_sandbox.world.users))
    answer = requests.post(f"{wepay_live_sandbox.url}/v2/user", json={})
    assert answer.json()["error_code"] == 1008


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:8010", "127.0.0.1:1", "[::1]", "[::1]:8010", "shop.example:8010"],
)
def test_names_of_its_own(sandbox: Sandbox, host: str) -> None:
    """It answers to loopback's names and to that of its URL, whatever the port."""
    sandbox.url = "https://shop.example"

    assert sandbox.app.test_client().get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "evil.example:127.0.0.1",
        "user@localhost",
        "localhost.",
        "0.0.0.0",
        "[::1",
        "::1",
        "",
        "local\xb2host",
    ],
)
def test_other_names(browser: FlaskClient, host: str) -> None:
    """It answers to no other name, nor to what is none."""
    assert browser.get("/", headers={"Host": host}).status_code == 403


def test_given_names() -> None:
    """A further name can be given to it, and to the application over a world."""
    given = Sandbox(names=["WePay"]).app.test_client()
    application = create_app(url="http://wepay:8010").test_client()

    assert given.get("/", headers={"Host": "wepay:8010"}).status_code == 200
    assert application.get("/", headers={"Host": "wepay:8010"}).status_code == 200


def test_request_without_a_name(wepay_live_sandbox: LiveSandbox) -> None:
    """HTTP of 1996, which names no host, is refused too."""
    host, _, port = wepay_live_sandbox.url.removeprefix("http://").partition(":")

    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = connection.makefile("rb").read()

    assert b" 403 " in answer.splitlines()[0]


def test_joined_name() -> None:
    """Where it stands in for WePay's stage in a test, it answers to that name."""
    with Sandbox(url="https://stage.wepayapi.com").joined():
        answer = requests.post("https://stage.wepayapi.com/v2/user", json={})

    assert answer.json()["error_code"] == 1002


@pytest.mark.parametrize(
    ("origin", "status"),
    [(None, 302), ("http://localhost", 302), ("https://evil.example", 403), ("null", 403)],
)
def test_forms_of_other_sites(
    browser: FlaskClient, token: str, origin: str | None, status: int
) -> None:
    """Another site can't press the sandbox's buttons."""
    headers = {} if origin is None else {"Origin": origin}

    answer = browser.post(f"/settings/{BILL}/revoke", headers=headers)

    assert answer.status_code == status


@pytest.mark.parametrize(
    "headers",
    [
        FOREIGN,
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "image"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Dest": "iframe"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_calls_of_other_sites(
    sandbox: Sandbox, browser: FlaskClient, headers: dict[str, str], method: str
) -> None:
    """Another site's request is not noted, and takes neither a scripted answer nor a hold."""
    sandbox.answer_next("user", error_code=1008)
    hold = sandbox.hold("user")

    answer = browser.open("/v2/user", method=method, headers=headers, json={})

    assert answer.status_code == 403
    assert len(sandbox.log) == 0
    assert not hold.arrived.is_set()
    hold.release()
    assert browser.post("/v2/user", json={}, headers=OWN).json["error_code"] == 1008


def test_visit_from_an_application(sandbox: Sandbox, browser: FlaskClient) -> None:
    """An application leads the window to the authorize page, and that may be scripted."""
    visit = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}
    sandbox.answer_next("oauth2/authorize", status=503)
    path = authorize_url(sandbox).removeprefix(sandbox.url)

    assert browser.get(path, headers=visit).status_code == 503
    assert browser.get(path, headers=visit).status_code == 200
    assert browser.get("/", headers=visit).status_code == 200
    framed = visit | {"Sec-Fetch-Dest": "iframe"}
    assert browser.get(path, headers=framed).status_code == 403


@pytest.mark.parametrize("path", ["/", "/settings", "/sandbox/log", "/v2/user", "/static/x"])
def test_no_frames(browser: FlaskClient, path: str) -> None:
    """Nothing of it shows in a frame, where a click could be stolen."""
    assert browser.get(path).headers["X-Frame-Options"] == "DENY"
