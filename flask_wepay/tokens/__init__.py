"""Tokens: their fields, their encryption, and the interface of a token store."""

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
