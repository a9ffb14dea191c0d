"""Recipes of the documentation, as an application would have them."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_wtf.csrf import CSRFProtect, generate_csrf

from flask_wepay import current_wepay
from flask_wepay.errors import WePayError


def test_an_application_handles_the_errors_itself(make_app: Any, wepay_sandbox: Any) -> None:
    """An error handler of the application's own is used, with the owner at hand."""
    app = make_app()
    app.add_url_rule("/pay", view_func=lambda: current_wepay.call("checkout/create"))

    @app.errorhandler(WePayError)
    def explain(error: WePayError) -> tuple[str, int]:
        return f"{type(error).__name__} of {error.owner}", 418  # type: ignore[attr-defined]

    browser = app.test_client()
    browser.get("/as/alice")

    assert browser.get("/pay").text == "NotAuthorized of alice"


def test_a_disconnect_button(make_app: Any, wepay_sandbox: Any, wepay_connect: Any) -> None:
    """The recipe: a button that POSTs with a CSRF token; a foreign page can't press it."""
    app: Flask = make_app()
    CSRFProtect(app)

    @app.post("/disconnect")
    def disconnect() -> str:
        current_wepay.disconnect()
        return "Disconnected. Remove the application in your settings at WePay, too."

    app.add_url_rule("/token", view_func=generate_csrf)
    app.add_url_rule("/connected", view_func=lambda: str(current_wepay.authorized))
    browser = app.test_client()
    browser.get("/as/alice")
    wepay_connect(browser)

    forged = browser.post("/disconnect")
    still = browser.get("/connected").text
    pressed = browser.post("/disconnect", data={"csrf_token": browser.get("/token").text})

    assert (forged.status_code, still) == (400, "True")
    assert pressed.text.startswith("Disconnected")
    assert browser.get("/connected").text == "False"
    assert browser.get("/disconnect").status_code == 405
