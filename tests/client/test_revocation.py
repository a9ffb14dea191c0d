"""What ends a connection, what does not, and who is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from authorizations import USER_ID, overlapping_logins
from flask import Flask
from flask.testing import FlaskClient
from servers import Connection, RawServer, answer, answering

from flask_wepay import WePay, WePayClient, current_wepay, signals
from flask_wepay.errors import (
    APIError,
    NotAuthorized,
    OutcomeUnknown,
    TokenInvalid,
    TokenRevoked,
    TokenUnreadable,
    WePayError,
)
from flask_wepay.tokens import Token

#: The second of the sandbox's ready-made users.
OTHER_ID = 100002


@pytest.fixture
def ends(app: Flask) -> Iterator[list[Any]]:
    """List the signals of lost connections."""
    seen: list[Any] = []

    def revoked(sender: Flask, owner: str, user_id: int, reason: str) -> None:
        seen.append(("revoked", sender, owner, user_id, reason))

    def deleted(sender: Flask, owner: str, user_id: int) -> None:
        seen.append(("deleted", sender, owner, user_id))

    with (
        signals.wepay_token_revoked.connected_to(revoked, app),
        signals.wepay_user_deleted.connected_to(deleted, app),
    ):
        yield seen


def dead(sandbox: Any, *access_tokens: str) -> None:
    """Let WePay answer 1011 for these tokens."""
    living = sandbox.issue_token(USER_ID)
    for access_token in access_tokens:
        sandbox.world.tokens[access_token] = dataclasses.replace(
            sandbox.world.tokens[living], access_token=access_token, revoked_at=1.0
        )


def test_the_user_revokes(
    app: Flask, alice: WePayClient, wepay_sandbox: Any, rows: Any, ends: list[Any]
) -> None:
    """1011 ends the row, is signalled once and raised as TokenRevoked, from then on unasked."""
    user_id = alice.user_id
    wepay_sandbox.revoke(user_id)

    for _ in range(3):
        with pytest.raises(TokenRevoked, match=r"send the user to wepay\.login") as caught:
            alice.call("checkout/create")

    assert (caught.value.owner, caught.value.call) == ("alice", "checkout/create")
    assert (caught.value.status, caught.value.error_code) == (None, None)
    assert [(row.reason, row.token) for row in rows()] == [("revoked", None)]
    assert rows()[0].revoked_at is not None
    assert ends == [("revoked", app, "alice", user_id, "revoked")]
    assert wepay_sandbox.count("checkout/create") == 1
    assert not alice.authorized
    assert alice.user_id is None


def test_wepays_own_words_come_along(alice: WePayClient, wepay_sandbox: Any) -> None:
    """The TokenRevoked of the call that found out carries WePay's answer."""
    wepay_sandbox.revoke(alice.user_id)

    with pytest.raises(TokenRevoked) as caught:
        alice.call("user")

    assert (caught.value.status, caught.value.error_code) == (401, 1011)
    assert caught.value.error == "access_denied"
    assert caught.value.description == "this access_token has been revoked"
    assert caught.value.details == []


@pytest.mark.parametrize("shows_state", [False, True])
def test_wepay_deletes_the_user(
    app: Flask,
    alice: WePayClient,
    wepay_sandbox: Any,
    rows: Any,
    ends: list[Any],
    shows_state: bool,
) -> None:
    """7003, or the state "deleted", from /user ends the row, with a signal of its own."""
    user_id = alice.user_id
    wepay_sandbox.delete_user(user_id, shows_state=shows_state)

    with pytest.raises(TokenRevoked) as caught:
        alice.call("user")

    assert caught.value.error_code == (None if shows_state else 7003)
    assert [row.reason for row in rows()] == ["deleted"]
    assert ends == [("deleted", app, "alice", user_id)]
    with pytest.raises(TokenRevoked):
        alice.call("user")
    assert wepay_sandbox.count("user") == 1


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        ("user", {"error_code": 1006}),
        ("user", {"error_code": 1007}),
        ("user", {"error_code": 1008}),
        ("user", {"error_code": 1010}),
        ("user", {"error_code": 7001}),
        ("user", {"error_code": 7002}),
        ("user", {"status": 401}),
        ("user", {"status": 403, "body": "revoked"}),
        ("user", {"status": 503}),
        ("user", {"status": 401, "body": {"error": "access_denied", "error_code": "1011"}}),
        ("user", {"status": 302, "body": {"error": "access_denied", "error_code": 1011}}),
        ("account", {"error_code": 7003}),
        ("user/modify", {"error_code": 7003}),
        ("checkout/create", {"error_code": 7003}),
    ],
)
def test_nothing_else_disconnects(
    alice: WePayClient,
    wepay_sandbox: Any,
    rows: Any,
    ends: list[Any],
    call: str,
    fault: dict[str, Any],
) -> None:
    """No other error ends the connection; 7003 of another call may be about somebody else."""
    wepay_sandbox.answer_next(call, times=3, **fault)

    with pytest.raises(WePayError) as caught:
        alice.call(call)

    assert not isinstance(caught.value, TokenRevoked)
    assert [row.reason for row in rows()] == [None]
    assert alice.authorized
    assert ends == []
    wepay_sandbox.faults.clear()
    assert alice.call("user")["user_id"] == alice.user_id


@pytest.mark.parametrize("call", ["account", "checkout", "account/find"])
def test_a_deleted_object_is_not_a_deleted_user(
    alice: WePayClient, wepay_sandbox: Any, call: str
) -> None:
    """The state "deleted" in the answer of another call is returned like any other."""
    wepay_sandbox.answer_next(call, body={"state": "deleted"})

    assert alice.call(call) == {"state": "deleted"}
    assert alice.authorized


def test_an_unknown_token_is_kept(
    alice: WePayClient, wepay_sandbox: Any, rows: Any, ends: list[Any]
) -> None:
    """1006 keeps the row: most likely it is the environment that is wrong."""
    wepay_sandbox.world.tokens.clear()

    with pytest.raises(TokenInvalid, match="'WEPAY_ENVIRONMENT'"):
        alice.call("user")

    assert [(row.reason, row.token is None) for row in rows()] == [(None, False)]
    assert ends == []


def test_a_lost_answer_disconnects_nobody(
    alice: WePayClient, wepay_sandbox: Any, rows: Any
) -> None:
    """Nor does a network fault."""
    wepay_sandbox.drop_next("checkout/create")

    with pytest.raises(OutcomeUnknown):
        alice.call("checkout/create")

    assert [row.reason for row in rows()] == [None]


def test_the_next_candidate(
    app: Flask, wepay: WePay, wepay_sandbox: Any, rows: Any, ends: list[Any]
) -> None:
    """Where answers overtook one another, one use finds the living token, and nobody is told."""
    dead(wepay_sandbox, "STAGE_1", "STAGE_3", "STAGE_4")
    living = wepay_sandbox.tokens(USER_ID)[0].access_token
    overlapping_logins(app, "alice", "STAGE_1", living, "STAGE_3", "STAGE_4")

    with app.app_context():
        account = wepay.client_for("alice").call("account/create", name="A", description="B")
        wepay.client_for("alice").call("user")

    assert account["owner_user_id"] == USER_ID
    assert [row.reason for row in rows()] == [None, None, "revoked", "revoked"]
    assert wepay_sandbox.count("account/create") == 3
    assert wepay_sandbox.count("user") == 1
    assert len(wepay_sandbox.world.ledger.accounts) == 1
    assert ends == []


@pytest.mark.parametrize("batch", [False, True])
def test_a_dead_token_is_not_tried_again(
    app: Flask, client: FlaskClient, view: Any, wepay_sandbox: Any, batch: bool
) -> None:
    """What a request found dead it does not use again, though it read the table before."""
    dead(wepay_sandbox, "STAGE_dead")
    living = wepay_sandbox.tokens(USER_ID)[0].access_token
    overlapping_logins(app, "alice", living, "STAGE_dead")

    def call() -> Any:
        return current_wepay.batch([("user", {})])[0] if batch else current_wepay.call("user")

    view(lambda: [call()["user_id"], call()["user_id"], current_wepay.user_id])

    assert client.get("/view").json == [USER_ID] * 3
    assert len(wepay_sandbox.log) == 3


def test_all_candidates_are_dead(
    app: Flask, wepay: WePay, wepay_sandbox: Any, rows: Any, ends: list[Any]
) -> None:
    """Where all tokens are dead the last one to die is the one that is signalled."""
    tokens = [f"STAGE_{n}" for n in range(3)]
    dead(wepay_sandbox, *tokens)
    overlapping_logins(app, "alice", *tokens)

    with app.app_context(), pytest.raises(TokenRevoked):
        wepay.client_for("alice").call("user")

    assert [row.reason for row in rows()] == ["revoked"] * 3
    assert ends == [("revoked", app, "alice", USER_ID, "revoked")]


def test_five_candidates_at_most(
    app: Flask, wepay: WePay, wepay_sandbox: Any, rows: Any, ends: list[Any]
) -> None:
    """A call tries five tokens; those left over are tried by the next one."""
    dead(wepay_sandbox, *(f"STAGE_{n}" for n in range(6)))
    living = wepay_sandbox.tokens(USER_ID)[0].access_token
    overlapping_logins(app, "alice", living, *(f"STAGE_{n}" for n in range(6)))

    with app.app_context():
        client = wepay.client_for("alice")
        with pytest.raises(TokenRevoked):
            client.call("user")
        tried = wepay_sandbox.count("user")
        found = client.call("user")

    assert (tried, wepay_sandbox.count("user")) == (5, 7)
    assert found["user_id"] == USER_ID
    assert [row.reason for row in rows()] == [None] + ["revoked"] * 6
    assert ends == []


@pytest.fixture
def calling(app: Flask, wepay: WePay, wepay_sandbox: Any) -> Any:
    """Give what holds a call of alice's at WePay, and lets it go in the end."""

    @contextmanager
    def hold() -> Iterator[Future[Any]]:
        def call() -> Any:
            with app.app_context():
                return wepay.client_for("alice").call("user")

        with ThreadPoolExecutor(1) as pool, wepay_sandbox.hold("user") as held:
            answered = pool.submit(call)
            held.wait()
            yield answered

    return hold


def test_another_user_that_came_meanwhile(
    app: Flask, wepay: WePay, wepay_sandbox: Any, calling: Any
) -> None:
    """A call that was begun for one WePay user is never made as another."""
    dead(wepay_sandbox, "STAGE_old")
    overlapping_logins(app, "alice", "STAGE_old")
    other = Token(wepay_sandbox.issue_token(OTHER_ID), OTHER_ID)

    with calling() as answered, app.app_context():
        app.extensions["wepay"].store.adopt("alice", other)

    with pytest.raises(TokenRevoked):
        answered.result()
    with app.app_context():
        assert wepay.client_for("alice").call("user")["user_id"] == OTHER_ID


def test_a_token_that_came_meanwhile(
    app: Flask, wepay_sandbox: Any, calling: Any, ends: list[Any]
) -> None:
    """Before giving up a call looks again: the user may have connected again by now."""
    dead(wepay_sandbox, "STAGE_old")
    living = wepay_sandbox.tokens(USER_ID)[0].access_token
    overlapping_logins(app, "alice", "STAGE_old")

    with calling() as answered:
        overlapping_logins(app, "alice", living)

    assert answered.result()["user_id"] == USER_ID
    assert ends == []


def test_the_last_one_to_die_is_told_of(
    app: Flask, wepay: WePay, wepay_sandbox: Any, ends: list[Any]
) -> None:
    """Of two calls that each find another token dead, the one with the last of them tells."""
    dead(wepay_sandbox, "STAGE_1", "STAGE_2")
    overlapping_logins(app, "alice", "STAGE_1", "STAGE_2")

    def work() -> int:
        with app.app_context():
            with pytest.raises(TokenRevoked):
                wepay.client_for("alice").call("user")
            return len(ends)

    with (
        ThreadPoolExecutor(1) as pool,
        wepay_sandbox.hold("user", "after") as first,
        wepay_sandbox.hold("user", "after") as second,
    ):
        other = pool.submit(work)
        first.wait()
        first.release()
        second.wait()
        told_by_us = work()
        second.release()
        told_in_all = other.result()

    assert (told_by_us, told_in_all) == (1, 1)


def test_workers_that_find_out_together(make_app: Any, serve: Any, tmp_path: Any) -> None:
    """Of many calls that learn of a revocation at once all fail, and one tells of it."""
    server: RawServer = serve(answering(answer({"error_code": 1011}, "401 Unauthorized")))
    app = make_app(
        WEPAY_SANDBOX_URL=server.url,
        WEPAY_THROTTLE=None,
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path / 'tokens.db'}",
        # Who waits for SQLite's one write lock is not served in turn.
        SQLALCHEMY_ENGINE_OPTIONS={"connect_args": {"timeout": 30}},
    )
    wepay: WePay = app.extensions["test"]["wepay"]
    overlapping_logins(app, "alice", *(f"STAGE_{n}" for n in range(4)))
    told: list[str] = []

    def note(sender: Flask, owner: str, **facts: Any) -> None:
        told.append(owner)

    def work(_: int) -> type[Exception] | None:
        with app.app_context():
            try:
                wepay.client_for("alice").call("user")
            except WePayError as error:
                return type(error)
        return None

    with signals.wepay_token_revoked.connected_to(note, app), ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(work, range(8)))

    assert set(outcomes) == {TokenRevoked}
    assert told == ["alice"]


def test_an_older_user_is_never_fallen_back_upon(
    app: Flask, wepay: WePay, wepay_sandbox: Any
) -> None:
    """An older authorization of another WePay user is not used when the newest has ended."""
    overlapping_logins(app, "alice", wepay_sandbox.issue_token(100002))
    dead(wepay_sandbox, "STAGE_newest")
    with app.app_context():
        rows = app.extensions["test"]["model"].__table__
        app.extensions["test"]["db"].session.execute(rows.update().values(user_id=100002))
        app.extensions["test"]["db"].session.commit()
    overlapping_logins(app, "alice", "STAGE_newest")

    with app.app_context(), pytest.raises(TokenRevoked):
        wepay.client_for("alice").call("user")

    assert wepay_sandbox.count("user") == 1


def test_an_unreadable_row_is_reached(
    app: Flask, wepay: WePay, wepay_sandbox: Any, db: Any, model: Any
) -> None:
    """An older row that no key opens is looked at only when the newer one has died."""
    dead(wepay_sandbox, "STAGE_newer")
    overlapping_logins(app, "alice", "STAGE_older", "STAGE_newer")
    with app.app_context():
        older = db.session.scalars(db.select(model)).first()
        older.token = "no ciphertext"
        db.session.commit()
        client = wepay.client_for("alice")
        assert client.authorized

        with pytest.raises(TokenUnreadable):
            client.call("user")

        assert [row.reason for row in db.session.scalars(db.select(model))] == [None, "revoked"]


def test_a_receiver_that_fails(
    app: Flask, alice: WePayClient, wepay_sandbox: Any, rows: Any, caplog: Any
) -> None:
    """A receiver that raises is logged, and changes neither the row nor the error."""

    def fail(sender: Flask, **facts: Any) -> None:
        raise ZeroDivisionError

    wepay_sandbox.revoke(alice.user_id)

    with signals.wepay_token_revoked.connected_to(fail, app), pytest.raises(TokenRevoked):
        alice.call("user")

    assert [row.reason for row in rows()] == ["revoked"]
    assert "ZeroDivisionError" in caplog.text


def test_a_view_that_is_writing(
    app: Flask, alice: WePayClient, wepay_sandbox: Any, db: Any, rows: Any, ends: list[Any]
) -> None:
    """Where the view's own transaction holds the database, the row is marked at a later use."""
    wepay_sandbox.revoke(alice.user_id)
    db.session.execute(db.text("CREATE TABLE note (n INTEGER)"))
    db.session.execute(db.text("INSERT INTO note VALUES (1)"))

    with pytest.raises(TokenRevoked):
        alice.call("user")
    marked = [row.reason for row in db.session.execute(db.text("SELECT reason FROM wepay_token"))]
    db.session.commit()
    with pytest.raises(TokenRevoked):
        alice.call("user")

    assert marked == [None]
    assert [row.reason for row in rows()] == ["revoked"]
    assert len(ends) == 1


def test_tokens_of_hooks(make_app: Any, serve: Any) -> None:
    """With hooks of the application's own the setter is given None, once, for that very token."""
    tokens: dict[str, Any] = {}
    wepay = WePay()
    wepay.token_getter(tokens.get)
    set_to: list[Any] = []

    @wepay.token_setter
    def store(owner: str, token: Any) -> None:
        set_to.append(token)
        tokens.pop(owner, None)

    def revoked(connection: Connection) -> None:
        while connection.read() is not None:
            connection.send(answer({"error_code": 1011}, "401 Unauthorized"))

    app = make_app(wepay, WEPAY_SANDBOX_URL=serve(revoked).url)
    tokens["alice"] = {"access_token": "STAGE_a", "user_id": 5, "token_type": "BEARER"}

    with app.app_context():
        with pytest.raises(TokenRevoked):
            wepay.client_for("alice").call("user")
        with pytest.raises(NotAuthorized):
            wepay.client_for("alice").call("user")

    assert set_to == [None]


def test_plain_errors_keep_their_facts(alice: WePayClient, wepay_sandbox: Any) -> None:
    """An error_code without a class of its own is an APIError, and says nothing of the token."""
    wepay_sandbox.answer_next("checkout", error_code=4001)

    with pytest.raises(APIError) as caught:
        alice.call("checkout", checkout_id=1)

    assert (type(caught.value), caught.value.error_code) == (APIError, 4001)
    assert alice.authorized
