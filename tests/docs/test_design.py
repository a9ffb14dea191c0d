"""The tour of the code shows the code as it is."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from reading import DOCS

from flask_wepay import WePay
from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import Sandbox

TOUR = (DOCS / "design.rst").read_text()


def _listed(life: str) -> list[str]:
    """Give the functions that a section lists."""
    section = TOUR.split(f"\nThe life of {life}\n")[1].split("\n\nThe life", 1)[0]
    return re.findall(r"^#\. ``([\w.]+)``", section, re.MULTILINE)


@contextmanager
def _followed() -> Iterator[list[str]]:
    """Note which functions of the package are called, in their order."""
    called: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        module = str(frame.f_globals.get("__name__"))
        if event == "call" and module.startswith("flask_wepay."):
            called.append(f"{module.removeprefix('flask_wepay.')}.{frame.f_code.co_qualname}")

    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(None)


def _assert_in_order(listed: list[str], called: list[str]) -> None:
    rest = iter(called)
    missing = [name for name in listed if name not in rest]
    assert len(listed) > 5
    assert missing == []


def test_the_life_of_a_login(client: FlaskClient, wepay_connect: Connect) -> None:
    """The functions of a login run in the order in which the tour lists them."""
    with _followed() as called:
        wepay_connect(client)

    _assert_in_order(_listed("a login"), called)


def test_the_life_of_a_call(
    app: Flask, client: FlaskClient, wepay: WePay, wepay_connect: Connect
) -> None:
    """The functions of a call run in the order in which the tour lists them."""
    wepay_connect(client)

    with app.app_context(), _followed() as called:
        wepay.client_for("alice").call("user")

    _assert_in_order(_listed("a call"), called)


def test_the_life_of_an_ipn(
    client: FlaskClient, wepay_sandbox: Sandbox, wepay_connect: Connect, wepay_ipn: DeliverIPN
) -> None:
    """The functions of an IPN run in the order in which the tour lists them."""
    wepay_connect(client, email="robin@example.org")
    robin = wepay_sandbox.world.user_by_email("robin@example.org")
    wepay_sandbox.revoke(robin.user_id)

    with _followed() as called:
        wepay_ipn(client, robin.user_id)

    _assert_in_order(_listed("an IPN"), called)


def test_files_of_the_tour_exist() -> None:
    """Each file and each folder that the tour sends its reader to is there."""
    package = DOCS.with_name("flask_wepay")
    named = set(re.findall(r"``((?:\w+/)*(?:\w+\.py|\w+/))``", TOUR))

    assert len(named) > 10
    assert [name for name in named if not (package / name).exists()] == []


@pytest.fixture
def pictured(monkeypatch: pytest.MonkeyPatch) -> Any:
    pytest.importorskip("sphinx", reason="pip install -r requirements/docs.txt")
    monkeypatch.syspath_prepend(DOCS / "_ext")
    monkeypatch.delitem(sys.modules, "imports", raising=False)
    import imports

    yield imports
    del sys.modules["imports"]


def test_the_picture_has_every_import(pictured: Any) -> None:
    """What the arrows reach from a room is what its code reaches, and every arrow points down."""
    order, graph = pictured.rooms(), pictured.imports()
    drawn = pictured.arrows(graph)

    assert sorted(graph) == sorted(order)
    assert "errors" in pictured.reach(graph, "extension")
    assert {r: pictured.reach(drawn, r) for r in graph} == {
        r: pictured.reach(graph, r) for r in graph
    }
    assert [
        (room, other)
        for room in graph
        for other in drawn[room]
        if order.index(room) > order.index(other)
    ] == []


def test_the_picture_has_every_room(pictured: Any) -> None:
    """Each room has its name in the picture, and each arrow says what it means."""
    svg = pictured.picture()

    for room in pictured.rooms():
        assert re.search(rf">{room}/?</text>", svg)
    assert "<title>ipns imports api</title>" in svg
    assert svg.count("<title>") == sum(map(len, pictured.arrows(pictured.imports()).values()))
