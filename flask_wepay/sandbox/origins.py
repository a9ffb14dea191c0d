"""The check of a request's origin: the sandbox's own names, and no other site."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

#: The names of this machine, which no foreign name server can map to another.
LOOPBACK = ("127.0.0.1", "localhost", "::1")

AUTHORIZE = "/v2/oauth2/authorize"

_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([\w.-]+))(?::\d+)?", re.ASCII)


def find_refusal(environ: WSGIEnvironment, names: Collection[str]) -> str | None:
    """Return why a request is refused, or None if it is accepted.

    Another site's page, open in a developer's browser, can send requests to any port of the
    machine. If its name is rebound to 127.0.0.1, it could read the answers too, and only the
    ``Host`` header reveals that.
    """
    host = environ.get("HTTP_HOST", "").lower()
    matched = _HOST.fullmatch(host)
    if matched is None or (matched[1] or matched[2]) not in names:
        return (
            f"The sandbox answers to {', '.join(sorted(names))}, and not to {host[:255]!r}."
            " Start it with '--name' if that is a name of your own."
        )
    if not _is_visit(environ) and _comes_from_elsewhere(environ, host):
        return "Pages of other sites can lead to the sandbox's pages, and do nothing else."
    return None


def is_loopback(host: str) -> bool:
    """Return whether an address is reachable only from the same machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in LOOPBACK


def _is_visit(environ: WSGIEnvironment) -> bool:
    # A top-level navigation, as to the authorize page.
    if (environ["REQUEST_METHOD"], environ.get("HTTP_SEC_FETCH_DEST")) != ("GET", "document"):
        return False
    path = environ["PATH_INFO"]
    return path == AUTHORIZE or not path.startswith("/v2/")


def _comes_from_elsewhere(environ: WSGIEnvironment, host: str) -> bool:
    # Browsers send both headers; other clients send neither.
    origin = environ.get("HTTP_ORIGIN")
    site = environ.get("HTTP_SEC_FETCH_SITE")
    own = f"{environ['wsgi.url_scheme']}://{host}"
    return origin not in (None, own) or site in {"cross-site", "same-site"}
