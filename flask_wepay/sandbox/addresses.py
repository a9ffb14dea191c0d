"""Addresses with something added to them."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit


def add_to_query(address: str, fields: Mapping[str, object]) -> str:
    """Add fields to an address's query and keep those that are there."""
    parts = urlsplit(address)
    query = "&".join(filter(None, [parts.query, urlencode(fields)]))
    return urlunsplit(parts._replace(query=query))
