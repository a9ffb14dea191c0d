"""The quickstart runs as the README says."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from flask_wepay.pytest_plugin import Connect


def test_quickstart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wepay_connect: Connect
) -> None:
    """Opening the page leads to WePay and back, and shows who is connected."""
    monkeypatch.setenv("FLASK_SECRET_KEY", "dev")
    monkeypatch.setenv("FLASK_WEPAY_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("FLASK_SQLALCHEMY_DATABASE_URI", f"sqlite:///{tmp_path / 'quick.sqlite'}")
    monkeypatch.delitem(sys.modules, "quickstart", raising=False)
    client = importlib.import_module("quickstart").app.test_client()

    to_login = client.get("/").location
    back = wepay_connect(client, login=to_login, email="bill@example.com")

    assert back.location == "/"
    assert client.get("/").text == "Connected as bill@example.com"
