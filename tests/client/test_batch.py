"""Many calls in one request, of one owner or of several."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from authorizations import overlapping_logins
from flask import Flask, current_app
from flask.testing import FlaskClient
from servers import Connection, answer, answering
from sqlalchemy import event

from flask_wepay import WePay, WePayClient, signals
from flask_wepay.errors import (
    ConfigurationError,
    ConnectionFailed,
    InvalidCall,
    InvalidRequest,
    NotAuthorized,
    OutcomeUnknown,
    PermissionDenied,
    ServerError,
    StoreUnavailable,
    Throttled,
    TokenRevoked,
    TokenUnreadable,
)


def echo_members(connection: Connection) -> None:
    """Answer each member with what it was."""
    while (request := connection.read()) is not None:
        calls = [
            {
                "call": call["call"],
                "reference_id": call["reference_id"],
                "response": {"n": call["parameters"].get("n"), "by": call["authorization"]},
            }
            for call in reversed(request.json["calls"])
        ]
        connection.send(answer({"calls": calls}))


@pytest.fixture
def three(
    app: Flask, client: FlaskClient, wepay_sandbox: Any, wepay_connect: Any
) -> dict[str, int]:
    """Connect alice, bob and carol, and give the WePay user of each."""
    users = {}
    for owner in ("alice", "bob", "carol"):
        client.get(f"/as/{owner}")
        wepay_connect(client, email=f"{owner}@example.com")
        users[owner] = wepay_sandbox.world.user_by_email(f"{owner}@example.com").user_id
    wepay_sandbox.log.clear()
    return users


@pytest.fixture
def revocations(app: Flask) -> Any:
    """List the signals of lost connections."""
    seen: list[tuple[str, int]] = []

    def note(sender: Flask, owner: str, user_id: int, reason: str) -> None:
        seen.append((owner, user_id))

    with signals.wepay_token_revoked.connected_to(note, app):
        yield seen


def test_results_come_in_order(alice: WePayClient, wepay_sandbox: Any) -> None:
    """A batch is one request, and its results come in the order of its calls."""
    alice.call("account/create", name="Shop", description="A shop")
    wepay_sandbox.log.clear()

    user, accounts = alice.batch([("user", {}), ("/account/find", {"name": "Shop"})])

    assert user["email"] == "bill@example.com"
    assert [account["name"] for account in accounts] == ["Shop"]
    assert [exchange.call for exchange in wepay_sandbox.log] == ["batch/create"]


def test_what_a_batch_sends(serve: Any, client_at: Any) -> None:
    """The application's credentials and each member's token are in the body, none in a header."""
    server = serve(echo_members)

    client_at(server.url).batch([("user", {"n": 1}), ("account/find", {})])

    (request,) = server.requests
    assert request.path == "/v2/batch/create"
    assert "authorization" not in request.headers
    assert request.json == {
        "client_id": 12345,
        "client_secret": "1a2b3c4d5e6f",
        "calls": [
            {
                "call": "/user",
                "authorization": "STAGE_alice",
                "reference_id": "0",
                "parameters": {"n": 1},
            },
            {
                "call": "/account/find",
                "authorization": "STAGE_alice",
                "reference_id": "1",
                "parameters": {},
            },
        ],
    }


def test_the_api_version_of_a_batch(serve: Any, client_at: Any) -> None:
    """WEPAY_API_VERSION is that of a batch, too."""
    server = serve(echo_members)

    client_at(server.url, WEPAY_API_VERSION="2019-04-03").batch([("user", {})])

    assert server.requests[0].headers["api-version"] == "2019-04-03"


@pytest.mark.parametrize(
    ("number", "sizes"), [(0, []), (1, [1]), (50, [50]), (51, [50, 1]), (120, [50, 50, 20])]
)
def test_chunks_of_fifty(serve: Any, client_at: Any, number: int, sizes: list[int]) -> None:
    """A batch goes in requests of at most fifty, and comes back as one list."""
    server = serve(echo_members)

    results = client_at(server.url).batch(("user", {"n": n}) for n in range(number))

    assert [result["n"] for result in results] == list(range(number))
    assert [len(request.json["calls"]) for request in server.requests] == sizes


def test_all_requests_of_a_batch_are_one_users(serve: Any, client_at: Any) -> None:
    """Who connects as another WePay user between two requests did not mean this batch."""
    tokens = {"alice": "STAGE_u"}

    def connect_another(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            tokens["alice"] = "STAGE_v"
            calls = [
                {**call, "response": {"by": call["authorization"]}}
                for call in request.json["calls"]
            ]
            connection.send(answer({"calls": calls}))

    client = client_at(serve(connect_another).url)
    current_app.extensions["wepay"].hooks.token_getter = lambda owner: {
        "access_token": tokens[owner],
        "user_id": 1 if tokens[owner] == "STAGE_u" else 2,
        "token_type": "BEARER",
    }

    results = client.batch([("user", {})] * 120)

    assert [result["by"] for result in results] == ["STAGE_u"] * 120
    assert client.token.access_token == "STAGE_v"


def test_a_failed_member_is_in_its_place(alice: WePayClient, wepay_sandbox: Any) -> None:
    """A member that WePay refuses is an error in the list, not raised, and the others count."""
    before, refused, unknown, after = alice.batch(
        [("user", {}), ("account/create", {}), ("no/such_call", {}), ("user", {})]
    )

    assert before == after
    assert isinstance(refused, InvalidRequest)
    assert (refused.call, refused.error_code) == ("account/create", 1004)
    assert isinstance(unknown, InvalidRequest)
    assert (unknown.call, unknown.error_code) == ("no/such_call", 1001)


def test_several_owners(app: Flask, wepay: WePay, three: dict[str, int]) -> None:
    """Each member of wepay.batch is made with the token of its own owner."""
    owners = ["carol", "alice", "bob", "alice"]

    with app.app_context():
        results = wepay.batch([(owner, "user", {}) for owner in owners])

    assert [result["user_id"] for result in results] == [three[owner] for owner in owners]


def test_an_owner_who_is_not_connected(app: Flask, wepay: WePay, three: dict[str, int]) -> None:
    """A member whose owner is not connected is NotAuthorized in its place; the others are sent."""
    with app.app_context():
        nobody, alice = wepay.batch([("nobody", "user", {}), ("alice", "user", {})])

    assert isinstance(nobody, NotAuthorized)
    assert nobody.owner == "nobody"
    assert alice["user_id"] == three["alice"]


def test_nobody_is_connected(app: Flask, wepay: WePay, wepay_sandbox: Any) -> None:
    """Where no member has a token nothing is sent."""
    with app.app_context():
        results = wepay.client_for("nobody").batch([("user", {})] * 3)

    assert [type(result) for result in results] == [NotAuthorized] * 3
    assert len(wepay_sandbox.log) == 0


@pytest.mark.parametrize(
    "member",
    [
        ("http://evil.example/user", {}),
        ("user", {"access_token": "x"}),
        ("user", {"amount": object()}),
        ("user", None),
    ],
)
def test_members_are_checked_first(serve: Any, client_at: Any, member: Any) -> None:
    """A wrong member, even the last of many, is raised before anything is sent."""
    server = serve(echo_members)

    with pytest.raises(InvalidCall):
        client_at(server.url).batch([("user", {})] * 60 + [member])

    assert server.connections == 0


def test_a_revoked_token_in_a_member(
    app: Flask,
    wepay: WePay,
    three: dict[str, int],
    wepay_sandbox: Any,
    db: Any,
    rows: Any,
    revocations: list[Any],
) -> None:
    """A revoked owner's members are TokenRevoked; the row is marked, and signalled, once."""
    wepay_sandbox.revoke(three["bob"])
    statements: list[str] = []

    with app.app_context():
        event.listen(db.engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
        results = wepay.batch(
            [(owner, "user", {}) for owner in ("bob", "alice", "bob", "carol", "bob")]
        )

    assert [type(result) for result in results] == [
        TokenRevoked,
        dict,
        TokenRevoked,
        dict,
        TokenRevoked,
    ]
    assert (results[0].owner, results[0].call, results[0].error_code) == ("bob", "user", 1011)
    assert [(row.owner, row.reason) for row in rows()] == [
        ("alice", None),
        ("bob", "revoked"),
        ("carol", None),
    ]
    assert len([text for text in statements if text.startswith("UPDATE")]) == 1
    assert revocations == [("bob", three["bob"])]
    assert wepay_sandbox.count("batch/create") == 1


def test_the_next_candidate_is_tried(
    app: Flask, wepay: WePay, wepay_sandbox: Any, rows: Any, revocations: list[Any]
) -> None:
    """Members whose token turned out to be dead, and they alone, are sent again with the next."""
    living = wepay_sandbox.issue_token(100001)
    overlapping_logins(app, "alice", living, "STAGE_dead")
    wepay_sandbox.world.tokens["STAGE_dead"] = dataclasses.replace(
        wepay_sandbox.world.tokens[living], access_token="STAGE_dead", revoked_at=1.0
    )
    other = wepay_sandbox.issue_token(100002)
    overlapping_logins(app, "bob", other)

    with app.app_context():
        results = wepay.batch(
            [("alice", "user", {}), ("bob", "user", {}), ("alice", "account/find", {})]
        )

    assert [type(result) for result in results] == [dict, dict, list]
    sizes = [len(exchange.json["calls"]) for exchange in wepay_sandbox.log.of("batch/create")]
    assert sizes == [3, 2]
    assert [row.reason for row in rows()] == [None, "revoked", None]
    assert revocations == []


def twice(first: bytes, then: Any) -> Callable[[Connection], None]:
    """Answer the first request with some bytes, and do something else to the second."""
    handlers = [lambda connection: connection.send(first), then]

    def handle(connection: Connection) -> None:
        while connection.read() is not None:
            if handlers.pop(0)(connection) is False:
                return

    return handle


@pytest.mark.parametrize(
    ("second", "kind"),
    [
        (lambda connection: False, OutcomeUnknown),
        (lambda c: c.send(answer(b"", "503 Service Unavailable")), ServerError),
        (lambda c: c.send(answer({"error_code": 1007}, "429 Too Many")), Throttled),
        (lambda c: c.send(answer({"error_code": 1011}, "401 Unauthorized")), TokenRevoked),
    ],
)
def test_what_was_executed_is_not_lost(
    serve: Any, make_app: Any, second: Any, kind: type[Exception], rows: Any
) -> None:
    """If sending some members again fails as a whole, what the others brought is returned."""
    results = [
        {"reference_id": "0", "response": {"checkout_id": 1}},
        {"reference_id": "1", "response": {"error": "access_denied", "error_code": 1011}},
    ]
    server = serve(twice(answer({"calls": results}), second))
    app = make_app(WEPAY_SANDBOX_URL=server.url, WEPAY_THROTTLE=None)
    overlapping_logins(app, "alice", "STAGE_1", "STAGE_2")

    with app.app_context():
        paid, failed = app.extensions["test"]["wepay"].batch(
            [("alice", "checkout/create", {}), ("alice", "checkout/create", {"unique_id": "7"})]
        )

    assert paid == {"checkout_id": 1}
    assert type(failed) is kind
    assert failed.call == "checkout/create"
    assert getattr(failed, "unique_id", "7") == "7"
    assert len(server.requests) == 2


def test_a_batch_that_fails_as_a_whole(alice: WePayClient, wepay_sandbox: Any) -> None:
    """If the first request fails as a whole it is raised, and no further one is sent."""
    wepay_sandbox.drop_next("batch/create")

    with pytest.raises(OutcomeUnknown):
        alice.batch([("user", {})] * 60)

    assert wepay_sandbox.count("batch/create") == 1


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ({"error_code": 1007}, Throttled),
        ({"error_code": 1008}, ServerError),
        ({"error_code": 1010}, PermissionDenied),
        ({"status": 200, "body": "<html>"}, OutcomeUnknown),
    ],
)
def test_a_later_request_that_fails(
    alice: WePayClient, wepay_sandbox: Any, fault: dict[str, Any], kind: type[Exception]
) -> None:
    """If a later one fails, its members have an error of their own in their places."""
    whole = {"calls": [{"reference_id": str(n), "response": {"n": n}} for n in range(50)]}
    wepay_sandbox.answer_next("batch/create", body=whole)
    wepay_sandbox.answer_next("batch/create", **fault)

    results = alice.batch([("checkout/create", {"unique_id": n}) for n in range(110)])

    assert results[:50] == [{"n": n} for n in range(50)]
    assert {type(result) for result in results[50:100]} == {kind}
    assert all(isinstance(result, InvalidRequest) for result in results[100:])
    assert {result.call for result in results[50:]} == {"checkout/create"}
    if issubclass(kind, OutcomeUnknown):
        assert [result.unique_id for result in results[50:100]] == [str(n) for n in range(50, 100)]
    assert wepay_sandbox.count("batch/create") == 3


def test_wepay_away(alice: WePayClient, wepay_sandbox: Any) -> None:
    """Where nothing was sent the whole batch is ConnectionFailed."""
    wepay_sandbox.unreachable = True

    with pytest.raises(ConnectionFailed):
        alice.batch([("user", {})])


@pytest.mark.parametrize(
    "members",
    [
        [],
        None,
        "calls",
        [None, 5, "x"],
        [{"call": "/user"}],
        [{"reference_id": [], "response": {}}],
        [{"reference_id": "17", "response": {"a": 1}}],
        [{"reference_id": "0"}],
        [{"reference_id": "0", "response": None}],
        [{"reference_id": "0", "response": "text"}],
        [{"reference_id": "0", "response": True}],
    ],
)
def test_members_that_are_missing(client_of: Any, members: Any) -> None:
    """A member that WePay's answer leaves out is OutcomeUnknown, with its unique_id."""
    client = client_of(answering(answer({"calls": members})))

    (lost,) = client.batch([("checkout/create", {"unique_id": "order-7"})])

    assert type(lost) is OutcomeUnknown
    assert (lost.call, lost.unique_id) == ("checkout/create", "order-7")


def test_a_reference_that_comes_back_as_a_number(client_of: Any) -> None:
    """A reference_id is taken as the number that it looks like, too."""
    client = client_of(answering(answer({"calls": [{"reference_id": 0, "response": {"a": 1}}]})))

    assert client.batch([("user", {})]) == [{"a": 1}]


def test_an_unreadable_token_is_a_members_error(
    make_app: Any, tmp_path: Any, wepay_sandbox: Any, wepay_connect: Any
) -> None:
    """A member whose token no key opens is TokenUnreadable in its place."""
    uri = f"sqlite:///{tmp_path / 'tokens.db'}"
    for owner, secret in (("alice", "the old key"), ("bob", "the new key")):
        app = make_app(SECRET_KEY=secret, SQLALCHEMY_DATABASE_URI=uri)
        browser = app.test_client()
        browser.get(f"/as/{owner}")
        wepay_connect(browser, email=f"{owner}@example.com")

    with app.app_context():
        unreadable, works = app.extensions["test"]["wepay"].batch(
            [("alice", "user", {}), ("bob", "user", {})]
        )

    assert isinstance(unreadable, TokenUnreadable)
    assert works["email"] == "bob@example.com"


def test_the_database_away(alice: WePayClient, db: Any, wepay_sandbox: Any) -> None:
    """Without the database nothing is sent."""
    db.drop_all()

    with pytest.raises(StoreUnavailable):
        alice.batch([("user", {})])

    assert len(wepay_sandbox.log) == 0


@pytest.mark.parametrize("secret", ["1a2b3c4d5e6f", "STAGE_alice"])
def test_secrets_are_cut_out_of_a_batchs_errors(client_of: Any, secret: str) -> None:
    """Should WePay echo the client secret or a token, no error of a batch repeats it."""
    refusal = {"error": "x", "error_description": f"bad {secret}", "error_code": 1003}
    client = client_of(
        answering(
            answer({"calls": [{"reference_id": "0", "response": refusal}]}),
            answer(refusal, "400 Bad Request"),
        )
    )

    (member,) = client.batch([("user", {})])
    with pytest.raises(InvalidRequest) as whole:
        client.batch([("user", {})])

    assert str(member).count("[redacted]") == str(whole.value).count("[redacted]") == 1
    assert secret not in f"{member!r}{vars(member)}{whole.value!r}{vars(whole.value)}"


def test_no_frame_of_a_batchs_error_shows_a_secret(client_of: Any) -> None:
    """No local of any of our frames shows a token or the client secret."""
    client = client_of(answering(answer(b"<html>")))

    with pytest.raises(OutcomeUnknown) as caught:
        client.batch([("user", {})])

    frames = [
        repr(entry.frame.f_locals) for entry in caught.traceback if "flask_wepay" in str(entry.path)
    ]
    assert frames
    assert not [text for text in frames if "STAGE_alice" in text or "1a2b3c4d5e6f" in text]


def test_owners_of_a_batch_are_strings(app: Flask, wepay: WePay) -> None:
    """An owner given as a number is an error, not a stranger."""
    with app.app_context(), pytest.raises(ConfigurationError, match="not a string"):
        wepay.batch([(5, "user", {})])  # type: ignore[list-item]
