"""The routes: login, callback and IPN. Each reads the request, calls a function, responds."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from flask import abort, current_app, redirect, request, session
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException, MethodNotAllowed
from werkzeug.wrappers import Response

from .. import ipns
from ..errors import AuthorizationError, WePayError
from ..oauth import flow, invitations
from ..oauth.logins import is_in_popup
from ..state import State, current_state
from ..tokens import Secret
from .front_ends import front_end, is_of_a_strangers_page
from .hosts import OnEveryHost
from .links import local_next, login_redirect
from .pages import login_url, note_login, noted_login, render
from .refusals import refuse
from .texts import CONNECTED, FINISHING, UNCONFIRMED

__all__ = ["blueprint"]

#: The most bytes of an IPN's body; a user's IPN has some twenty.
LARGEST_IPN = 64 * 1024
#: Seconds after which the page of a login in progress refreshes.
RELOAD_SECONDS = 2

blueprint = OnEveryHost(
    "wepay",
    __name__,
    template_folder="templates",
    static_folder="static",
    # Without a WEPAY_URL_PREFIX this is next to the application's own /static.
    static_url_path="/_static",
)
_ARGUMENT = re.compile(r"[!-~]{1,255}")

_logger = logging.getLogger("flask_wepay")


def _says_where(view: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
    """Set the login's target, and whether it is in a pop-up, on an error."""

    @wraps(view)
    def wrapper() -> ResponseReturnValue:
        try:
            return view()
        except WePayError as error:
            error.next_url, error.popup = noted_login()
            raise

    return wrapper


@blueprint.route("/login", methods=["GET"], provide_automatic_options=False)
@_says_where
def login() -> ResponseReturnValue:
    """Send the browser to WePay, unless the current token works."""
    if is_of_a_strangers_page():
        abort(403)
    state = _enter()
    force, popup = request.args.get("force") == "1", request.args.get("display") == "popup"
    next_path = local_next(request.args.get("next"))
    note_login(next_path, popup=popup)
    asks = front_end(state)
    owner = flow.login_owner(state, make=asks == "page")
    if asks != "page" or owner is None:
        return refuse(state, owner, login_url(next_path, force=force, popup=popup))
    # Fail before the user goes to WePay, rather than after.
    login_redirect(state)
    if not force and flow.connection_works(state, owner):
        return _go_on(state)
    return redirect(flow.begin(state, owner, next_path, popup=popup))


@blueprint.route("/callback", methods=["GET"], provide_automatic_options=False)
@_says_where
def callback() -> ResponseReturnValue:
    """Receive the browser back from WePay, and connect its owner."""
    state = _enter()
    login_state = _secret("state")
    popup = is_in_popup(login_state)
    note_login(None, popup=popup)
    login = flow.login_of(state, login_state)
    if login is not None:
        # Checked again, because a session is no more trustworthy than its request.
        note_login(local_next(login.next_path), popup=popup)
    error = request.args.get("error")
    if error is not None:
        description = request.args.get("error_description")
        raise flow.refusal(login, error, description)
    progress = flow.finish(state, login, _secret("code"))
    if progress == "granted":
        return _go_on(state)
    if progress == "pending":
        page = render(
            "wepay/finishing.html",
            FINISHING,
            None,
            seconds=RELOAD_SECONDS,
            reload_seconds=RELOAD_SECONDS,
        )
        return page, 202, {"Refresh": str(RELOAD_SECONDS)}
    raise AuthorizationError(UNCONFIRMED)


@blueprint.route("/ipn", methods=["POST"], provide_automatic_options=False)
def ipn() -> ResponseReturnValue:
    """Receive an IPN, which only triggers a lookup."""
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
        _logger.warning("An IPN can't be handled now; WePay will deliver it again: %s", error)
    except Exception:
        _logger.exception("An IPN could not be handled; WePay will deliver it again.")
    return "", 200 if handled else 503


def _go_on(state: State) -> ResponseReturnValue:
    """Send a connected user to the target, or notify the pop-up's opener and close it."""
    invitations.end(session)
    next_path, popup = noted_login()
    if popup:
        return render("wepay/connected.html", CONNECTED, next_path, popup="yes", result="connected")
    return redirect(next_path or login_redirect(state))


@blueprint.after_request
def protect(response: Response) -> Response:
    """Keep codes and states out of caches and out of the Referer of the next page."""
    if request.endpoint == "wepay.static":
        return response
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


@blueprint.url_value_preprocessor
def exempt_ipn_from_csrf(endpoint: str | None, values: Any) -> None:
    """Exempt IPNs from Flask-WTF's CSRFProtect, which may be initialised after us.

    This runs before all before_request functions, including CSRFProtect's.
    """
    csrf = current_app.extensions.get("csrf")
    if endpoint == "wepay.ipn" and csrf is not None:
        csrf.exempt(current_app.view_functions[endpoint])


def _enter() -> State:
    """Enter a route for browsers; HEAD is refused."""
    if request.method != "GET":
        raise MethodNotAllowed(valid_methods=["GET"])
    state = current_state()
    if state.settings.access_token is not None:
        abort(404)
    state.store.recover()
    return state


def _secret(name: str) -> Secret | None:
    """Return an argument if it is short printable ASCII and given once, else None."""
    values = request.args.getlist(name)
    return Secret(values[0]) if len(values) == 1 and _ARGUMENT.fullmatch(values[0]) else None


def _ipn_body() -> Mapping[str, object]:
    """Return the form or the JSON object of an IPN, or an empty mapping for another body."""
    request.max_content_length = LARGEST_IPN
    try:
        if not request.is_json:
            return request.form.to_dict()
        body = json.loads(request.get_data())
    except (HTTPException, ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}
