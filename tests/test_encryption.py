"""Keys: what they seal opens for the same row only, and under every key that is kept."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.fernet import Fernet
from itsdangerous import BadSignature, URLSafeSerializer

from flask_wepay.tokens.encryption import Keyring, Unreadable

TOKEN = "STAGE_ca8f2d"
ROW: dict[str, Any] = {"client_id": 12345, "owner": "alice", "user_id": 2**53 + 1}
KEYS = [base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in range(3)]


def test_seal_and_open() -> None:
    """A sealed token opens for its own row."""
    keyring = Keyring.of_secrets(["secret"])

    ciphertext = keyring.seal(TOKEN, **ROW)

    assert keyring.open(ciphertext, **ROW) == TOKEN


def test_ciphertext_is_dense() -> None:
    """A ciphertext shows nothing of the token or its owner, and is never the same twice."""
    keyring = Keyring.of_secrets(["secret"])

    first, second = (keyring.seal(TOKEN, **ROW) for _ in range(2))

    assert first != second
    raw = base64.urlsafe_b64decode(first)
    assert not [part for part in (b"STAGE", b"alice", b"12345") if part in raw]


@pytest.mark.parametrize(
    "other",
    [
        {"client_id": 12346},
        {"client_id": "12345"},
        {"owner": "bob"},
        {"owner": "Alice"},
        {"user_id": 2**53},
        {"user_id": None},
    ],
)
def test_other_row(other: dict[str, Any]) -> None:
    """A ciphertext that was copied to another row does not open there."""
    keyring = Keyring.of_secrets(["secret"])
    ciphertext = keyring.seal(TOKEN, **ROW)

    with pytest.raises(Unreadable, match="another row"):
        keyring.open(ciphertext, **{**ROW, **other})


@pytest.mark.parametrize(
    "ciphertext",
    [
        "",
        "nonsense",
        "ü",
        "\ud800",
        "gAAAAA",
        Fernet(KEYS[0]).encrypt(b"x").decode(),
        Keyring.of_fernet(KEYS[1:2]).seal(TOKEN, **ROW),
        Keyring.of_secrets(["another"]).seal(TOKEN, **ROW),
        Keyring.of_fernet(KEYS[:1]).seal(TOKEN, **ROW)[:-8],
    ],
    ids=range(9),
)
def test_nothing_to_open(ciphertext: str) -> None:
    """What was not sealed with one of the keys is unreadable, and can't be rotated."""
    keyring = Keyring.of_fernet(KEYS[:1])

    with pytest.raises(Unreadable):
        keyring.open(ciphertext, **ROW)


@pytest.mark.parametrize(
    "content", ["5", "null", '"text"', "{}", "[]", "[1]", '["a", "b"]', "[12345]", "nonsense"]
)
def test_sealed_by_somebody_else(content: str) -> None:
    """What another program encrypted with the same key is unreadable, and no crash."""
    ciphertext = Fernet(KEYS[0]).encrypt(content.encode()).decode()

    with pytest.raises(Unreadable):
        Keyring.of_fernet(KEYS[:1]).open(ciphertext, **ROW)


def test_token_that_is_no_string() -> None:
    """A sealed list with anything but a token at its end is unreadable."""
    content = json.dumps([12345, "alice", ROW["user_id"], None])
    ciphertext = Fernet(KEYS[0]).encrypt(content.encode()).decode()

    with pytest.raises(Unreadable):
        Keyring.of_fernet(KEYS[:1]).open(ciphertext, **ROW)


def test_former_keys_open() -> None:
    """Every key that is kept opens, the newest seals."""
    former, newer = Keyring.of_fernet(KEYS[:1]), Keyring.of_fernet([KEYS[1], KEYS[0]])
    old, new = former.seal(TOKEN, **ROW), newer.seal(TOKEN, **ROW)

    assert newer.open(old, **ROW) == TOKEN
    assert Keyring.of_fernet(KEYS[1:2]).open(new, **ROW) == TOKEN
    with pytest.raises(Unreadable):
        former.open(new, **ROW)


def test_former_secrets_open() -> None:
    """SECRET_KEY_FALLBACKS open what SECRET_KEY sealed when it was theirs."""
    former, newer = Keyring.of_secrets(["old"]), Keyring.of_secrets(["new", "old"])
    old, new = former.seal(TOKEN, **ROW), newer.seal(TOKEN, **ROW)

    assert newer.open(old, **ROW) == TOKEN
    assert Keyring.of_secrets(["new"]).open(new, **ROW) == TOKEN
    with pytest.raises(Unreadable):
        former.open(new, **ROW)


def test_keys_of_ones_own_after_derived_ones() -> None:
    """What was sealed before there were keys of its own opens, and is rotated to the newest."""
    old = Keyring.of_secrets(["secret"]).seal(TOKEN, **ROW)
    keyring = Keyring.of_fernet(KEYS[:1], ["another", "secret"])

    assert keyring.open(old, **ROW) == TOKEN
    assert Keyring.of_fernet(KEYS[:1]).open(keyring.rotate(old), **ROW) == TOKEN
    assert Keyring.of_fernet(KEYS[:1]).open(keyring.seal(TOKEN, **ROW), **ROW) == TOKEN


def test_bytes_and_text_are_the_same_secret() -> None:
    """A SECRET_KEY of bytes opens what the same key as text sealed."""
    ciphertext = Keyring.of_secrets(["schlüssel"]).seal(TOKEN, **ROW)

    assert Keyring.of_secrets(["schlüssel".encode()]).open(ciphertext, **ROW) == TOKEN


def test_rotate() -> None:
    """A rotated ciphertext opens with the newest key alone, for the same row."""
    old = Keyring.of_fernet(KEYS[:1]).seal(TOKEN, **ROW)

    rotated = Keyring.of_fernet([KEYS[1], KEYS[0]]).rotate(old)

    newest = Keyring.of_fernet(KEYS[1:2])
    assert newest.open(rotated, **ROW) == TOKEN
    with pytest.raises(Unreadable, match="another row"):
        newest.open(rotated, **{**ROW, "owner": "bob"})


@pytest.mark.parametrize("ciphertext", ["", "nonsense", "\ud800"])
def test_rotate_unreadable(ciphertext: str) -> None:
    """What no key opens is not rotated."""
    with pytest.raises(Unreadable):
        Keyring.of_fernet(KEYS[:1]).rotate(ciphertext)


@pytest.mark.parametrize(
    ("former", "newer"),
    [
        (Keyring.of_secrets(["old"]), Keyring.of_secrets(["new", "old"])),
        (Keyring.of_fernet(KEYS[:1]), Keyring.of_fernet([KEYS[1], KEYS[0]])),
    ],
)
def test_signatures_survive_a_rotation(former: Keyring, newer: Keyring) -> None:
    """What was signed before a key was added is still known, and new things need the new key."""
    before, after = (URLSafeSerializer(list(keys.signing_keys)) for keys in (former, newer))

    assert after.loads(before.dumps("x")) == "x"
    with pytest.raises(BadSignature):
        before.loads(after.dumps("x"))


def test_keys_of_one_secret_differ() -> None:
    """Signing and sealing use keys of their own, none of which is the secret itself."""
    secret = base64.urlsafe_b64decode(KEYS[0])
    for keyring in (Keyring.of_secrets([secret]), Keyring.of_fernet(KEYS[:1])):
        assert secret not in keyring.signing_keys
    assert Keyring.of_fernet(KEYS[:1]).signing_keys == Keyring.of_secrets([secret]).signing_keys
    with pytest.raises(Unreadable):
        Keyring.of_fernet(KEYS[:1]).open(Keyring.of_secrets([secret]).seal(TOKEN, **ROW), **ROW)
    signing = base64.urlsafe_b64encode(Keyring.of_secrets([secret]).signing_keys[0]).decode()
    with pytest.raises(Unreadable):
        Keyring.of_fernet([signing]).open(Keyring.of_secrets([secret]).seal(TOKEN, **ROW), **ROW)


def test_derived_keys_stay_the_same() -> None:
    """The derivation never changes: what an earlier version sealed still opens."""
    sealed_by_1_0 = (
        "gAAAAABrAg2DLNlcj0C_KENF04ZacIOp8Sdi-kIN6ANvU5OQQbWLfgr1FWF3QA1oXSj_J5RA2LLbLEzSXHHG_Bsy0w"
        "-drD0-SK5GOlSWUkQcbXE1DeCnRKuXgJzoC-Ek0rOAVsnNj-H-"
    )

    opened = Keyring.of_secrets(["a secret key for tests only"]).open(
        sealed_by_1_0, client_id=12345, owner="alice", user_id=123456
    )

    assert opened == TOKEN


def test_repr_shows_no_key() -> None:
    """The repr of a keyring shows no key."""
    assert repr(Keyring.of_fernet(KEYS)) == "Keyring()"


@pytest.mark.parametrize("key", ["", "abc", KEYS[0][:-1], KEYS[0] + "\n", KEYS[0] * 2, "ü" * 44])
def test_no_fernet_key(key: str) -> None:
    """What is no Fernet key is refused, two joined ones too."""
    with pytest.raises(ValueError):  # noqa: PT011  (cryptography's own words vary)
        Keyring.of_fernet([KEYS[1], key])
