"""Browsers of the recipes' shop."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient


def browser_of(shop: Flask, owner: str) -> FlaskClient:
    """Give a browser in which an owner is logged in."""
    browser = shop.test_client()
    with browser.session_transaction() as session:
        session["user"] = owner
    return browser
