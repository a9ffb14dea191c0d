"""RQ. Its worker runs within an application context: ``with app.app_context(): worker.work()``."""

from __future__ import annotations

from typing import Any

from rq import Retry

from .jobs import AGAIN, names_of_accounts


def accounts(owner: str) -> list[Any] | Retry:
    """Enqueue it with ``queue.enqueue(accounts, owner)``."""
    try:
        return names_of_accounts(owner)
    except AGAIN:
        return Retry(max=5, interval=60)
