"""Text that is not ours, made safe to log, to show and to keep: one place for all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["REDACTED", "clean", "plain", "printable"]

REDACTED = "[redacted]"
LONGEST_TEXT = 1000
#: How deep, and how large, a structure is that is kept.
DEEPEST = 10
MOST_ITEMS = 1000

#: What looks like a token of WePay's, or like the signature in a callback_uri of ours.
_SECRETS = re.compile(
    r"(?:STAGE|PRODUCTION)_[0-9A-Za-z_-]{8,}|(?<=wepay_signature=)[^\s&'\"<>]+"
    r"|(?<=wepay_signature%3D)[^\s&'\"<>]+",
    re.IGNORECASE,
)


def printable(text: str) -> str:
    """Escape what would steer a terminal, forge a log line, or be no text to an encoder."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def plain(value: object) -> str | None:
    """Return the string that a value is or stands in for, or None where it is no string.

    A LocalProxy says that it is one, and no encoder, driver or regular expression takes it;
    what is derived from ``str`` may say something else whenever it is asked.
    """
    if not isinstance(value, str):
        return None
    return str.__str__(value if issubclass(type(value), str) else value[:])


def clean(value: Any, secrets: Sequence[str] = ()) -> Any:
    """Return a text, or a structure of texts, that is safe and holds no secret.

    Besides the given secrets all that looks like a token or a signature is cut out.
    """
    return _clean(value, secrets, DEEPEST, [MOST_ITEMS])


def _clean(value: Any, secrets: Sequence[str], depth: int, left: list[int]) -> Any:
    if isinstance(value, str):
        return _text(value, secrets)
    if not isinstance(value, dict | list):
        return value
    if depth == 0 or left[0] <= 0:
        return REDACTED
    kept = list(value.items() if isinstance(value, dict) else enumerate(value))[: left[0]]
    left[0] -= len(kept)
    cleaned = [(key, _clean(item, secrets, depth - 1, left)) for key, item in kept]
    if isinstance(value, dict):
        return {_text(key, secrets): item for key, item in cleaned}
    return [item for _, item in cleaned]


def _text(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, REDACTED)
    return printable(_SECRETS.sub(REDACTED, text)[:LONGEST_TEXT])
