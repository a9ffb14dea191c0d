"""The application of ``examples/recipes``, before the sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from recipes.shop import create_app, db
from shop_browsers import browser_of

from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox


@pytest.fixture
def make_shop(tmp_path: Path, wepay_sandbox: Sandbox) -> Iterator[Any]:
    """Make shops: ``make_shop(WEPAY_TIMEOUT=5)``."""
    shops: list[Flask] = []

    def make(**config: Any) -> Flask:
        uri = f"sqlite:///{tmp_path}/shop{len(shops)}.sqlite"
        shop = create_app(**{"SQLALCHEMY_DATABASE_URI": uri, "TESTING": True, **config})
        with shop.app_context():
            db.create_all()
        shops.append(shop)
        return shop

    yield make
    for shop in shops:
        with shop.app_context():
            db.session.remove()
            db.engine.dispose()


@pytest.fixture
def shop(make_shop: Any) -> Flask:
    return make_shop()


@pytest.fixture
def connected(shop: Flask, wepay_connect: Connect) -> FlaskClient:
    """Alice's browser; she is connected."""
    browser = browser_of(shop, "alice")
    wepay_connect(browser)
    return browser
