"""What tests say of the applications that the fixtures make."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask

MakeApp = Callable[..., Flask]


def rows_of(app: Flask) -> list[Any]:
    """Read all rows of an application's token table, oldest first."""
    db, model = app.extensions["test"]["db"], app.extensions["test"]["model"]
    table = model.__table__
    with app.app_context(), db.engine.connect() as connection:
        return list(connection.execute(table.select().order_by(table.c.id)))
