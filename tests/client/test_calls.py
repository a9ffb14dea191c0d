"""What a call sends, and what it needs."""

from __future__ import annotations

import datetime
import decimal
import json
import typing
from collections.abc import Callable
from importlib.metadata import version
from types import MappingProxyType, SimpleNamespace
from typing import Any

import pytest
import time_machine
from flask import Flask, render_template_string
from flask.testing import FlaskClient
from servers import answer, answering, echo
from sqlalchemy import event

import flask_wepay.extension
from flask_wepay import WePay, WePayClient, current_wepay
from flask_wepay.errors import ConfigurationError, InvalidCall, InvalidRequest, NotAuthorized


def test_a_call_is_a_post_of_json_with_a_bearer_token(serve: Any, client_at: Any) -> None:
    """A call is one POST with JSON, a User-Agent, the token in its header, and nothing else."""
    server = serve(echo)

    client_at(server.url).call("account/create", name="Ünique", params={"timeout": 1})

    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/v2/account/create")
    assert request.json == {"name": "Ünique", "timeout": 1}
    assert request.headers == {
        "host": f"127.0.0.1:{server.port}",
        "user-agent": f"Flask-WePay/{version('Flask-WePay')}",
        "accept-encoding": "identity",
        "accept": "application/json",
        "connection": "keep-alive",
        "authorization": "Bearer STAGE_alice",
        "content-type": "application/json",
        "content-length": str(len(request.body)),
    }


def test_a_call_without_parameters_sends_an_empty_object(serve: Any, client_at: Any) -> None:
    """WePay wants a JSON object even where there is nothing to say."""
    server = serve(echo)

    client_at(server.url).call("user")

    assert server.requests[0].body == b"{}"


def test_headers_that_go_with_any_call(serve: Any, client_at: Any) -> None:
    """Api-Version, WePay-Risk-Token and Client-IP are sent where they are given."""
    server = serve(echo)
    client = client_at(server.url, WEPAY_API_VERSION="2018-08-29")

    client.call("user", risk_token="123-abc", client_ip="198.51.100.7")
    client.call("user", api_version="2019-04-03")

    first, second = (request.headers for request in server.requests)
    assert first["wepay-risk-token"] == "123-abc"
    assert first["client-ip"] == "198.51.100.7"
    assert first["api-version"] == "2018-08-29"
    assert second["api-version"] == "2019-04-03"


@pytest.mark.parametrize("value", ["a\r\nX: y", "\n", " padded", "padded ", "ü", "\0", 5])
def test_odd_headers_are_refused(serve: Any, client_at: Any, value: Any) -> None:
    """A header's value that could become another header, or none at all, is not sent."""
    server = serve(echo)

    with pytest.raises(InvalidCall, match="header 'Client-IP'"):
        client_at(server.url).call("user", client_ip=value)

    assert server.connections == 0


@pytest.mark.parametrize("given", [{"access_token": "x"}, {"params": {"access_token": "x"}}])
def test_a_token_is_never_a_parameter(serve: Any, client_at: Any, given: Any) -> None:
    """A token among the parameters is an error that says where tokens travel."""
    server = serve(echo)

    with pytest.raises(InvalidCall, match="a token travels in the Authorization header only"):
        client_at(server.url).call("user", **given)

    assert server.connections == 0


CIRCLE: list[Any] = []
CIRCLE.append(CIRCLE)
DEEP: list[Any] = []
for _ in range(100_000):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value",
    [
        decimal.Decimal("1.10"),
        datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
        b"bytes",
        float("nan"),
        float("inf"),
        CIRCLE,
        DEEP,
    ],
    ids=["Decimal", "datetime", "bytes", "nan", "inf", "circle", "deep"],
)
def test_parameters_are_json(serve: Any, client_at: Any, value: Any) -> None:
    """A parameter that JSON does not know is refused before anything is sent."""
    server = serve(echo)

    with pytest.raises(InvalidCall, match="can't be encoded as JSON"):
        client_at(server.url).call("checkout/create", amount=value)

    assert server.connections == 0


@pytest.mark.parametrize("params", [{1: 2}, [("a", 1)], "ab", 5])
def test_parameters_are_a_mapping_by_name(client_of: Any, params: Any) -> None:
    """Anything but a mapping with names as keys is refused in a batch."""
    with pytest.raises(InvalidCall, match="not a mapping"):
        client_of(echo).batch([("user", params)])


def test_any_mapping_will_do(serve: Any, client_at: Any) -> None:
    """A mapping that is no dict is sent as one."""
    server = serve(echo)

    client_at(server.url).call("user", params=MappingProxyType({"a": 1}))

    assert server.requests[0].json == {"a": 1}


def test_parameters_in_the_second_place(serve: Any, client_at: Any) -> None:
    """A mapping in the second place, where WePay's own SDK has it, is the parameters."""
    server = serve(echo)

    client_at(server.url).call("account/create", {"name": "n", "timeout": 1}, description="d")

    assert server.requests[0].json == {"name": "n", "timeout": 1, "description": "d"}


@pytest.mark.parametrize("value", [{"account_id": 1}, [{"account_id": 1}], [], {}])
def test_objects_and_arrays_are_answers(client_of: Any, value: Any) -> None:
    """An answer is the decoded JSON: an object, or a bare array as of account/find."""
    client = client_of(answering(answer(json.dumps(value).encode())))

    assert client.call("account/find") == value


def test_a_call_in_a_view_is_made_as_the_current_owner(
    client: FlaskClient, view: Any, wepay_sandbox: Any, wepay_connect: Any
) -> None:
    """current_wepay acts for whoever the request is of."""
    view(lambda: current_wepay.call("user")["email"])
    wepay_connect(client, email="bill@example.com")
    client.get("/as/bob")
    wepay_connect(client, email="mary@example.com")

    assert client.get("/view").text == "mary@example.com"
    client.get("/as/alice")
    assert client.get("/view").text == "bill@example.com"


def test_what_a_client_knows_without_asking(alice: WePayClient, wepay_sandbox: Any) -> None:
    """authorized, user_id and token come from the database, and the token does not show itself."""
    token = alice.token

    assert alice.authorized
    assert token is not None
    assert alice.user_id == token.user_id == wepay_sandbox.world.users[token.user_id].user_id
    assert token.access_token not in repr(token)
    assert repr(alice) == "<WePayClient owner='alice'>"
    assert len(wepay_sandbox.log) == 0


def test_nobody_is_connected(app: Flask, wepay: WePay, wepay_sandbox: Any) -> None:
    """Of somebody who never connected everything is None, and a call says what to do."""
    with app.app_context():
        nobody = wepay.client_for("nobody")

        assert (nobody.authorized, nobody.user_id, nobody.token) == (False, None, None)
        with pytest.raises(NotAuthorized, match=r"send the user to wepay\.login") as caught:
            nobody.call("user")
    assert caught.value.owner == "nobody"
    assert len(wepay_sandbox.log) == 0


def test_an_authorization_that_expires(
    app: Flask, client: FlaskClient, wepay: WePay, wepay_sandbox: Any, wepay_connect: Any
) -> None:
    """A token past its expires_at is not sent, and NotAuthorized says so."""
    wepay_sandbox.world.expires_in = 3600
    wepay_connect(client)
    wepay_sandbox.log.clear()

    with app.app_context(), time_machine.travel(datetime.timedelta(hours=2)):
        assert not wepay.client_for("alice").authorized
        with pytest.raises(NotAuthorized, match="expired"):
            wepay.client_for("alice").call("user")

    assert len(wepay_sandbox.log) == 0


def test_disconnecting_forgets_here(
    alice: WePayClient, client: FlaskClient, view: Any, rows: Any, wepay_sandbox: Any
) -> None:
    """After disconnect() nothing is sent for the owner any more, in the same request already."""

    def disconnect() -> list[Any]:
        before = current_wepay.authorized
        current_wepay.disconnect()
        return [before, current_wepay.authorized, current_wepay.user_id]

    view(disconnect)

    assert client.post("/view").json == [True, False, None]
    assert [(row.reason, row.token) for row in rows()] == [("disconnected", None)]
    with pytest.raises(NotAuthorized, match="has disconnected"):
        alice.call("user")
    assert len(wepay_sandbox.log) == 0


def test_disconnecting_nobody_does_nothing(app: Flask, wepay: WePay, rows: Any) -> None:
    """disconnect() for nobody, or for somebody who never connected, is no error."""
    with app.app_context():
        current_wepay.disconnect()
        wepay.client_for("alice").disconnect()

    assert rows() == []


def test_one_select_per_request_and_owner(
    alice: WePayClient, client: FlaskClient, view: Any, db: Any
) -> None:
    """Within a request the table is read once, whatever is asked; the next request reads anew."""
    view(
        lambda: [
            current_wepay.authorized,
            current_wepay.user_id,
            current_wepay.call("user")["user_id"],
            current_wepay.call("user")["user_id"],
        ]
    )
    statements: list[str] = []
    event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))

    client.get("/view")
    client.get("/view")

    assert [statement.split()[0] for statement in statements] == ["SELECT", "SELECT"]


@pytest.mark.usefixtures("alice")
def test_a_request_that_goes_on_for_long(
    app: Flask, client: FlaskClient, view: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stream or a socket has looked up is not believed for ever."""
    clock = SimpleNamespace(monotonic=iter([0.0, 9.0, 11.0]).__next__)
    monkeypatch.setattr("flask_wepay.api.lookup.time", clock)

    def look() -> str:
        first = current_wepay.authorized
        # As another request does.
        app.extensions["wepay"].store.disconnect("alice")
        return f"{first} {current_wepay.authorized} {current_wepay.authorized}"

    view(look)

    assert client.get("/view").text == "True True False"


def test_an_outer_application_context_serves_many_requests(
    alice: WePayClient, client: FlaskClient, view: Any
) -> None:
    """What one request read is not believed in the next, even within one application context."""
    view(lambda: str(current_wepay.authorized))

    before = client.get("/view").text
    alice.disconnect()

    assert (before, client.get("/view").text) == ("True", "False")


def test_two_applications_in_one_request_share_nothing(
    alice: WePayClient, client: FlaskClient, view: Any, make_app: Callable[..., Flask]
) -> None:
    """A view that enters another application's context sees that application's tokens."""
    other = make_app()

    def both() -> list[bool]:
        here = current_wepay.authorized
        with other.app_context():
            return [here, other.extensions["test"]["wepay"].client_for("alice").authorized]

    view(both)

    assert client.get("/view").json == [True, False]


@pytest.mark.parametrize(
    "keywords",
    [
        {"timeout": "5"},
        {"timeout": -1},
        {"timeout": float("inf")},
        {"timeout": float("nan")},
        {"wait": "5"},
        {"wait": -0.1},
        {"wait": 1e9},
        {"params": 5},
    ],
    ids=str,
)
def test_keywords_of_the_wrong_kind(
    app: Flask, wepay: WePay, wepay_sandbox: Any, keywords: dict[str, Any]
) -> None:
    """A timeout that is no number of seconds, and parameters that are no mapping, send nothing."""
    (name,) = keywords

    with app.app_context(), pytest.raises(InvalidCall, match=f"'{name}' is"):
        wepay.client_for("alice").call("user", **keywords)

    assert len(wepay_sandbox.log) == 0


@pytest.mark.parametrize("owner", [5, b"alice", ("alice",)])
def test_an_owner_is_a_string(app: Flask, wepay: WePay, owner: Any) -> None:
    """An owner given as a number, the likeliest mistake, is an error and not a stranger."""
    with app.app_context(), pytest.raises(ConfigurationError, match=r"give str\(user\.id\)"):
        wepay.client_for(owner).call("user")


def test_current_wepay_is_harmless_outside_of_a_request(app: Flask) -> None:
    """Outside of a request current_wepay is nobody's; outside of an application it is unbound."""
    with app.app_context():
        assert not current_wepay.authorized
        with pytest.raises(NotAuthorized, match=r"Outside of a request .* wepay\.client_for"):
            current_wepay.call("user")
        with app.test_request_context(), pytest.raises(NotAuthorized, match="Nobody is logged in"):
            current_wepay.call("user")

    assert repr(current_wepay) == "<LocalProxy unbound>"
    assert not current_wepay
    with pytest.raises(RuntimeError, match="application context"):
        _ = current_wepay.authorized


def test_current_wepay_without_the_extension() -> None:
    """An application without the extension is told what it forgot."""
    with (
        Flask("bare").app_context(),
        pytest.raises(RuntimeError, match="Did you forget to call 'init_app'"),
    ):
        _ = current_wepay.authorized


def test_current_wepay_is_typed_as_the_client() -> None:
    """To a type checker the proxy is the client that it stands for."""
    hints = typing.get_type_hints(flask_wepay.extension)

    assert hints["current_wepay"] is WePayClient


def test_current_wepay_is_in_the_template_context(
    client: FlaskClient, view: Any, wepay_sandbox: Any, wepay_connect: Any
) -> None:
    """A template asks current_wepay without being given it."""
    page = "{% if current_wepay.authorized %}connected{% else %}connect{% endif %}"
    view(lambda: render_template_string(page))

    before = client.get("/view").text
    wepay_connect(client)

    assert (before, client.get("/view").text) == ("connect", "connected")


def test_wepays_refusal_is_raised(alice: WePayClient) -> None:
    """A call that WePay refuses raises the error that its error_code decides."""
    with pytest.raises(InvalidRequest) as caught:
        alice.call("account/create")

    assert caught.value.error_code == 1004
    assert caught.value.call == "account/create"
