"""Dramatiq."""

from __future__ import annotations

from typing import Any

import dramatiq
from flask import Flask

from .jobs import AGAIN, names_of_accounts


def make_actor(app: Flask, broker: dramatiq.Broker) -> Any:
    def once_more(retries: int, error: BaseException) -> bool:
        return isinstance(error, AGAIN) and retries < 5

    @dramatiq.actor(broker=broker, retry_when=once_more, min_backoff=1000, store_results=True)
    def accounts(owner: str) -> list[Any]:
        with app.app_context():
            return names_of_accounts(owner)

    return accounts
