"""Local URLs, which stay on this site whatever a proxy's headers say."""

from __future__ import annotations

import re
from typing import Any

from flask import request, url_for
from werkzeug.routing import BuildError

from ..errors import ConfigurationError
from ..oauth.logins import local_path
from ..state import State

__all__ = ["home", "link", "local_next", "login_redirect"]

#: Matches what browsers treat as the slashes before a host.
_SLASHES = re.compile(r"^[/\\\x00-\x20]+")


def link(endpoint: str, **values: Any) -> str:
    """Return the URL of an endpoint for a link or a redirect.

    If a proxy passes X-Forwarded-Prefix on, a stranger can choose what url_for starts with,
    and two slashes would lead to another site.
    """
    return _SLASHES.sub("/", url_for(endpoint, **values))


def local_next(target: str | None) -> str | None:
    """Return a `next` that stays on this site and leads past our own routes, or None."""
    own_paths = (link(f"wepay.{name}") for name in ("login", "callback", "ipn"))
    return local_path(target, own_paths)


def login_redirect(state: State) -> str:
    """Return the target of a login without `next`.

    :raises ConfigurationError: if WEPAY_LOGIN_REDIRECT is an unknown endpoint.
    """
    target = state.settings.login_redirect
    if target == "/":
        return _root()
    try:
        return target if target.startswith("/") else link(target)
    except BuildError:
        raise ConfigurationError(
            f"'WEPAY_LOGIN_REDIRECT' is {target!r}, which isn't an endpoint without arguments:"
            ' give the name of one, or a path such as "/dashboard".'
        ) from None


def home(state: State) -> str:
    """Return the target of an error page's link back to the site."""
    try:
        return login_redirect(state)
    except ConfigurationError:
        return _root()


def _root() -> str:
    """Return the root of the application, which may be mounted below the root of the site."""
    return local_path(f"{request.script_root}/", ()) or "/"
