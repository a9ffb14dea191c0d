"""Celery."""

from __future__ import annotations

from typing import Any

from celery import Celery, Task
from flask import Flask

from .jobs import AGAIN, names_of_accounts


def make_celery(app: Flask, **config: Any) -> Celery:
    class InContext(Task):
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery = Celery(app.name, task_cls=InContext)
    celery.conf.update(config)
    celery.task(
        names_of_accounts, name="accounts", autoretry_for=AGAIN, retry_backoff=True, max_retries=5
    )
    return celery
