"""The pages on which a login ends."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, NamedTuple

from flask import render_template, request
from jinja2 import Environment, FileSystemLoader

from ..api.windows import Budget
from ..state import current_state
from .languages import ENGLISH, Language, chosen_language
from .links import home, link
from .texts import Text

__all__ = [
    "Login",
    "language_of_request",
    "login_url",
    "may_log",
    "note_login",
    "noted_login",
    "render",
]

#: Where a request's environ has its login; g may outlive requests.
_LOGIN = "flask_wepay.login"

#: Lines that visitors can cause in the log.
_MOST_LOGGED = Budget("lines", 20, 60, "minute")

#: Our own templates, without an application's layout, globals and context processors.
_PLAIN = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True
)

_logger = logging.getLogger("flask_wepay")


class Login(NamedTuple):
    """The login of a request to our own routes: its target, and its kind of window."""

    next_path: str | None = None
    popup: bool = False


def note_login(next_path: str | None, *, popup: bool) -> None:
    """Store this request's login, for the response."""
    request.environ[_LOGIN] = Login(next_path or None, popup)


def noted_login() -> Login:
    """Return this request's login."""
    login: Login = request.environ.get(_LOGIN, Login())
    return login


def login_url(next_path: str | None, *, force: bool = False, popup: bool = False) -> str:
    """Return the URL of a login that comes back to a path of this site."""
    return link(
        "wepay.login",
        next=next_path,
        force=1 if force else None,
        display="popup" if popup else None,
    )


def render(
    template: str,
    text: Text,
    next_path: str | None,
    *,
    popup: str = "",
    seconds: int = 0,
    **variables: Any,
) -> str:
    """Render a page; an application's template of this name comes first.

    Its layout or a context processor may use what has just failed. Our own page, which
    doesn't use them, then takes its place.
    """
    language = language_of_request()
    words = language.text(text, seconds=seconds)
    next_url = next_path or home(current_state())
    ways = {
        "retry": variables.get("retry_url"),
        "reconnect": variables.get("reconnect_url"),
        "next": next_url,
        "reload": "",
    }
    variables |= {
        "heading": words.heading,
        "text": words.text,
        "actions": [
            # What leads on elsewhere closes a pop-up instead.
            {"url": ways[way], "label": label, "closes": bool(popup) and way == "next"}
            for way, label in words.ways
        ],
        "lang": language.code,
        "next_url": next_url,
        "popup": popup,
        "style_url": link("wepay.static", filename="pages.css"),
        "script_url": link("wepay.static", filename="popup.js"),
    }
    try:
        return render_template(template, **variables)
    except Exception:
        if may_log():
            _logger.exception("The template %r failed, so a plain page is shown instead.", template)
        return _PLAIN.get_template(template).render(variables)


def language_of_request() -> Language:
    """Return the language to answer in; choosing it may ask for what just failed, too."""
    try:
        return chosen_language()
    except Exception:
        if may_log():
            _logger.exception("The user's language can't be told, so it is English.")
        return ENGLISH


def may_log() -> bool:
    """Return whether one more line that a visitor can cause may be logged."""
    return current_state().log_lines.take([_MOST_LOGGED]) is None
