"""The program that type checkers read has every public name in it, and runs."""

from __future__ import annotations

import ast
import asyncio
import importlib
from pathlib import Path

import program
import pytest
from flask import session

from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import Sandbox

#: What is public in them for the extension's own use only.
NOT_FOR_USERS = {"Maintenance", "SQLAlchemyStore", "session_of"}


@pytest.mark.parametrize(
    "module",
    [
        "flask_wepay",
        "flask_wepay.errors",
        "flask_wepay.sandbox",
        "flask_wepay.signals",
        "flask_wepay.sqla",
    ],
)
def test_every_public_name(module: str) -> None:
    """No public name is missing."""
    tree = ast.walk(ast.parse(Path(program.__file__).read_text()))
    used = {
        getattr(node, "id", None) or getattr(node, "attr", None) or getattr(node, "name", None)
        for node in tree
        if isinstance(node, ast.Name | ast.Attribute | ast.alias)
    }

    assert set(importlib.import_module(module).__all__) - used - NOT_FOR_USERS == set()


def test_it_runs(wepay_sandbox: Sandbox, wepay_connect: Connect, wepay_ipn: DeliverIPN) -> None:
    """What the checkers believe of a decorated view is so, of an asynchronous one too."""
    program.test_donation(wepay_sandbox, wepay_connect, wepay_ipn)
    app = program.create_app()
    client = app.test_client()
    client.get("/as/alice")
    assert client.get("/later/7").location.startswith("/wepay/login?next=")
    wepay_connect(client)

    assert client.get("/account/7").text == "bill@example.com 7"
    assert client.get("/later/7").text == "100001 7"
    with app.test_request_context():
        session["user"] = "alice"
        program.direct()
        asyncio.run(program.direct_later())
        assert program.by_authlib("user") == 200
        assert program.owners_who_are_connected() == ["alice"]
        assert [answer["user_id"] for answer in program.pay_many(["alice"])[2:]] == [100001]
    assert client.post("/leave").status_code == 204
    assert client.get("/account/7").location.startswith("/wepay/login?next=")
