"""Addresses on this site, which stay on it whatever a proxy says of where that is."""

from __future__ import annotations

import re
from typing import Any

from flask import request, url_for
from werkzeug.routing import BuildError

from .errors import ConfigurationError
from .oauth.logins import local_path
from .state import State

__all__ = ["home", "link", "local_next", "login_redirect"]

#: What browsers take for the slashes before a host.
_SLASHES = re.compile(r"^[/\\\x00-\x20]+")


def link(endpoint: str, **values: Any) -> str:
    """Return the address of an endpoint for a link or a redirect.

    Where a proxy passes X-Forwarded-Prefix on, what url_for begins with is a stranger's to
    write, and two slashes lead to another site.
    """
    return _SLASHES.sub("/", url_for(endpoint, **values))


def local_next(target: str | None) -> str | None:
    """Return a `next` that stays on this site and leads past our own routes, or None."""
    own_paths = (link(f"wepay.{name}") for name in ("login", "callback", "ipn"))
    return local_path(target, own_paths)


def login_redirect(state: State) -> str:
    """Return where a login without `next` leads.

    :raises ConfigurationError: if WEPAY_LOGIN_REDIRECT is no endpoint.
    """
    target = state.settings.login_redirect
    if target == "/":
        return _root()
    try:
        return target if target.startswith("/") else link(target)
    except BuildError:
        raise ConfigurationError(
            f"'WEPAY_LOGIN_REDIRECT' is {target!r}, and there is no such endpoint without"
            ' arguments: give one that is, or a path such as "/dashboard".'
        ) from None


def home(state: State) -> str:
    """Return where an error page leads back to."""
    try:
        return login_redirect(state)
    except ConfigurationError:
        return _root()


def _root() -> str:
    """Return the application's own root, which is not the site's where it is mounted below it."""
    return local_path(f"{request.script_root}/", ()) or "/"
