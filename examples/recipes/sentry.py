"""Sentry, without the codes, states and signatures in the addresses of Flask-WePay's routes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote_plus

import sentry_sdk

SECRET = ("code", "state", "wepay_signature")


def without_secrets(event: Any, hint: Any = None) -> Any:
    """Remove the values of the request's query from an event, including its frames' variables."""
    query = str(event.get("request", {}).get("query_string") or "")
    raw = [part.partition("=")[2] for part in query.split("&") if part.split("=")[0] in SECRET]
    secrets = {*raw, *map(unquote_plus, raw)} - {""}
    secrets |= {value for name, value in parse_qsl(query) if name in SECRET}
    return redacted(event, sorted(secrets, key=len, reverse=True))


def redacted(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, "[redacted]")
        return value
    if isinstance(value, dict):
        return {key: redacted(item, secrets) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(item, secrets) for item in value]
    return value


def start(dsn: str, **options: Any) -> None:
    sentry_sdk.init(
        dsn,
        before_send=without_secrets,
        before_send_transaction=without_secrets,
        **options,
    )
