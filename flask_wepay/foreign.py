"""Make foreign text safe to log, to show and to store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["REDACTED", "clean", "plain", "printable"]

REDACTED = "[redacted]"
LONGEST_TEXT = 1000
#: The largest depth and size of a structure that is kept.
DEEPEST = 10
MOST_ITEMS = 1000

#: Matches a token of WePay's, and the signature in a callback_uri of ours.
_SECRETS = re.compile(
    r"(?:STAGE|PRODUCTION)_[0-9A-Za-z_-]{8,}|(?<=wepay_signature=)[^\s&'\"<>]+"
    r"|(?<=wepay_signature%3D)[^\s&'\"<>]+",
    re.IGNORECASE,
)


def printable(text: str) -> str:
    """Escape what could control a terminal, forge a log line, or fail to encode."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def plain(value: object) -> str | None:
    """Return the plain string of a value, or None if it isn't a string.

    A LocalProxy claims to be a string, but no encoder, driver or regular expression accepts
    it. A subclass of ``str`` may return something else each time.
    """
    if not isinstance(value, str):
        return None
    return str.__str__(value if issubclass(type(value), str) else value[:])


def clean(value: Any, secrets: Sequence[str] = ()) -> Any:
    """Return a text, or a structure of texts, that is safe and contains no secret.

    The given secrets, and everything that looks like a token or a signature, are removed.
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
