"""Tokens and secrets: checked when they come in, and never shown by accident."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest
import time_machine

from flask_wepay.tokens import MalformedToken, Secret, Token, check_access_token

MAPPING: dict[str, Any] = {
    "access_token": "STAGE_ca8f2d",
    "user_id": 123456,
    "token_type": "BEARER",
    "expires_at": None,
}


@pytest.mark.parametrize("expires_at", [None, 1, 2**63 - 1])
def test_mapping_and_back(expires_at: int | None) -> None:
    """What a token_setter is given is what a token_getter gives back."""
    mapping = {**MAPPING, "expires_at": expires_at}

    token = Token.from_mapping(MappingProxyType(mapping))

    assert token.as_mapping() == mapping


def test_expires_at_is_optional() -> None:
    """A mapping without expires_at is of a token that lasts."""
    mapping = {name: value for name, value in MAPPING.items() if name != "expires_at"}

    assert Token.from_mapping(mapping).expires_at is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        *(({"access_token": wrong}, "access_token") for wrong in (None, "", 5, b"a", "a" * 256)),
        *(({"access_token": wrong}, "access_token") for wrong in ("a b", "a\n", "\0", "ö", "\x7f")),
        *(({"user_id": wrong}, "user_id") for wrong in (None, "1", 1.0, True, 0, -1, 2**63)),
        *(({"token_type": wrong}, "token_type") for wrong in (None, "", "MAC", 5, ["BEARER"])),
        *(({"expires_at": wrong}, "expires_at") for wrong in ("1", 1.5, True, 0, -1, 2**63)),
    ],
)
def test_malformed_mapping(change: Mapping[str, Any], field: str) -> None:
    """A wrong field is named, and its value is not shown."""
    with pytest.raises(MalformedToken, match=f"'{field}'") as caught:
        Token.from_mapping({**MAPPING, **change})

    assert "STAGE_ca8f2d" not in str(caught.value)


@pytest.mark.parametrize("name", ["access_token", "user_id", "token_type"])
def test_missing_field(name: str) -> None:
    """A missing field is named."""
    mapping = {field: value for field, value in MAPPING.items() if field != name}

    with pytest.raises(MalformedToken, match=f"'{name}'"):
        Token.from_mapping(mapping)


@time_machine.travel(1_700_000_000.9, tick=False)
@pytest.mark.parametrize(("expires_in", "expires_at"), [(None, None), (1, 1_700_000_001)])
def test_answer(expires_in: int | None, expires_at: int | None) -> None:
    """WePay's expires_in is counted from now, in whole seconds."""
    answer = {**MAPPING, "expires_in": expires_in}

    assert Token.from_answer(answer).expires_at == expires_at


def test_answer_with_expires_at() -> None:
    """An expires_at in WePay's answer, which it does not document, counts for nothing."""
    assert Token.from_answer({**MAPPING, "expires_at": 5}).expires_at is None


def test_expired() -> None:
    """A token is expired from the second of its expires_at on."""
    with time_machine.travel(1_700_000_000, tick=False) as clock:
        token = Token.from_answer({**MAPPING, "expires_in": 60})
        lasting = Token.from_mapping(MAPPING)

        clock.shift(59.9)
        assert not token.expired

        clock.shift(0.1)
        assert token.expired
        assert not lasting.expired


def test_longest_token() -> None:
    """255 characters are the most that WePay gives."""
    assert check_access_token("~" * 255) == "~" * 255


def test_token_is_read_only() -> None:
    """A token can't be changed."""
    token = Token.from_mapping(MAPPING)

    with pytest.raises(AttributeError):
        token.access_token = "another"  # type: ignore[misc]


@pytest.mark.parametrize(
    "secret", [Token.from_mapping(MAPPING), Secret("STAGE_ca8f2d"), [Secret("STAGE_ca8f2d")]]
)
def test_repr_is_redacted(secret: Any) -> None:
    """Neither a token nor a secret is in a repr or a formatted text."""
    assert "STAGE_ca8f2d" not in f"{secret} {secret!r} {secret!s:>80} %s" % (secret,)


def test_token_is_not_pickled() -> None:
    """A token does not slip into a cache, a queue or a dictionary; a copy of it is itself."""
    token = Token.from_mapping(MAPPING)

    with pytest.raises(TypeError, match="can't be pickled"):
        pickle.dumps(token)
    with pytest.raises(TypeError):
        dataclasses.asdict(token)  # type: ignore[call-overload]
    with pytest.raises(AttributeError):
        del token.user_id
    assert copy.copy(token) is copy.deepcopy([token])[0]
    assert token == Token.from_mapping(MAPPING)
    assert len({token, Token.from_mapping(MAPPING)}) == 1
    assert token != Token("STAGE_another", 5)


@pytest.mark.parametrize("dump", [pickle.dumps, copy.copy, copy.deepcopy])
def test_secret_is_not_pickled(dump: Any) -> None:
    """A secret does not slip into a cache or a queue."""
    with pytest.raises(TypeError, match="can't be pickled"):
        dump(Secret("STAGE_ca8f2d"))
