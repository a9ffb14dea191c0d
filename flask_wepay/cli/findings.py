"""The findings of ``flask wepay check``, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from flask import current_app, url_for

from ..addresses import check_redirect_uri
from ..api.calls import Call, Deadline
from ..api.throttle import shared_storage
from ..errors import (
    APIError,
    ConfigurationError,
    ConnectionFailed,
    ServerError,
    Throttled,
    WePayError,
)
from ..ipns import Origin
from ..oauth.cookie import check_cookie
from ..state import State
from ..tokens import Token
from ..tokens.store import MERCHANT
from ..web.links import login_redirect
from .database import database_findings
from .output import FAIL, NOTE, OK, WARN, Finding, address_of_ipns, in_production

__all__ = ["findings_of"]

#: The version of the API that the package is written for.
API_VERSION = "2019-04-03"
#: Seconds.
PATIENCE = 10.0
SHORTEST_SECRET_KEY = 16


def findings_of(state: State) -> Iterator[Finding]:
    """Check one thing after another, the most relevant first."""
    yield from _wepay(state)
    if state.settings.access_token is None:
        yield from _redirect_uri(state)
        yield from _login_redirect(state)
        yield _owner(state)
    yield _callback_uri(state)
    yield _keys(state)
    yield from database_findings(state)
    yield from _session_cookie(state)
    yield _throttle(state)


def _wepay(state: State) -> Iterator[Finding]:
    """Try the credentials: https://developer.wepay.com/api/api-calls/app needs no token."""
    settings, secret = state.settings, state.settings.client_secret.value
    application: dict[str, Any] | None = None
    try:
        if settings.access_token is not None:
            _ask(state, "user", {}, state.store.find(MERCHANT).candidates[0].token)
        if secret:
            identity = {"client_id": settings.client_id, "client_secret": secret}
            application = _ask(state, "app", identity)
    except WePayError as error:
        yield Finding(_blamed(error), FAIL, f"{error}{_remedy(state, error)}")
        return
    yield Finding("WePay", OK, f"{settings.environment}: {settings.api_url} answers")
    if settings.access_token is not None:
        yield Finding("credentials", OK, "WePay accepts the token in 'WEPAY_ACCESS_TOKEN'.")
    if application is not None:
        yield from _application(state, application)


def _application(state: State, answer: Mapping[str, Any]) -> Iterator[Finding]:
    settings = state.settings
    is_active = answer.get("state") == "active"
    text = f"application {settings.client_id} is {answer.get('state')}"
    yield Finding("credentials", OK if is_active else FAIL, text)
    if settings.api_version is not None:
        yield Finding("API version", OK, settings.api_version)
    elif answer.get("api_version") == API_VERSION:
        yield Finding("API version", OK, f"{API_VERSION}, as set on the application's page")
    else:
        text = f"{answer.get('api_version')}, as set on the application's page; set"
        yield Finding("API version", NOTE, f"{text} 'WEPAY_API_VERSION' to {API_VERSION}")


def _ask(
    state: State, name: str, parameters: Mapping[str, Any], token: Token | None = None
) -> dict[str, Any]:
    call = Call.of(name, parameters, {})
    answer = state.caller.send(call, token, Deadline(PATIENCE))
    if isinstance(answer, APIError):
        raise answer
    return answer if isinstance(answer, dict) else {}


def _blamed(error: WePayError) -> str:
    code = getattr(error, "error_code", None)
    if code is None or isinstance(error, ServerError | Throttled):
        return "WePay"
    return "API version" if code in (1015, 1016) else "credentials"


def _remedy(state: State, error: WePayError) -> str:
    """Return the most likely mistake, as the end of a message."""
    settings = state.settings
    if isinstance(error, ConnectionFailed) and settings.environment == "sandbox":
        port = urlsplit(settings.api_url).port or 80
        return f" Start one with 'flask wepay sandbox --port {port}'."
    if _blamed(error) != "credentials":
        return ""
    if error.call == "user":  # type: ignore[attr-defined]
        return " Check 'WEPAY_ACCESS_TOKEN'."
    return " Check 'WEPAY_CLIENT_SECRET' and 'WEPAY_CLIENT_ID': stage and production share neither."


def _login_redirect(state: State) -> Iterator[Finding]:
    with current_app.test_request_context():
        try:
            login_redirect(state)
        except ConfigurationError as error:
            yield Finding("login redirect", FAIL, str(error))


def _redirect_uri(state: State) -> Iterator[Finding]:
    settings = state.settings
    if settings.redirect_uri is not None:
        # Validated when the application started.
        route = f"{settings.url_prefix}/callback"
        if urlsplit(settings.redirect_uri).path.endswith(route):
            yield Finding("redirect URI", OK, settings.redirect_uri)
        else:
            text = f"{settings.redirect_uri} does not end in {route}, where the callback is; that"
            yield Finding("redirect URI", WARN, f"{text} works only if a proxy rewrites the path")
        yield from _cookie_comes_back(settings.redirect_uri)
        return
    hosts = current_app.config.get("TRUSTED_HOSTS") or ()
    hosts = [hosts] if isinstance(hosts, str) else hosts
    for host in hosts:
        uri = f"https://{host.lstrip('.')}{settings.url_prefix}/callback"
        try:
            check_redirect_uri(uri, settings.environment, "TRUSTED_HOSTS")
        except ConfigurationError as error:
            yield Finding("redirect URI", FAIL, str(error))
        else:
            yield Finding("redirect URI", OK, f"{uri}, from 'TRUSTED_HOSTS'")
            yield from _cookie_comes_back(uri)
    if not hosts:
        yield Finding("redirect URI", NOTE, "from each request; checked at each login")
        # If no host is known, use the cookie's.
        host = current_app.session_interface.get_cookie_domain(current_app) or "localhost"
        with current_app.test_request_context():
            path = url_for("wepay.callback")
        yield from _cookie_comes_back(f"https://{host.lstrip('.')}{path}")


def _cookie_comes_back(uri: str) -> Iterator[Finding]:
    try:
        check_cookie(current_app, uri)
    except ConfigurationError as error:
        yield Finding("session cookie", FAIL, str(error))


def _callback_uri(state: State) -> Finding:
    name = "callback URI"
    if state.settings.callback_uri is False:
        text = "off: a revoked authorization is detected only by the next call"
        return Finding(name, in_production(state), text)
    try:
        uri = address_of_ipns(state, Origin())
    except ConfigurationError as error:
        if current_app.config["SERVER_NAME"] or state.settings.redirect_uri:
            return Finding(name, FAIL, str(error))
        return Finding(name, NOTE, "from each request")
    if uri is None:
        text = "none: this site is on localhost, or its address is too long to be signed"
        return Finding(name, in_production(state), text)
    return Finding(name, OK, uri.partition("?")[0])


def _keys(state: State) -> Finding:
    config = current_app.config
    keys = config["WEPAY_TOKEN_KEYS"]
    secrets = [config["SECRET_KEY"], *(config["SECRET_KEY_FALLBACKS"] or ())]
    if min(map(len, secrets)) < SHORTEST_SECRET_KEY:
        text = f"'SECRET_KEY' or a fallback has under {SHORTEST_SECRET_KEY} characters: make it"
        return Finding("keys", in_production(state), f"{text} long and random")
    if keys is None:
        return Finding(
            "keys", OK, f"{len(secrets)}, derived from 'SECRET_KEY' and 'SECRET_KEY_FALLBACKS'"
        )
    return Finding("keys", OK, f"{len(keys)} in 'WEPAY_TOKEN_KEYS'")


def _session_cookie(state: State) -> Iterator[Finding]:
    config, name = current_app.config, "session cookie"
    if not config["SESSION_COOKIE_SECURE"]:
        yield Finding(name, in_production(state), "set 'SESSION_COOKIE_SECURE' to True")
    if not config["SESSION_COOKIE_HTTPONLY"]:
        yield Finding(name, WARN, "set 'SESSION_COOKIE_HTTPONLY' to True")
    if config["SESSION_COOKIE_SAMESITE"] is None:
        yield Finding(name, NOTE, "set 'SESSION_COOKIE_SAMESITE' to \"Lax\"")


def _owner(state: State) -> Finding:
    if state.hooks.owner_loader is not None:
        return Finding("owner", OK, "from the owner_loader")
    if hasattr(current_app, "login_manager"):
        text = (
            "Flask-Login's current_user.get_id(); if that changes with the password, set an"
            " owner_loader, or a user who changes it is no longer connected"
        )
        return Finding("owner", NOTE, text)
    text = "a random id in the browser's session; set an owner_loader"
    if state.settings.environment == "production":
        return Finding("owner", FAIL, "there is no owner_loader and no Flask-Login: set one")
    return Finding("owner", NOTE, text)


def _throttle(state: State) -> Finding:
    settings, name = state.settings, "throttle"
    if settings.throttle is None:
        return Finding(name, in_production(state), "off: WePay refuses calls over its own limit")
    scheme = settings.throttle_storage.value.partition(":")[0]
    if scheme == "memory":
        text = f"{settings.throttle} in each process: share it with 'WEPAY_THROTTLE_STORAGE'"
        return Finding(name, in_production(state), text)
    if shared_storage().storage_of(settings.throttle_storage).check():
        return Finding(name, OK, f"{settings.throttle}, shared by {scheme}")
    return Finding(name, FAIL, f"{scheme} does not answer, so calls go on without a rate limit")
