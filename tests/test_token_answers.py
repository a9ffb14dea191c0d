"""Malformed answers to the token call: a clean page, no grant, within the deadline."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import time
import zlib
from threading import Event
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from applications import MakeApp, rows_of
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse
from wire import Answer, RawServer, http

TOKEN = {"user_id": 123456, "access_token": "STAGE_ca8f2d", "token_type": "BEARER"}
GOOD = json.dumps(TOKEN).encode()


def log_in(browser: FlaskClient) -> dict[str, str]:
    """Go to WePay, and return the arguments that lead back."""
    browser.get("/as/alice")
    location = browser.get("/wepay/login").location
    return {"code": "c0d3", "state": dict(parse_qsl(urlsplit(location).query))["state"]}


def come_back(browser: FlaskClient) -> TestResponse:
    """Log in up to WePay, and come back with a code."""
    return browser.get("/wepay/callback", query_string=log_in(browser))


def check_refused(app: Flask, page: TestResponse, status: int = 502) -> None:
    """Check that a login ended in a clean page and left nothing that could be used."""
    assert page.status_code == status
    assert page.mimetype == "text/html"
    assert "</html>" in page.text
    assert "STAGE_ca8f2d" not in page.text
    [row] = rows_of(app)
    assert (row.granted_at, row.token, row.user_id, row.reason) == (None, None, None, "failed")


def with_(**changes: Any) -> bytes:
    """A good answer with some fields changed."""
    return json.dumps({**TOKEN, **changes}).encode()


def without(name: str) -> bytes:
    """A good answer without a field."""
    return json.dumps({key: value for key, value in TOKEN.items() if key != name}).encode()


MALFORMED: dict[str, bytes] = {
    "a large one": with_(more="x" * 70_000),
    "NaN": GOOD[:-1] + b', "more": NaN}',
    "nothing": b"",
    "a space": b" ",
    "html": b"<!doctype html><title>502 Bad Gateway</title>",
    "text": b"STAGE_ca8f2d",
    "form": b"access_token=STAGE_ca8f2d&token_type=BEARER&user_id=123456",
    "cut short": GOOD[:-2],
    "two objects": GOOD + GOOD,
    "something after it": GOOD + b"\n<!-- served by web7 -->",
    "jsonp": b"callback(" + GOOD + b")",
    "single quotes": GOOD.replace(b'"', b"'"),
    "a comma too many": GOOD[:-1] + b",}",
    "a comment": b"/* */" + GOOD,
    "null": b"null",
    "true": b"true",
    "a number": b"123456",
    "a string": b'"STAGE_ca8f2d"',
    "an empty list": b"[]",
    "a list of it": b"[" + GOOD + b"]",
    "an empty object": b"{}",
    "deeper": json.dumps({"token": TOKEN}).encode(),
    "lists too deep": b"[" * 100_000,
    "objects too deep": b'{"a":' * 100_000,
    "a field too deep": GOOD[:-1] + b', "a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "byte order mark": b"\xef\xbb\xbf" + GOOD,
    "utf-16": GOOD.decode().encode("utf-16"),
    "utf-16 without mark": GOOD.decode().encode("utf-16-le"),
    "utf-32": GOOD.decode().encode("utf-32"),
    "latin-1": '{"user_id": 1, "access_token": "é", "token_type": "BEARER"}'.encode("latin-1"),
    "utf-7": GOOD.decode().encode("utf-7").replace(b"{", b"+AHs-"),
    "broken utf-8": GOOD[:-1] + b', "a": "\xff\xfe"}',
    "zeros": b"\0" * 100,
    "gzip": gzip.compress(GOOD),
    "line end in a string": GOOD.replace(b"STAGE_", b"STAGE_\n"),
    # access_token
    "no access_token": without("access_token"),
    "access_token null": with_(access_token=None),
    "access_token empty": with_(access_token=""),
    "access_token a number": with_(access_token=5),
    "access_token true": with_(access_token=True),
    "access_token a list": with_(access_token=["STAGE_ca8f2d"]),
    "access_token an object": with_(access_token={"value": "STAGE_ca8f2d"}),
    "access_token too long": with_(access_token="a" * 256),
    "access_token with a space": with_(access_token="STAGE_ca 8f2d"),
    "access_token with a line end": with_(access_token="STAGE_ca8f2d\r\nX-Evil: 1"),
    "access_token with a zero": with_(access_token="STAGE_\0"),
    "access_token with delete": with_(access_token="STAGE_\x7f"),
    "access_token not ascii": with_(access_token="STAGE_ö"),
    "access_token a lone surrogate": GOOD.replace(b"STAGE_", b"\\ud800"),
    "access_token in other letters": GOOD.replace(b"access_token", b"Access_Token"),
    "access_token twice": GOOD[:-1] + b', "access_token": "STAGE_other"}',
    "access_token twice the same": GOOD[:-1] + b', "access_token": "STAGE_ca8f2d"}',
    # user_id
    "no user_id": without("user_id"),
    "user_id null": with_(user_id=None),
    "user_id a string": with_(user_id="123456"),
    "user_id a float": with_(user_id=123456.0),
    "user_id an exponent": GOOD.replace(b"123456", b"1e5"),
    "user_id NaN": GOOD.replace(b"123456", b"NaN"),
    "user_id infinite": GOOD.replace(b"123456", b"Infinity"),
    "user_id true": with_(user_id=True),
    "user_id zero": with_(user_id=0),
    "user_id negative": with_(user_id=-5),
    "user_id a list": with_(user_id=[123456]),
    "user_id of 65 bits": with_(user_id=2**63),
    "user_id huge": GOOD.replace(b"123456", b"1" * 4000),
    "user_id huger": GOOD.replace(b"123456", b"1" * 100_000),
    "user_id twice": GOOD[:-1] + b', "user_id": 654321}',
    # token_type
    "no token_type": without("token_type"),
    "token_type null": with_(token_type=None),
    "token_type mac": with_(token_type="MAC"),
    "token_type empty": with_(token_type=""),
    "token_type a list": with_(token_type=["BEARER"]),
    "token_type true": with_(token_type=True),
    "token_type a lone surrogate": GOOD.replace(b"BEARER", b"BEARER\\udfff"),
    # expires_in
    "expires_in a string": with_(expires_in="3600"),
    "expires_in a float": with_(expires_in=3600.5),
    "expires_in true": with_(expires_in=True),
    "expires_in zero": with_(expires_in=0),
    "expires_in negative": with_(expires_in=-1),
    "expires_in NaN": GOOD[:-1] + b', "expires_in": NaN}',
    "expires_in infinite": GOOD[:-1] + b', "expires_in": Infinity}',
    "expires_in huge": with_(expires_in=2**63 - 1),
    "expires_in huger": with_(expires_in=10**300),
    "expires_in an object": with_(expires_in={}),
    # Both a token and an error
    "an error beside the token": with_(error="invalid_request"),
    "an error of another type": with_(error={"code": 5}),
    "an error_code beside the token": with_(error_code=1003),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_answer(app: Flask, client: FlaskClient, wepay_sandbox: Any, body: bytes) -> None:
    """An answer that is not as documented ends in a clean page, and nothing is granted."""
    wepay_sandbox.answer_next("oauth2/token", body=body)

    page = come_back(client)

    check_refused(app, page)


def test_there_are_enough() -> None:
    """At least fifty kinds of malformed answers are tried."""
    assert len(MALFORMED) + len(ON_A_SOCKET) >= 50
    assert len(set(MALFORMED.values())) == len(MALFORMED)
    assert GOOD not in MALFORMED.values()


@pytest.mark.parametrize(
    "status", [201, 204, 301, 302, 304, 307, 400, 401, 403, 404, 429, 500, 502, 503, 599]
)
def test_status(app: Flask, client: FlaskClient, wepay_sandbox: Any, status: int) -> None:
    """A token is taken with a status of 2xx only, and nothing is taken for a token."""
    wepay_sandbox.answer_next("oauth2/token", status=status, body=b"[]")
    nothing = come_back(client)
    check_refused(app, nothing)
    wepay_sandbox.answer_next("oauth2/token", status=status, body=GOOD)

    page = come_back(client)

    if status == 201:
        assert page.location == "/"
    else:
        assert page.status_code == 502
        assert [row.granted_at for row in rows_of(app)] == [None, None]


@pytest.mark.parametrize("error_code", [1001, 1002, 1003, 1004, 1006, 1008, 1011, 1012, 1013, 7003])
def test_refusal(app: Flask, client: FlaskClient, wepay_sandbox: Any, error_code: int) -> None:
    """WePay's refusal of the code is a clean page, whatever its error_code."""
    wepay_sandbox.answer_next("oauth2/token", error_code=error_code)

    page = come_back(client)

    check_refused(app, page)


def test_throttled(app: Flask, client: FlaskClient, wepay_sandbox: Any) -> None:
    """A 1007 of WePay is 503 with Retry-After, and nothing was asked twice."""
    wepay_sandbox.answer_next("oauth2/token", error_code=1007)

    page = come_back(client)

    check_refused(app, page, 503)
    assert page.headers["Retry-After"] == "10"
    assert wepay_sandbox.count("oauth2/token") == 1


def test_unreachable(app: Flask, client: FlaskClient, wepay_sandbox: Any) -> None:
    """WePay away is 503."""
    arguments = log_in(client)
    wepay_sandbox.unreachable = True

    page = client.get("/wepay/callback", query_string=arguments)

    check_refused(app, page, 503)


def test_nobody_listens(make_app: MakeApp) -> None:
    """A port where nobody listens is 503 as well."""
    with RawServer(b"") as server:
        url = server.url
    app = make_app(WEPAY_SANDBOX_URL=url)

    page = come_back(app.test_client())

    check_refused(app, page, 503)


def test_reload_asks_nobody(app: Flask, client: FlaskClient, wepay_sandbox: Any) -> None:
    """Reloading the callback of a login that failed sends no second exchange."""
    wepay_sandbox.answer_next("oauth2/token", body=b"<html>")
    arguments = log_in(client)
    client.get("/wepay/callback", query_string=arguments)

    page = client.get("/wepay/callback", query_string=arguments)

    assert page.status_code == 409
    assert wepay_sandbox.count("oauth2/token") == 1


def test_next_login_works(app: Flask, client: FlaskClient, wepay_sandbox: Any) -> None:
    """After a malformed answer the next login connects."""
    wepay_sandbox.answer_next("oauth2/token", body=GOOD[:-2])
    come_back(client)
    location = client.get("/wepay/login").location

    back = client.get(wepay_sandbox.authorize(location))

    assert back.location == "/"
    assert [row.granted_at is not None for row in rows_of(app)] == [False, True]


def test_earlier_token_is_kept(
    app: Flask, client: FlaskClient, wepay_sandbox: Any, wepay_connect: Any
) -> None:
    """A malformed answer takes nothing from an owner who was connected before."""
    wepay_connect(client)
    wepay_sandbox.answer_next("oauth2/token", body=with_(user_id=None))
    location = client.get("/wepay/login?force=1").location

    page = client.get(wepay_sandbox.authorize(location))

    assert page.status_code == 502
    first, second = rows_of(app)
    assert first.token is not None
    assert first.revoked_at is None
    assert second.reason == "failed"


def reset(connection: socket.socket, left: Event) -> None:
    """End a connection as a crash does."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def reset_midway(connection: socket.socket, left: Event) -> None:
    """End a connection as a crash does, within the body."""
    connection.sendall(http(GOOD, headers=["Content-Length: 500"]))
    reset(connection, left)


def endless(head: bytes, chunk: bytes, pause: float = 0) -> Answer:
    """Send a chunk again and again until the client has had enough."""

    def answer(connection: socket.socket, left: Event) -> None:
        connection.sendall(head)
        while not left.wait(pause):
            connection.sendall(chunk)

    return answer


def head_of(*headers: str) -> bytes:
    """The head of a good answer with these headers."""
    return http(b"", headers=headers)


HEAD = b"HTTP/1.1 200 OK\r\n"
BOMB = zlib.compress(b" " * 50_000_000)

#: Answers that only a socket can give.
ON_A_SOCKET: dict[str, Answer] = {
    "closed at once": b"",
    "reset at once": reset,
    "reset midway": reset_midway,
    "no http": b"220 smtp.example.com ESMTP\r\n",
    "binary": bytes(range(256)) * 10,
    "http/0.9": GOOD,
    "a status of words": b"HTTP/1.1 abc OK\r\n\r\n" + GOOD,
    "a status of 999": http(GOOD, "999 Odd"),
    "a status of 099": http(GOOD, "099 Odd"),
    "switching protocols": http(b"", "101 Switching Protocols"),
    "a head cut short": HEAD + b"Content-Type: appl",
    "a header without colon": HEAD + b"Content-Length\r\n\r\n",
    "a header without end": HEAD + b"X-Long: " + b"a" * 200_000,
    "headers without end": endless(HEAD, b"X-A: b\r\n"),
    "shorter than it says": http(GOOD, headers=[f"Content-Length: {len(GOOD) + 1}"]),
    "much shorter than it says": http(GOOD, headers=["Content-Length: 999999999999"]),
    "longer than it says": http(GOOD, headers=[f"Content-Length: {len(GOOD) - 1}"]),
    "no content": http(b"", "204 No Content"),
    "chunks cut short": head_of("Transfer-Encoding: chunked") + b"%x\r\n%s" % (len(GOOD), GOOD[:9]),
    "chunks of nonsense": head_of("Transfer-Encoding: chunked") + b"zzzz\r\n" + GOOD,
    "chunks without end": endless(
        head_of("Transfer-Encoding: chunked"), b"10000\r\n" + b" " * 65536 + b"\r\n"
    ),
    "a body without end": endless(head_of(), b" " * 65536),
    "a redirect without end": endless(
        http(b"", "302 Found", ["Location: http://127.0.0.1:9/"]), b" " * 65536
    ),
    "nine megabytes": http(GOOD + b" " * 9 * 1024 * 1024),
    "gzip": http(gzip.compress(GOOD), headers=["Content-Encoding: gzip"]),
    "deflate": http(zlib.compress(GOOD), headers=["Content-Encoding: deflate"]),
    "a bomb": http(BOMB, headers=["Content-Encoding: deflate"]),
    "broken gzip": http(b"\x1f\x8b\x08" + GOOD, headers=["Content-Encoding: gzip"]),
}


@pytest.mark.parametrize("answer", ON_A_SOCKET.values(), ids=ON_A_SOCKET)
def test_malformed_on_a_socket(make_app: MakeApp, answer: Answer) -> None:
    """A broken connection or answer ends in a clean page, and the code is sent once."""
    with RawServer(answer) as server:
        app = make_app(WEPAY_SANDBOX_URL=server.url, WEPAY_TIMEOUT=20)
        began = time.monotonic()

        page = come_back(app.test_client())

        check_refused(app, page)
    assert len(server.requests) == 1
    assert time.monotonic() - began < 15


def silence(connection: socket.socket, left: Event) -> None:
    """Say nothing until the client has left."""
    connection.recv(1)


def drip(connection: socket.socket, left: Event) -> None:
    """Send a good answer, of which each byte comes soon, and the last one late."""
    for byte in http(GOOD):
        connection.sendall(bytes([byte]))
        left.wait(0.02)


@pytest.mark.parametrize(
    "answer",
    [silence, drip, endless(head_of(), b" ", pause=0.02), endless(HEAD, b"X", pause=0.02)],
)
def test_deadline(make_app: MakeApp, answer: Answer) -> None:
    """However slowly an answer comes, the page is there soon after WEPAY_TIMEOUT."""
    with RawServer(answer) as server:
        app = make_app(WEPAY_SANDBOX_URL=server.url, WEPAY_TIMEOUT=1.5)
        browser = app.test_client()
        arguments = log_in(browser)
        began = time.monotonic()

        page = browser.get("/wepay/callback", query_string=arguments)

        assert 1.4 <= time.monotonic() - began < 10
        check_refused(app, page)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Same", "308 Same"])
def test_redirect_is_not_followed(make_app: MakeApp, status: str) -> None:
    """A redirected exchange sends the code and the secret nowhere else."""
    with RawServer(http(GOOD)) as elsewhere:
        redirect = http(GOOD, status, [f"Location: {elsewhere.url}/v2/oauth2/token"])
        with RawServer(redirect) as server:
            app = make_app(WEPAY_SANDBOX_URL=server.url)

            page = come_back(app.test_client())

            check_refused(app, page)
        assert len(server.requests) == 1
    assert elsewhere.requests == []


def test_good_answer_on_a_socket(make_app: MakeApp) -> None:
    """The same server with a good answer connects: what is refused above is refused for cause."""
    with RawServer(http(GOOD)) as server:
        app = make_app(WEPAY_SANDBOX_URL=server.url)

        page = come_back(app.test_client())

    assert page.location == "/"
    [row] = rows_of(app)
    assert row.user_id == 123456


def test_good_answer_in_chunks(make_app: MakeApp) -> None:
    """An answer in chunks is as good as any."""
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in GOOD) + b"0\r\n\r\n"
    with RawServer(head_of("Transfer-Encoding: chunked") + chunks) as server:
        app = make_app(WEPAY_SANDBOX_URL=server.url)

        page = come_back(app.test_client())

    assert page.location == "/"
