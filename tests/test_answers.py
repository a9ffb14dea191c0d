"""What WePay's answers mean, on samples of what it documents.

https://developer.wepay.com/api/general/errors
"""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from flask_wepay import errors
from flask_wepay.api.answers import (
    Answer,
    decipher,
    decipher_member,
    decipher_token,
    end_of_token,
    members_of,
)

TOKEN = "STAGE_ca8f2d"


def said(value: Any, status: int = 400, **facts: Any) -> Answer:
    """An answer with this JSON."""
    return Answer(status, json.dumps(value).encode(), **facts)


def refused(call: str, answer: Answer, secrets: tuple[str, ...] = ()) -> errors.WePayError:
    """Return the error that an answer is deciphered to."""
    with pytest.raises(errors.WePayError) as caught:
        decipher(call, answer, secrets)
    return caught.value


#: Every row of WePay's error table: the code, a known answer, and what it becomes.
TABLE: list[tuple[int, int, str, str, type[errors.APIError]]] = [
    (
        1001,
        501,
        "invalid_request",
        "that is not a recognized WePay API call",
        errors.InvalidRequest,
    ),
    (
        1002,
        401,
        "access_denied",
        "could not parse authorization header, a valid access_token is required",
        errors.InvalidRequest,
    ),
    (1003, 400, "invalid_request", "invalid code parameter", errors.InvalidRequest),
    (1004, 400, "invalid_request", "client_id parameter is required", errors.InvalidRequest),
    (1005, 400, "invalid_request", "could not parse the body", errors.InvalidRequest),
    (1006, 401, "access_denied", "a valid access_token is required", errors.TokenInvalid),
    (1007, 429, "throttle_exceeded", "too many calls, retry later", errors.Throttled),
    (1008, 500, "processing_error", "an unknown error occurred", errors.ServerError),
    (1009, 400, "processing_error", "this card was declined", errors.APIError),
    (1010, 403, "access_denied", "you may not do that", errors.PermissionDenied),
    (1011, 401, "access_denied", "this access_token has been revoked", errors.TokenRevoked),
    (1012, 400, "invalid_request", "the code has expired", errors.APIError),
    (1013, 400, "invalid_client", "the client_id is not the code's", errors.APIError),
    (1014, 403, "access_denied", "your IP is not on the whitelist", errors.APIError),
    (1015, 400, "invalid_request", "invalid API version", errors.APIError),
    (1016, 400, "invalid_request", "not for this application", errors.APIError),
    (2001, 400, "processing_error", "the payment failed", errors.APIError),
    (3001, 400, "invalid_request", "the account does not exist", errors.APIError),
    (4002, 400, "processing_error", "the checkout is in a wrong state", errors.APIError),
    (7001, 400, "invalid_request", "user not found", errors.APIError),
    (7002, 400, "processing_error", "the user is in a wrong state", errors.APIError),
    (7003, 400, "access_denied", "the user was deleted", errors.APIError),
    (10001, 400, "invalid_request", "an error nobody knows", errors.APIError),
    (0, 400, "invalid_request", "no known code", errors.APIError),
    (-1, 400, "invalid_request", "no known code", errors.APIError),
    (10**30, 400, "invalid_request", "no known code", errors.APIError),
]


@pytest.mark.parametrize(("code", "status", "error", "description", "kind"), TABLE)
def test_error_table(
    code: int, status: int, error: str, description: str, kind: type[errors.APIError]
) -> None:
    """The error_code alone decides which error it is, whatever the status and the text."""
    value = {"error": error, "error_description": description, "error_code": code, "details": [1]}

    for answered in (status, 200, 400, 403, 503):
        caught = refused("account/create", said(value, answered))

        assert type(caught) is kind
        assert isinstance(caught, errors.APIError)
        assert (caught.call, caught.status, caught.error) == ("account/create", answered, error)
        assert (caught.error_code, caught.description) == (code, description)
        assert caught.details == [1]
        assert f"error_code {code}" in str(caught)
        assert description in str(caught)


@pytest.mark.parametrize(("code", "status", "error", "description", "kind"), TABLE)
def test_without_error_code(
    code: int, status: int, error: str, description: str, kind: type[errors.APIError]
) -> None:
    """The same answers without an error_code are a plain APIError, or a ServerError for a 5xx."""
    value = {"error": error, "error_description": description}

    caught = refused("account/create", said(value, status))

    assert type(caught) is (errors.ServerError if status >= 500 else errors.APIError)
    assert caught.error_code is None
    assert end_of_token("user", caught) is None


@pytest.mark.parametrize("code", ["1011", 1011.0, True, None, [1011], {"code": 1011}, ""])
@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_code_is_no_integer(code: Any, status: int) -> None:
    """A code in quotes, with a decimal point or true revokes nobody."""
    value = {"error": "access_denied", "error_description": "revoked", "error_code": code}

    caught = refused("user", said(value, status))

    assert type(caught) is errors.APIError
    assert caught.error_code is None
    assert end_of_token("user", caught) is None


def test_revoked_on_any_call() -> None:
    """1011 says that the token is dead, on every call and with every status."""
    for call in ("user", "checkout/create"):
        for status in (200, 401, 500):
            caught = refused(call, said({"error_code": 1011}, status))

            assert end_of_token(call, caught) == "revoked"


@pytest.mark.parametrize("code", sorted({code for code, *_ in TABLE} - {1011, 7003}))
def test_says_nothing_of_the_token(code: int) -> None:
    """No other error_code says that a token is dead."""
    caught = refused("user", said({"error": "e", "error_code": code}))

    assert end_of_token("user", caught) is None


@pytest.mark.parametrize(
    ("call", "value", "reason"),
    [
        ("user", {"error_code": 7003}, "deleted"),
        ("user/modify", {"error_code": 7003}, None),
        ("account/create", {"error_code": 7003}, None),
    ],
)
def test_deleted_user(call: str, value: Any, reason: str | None) -> None:
    """7003 is about the token's own user only where /user says it."""
    assert end_of_token(call, refused(call, said(value))) == reason


@pytest.mark.parametrize(
    ("call", "value", "reason"),
    [
        ("user", {"user_id": 1, "state": "deleted"}, "deleted"),
        ("user", {"user_id": 1, "state": "registered"}, None),
        ("user", {"user_id": 1, "state": "pending"}, None),
        ("user", {"user_id": 1, "state": ["deleted"]}, None),
        ("user", {"user_id": 1}, None),
        ("user", [{"state": "deleted"}], None),
        ("account", {"account_id": 1, "state": "deleted"}, None),
        ("checkout", {"checkout_id": 1, "state": "revoked"}, None),
    ],
)
def test_deleted_state(call: str, value: Any, reason: str | None) -> None:
    """A state "deleted" is about the token's user only in the answer of /user."""
    assert end_of_token(call, decipher(call, said(value, 200))) == reason


@pytest.mark.parametrize(
    "outcome", [errors.OutcomeUnknown(), errors.ServerError(), errors.Throttled(), None, "x"]
)
def test_no_word_of_wepay(outcome: Any) -> None:
    """What WePay did not say ends no token."""
    assert end_of_token("user", outcome) is None


@pytest.mark.parametrize(
    "value",
    [
        {"user_id": 123456, "state": "registered"},
        [{"account_id": 1}, {"account_id": 2}],
        [],
        {},
        {"error": None, "account_id": 1},
        {"error": {"of": "another type"}},
        {"error_code": "1011"},
        {"error_description": "an object may have this field"},
        {"a": {"a": "ö\ud800"}, "n": 2**70},
    ],
)
@pytest.mark.parametrize("status", [200, 201, 299])
def test_value(value: Any, status: int) -> None:
    """An object or a bare list with a 2xx is the value of a call."""
    assert decipher("account/find", said(value, status)) == value


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        *((200, body, errors.OutcomeUnknown) for body in (b"", b"<html>", b"null", b"5", b'"a"')),
        (200, b"\xff", errors.OutcomeUnknown),
        (200, b"[" * 100_000, errors.OutcomeUnknown),
        (200, b'{"n": ' + b"1" * 10_000 + b"}", errors.OutcomeUnknown),
        *((301, body, errors.OutcomeUnknown) for body in (b"", b'{"error_code": 1011}')),
        (304, b"{}", errors.OutcomeUnknown),
        (399, b'{"error": "e", "error_code": 1008}', errors.OutcomeUnknown),
        (100, b"{}", errors.OutcomeUnknown),
        (400, b"", errors.APIError),
        (404, b"<html>", errors.APIError),
        (429, b"[]", errors.APIError),
        (499, b"{}", errors.APIError),
        (500, b"", errors.ServerError),
        (502, b"<html>", errors.ServerError),
        (503, b"{}", errors.ServerError),
        (504, b'{"error": "processing_error"}', errors.ServerError),
        (599, b"[]", errors.ServerError),
    ],
)
def test_unusable(status: int, body: bytes, kind: type[errors.WePayError]) -> None:
    """What is no usable answer is told apart by its status, and names the call."""
    caught = refused("checkout/create", Answer(status, body))

    assert type(caught) is kind
    assert (caught.call, caught.status) == ("checkout/create", status)  # type: ignore[attr-defined]
    assert "'checkout/create'" in str(caught)
    assert ("may have been executed" in str(caught)) is isinstance(caught, errors.OutcomeUnknown)


@pytest.mark.parametrize(
    ("retry_after", "expected"), [(None, 10.0), (0, 1.0), (2.0, 2.0), (60, 60)]
)
def test_retry_after(retry_after: float | None, expected: float) -> None:
    """Throttled says when to try again: as the header says, else after WePay's window."""
    caught = refused("user", said({"error_code": 1007}, 429, retry_after=retry_after))

    assert isinstance(caught, errors.Throttled)
    assert caught.retry_after == expected


@pytest.mark.parametrize(("code", "hint"), [(1006, "WEPAY_ENVIRONMENT"), (1010, "isn't permitted")])
def test_hint(code: int, hint: str) -> None:
    """Where one mistake is likely, the message names it."""
    assert hint in str(refused("user", said({"error_code": code})))
    assert hint not in str(refused("user", said({"error_code": 1003})))


def test_description_of_another_type() -> None:
    """Fields that are not what WePay documents are None, and none of it breaks."""
    value = {"error": 5, "error_description": ["a"], "error_code": 1003, "details": {"a": None}}

    caught = refused("user", said(value))

    assert isinstance(caught, errors.InvalidRequest)
    assert (caught.error, caught.description, caught.details) == (None, None, {"a": None})
    assert "no description" in str(caught)


def test_secrets_are_cut_out() -> None:
    """A token or secret that WePay echoes is in no part of the error."""
    secret = 'se"cr\\et'
    echo = f"no {TOKEN} and {secret}!"
    value = {
        "error": echo,
        "error_description": echo,
        "error_code": 1003,
        "details": [echo, {echo: [echo, {"deep": echo}]}, 5, None, True],
    }

    caught = refused("user", said(value), (TOKEN, secret))

    shown = f"{caught} {vars(caught)}"
    assert TOKEN not in shown
    assert secret not in shown
    assert "cr" not in str(caught.details)  # type: ignore[attr-defined]
    clean = "no [redacted] and [redacted]!"
    assert caught.details == [  # type: ignore[attr-defined]
        clean,
        {clean: [clean, {"deep": clean}]},
        5,
        None,
        True,
    ]


def test_secret_that_looks_like_a_number() -> None:
    """A secret of digits does not break an answer with that number in it."""
    value = {"error": "e", "error_code": 1003, "details": [{"account_id": 1003, "text": "1003"}]}

    caught = refused("user", said(value), ("1003",))

    assert caught.details == [{"account_id": 1003, "text": "[redacted]"}]  # type: ignore[attr-defined]


@pytest.mark.parametrize("depth", [9, 10, 100, *range(880, 1010, 3), 50_000])
def test_deep_details(depth: int) -> None:
    """Details are cut off where they are too deep, at whatever depth."""
    details = b'{"a": [' * depth + b"]}" * depth

    caught = refused("user", Answer(400, b'{"error_code": 1003, "details": ' + details + b"}"))

    assert isinstance(caught, errors.APIError)
    assert repr(caught.details).count("{") <= 5


def test_long_description() -> None:
    """A description is kept to a thousand characters."""
    caught = refused("user", said({"error_code": 1003, "error_description": "a" * 5000}))

    assert len(caught.description) == 1000  # type: ignore[attr-defined]
    assert len(str(caught)) < 1200


def test_members_of_a_batch() -> None:
    """What is no member of a batch is left out."""
    members = [{"reference_id": "1"}, {"reference_id": "2"}]

    assert members_of({"calls": members}) == members
    assert members_of({"calls": [None, members[0], "a", []]}) == members[:1]
    assert members_of({"calls": {"reference_id": "1"}}) == []
    assert members_of({}) == []
    assert members_of([members]) == []


def test_member_of_a_batch() -> None:
    """A failed member is an error, any other answer is its value."""
    failed = {"error": "access_denied", "error_description": f"{TOKEN}", "error_code": 1011}

    error = decipher_member("user", failed, [TOKEN])

    assert isinstance(error, errors.TokenRevoked)
    assert TOKEN not in str(error)
    assert type(decipher_member("user", {"error": "e"})) is errors.APIError
    for value in ({"user_id": 1}, [], None, "text", {"error_code": "1011"}):
        assert decipher_member("user", value) == value


def test_token() -> None:
    """A documented answer of the token call is a token."""
    value = {"user_id": 5, "access_token": TOKEN, "token_type": "BEARER", "expires_in": None}

    token = decipher_token(said(value, 200), ["c0d3", "secret"])

    assert (token.user_id, token.access_token, token.expires_at) == (5, TOKEN, None)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (said({"error": "e", "error_description": "c0d3", "error_code": 1012}), "ExchangeFailed"),
        (said({"error": "e", "error_description": "c0d3"}), "ExchangeFailed"),
        (said({"error": "e", "error_description": "c0d3"}, 200), "ExchangeFailed"),
        (said({"error_code": 1011}), "ExchangeFailed"),
        (Answer(404, b"<html>"), "ExchangeFailed"),
        (said({"error_code": 1007}), "Throttled"),
        (said({"error_code": 1008, "error_description": "c0d3"}, 500), "ServerError"),
        (Answer(502, b"<html>"), "ServerError"),
        (said({"access_token": TOKEN}, 200), "OutcomeUnknown"),
        (said([], 200), "OutcomeUnknown"),
        (Answer(302, b""), "OutcomeUnknown"),
    ],
)
def test_token_refused(answer: Answer, kind: str) -> None:
    """What is no token is told apart by what the user does next, and shows no secret."""
    with pytest.raises(errors.WePayError) as caught:
        decipher_token(answer, ["c0d3", "secret"])

    assert type(caught.value).__name__ == kind
    assert "c0d3" not in f"{caught.value} {vars(caught.value)}"
    assert TOKEN not in f"{caught.value} {vars(caught.value)}"


def test_exchange_failed_facts() -> None:
    """A refused code says what WePay said."""
    value = {"error": "invalid_request", "error_description": "expired", "error_code": 1012}

    with pytest.raises(errors.ExchangeFailed) as caught:
        decipher_token(said(value), [])

    facts = vars(caught.value)
    assert facts == {"error": "invalid_request", "error_code": 1012, "description": "expired"}


def test_answer_keeps_its_body_to_itself() -> None:
    """The repr of an answer shows no body: there may be a token in it."""
    assert TOKEN not in repr(said({"access_token": TOKEN}, 200))


ERRORS = [getattr(errors, name) for name in errors.__all__]


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_are_pickled(kind: type[errors.WePayError]) -> None:
    """An error goes through a job queue with its message and its facts."""
    facts = {"owner": "alice"} if hasattr(kind, "owner") else {}
    error = kind("what happened", **facts)

    copy = pickle.loads(pickle.dumps(error))

    assert type(copy) is kind
    assert str(copy) == "what happened"
    assert vars(copy) == facts


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_take_known_facts_only(kind: type[errors.WePayError]) -> None:
    """A fact that an error does not have is a mistake of ours, not a silent attribute."""
    with pytest.raises(TypeError, match="has no attribute 'colour'"):
        kind("what happened", colour="red")


def test_tree_of_errors() -> None:
    """The tree at the top of the module is the tree there is."""
    lines = (errors.__doc__ or "").split("\n\n")[1].splitlines()
    path: list[str] = []
    for line in lines:
        depth = (len(line) - len(line.lstrip())) // 4
        name = line.split()[0]
        path[depth:] = [name]
        if depth:
            assert issubclass(getattr(errors, name), getattr(errors, path[depth - 1]))

    assert {line.split()[0] for line in lines} == set(errors.__all__)
    assert issubclass(errors.InvalidCall, ValueError)
    assert issubclass(errors.ServerError, errors.OutcomeUnknown)


@pytest.mark.parametrize("constant", [b"NaN", b"Infinity", b"-Infinity"])
def test_constants_that_are_no_json(constant: bytes) -> None:
    """Python reads more than JSON is: such an answer is none."""
    body = b'{"user_id": 1, "amount": ' + constant + b"}"

    assert type(refused("checkout", Answer(200, body))) is errors.OutcomeUnknown


@pytest.mark.parametrize(
    "echoed",
    [
        "STAGE_ca8f2d17b9e8",
        "PRODUCTION_0123456789abcdef",
        "https://shop.example/wepay/ipn?wepay_signature=WzEyMzQ1XQ.abc-_def",
        "redirect=https%3A%2F%2Fshop.example%2Fwepay%2Fipn%3Fwepay_signature%3DWzEyMzQ1XQ.abc-_def",
    ],
)
def test_what_looks_like_a_secret_is_cut_out(echoed: str) -> None:
    """Tokens and signatures that WePay echoes are in no error, whoever's they are."""
    value = {
        "error": "invalid_request",
        "error_code": 1003,
        "error_description": f"this is wrong: {echoed}, try again",
        "details": [{"message": echoed, echoed: 1}],
    }

    caught = refused("user", said(value, 400))

    said_in_full = f"{caught} {caught.description} {caught.details}"
    assert "[redacted]" in said_in_full
    for part in ("ca8f2d17", "0123456789", "WzEyMzQ1XQ"):
        assert part not in said_in_full


@pytest.mark.parametrize("text", ["bad\nCRITICAL forged", "\x1b[31m", "caf\ud800", "a\r\u2028b"])
def test_text_that_is_not_plain(text: str) -> None:
    """Line ends, escape sequences and halves of characters are escaped."""
    value = {"error": "x", "error_code": 1003, "error_description": text, "details": [text]}

    caught = refused("user", said(value, 400))

    assert str(caught).isprintable()
    str(caught).encode()
    assert caught.details[0].isprintable()


def test_details_without_end() -> None:
    """Of details that never end a part is kept."""
    value = {"error": "x", "error_code": 1003, "details": [["a"] * 500, ["b"] * 500, ["c"] * 500]}

    kept = refused("user", said(value, 400)).details

    assert len(kept) == 3
    assert sum(isinstance(part, list) and len(part) for part in kept) <= 1000
    assert kept[2] == "[redacted]"
