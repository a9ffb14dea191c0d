"""Encrypt tokens with Fernet, bound to their row, so that rows can't be read or swapped."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

__all__ = ["Keyring", "Unreadable"]

FERNET_KEY_LENGTH = 44


class Unreadable(Exception):
    """Raised when no key decrypts a ciphertext, or when it was sealed for another row."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """The encryption keys of one application, newest first."""

    _fernet: MultiFernet = field(repr=False)
    #: For itsdangerous, which takes the newest key last.
    signing_keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of_fernet(cls, keys: Sequence[str], secrets: Sequence[str | bytes] = ()) -> Keyring:
        """Return a keyring of Fernet keys, newest first, from ``flask wepay generate-key``.

        The keys derived from `secrets` follow as older keys: they were used before
        WEPAY_TOKEN_KEYS was set.

        :raises ValueError: if a key isn't 32 bytes in URL-safe base64.
        """
        if any(len(key) != FERNET_KEY_LENGTH for key in keys):
            # Given two joined keys, base64 would decode the first and drop the second.
            raise ValueError("a Fernet key has 44 characters")
        older = [secret.encode() if isinstance(secret, str) else secret for secret in secrets]
        material = [base64.urlsafe_b64decode(key) for key in keys] + older
        derived = (base64.urlsafe_b64encode(_derive(secret, b"tokens")) for secret in older)
        all_keys: list[str | bytes] = [*keys, *derived]
        return cls(
            MultiFernet([Fernet(key) for key in all_keys]),
            tuple(_derive(m, b"signing") for m in reversed(material)),
        )

    @classmethod
    def of_secrets(cls, secrets: Sequence[str | bytes]) -> Keyring:
        """Derive the keys from Flask's SECRET_KEY and SECRET_KEY_FALLBACKS, newest first."""
        return cls.of_fernet((), secrets)

    def seal(self, access_token: str, *, client_id: int, owner: str, user_id: int) -> str:
        """Encrypt a token together with its client_id, owner and user_id."""
        return self._fernet.encrypt(
            json.dumps([client_id, owner, user_id, access_token]).encode()
        ).decode()

    def open(self, ciphertext: str, *, client_id: int, owner: str, user_id: int) -> str:
        """Decrypt a token that was sealed for this client_id, owner and user_id.

        :raises Unreadable: if no key decrypts it, or it was sealed for another row.
        """
        try:
            content = json.loads(self._fernet.decrypt(ciphertext))
        except (InvalidToken, TypeError, ValueError) as error:
            raise Unreadable("no key opens it") from error
        row = [client_id, owner, user_id]
        if not isinstance(content, list) or content[:-1] != row or type(content[-1]) is not str:
            raise Unreadable("it was sealed for another row")
        return content[-1]

    def rotate(self, ciphertext: str) -> str:
        """Decrypt with any key, and encrypt again with the newest.

        :raises Unreadable: if no key decrypts it.
        """
        try:
            return self._fernet.rotate(ciphertext).decode()
        except (InvalidToken, TypeError, ValueError) as error:
            raise Unreadable("no key opens it") from error


def _derive(material: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"flask_wepay " + purpose).derive(material)
