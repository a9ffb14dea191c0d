"""Answers, look-ups and tokens that must not end up with somebody else."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from hunter import Hunter
from servers import Connection, answer
from sqlalchemy.orm import mapped_column

from flask_wepay import WePay, current_wepay
from flask_wepay.api.calls import Deadline
from flask_wepay.errors import ConfigurationError, OutcomeUnknown
from flask_wepay.tokens import Secret, Token

HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"


@pytest.mark.parametrize("interim", [HINTS, PROCESSING, HINTS + PROCESSING + HINTS])
def test_an_interim_answer_is_not_the_answer(serve: Any, client_at: Any, interim: bytes) -> None:
    """What comes before the answer is passed over, and nobody gets another's answer."""

    def early(connection: Connection) -> None:
        while (request := connection.read()) is not None:
            connection.send(interim, answer({"token": request.headers["authorization"]}))

    server = serve(early)

    tokens = [client_at(server.url, owner).call("user")["token"] for owner in ("alice", "bob")]

    assert tokens == ["Bearer STAGE_alice", "Bearer STAGE_bob"]


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_body_where_there_is_none(serve: Any, client_at: Any, status: str) -> None:
    """A body that follows an answer without one is not the answer to the next request."""

    def late(connection: Connection) -> None:
        request = connection.read()
        assert request is not None
        if request.headers["authorization"] == "Bearer STAGE_alice":
            connection.send(f"HTTP/1.1 {status}\r\n\r\n".encode(), answer({"token": "alice's"}))
        else:
            connection.send(answer({"token": request.headers["authorization"]}))
        connection.read()

    server = serve(late)
    with pytest.raises(OutcomeUnknown):
        client_at(server.url, "alice").call("account/create")

    token = client_at(server.url, "bob").call("account/create")["token"]

    assert token == "Bearer STAGE_bob"


@pytest.fixture
def case_blind(make_app: Callable[..., Flask]) -> Iterator[tuple[Flask, WePay]]:
    """An application whose database takes "ALICE" for "alice"."""
    from flask_sqlalchemy import SQLAlchemy

    from flask_wepay.sqla import WePayTokenMixin

    app = Flask("case_blind")
    app.config.update(
        SECRET_KEY="a secret key for tests only",
        WEPAY_ENVIRONMENT="sandbox",
        SQLALCHEMY_DATABASE_URI="sqlite://",
    )
    db = SQLAlchemy(app)

    class WePayToken(WePayTokenMixin, db.Model):
        owner = mapped_column(sa.String(255, collation="NOCASE"), nullable=False, index=True)

    wepay = WePay(app, token_model=WePayToken)
    with app.app_context():
        db.create_all()
        app.extensions["wepay"].store.adopt("alice", Token("STAGE_alice", 111))
        yield app, wepay
        db.engine.dispose()


@pytest.mark.parametrize(
    "use",
    [
        lambda client, store: client.token,
        lambda client, store: client.disconnect(),
        lambda client, store: store.adopt("ALICE", Token("STAGE_other", 222)),
    ],
    ids=["token", "disconnect", "adopt"],
)
def test_owners_that_the_database_takes_for_the_same(
    case_blind: tuple[Flask, WePay], use: Callable[..., Any]
) -> None:
    """A column that does not tell two owners apart is an error, and never a token."""
    app, wepay = case_blind

    with pytest.raises(ConfigurationError, match="collation"):
        use(wepay.client_for("ALICE"), app.extensions["wepay"].store)

    assert wepay.client_for("alice").user_id == 111


@pytest.fixture
def adopting(make_app: Callable[..., Flask]) -> Callable[..., Flask]:
    """Make applications in which alice has a token."""

    def make(user_id: int, **config: Any) -> Flask:
        wepay = WePay(token_model=None)
        tokens = {"alice": Token(f"STAGE_{user_id}", user_id)}
        wepay.token_getter(lambda owner: tokens[owner].as_mapping() if owner in tokens else None)
        wepay.token_setter(lambda owner, token: tokens.pop(owner))
        wepay.owner_loader(lambda: "alice")
        return make_app(wepay, owner_loader=False, **config)

    return make


def test_a_client_of_another_application(adopting: Callable[..., Flask]) -> None:
    """What a client of one application looks up is never another application's token."""
    one, other = adopting(10), adopting(20)
    with one.app_context():
        client = one.extensions["test"]["wepay"].client_for("alice")

    with other.test_request_context():
        found = client.user_id, current_wepay.user_id

    assert found == (10, 20)


def test_requests_that_share_an_environ(adopting: Callable[..., Flask]) -> None:
    """The events of a socket share an environ, and still see a disconnect elsewhere."""
    app = adopting(10)
    environ = app.test_request_context("/socket").request.environ
    with app.request_context(environ):
        assert current_wepay.authorized
    with app.app_context():
        app.extensions["test"]["wepay"].client_for("alice").disconnect()

    with app.request_context(environ):
        authorized = current_wepay.authorized

    assert not authorized


class TimeLimitExceeded(Exception):
    """What a job queue raises in a job that takes too long."""


@pytest.fixture
def time_limit() -> Iterator[Callable[[], None]]:
    """Raise TimeLimitExceeded in whatever runs, once the returned function is called."""

    def exceed(*_: Any) -> None:
        raise TimeLimitExceeded

    before = signal.signal(signal.SIGUSR1, exceed)
    yield lambda: signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("what", ["call", "exchange", "directly"])
def test_a_time_limit_carries_no_secret_out(
    app: Flask, monkeypatch: pytest.MonkeyPatch, time_limit: Callable[[], None], what: str
) -> None:
    """A job that is ended while WePay is asked leaves no frame with a secret behind."""
    secrets = "STAGE_a_token_of_alice", "a code of a callback", "1a2b3c4d5e6f"
    hunter = Hunter(*secrets)
    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", lambda *args, **kwargs: time_limit())
    state = app.extensions["wepay"]

    with app.app_context():
        state.store.adopt("alice", Token(secrets[0], 10))
        client = app.extensions["test"]["wepay"].client_for("alice")
        acts = {
            "call": lambda: client.call("checkout/create", amount=1),
            "exchange": lambda: state.caller.exchange(
                Secret(secrets[1]), "http://x/", None, Deadline(5)
            ),
            "directly": lambda: state.oauth.wepay.post("user", token=client.token, json={}),
        }
        with pytest.raises(TimeLimitExceeded) as caught:
            acts[what]()

    hunter.look_at_error(what, caught.value)
    assert hunter.looked > 0
    assert hunter.found == []


def test_a_token_set_by_hand_ends_no_other(app: Flask, rows: Callable[[], list[Any]]) -> None:
    """A token that was obtained elsewhere may be older than those here, so none is ended."""
    with app.app_context():
        store = app.extensions["wepay"].store
        store.adopt("alice", Token("STAGE_living", 10))
        store.adopt("alice", Token("STAGE_older", 10))

    assert [row.revoked_at for row in rows()] == [None, None]


def test_a_token_set_by_hand_is_used_at_once(app: Flask) -> None:
    """A token that is set through the Authlib client holds for the rest of the request."""
    wepay = app.extensions["test"]["wepay"]
    wepay.owner_loader(lambda: "alice")
    token = Token("STAGE_new", 10).as_mapping()

    with app.test_request_context():
        before = current_wepay.authorized
        wepay.oauth.wepay.token = token
        after = current_wepay.token

    assert (before, after) == (False, Token("STAGE_new", 10))
