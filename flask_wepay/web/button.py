"""A button for templates, which shows whether the current user is connected."""

from __future__ import annotations

import logging
from typing import Any

from flask import current_app
from markupsafe import Markup

from ..api.client import WePayClient
from ..errors import StoreUnavailable, TokenUnreadable
from ..state import State, current_owner, current_state
from .front_ends import front_end, here, page_of_request
from .links import local_next
from .pages import language_of_request, login_url, may_log
from .texts import CONNECT, CONNECTED, IN_A_WINDOW, NOT_NOW

__all__ = ["connect_button"]

_logger = logging.getLogger("flask_wepay")


def connect_button(
    next_url: str | None = None, *, popup: bool = False, **attributes: Any
) -> Markup:
    """Return a link to wepay.login, or a text for users who are connected already.

    In templates it is ``wepay_connect_button``. `next_url` is the path to come back to, the
    current page by default. With `popup` the login is in a window of its own, if the page loads
    the script ``connect.js``. `attributes` are the element's, such as ``class``.
    """
    state = current_state()
    say = language_of_request().say
    words = {"connected": CONNECTED.heading, "not-connected": CONNECT[1], "unknown": NOT_NOW}
    connection = _connection(state)
    template = current_app.jinja_env.get_template("wepay/button.html")
    return Markup(  # noqa: S704  (what it renders is escaped)
        template.render(
            connection=connection,
            label=say(words[connection]),
            login_url=login_url(local_next(next_url) or _page(state)),
            popup=popup,
            popup_hint=say(IN_A_WINDOW),
            connected_label=say(CONNECTED.heading),
            attributes={"class": "wepay-connect"} | attributes,
        )
    )


def _connection(state: State) -> str:
    try:
        connected = WePayClient(state, current_owner(state)).authorized
    except (StoreUnavailable, TokenUnreadable) as error:
        if may_log():
            _logger.warning("A button can't show the connection: %s", error)
        return "unknown"
    return "connected" if connected else "not-connected"


def _page(state: State) -> str | None:
    return here() if front_end(state) == "page" else page_of_request()
