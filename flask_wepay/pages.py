"""What our routes answer where a login does not simply go on: pages, and errors as pages."""

from __future__ import annotations

import logging
from math import ceil
from pathlib import Path
from typing import Any

from flask import current_app, make_response, render_template, request
from flask.typing import ResponseReturnValue
from jinja2 import Environment, FileSystemLoader

from .api.windows import Budget
from .errors import (
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
from .links import home, link
from .state import current_owner, current_state
from .texts import Text, text_of

__all__ = ["NEXT", "render", "show_error"]

#: Where a request's environ has the `next` that its error page leads to; g may outlive requests.
NEXT = "flask_wepay.next"

#: Lines that visitors can cause in the log.
_MOST_LOGGED = Budget("lines", 20, 60, "minute")

#: Our own templates, without an application's layout, globals and context processors.
_PLAIN = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True
)

_logger = logging.getLogger("flask_wepay")


def show_error(error: WePayError) -> ResponseReturnValue:
    """Answer an error of our own routes with a page; other views' errors go on as they are.

    Registered for the application, so that an application's own handlers come first.
    """
    if request.blueprint != "wepay" and not _is_refusal(error):
        return _leave_to_app(error)
    status = _status(error)
    if status >= 500:
        _log(error)
    at_login = request.endpoint == "wepay.login"
    next_path = request.environ.get(NEXT) or None
    page = render(
        "wepay/denied.html" if isinstance(error, AuthorizationDenied) else "wepay/error.html",
        text_of(error, at_login=at_login),
        seconds=_seconds(error),
        error=error,
        retry_url=link("wepay.login", next=next_path),
        reconnect_url=link("wepay.login", next=next_path, force=1),
        next_url=next_path or home(current_state()),
        at_login=at_login,
    )
    response = make_response(page, status)
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(_seconds(error))
    return response


def render(template: str, text: Text, *, seconds: int = 0, **variables: Any) -> str:
    """Render a page; an application's template of this name comes first.

    Its layout, or a context processor, may ask for what just failed. Our own page needs none of
    that and stands in.
    """
    ways = {
        "retry": variables.get("retry_url"),
        "reconnect": variables.get("reconnect_url"),
        "next": variables.get("next_url"),
        "reload": "",
    }
    variables |= {
        "heading": text.heading,
        "text": text.text.replace("%(seconds)d", str(seconds)),
        "actions": [{"url": ways[way], "label": label} for way, label in text.ways],
        "lang": "en",
        "style_url": link("wepay.static", filename="pages.css"),
    }
    try:
        return render_template(template, **variables)
    except Exception:
        if _may_log():
            _logger.exception("The template %r failed, so a plain page stands in for it.", template)
        return _PLAIN.get_template(template).render(variables)


def _seconds(error: WePayError) -> int:
    return ceil(error.retry_after) if isinstance(error, Throttled) else 0


def _log(error: WePayError) -> None:
    """Log an error of our own routes; what any visitor can cause is bounded, and no ERROR."""
    if isinstance(error, ConfigurationError | StoreUnavailable):
        _logger.error("%s: %s", type(error).__name__, error)
    elif _may_log():
        _logger.warning("%s: %s", type(error).__name__, error)


def _may_log() -> bool:
    return current_state().log_lines.take([_MOST_LOGGED]) is None


def _status(error: WePayError) -> int:
    if isinstance(error, StateMismatch):
        return 400
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
    """Tell whether the current owner was refused a view for want of a connection."""
    return isinstance(error, NotAuthorized) and error.owner == current_owner(current_state())


def _leave_to_app(error: WePayError) -> ResponseReturnValue:
    """Do with an error what Flask would have done without our handler."""
    handlers = current_app.error_handler_spec[None][None]
    bases = type(error).__mro__
    for base in bases[bases.index(WePayError) + 1 :]:
        if base in handlers:
            return current_app.ensure_sync(handlers[base])(error)  # type: ignore[no-any-return]
    raise error
