"""Keep tokens: what they are, how they are encrypted, and what a store is asked."""

from __future__ import annotations

from .token import (
    LARGEST_INTEGER,
    MalformedToken,
    Secret,
    Token,
    check_access_token,
    read_token,
)

__all__ = [
    "LARGEST_INTEGER",
    "MalformedToken",
    "Secret",
    "Token",
    "check_access_token",
    "read_token",
]
