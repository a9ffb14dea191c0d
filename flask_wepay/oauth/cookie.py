"""Check that the session cookie survives a login, by the rules of browsers.

https://datatracker.ietf.org/doc/html/draft-ietf-httpbis-rfc6265bis
"""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask

from ..addresses import is_local
from ..errors import ConfigurationError

__all__ = ["check_cookie"]

#: Addresses that reach this machine, but that browsers don't treat as localhost.
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104

_wrong = ConfigurationError.of


def check_cookie(app: Flask, redirect_uri: str | None, begun_on: str | None = None) -> None:
    """Refuse a session cookie that would be lost between a login and its callback.

    `begun_on` is the host of the login. Either URL is None if only a request can tell it.

    :raises ConfigurationError: if the cookie would be lost; the message names the setting.
    """
    _check_attributes(app)
    if redirect_uri is not None:
        _check_scheme(app, redirect_uri)
        _check_host(app, redirect_uri, begun_on)
        _check_path(app, redirect_uri)


def _check_attributes(app: Flask) -> None:
    """Refuse attributes that make a browser drop the cookie, or not send it after WePay."""
    interface = app.session_interface
    name, same_site = interface.get_cookie_name(app), interface.get_cookie_samesite(app)
    if isinstance(same_site, str) and same_site.lower() == "strict":
        raise _wrong(
            "SESSION_COOKIE_SAMESITE",
            'is "Strict"',
            "browsers don't send the session when WePay redirects the user back, so every login"
            ' would fail; use "Lax"',
        )
    prefix = name.lower().partition("-")[0]
    for key, value, wants_secure in (
        ("SESSION_COOKIE_SAMESITE", same_site, str(same_site).lower() == "none" and same_site),
        ("SESSION_COOKIE_NAME", name, prefix in ("__host", "__secure")),
    ):
        if wants_secure and not interface.get_cookie_secure(app):
            raise _wrong(
                key,
                f"is {value!r} while 'SESSION_COOKIE_SECURE' is not set",
                "browsers drop such a cookie; set 'SESSION_COOKIE_SECURE' to True",
            )
    if prefix == "__host" and (
        interface.get_cookie_domain(app) or interface.get_cookie_path(app) != "/"
    ):
        raise _wrong(
            "SESSION_COOKIE_NAME",
            f"is {name!r}, but the cookie has a domain, or a path other than '/'",
            "browsers drop such a cookie; leave 'SESSION_COOKIE_DOMAIN' out, and set"
            " 'SESSION_COOKIE_PATH' to \"/\"",
        )


def _check_scheme(app: Flask, redirect_uri: str) -> None:
    parts = urlsplit(redirect_uri)
    host = parts.hostname or ""
    # Chromium and Firefox also send such a cookie over http to localhost.
    trusted = parts.scheme == "https" or (is_local(host) and host not in ANY_ADDRESS)
    if not trusted and app.session_interface.get_cookie_secure(app):
        raise _wrong(
            "SESSION_COOKIE_SECURE",
            f"is set, but a login comes back to {redirect_uri!r}, which doesn't get such a cookie",
            "serve the site over https; behind a proxy, did you forget ProxyFix, or an https"
            " 'WEPAY_REDIRECT_URI'?",
        )


def _check_host(app: Flask, redirect_uri: str, begun_on: str | None) -> None:
    domain = (app.session_interface.get_cookie_domain(app) or "").lstrip(".").lower()
    there = urlsplit(redirect_uri).hostname or ""
    here = there if begun_on is None else begun_on
    if domain:
        what = f"is {domain!r}"
        shared = all(host == domain or host.endswith(f".{domain}") for host in (here, there))
    else:
        what, shared = "is not set", here == there
    if not shared:
        raise _wrong(
            "SESSION_COOKIE_DOMAIN",
            f"{what}, and a login on {here!r} comes back to {redirect_uri!r}, which doesn't"
            " get this session's cookie",
            "start it on the same host, or correct this or 'WEPAY_REDIRECT_URI'",
        )


def _check_path(app: Flask, redirect_uri: str) -> None:
    cookie, path = app.session_interface.get_cookie_path(app), urlsplit(redirect_uri).path
    if path != cookie and not path.startswith(cookie.rstrip("/") + "/"):
        key = "SESSION_COOKIE_PATH" if app.config["SESSION_COOKIE_PATH"] else "APPLICATION_ROOT"
        raise _wrong(
            key,
            f"is {cookie!r}, but a login comes back to {redirect_uri!r}, which doesn't get this"
            " session's cookie",
            "set 'SESSION_COOKIE_PATH' to \"/\", or to the path that the site is mounted at",
        )
