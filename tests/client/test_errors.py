"""What each answer of WePay, and each lack of one, is raised as."""

from __future__ import annotations

import copy
import http.client
import json
import pickle
import socket
import zlib
from collections.abc import Callable
from typing import Any

import pytest
import requests
from servers import (
    Connection,
    RawServer,
    answer,
    answering,
    echo,
    free_port,
    pass_on,
    server_context,
)
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError, ProtocolError

from flask_wepay import WePayClient, errors
from flask_wepay.errors import (
    APIError,
    ConnectionFailed,
    InvalidRequest,
    NotAuthorized,
    OutcomeUnknown,
    PermissionDenied,
    ServerError,
    Throttled,
    TokenInvalid,
    TokenRevoked,
    WePayError,
)

#: https://developer.wepay.com/api/general/errors
TABLE = [
    (1001, 501, InvalidRequest),
    (1002, 401, InvalidRequest),
    (1003, 400, InvalidRequest),
    (1004, 400, InvalidRequest),
    (1005, 400, InvalidRequest),
    (1006, 401, TokenInvalid),
    (1007, 429, Throttled),
    (1008, 500, ServerError),
    (1009, 400, APIError),
    (1010, 403, PermissionDenied),
    (1011, 401, TokenRevoked),
    (1012, 400, APIError),
    (1013, 400, APIError),
    (1014, 403, APIError),
    (1015, 400, APIError),
    (1016, 400, APIError),
    (3001, 400, APIError),
    (7001, 400, APIError),
    (7002, 400, APIError),
    (7003, 400, APIError),
    (10001, 500, APIError),
]
PAYMENT = {"unique_id": "order-7", "amount": 10}


def raised_by(client: WePayClient, call: str = "checkout/create", **more: Any) -> WePayError:
    """Make a payment, which is never repeated, and give what it raises."""
    with pytest.raises(WePayError) as caught:
        client.call(call, **PAYMENT, **more)
    return caught.value


@pytest.mark.parametrize(("code", "usual", "kind"), TABLE)
def test_the_error_code_decides(
    client_of: Any, code: int, usual: int, kind: type[APIError]
) -> None:
    """An error is what its error_code says, whatever the HTTP status and the text are."""
    refusal = {
        "error": "access_denied",
        "error_description": "this access_token has been revoked",
        "error_code": code,
        "details": [{"field": "amount"}],
    }
    statuses = [usual, 200, 400, 401, 404, 500, 503]
    client = client_of(answering(*(answer(refusal, f"{status} Any") for status in statuses)))

    for status in statuses:
        error = raised_by(client)

        assert type(error) is kind
        assert isinstance(error, APIError)
        assert (error.call, error.status, error.error_code) == ("checkout/create", status, code)
        assert (error.error, error.description) == ("access_denied", refusal["error_description"])
        assert error.details == [{"field": "amount"}]


@pytest.mark.parametrize("code", ["1011", 1011.0, True, None, [1011], {}])
def test_only_an_integer_is_an_error_code(client_of: Any, code: Any) -> None:
    """An error_code of another type revokes nobody."""
    refusal = {"error": "access_denied", "error_description": "revoked", "error_code": code}
    client = client_of(answering(answer(refusal, "401 Unauthorized")))

    error = raised_by(client)

    assert type(error) is APIError
    assert error.error_code is None


HTML = b"<html><h1>Service unavailable</h1></html>"
BOMB = (lambda packer: packer.compress(b"[" * 10_000_000) + packer.flush())(
    zlib.compressobj(wbits=31)
)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        ("400 Bad Request", {"error": "invalid_request"}, APIError),
        ("400 Bad Request", HTML, APIError),
        ("404 Not Found", b"", APIError),
        ("404 Not Found", b"[]", APIError),
        ("429 Too Many Requests", HTML, APIError),
        ("500 Internal Server Error", {"error": "processing_error"}, ServerError),
        ("500 Internal Server Error", HTML, ServerError),
        ("502 Bad Gateway", b"", ServerError),
        ("503 Service Unavailable", b"[1]", ServerError),
        ("504 Gateway Timeout", b'{"error_code": ', ServerError),
        ("200 OK", HTML, OutcomeUnknown),
        ("200 OK", b"", OutcomeUnknown),
        ("200 OK", b"null", OutcomeUnknown),
        ("200 OK", b"1011", OutcomeUnknown),
        ("200 OK", b'"text"', OutcomeUnknown),
        ("200 OK", b'{"checkout_id": 1', OutcomeUnknown),
        ("200 OK", b'\xff\xfe{"checkout_id": 1}', OutcomeUnknown),
        ("200 OK", b"[" * 200_000, OutcomeUnknown),
        ("200 OK", b"1" * 5000, OutcomeUnknown),
        ("200 OK", {"error": "processing_error"}, APIError),
        ("204 No Content", b"", OutcomeUnknown),
        ("304 Not Modified", b"", OutcomeUnknown),
        ("302 Found", {"error": "x", "error_code": 1011}, OutcomeUnknown),
    ],
)
def test_without_an_error_code(client_of: Any, status: str, body: Any, kind: type) -> None:
    """Without an error_code a 4xx says no, a 5xx may have acted, and the rest is unknown."""
    client = client_of(answering(answer(body, status)))

    error = raised_by(client)

    assert type(error) is kind
    assert error.status == int(status[:3])  # type: ignore[attr-defined]
    if isinstance(error, OutcomeUnknown):
        assert error.unique_id == "order-7"


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error", "400 Bad Request"])
def test_a_compressed_bomb_stays_packed(client_of: Any, status: str) -> None:
    """A compressed answer, which nobody asked for, is not unpacked."""
    client = client_of(answering(answer(BOMB, status, Content_Encoding="gzip")))

    assert isinstance(raised_by(client), OutcomeUnknown | APIError)


def hang_up(connection: Connection) -> None:
    """Read a request and end the connection."""
    connection.read()


def reset(connection: Connection) -> None:
    """Read a request and let the connection die."""
    connection.read()
    connection.reset()


def sending(data: bytes) -> Callable[[Connection], None]:
    """Read a request, send some bytes and end the connection."""

    def handle(connection: Connection) -> None:
        connection.read()
        connection.send(data)

    return handle


@pytest.mark.parametrize(
    "handle",
    [
        hang_up,
        reset,
        sending(b"HTTP/1.1"),
        sending(b"garbage\r\n\r\n"),
        sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
        sending(b"HTTP/1.1 400 Bad\r\nContent-Length: 100\r\n\r\n{}"),
        sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"),
        sending(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n"),
        sending(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 2\r\n\r\n{}"),
        sending(b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000),
        sending(b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000),
        sending(b"HTTP/9.9 OK 200\r\n\r\n"),
    ],
    ids=[
        "hangs up",
        "resets",
        "cut in the status line",
        "garbage",
        "cut in the body",
        "cut in a refusal",
        "cut between chunks",
        "no chunk",
        "two lengths",
        "a thousand headers",
        "a long header",
        "another protocol",
    ],
)
def test_an_answer_that_breaks_off_is_an_unknown_outcome(client_of: Any, handle: Any) -> None:
    """Once a request has gone out, no usable answer means OutcomeUnknown, with the unique_id."""
    error = raised_by(client_of(handle))

    assert type(error) is OutcomeUnknown
    assert (error.call, error.status, error.unique_id) == ("checkout/create", None, "order-7")
    assert "may have been executed" in str(error)


def test_a_request_that_is_half_read_is_an_unknown_outcome(client_of: Any) -> None:
    """How much of a request was read before the connection died can't be known from here."""

    def taste(connection: Connection) -> None:
        connection.sock.recv(1)
        connection.reset()

    assert type(raised_by(client_of(taste))) is OutcomeUnknown


def refused_port(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    return {"url": f"http://127.0.0.1:{free_port()}"}


def unknown_host(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    def unknown(*args: Any, **kwargs: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    return {"url": "http://unknown.localhost:8010"}


def host_without_addresses(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [])
    return {"url": "http://unknown.localhost:8010"}


def refused_proxy(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    proxies = {"http": f"http://127.0.0.1:{free_port()}"}
    return {"url": "http://127.0.0.1:8010", "WEPAY_PROXIES": proxies}


@pytest.mark.parametrize(
    "arrange", [refused_port, unknown_host, host_without_addresses, refused_proxy]
)
def test_nothing_was_sent(client_at: Any, monkeypatch: pytest.MonkeyPatch, arrange: Any) -> None:
    """A call that provably never left is ConnectionFailed, and says that it may be repeated."""
    client = client_at(**arrange(monkeypatch))

    error = raised_by(client)

    assert type(error) is ConnectionFailed
    assert error.call == "checkout/create"
    assert "nothing was sent" in str(error)


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (requests.ConnectTimeout("x"), OutcomeUnknown),
        (requests.ConnectionError(NewConnectionError(HTTPConnection("x"), "y")), OutcomeUnknown),
        (requests.ReadTimeout("x"), OutcomeUnknown),
        (requests.ConnectionError(), OutcomeUnknown),
        (requests.exceptions.ChunkedEncodingError("x"), OutcomeUnknown),
        (ProtocolError("x"), OutcomeUnknown),
        (TimeoutError("x"), OutcomeUnknown),
        (http.client.IncompleteRead(b""), OutcomeUnknown),
    ],
)
def test_where_requests_is_replaced(
    client_at: Any, requests_mock: Any, failure: Exception, kind: type[WePayError]
) -> None:
    """In an application's tests, say, a failure is "not sent" only where its kind proves it."""
    requests_mock.post("http://127.0.0.1:8010/v2/checkout/create", exc=failure)

    assert type(raised_by(client_at("http://127.0.0.1:8010"))) is kind


def hang_up_unread(connection: Connection) -> None:
    """End the connection without reading."""


def greet(connection: Connection) -> None:
    """Say something that is no TLS."""
    connection.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@pytest.mark.parametrize("handle", [hang_up_unread, greet])
def test_a_tls_handshake_that_fails(
    serve: Callable[..., RawServer], client_at: Any, handle: Any
) -> None:
    """A server that breaks off the TLS handshake, or does not speak TLS, was sent nothing."""
    url = serve(handle).url.replace("http:", "https:")

    assert type(raised_by(client_at(url))) is ConnectionFailed


def test_a_certificate_that_is_not_trusted(
    serve: Callable[..., RawServer], client_at: Any, authority: Any
) -> None:
    """A server whose certificate nobody vouches for is sent nothing."""
    server = serve(echo, server_context(authority, "127.0.0.1"))

    assert type(raised_by(client_at(server.url))) is ConnectionFailed
    assert server.requests == []


def test_a_certificate_of_another_host(
    serve: Callable[..., RawServer], client_at: Any, authority: Any, ca_bundle: str
) -> None:
    """A server with the certificate of another host is sent nothing."""
    server = serve(echo, server_context(authority, "wepay.example"))

    assert type(raised_by(client_at(server.url, WEPAY_CA_BUNDLE=ca_bundle))) is ConnectionFailed
    assert server.requests == []


@pytest.mark.parametrize("status", ["403 Forbidden", "407 Proxy Authentication Required", "502 No"])
def test_a_proxy_that_refuses_to_connect(
    serve: Callable[..., RawServer], client_at: Any, status: str
) -> None:
    """A proxy that refuses CONNECT has passed nothing on."""
    proxy = serve(answering(answer(b"", status)))
    client = client_at("https://127.0.0.1:9", WEPAY_PROXIES={"https": proxy.url})

    assert type(raised_by(client)) is ConnectionFailed
    assert {request.method for request in proxy.requests} == {"CONNECT"}


def test_a_request_lost_behind_a_proxy(
    serve: Callable[..., RawServer], client_at: Any, authority: Any, ca_bundle: str
) -> None:
    """A request that went through a proxy's tunnel and was not answered may have been executed."""
    wepay = serve(hang_up, server_context(authority, "127.0.0.1"))

    def tunnel(connection: Connection) -> None:
        connection.read()
        connection.send(b"HTTP/1.1 200 Connected\r\n\r\n")
        pass_on(connection.sock, wepay.port)

    proxies = {"https": serve(tunnel).url}
    client = client_at(wepay.url, WEPAY_CA_BUNDLE=ca_bundle, WEPAY_PROXIES=proxies)

    assert type(raised_by(client)) is OutcomeUnknown
    assert len(wepay.requests) == 1


@pytest.mark.parametrize("code", [1003, None])
def test_secrets_are_cut_out_of_what_wepay_says(client_of: Any, code: int | None) -> None:
    """Should WePay echo the token or the client secret, no error repeats it."""
    echoed = "token STAGE_alice, client_secret 1a2b3c4d5e6f"
    refusal = {
        "error": echoed,
        "error_description": echoed,
        "error_code": code,
        "details": [{"field": echoed, echoed: 1}],
    }
    client = client_of(answering(answer(refusal, "400 Bad Request")))

    error = raised_by(client)

    for text in (str(error), repr(error), json.dumps(vars(error))):
        assert "STAGE_alice" not in text
        assert "1a2b3c4d5e6f" not in text
    assert "[redacted]" in str(vars(error))


@pytest.mark.parametrize(
    "handle", [answering(answer({"error_code": 1003}, "400 No")), answering(answer(HTML)), reset]
)
def test_no_frame_of_an_error_shows_a_secret(client_of: Any, handle: Any) -> None:
    """No local of any of our frames in an error's traceback, nor any cause, shows a secret."""
    error: BaseException | None = raised_by(client_of(handle))

    assert error is not None
    assert error.__cause__ is None
    assert error.__context__ is None
    traceback, seen = error.__traceback__, []
    while traceback is not None:
        if "flask_wepay" in traceback.tb_frame.f_code.co_filename:
            seen.append(repr(traceback.tb_frame.f_locals))
        traceback = traceback.tb_next
    assert seen
    assert not [text for text in seen if "STAGE_alice" in text or "1a2b3c4d5e6f" in text]


def test_a_stage_token_in_production_is_explained(alice: WePayClient, wepay_sandbox: Any) -> None:
    """1006 says what it usually means, with the setting's name."""
    wepay_sandbox.answer_next("user", error_code=1006)

    with pytest.raises(
        TokenInvalid, match=r"stage token is used in production.*'WEPAY_ENVIRONMENT'"
    ):
        alice.call("user")


def test_an_answer_of_50_members_fits(client_of: Any) -> None:
    """An answer of a few megabytes is no problem."""
    large = {"calls": ["x" * 100_000] * 50}

    assert client_of(answering(answer(large))).call("batch/create") == large


KINDS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("move", [copy.copy, lambda error: pickle.loads(pickle.dumps(error))])
def test_errors_survive_a_job_queue(kind: type[WePayError], move: Any) -> None:
    """Every error survives pickling, with its text and its facts."""
    facts = {
        name: value
        for name, value in {
            "owner": "alice",
            "call": "user",
            "status": 401,
            "error": "access_denied",
            "error_code": 1011,
            "description": "text",
            "details": [{"a": 1}],
            "retry_after": 3.5,
            "unique_id": "order-7",
        }.items()
        if hasattr(kind, name)
    }
    error = kind("what happened", **facts)

    moved = move(error)

    assert type(moved) is kind
    assert str(moved) == "what happened"
    assert {name: getattr(moved, name) for name in facts} == facts


def test_errors_of_a_real_call_survive_a_job_queue(alice: WePayClient, wepay_sandbox: Any) -> None:
    """So does one that a call raised."""
    wepay_sandbox.revoke(alice.user_id)

    with pytest.raises(TokenRevoked) as caught:
        alice.call("user")
    moved = pickle.loads(pickle.dumps(caught.value))

    assert (moved.owner, moved.error_code, moved.call) == ("alice", 1011, "user")


def test_everything_is_a_wepay_error() -> None:
    """One except clause catches all of them; a lost 5xx is an OutcomeUnknown too."""
    assert all(issubclass(kind, WePayError) for kind in KINDS)
    assert issubclass(ServerError, OutcomeUnknown)
    assert not issubclass(NotAuthorized, APIError)
