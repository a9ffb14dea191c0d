"""Responses to errors, and to requests that need a connection first.

A page gets a page, a script gets a problem document, and htmx gets an HX-Redirect.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from math import ceil

from flask import current_app, make_response, redirect, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import Unauthorized
from werkzeug.wrappers import Response

from ..errors import (
    AuthorizationDenied,
    AuthorizationError,
    ConfigurationError,
    ExchangeFailed,
    NotAuthorized,
    OutcomeUnknown,
    StateMismatch,
    StoreUnavailable,
    Throttled,
    TokenUnreadable,
    WePayError,
)
from ..state import State, browser_may_own, current_owner, current_state
from .front_ends import front_end, here, page_of_request
from .pages import language_of_request, login_url, may_log, noted_login, render
from .texts import Text, text_of

__all__ = ["answer", "refuse", "show_error", "to_login"]

_logger = logging.getLogger("flask_wepay")


def to_login(state: State, owner: str | None) -> ResponseReturnValue:
    """Send a browser that must connect first to wepay.login, and back to this page.

    :raises NotAuthorized: if that isn't possible: for a script, for methods other than GET, or
        if nobody is logged in and Flask-Login isn't used.
    """
    asks, somebody = front_end(state), owner is not None or browser_may_own(state)
    if asks == "page" and somebody and request.method in ("GET", "HEAD"):
        return redirect(login_url(here()))
    return refuse(state, owner, login_url(page_of_request()))


def refuse(state: State, owner: str | None, connect_url: str) -> ResponseReturnValue:
    """Refuse a request that needs a connection; if nobody is logged in, as Flask-Login does.

    A script would follow Flask-Login's redirect to the login page, so it gets that response
    only from an ``unauthorized_handler``.

    :raises NotAuthorized: in all other cases.
    """
    if owner is not None or browser_may_own(state):
        message = "Connect with WePay first, then send this again."
        raise NotAuthorized(message, owner=owner, connect_url=connect_url)
    login_manager = getattr(current_app, "login_manager", None)
    if login_manager is not None and (
        front_end(state) == "page" or login_manager.unauthorized_callback
    ):
        return login_manager.unauthorized()  # type: ignore[no-any-return]
    raise NotAuthorized("Nobody is logged in.", connect_url=connect_url)


def show_error(error: WePayError) -> ResponseReturnValue:
    """Return the response to an error of our own routes; errors of other views propagate.

    It is registered on the application, so that the application's own handlers come first.
    """
    if request.blueprint != "wepay" and not _is_refusal(error):
        return _leave_to_app(error)
    return answer(error)


def answer(error: WePayError) -> ResponseReturnValue:
    """Return the response to an error, in the form that fits the front end."""
    state, status = current_state(), _status(error)
    if status >= 500:
        _log(error)
    if status == HTTPStatus.UNAUTHORIZED:
        # An application's handler for 401 may lead to its page to log in on.
        own = current_app.handle_user_exception(Unauthorized())
        if not isinstance(own, Unauthorized):
            return own
    asks = _front_end_of(state)
    response = _page(error, status) if asks == "page" else _problem(error, status)
    if asks == "htmx" and isinstance(error, NotAuthorized):
        # https://htmx.org/headers/hx-redirect/
        response.headers["HX-Redirect"] = _retry_url(error)
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(_seconds(error))
    response.headers["Cache-Control"] = "no-store"
    return response


def _page(error: WePayError, status: int) -> Response:
    denied, next_path = isinstance(error, AuthorizationDenied), _next_path(error)
    page = render(
        "wepay/denied.html" if denied else "wepay/error.html",
        _text(error),
        next_path,
        popup=_popup(),
        result="denied" if denied else "error",
        seconds=_seconds(error),
        error=error,
        retry_url=_retry_url(error),
        reconnect_url=login_url(next_path, force=True, popup=noted_login().popup),
        at_login=_at_login(),
    )
    return make_response(page, status)


def _popup() -> str:
    """Return whether to notify the page that opened this window: "yes", "maybe" or "".

    It is unknown whether WePay sends the state with a denial. Without it the window's name
    decides.
    """
    if noted_login().popup:
        return "yes"
    stateless = request.endpoint == "wepay.callback" and "state" not in request.args
    return "maybe" if stateless else ""


def _problem(error: WePayError, status: int) -> Response:
    """Answer a script: https://www.rfc-editor.org/rfc/rfc9457."""
    text = language_of_request().text(_text(error), seconds=_seconds(error))
    problem = {
        # Without a "type" the title is the status's own.
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": f"{text.heading}. {text.text}",
        "error": type(error).__name__,
    }
    if isinstance(error, NotAuthorized) or "retry" in dict(text.ways):
        problem["connect_url"] = _retry_url(error)
    response = make_response(json.dumps(problem), status)
    response.mimetype = "application/problem+json"
    return response


def _text(error: WePayError) -> Text:
    nobody = _status(error) == HTTPStatus.UNAUTHORIZED
    return text_of(error, at_login=_at_login(), nobody=nobody)


def _at_login() -> bool:
    return request.endpoint == "wepay.login"


def _front_end_of(state: State) -> str:
    """Return the kind of front end, for a response that is an error already."""
    try:
        return front_end(state)
    except ConfigurationError:
        return "page"


def _next_path(error: WePayError) -> str | None:
    """Return where the user wanted to go: the login's `next`, else the requesting page."""
    asked = page_of_request() if isinstance(error, NotAuthorized) else None
    return noted_login().next_path or asked


def _retry_url(error: WePayError) -> str:
    given = error.connect_url if isinstance(error, NotAuthorized) else None
    return given or login_url(_next_path(error), popup=noted_login().popup)


def _seconds(error: WePayError) -> int:
    return ceil(error.retry_after) if isinstance(error, Throttled) else 0


def _log(error: WePayError) -> None:
    """Log an error of our own routes; what visitors can cause is rate-limited, and not an ERROR."""
    if isinstance(error, ConfigurationError | StoreUnavailable):
        _logger.error("%s: %s", type(error).__name__, error)
    elif may_log():
        _logger.warning("%s: %s", type(error).__name__, error)


def _status(error: WePayError) -> int:
    if isinstance(error, StateMismatch):
        return 400
    if isinstance(error, NotAuthorized) and error.owner is None:
        return 403 if browser_may_own(current_state()) else 401
    if isinstance(error, AuthorizationDenied | NotAuthorized):
        return 403
    if isinstance(error, ExchangeFailed):
        return 502
    if isinstance(error, AuthorizationError):
        return 409 if error.error is None else 400
    if isinstance(error, ConfigurationError) and not isinstance(error, TokenUnreadable):
        return 500
    if isinstance(error, OutcomeUnknown) and request.endpoint == "wepay.callback":
        return 502
    return 503


def _is_refusal(error: WePayError) -> bool:
    """Return whether the current owner was refused a view that needs a connection."""
    return isinstance(error, NotAuthorized) and error.owner == current_owner(current_state())


def _leave_to_app(error: WePayError) -> ResponseReturnValue:
    """Handle an error as Flask would without our handler."""
    handlers = current_app.error_handler_spec[None][None]
    bases = type(error).__mro__
    for base in bases[bases.index(WePayError) + 1 :]:
        if base in handlers:
            return current_app.ensure_sync(handlers[base])(error)  # type: ignore[no-any-return]
    raise error
