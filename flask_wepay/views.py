"""The routes: login, callback and IPN. Each reads the request, calls one function, answers."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from math import ceil
from typing import Any
from urllib.parse import quote

from flask import (
    Blueprint,
    abort,
    current_app,
    make_response,
    redirect,
    render_template,
    request,
    url_for,
)
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.routing import BuildError
from werkzeug.wrappers import Response

from . import ipns
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
from .oauth import flow
from .oauth.logins import SAFE, local_path
from .state import State, current_owner, current_state
from .tokens import Secret

__all__ = ["blueprint", "show_error", "to_login", "unauthorized"]

#: Bytes of an IPN's body; a user's IPN has some twenty.
LARGEST_IPN = 64 * 1024
LONGEST_ARGUMENT = 255
#: Seconds after which the page of a login in progress looks again.
RELOAD_SECONDS = 2
#: Where a request's environ has the `next` that its error page leads to; g may outlive requests.
NEXT = "flask_wepay.next"

#: Lines that visitors can cause in the log.
_MOST_LOGGED = Budget("lines", 20, 60, "minute")

blueprint = Blueprint("wepay", __name__, template_folder="templates")
_logger = logging.getLogger("flask_wepay")


@blueprint.route("/login", methods=["GET"], provide_automatic_options=False)
def login() -> ResponseReturnValue:
    """Send the browser to WePay, unless the current token works."""
    if _is_of_a_strangers_page():
        abort(403)
    state = _enter()
    owner = current_owner(state, make=True)
    if owner is None:
        return unauthorized()
    default = _login_redirect(state)
    next_path = local_path(request.args.get("next"), _own_paths())
    request.environ[NEXT] = next_path
    if request.args.get("force") != "1" and flow.connection_works(state, owner):
        return redirect(next_path or default)
    return redirect(flow.begin(state, owner, next_path))


@blueprint.route("/callback", methods=["GET"], provide_automatic_options=False)
def callback() -> ResponseReturnValue:
    """Take a browser back from WePay, and connect its owner."""
    state = _enter()
    owner, login_state = current_owner(state), _secret("state")
    request.environ[NEXT] = next_path = flow.next_of(state, owner, login_state)
    error = request.args.get("error")
    if error is not None:
        description = request.args.get("error_description")
        raise flow.refusal(state, owner, login_state, error, description)
    progress = flow.finish(state, owner, login_state, _secret("code"))
    if progress == "granted":
        return redirect(next_path or _login_redirect(state))
    if progress == "pending":
        page = render_template("wepay/finishing.html", reload_seconds=RELOAD_SECONDS)
        return page, 202, {"Refresh": str(RELOAD_SECONDS)}
    raise AuthorizationError("It may or may not have reached WePay. Connect again to be sure.")


@blueprint.route("/ipn", methods=["POST"], provide_automatic_options=False)
def ipn() -> ResponseReturnValue:
    """Take an IPN, which is a reason to look and never more."""
    state = current_state()
    signature = request.args.get(ipns.PARAMETER, "")
    origin = ipns.read_signature(state.settings, signature)
    if origin is None:
        return "", 403
    fields = ipns.read_fields(_ipn_body())
    if fields is None:
        return "", 400
    handled = False
    try:
        handled = ipns.handle(state, origin, fields)
    except WePayError as error:
        _logger.warning("An IPN can't be handled now, so WePay delivers it again: %s", error)
    except Exception:
        _logger.exception("An IPN could not be handled, so WePay delivers it again.")
    return "", 200 if handled else 503


@blueprint.after_request
def protect(response: Response) -> Response:
    """Keep codes and states out of caches and out of the Referer of the next page."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.url_value_preprocessor
def exempt_ipn_from_csrf(endpoint: str | None, values: Any) -> None:
    """Let IPNs through Flask-WTF's CSRFProtect, which may be initialised after us.

    This runs before any before_request function, CSRFProtect's among them.
    """
    csrf = current_app.extensions.get("csrf")
    if endpoint == "wepay.ipn" and csrf is not None:
        csrf.exempt(current_app.view_functions[endpoint])


def show_error(error: WePayError) -> ResponseReturnValue:
    """Answer an error of our own routes with a page; other views' errors go on as they are.

    Registered for the application, so that an application's own handlers come first.
    """
    if request.blueprint != "wepay" and not _is_refusal(error):
        return _leave_to_app(error)
    status = _status(error)
    if status >= 500:
        _log(error)
    next_path = request.environ.get(NEXT) or None
    page = render_template(
        "wepay/denied.html" if isinstance(error, AuthorizationDenied) else "wepay/error.html",
        error=error,
        retry_url=url_for("wepay.login", next=next_path),
        reconnect_url=url_for("wepay.login", next=next_path, force=1),
        next_url=next_path or _home(),
        at_login=request.endpoint == "wepay.login",
    )
    response = make_response(page, status)
    if isinstance(error, Throttled):
        response.headers["Retry-After"] = str(ceil(error.retry_after))
    return response


def to_login(state: State, owner: str | None) -> ResponseReturnValue:
    """Send a browser that has to connect first to wepay.login, and back to where it is.

    :raises NotAuthorized: where it can't come back, because the request is no GET.
    """
    if request.method not in ("GET", "HEAD"):
        raise NotAuthorized("Connect with WePay first, then send this again.", owner=owner)
    # request.full_path is decoded, so it would not always come back as it was.
    path = request.environ.get("SCRIPT_NAME", "") + request.environ["PATH_INFO"]
    here = quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~")
    if request.query_string:
        here += "?" + quote(request.query_string, safe=SAFE)
    return redirect(url_for("wepay.login", next=here))


def unauthorized() -> ResponseReturnValue:
    """Answer a request of nobody as Flask-Login does, and without it with 401."""
    login_manager = getattr(current_app, "login_manager", None)
    if login_manager is None:
        abort(401)
    return login_manager.unauthorized()  # type: ignore[no-any-return]


def _is_of_a_strangers_page() -> bool:
    """Tell whether another site's page asks for this address otherwise than by leading here.

    An image or a fetch of it would push a login under way out of those that a browser
    remembers. A link, in a mail for example, leads here.
    https://www.w3.org/TR/fetch-metadata/
    """
    asked = {name: request.headers.get(f"Sec-Fetch-{name}") for name in ("Site", "Mode", "Dest")}
    leads_here = asked["Mode"] in (None, "navigate") and asked["Dest"] in (None, "document")
    return asked["Site"] == "cross-site" and not leads_here


def _log(error: WePayError) -> None:
    """Log an error of our own routes; what any visitor can cause is bounded, and no ERROR."""
    if isinstance(error, ConfigurationError | StoreUnavailable):
        _logger.error("%s: %s", type(error).__name__, error)
    elif current_state().log_lines.take([_MOST_LOGGED]) is None:
        _logger.warning("%s: %s", type(error).__name__, error)


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


def _enter() -> State:
    """Begin a route of the browser's; HEAD, which has no business there, is refused."""
    if request.method != "GET":
        raise MethodNotAllowed(valid_methods=["GET"])
    state = current_state()
    if state.settings.access_token is not None:
        abort(404)
    state.store.recover()
    return state


def _secret(name: str) -> Secret | None:
    """Return an argument that is short printable ASCII and given once, or None."""
    values = request.args.getlist(name)
    if len(values) != 1 or not 0 < len(values[0]) <= LONGEST_ARGUMENT:
        return None
    return Secret(values[0]) if all("!" <= c <= "~" for c in values[0]) else None


def _ipn_body() -> Mapping[str, object]:
    """Return a form or a JSON object; nothing where the body is neither."""
    request.max_content_length = LARGEST_IPN
    try:
        if not request.is_json:
            return request.form.to_dict()
        body = json.loads(request.get_data())
    except (HTTPException, ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _own_paths() -> Iterator[str]:
    for name in ("login", "callback", "ipn"):
        yield url_for(f"wepay.{name}")


def _home() -> str:
    try:
        return _login_redirect(current_state())
    except ConfigurationError:
        return "/"


def _login_redirect(state: State) -> str:
    target = state.settings.login_redirect
    try:
        return target if target.startswith("/") else url_for(target)
    except BuildError:
        raise ConfigurationError(
            f"'WEPAY_LOGIN_REDIRECT' is {target!r}, and there is no such endpoint without"
            ' arguments: give one that is, or a path such as "/dashboard".'
        ) from None
