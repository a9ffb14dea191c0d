"""Huey."""

from __future__ import annotations

from typing import Any

from flask import Flask
from huey import CancelExecution, Huey

from flask_wepay.errors import WePayError

from .jobs import AGAIN, names_of_accounts


def make_task(app: Flask, huey: Huey) -> Any:
    @huey.task(retries=5, retry_delay=60)
    def accounts(owner: str) -> list[Any]:
        with app.app_context():
            try:
                return names_of_accounts(owner)
            except AGAIN:
                raise
            except WePayError as error:
                raise CancelExecution(str(error), retry=False) from error

    return accounts
