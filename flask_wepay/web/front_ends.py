"""Detect which kind of front end sends a request, and from which page of this site.

Only a navigation of the browser starts a login: a script that polls would push the current
login out of the session.
"""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from flask import request

from ..errors import ConfigurationError
from ..oauth.logins import SAFE
from ..state import State
from .links import local_next

__all__ = ["front_end", "here", "is_of_a_strangers_page", "is_of_another_site", "page_of_request"]

FRONT_ENDS = ("page", "htmx", "script")
HTML = ("text/html", "application/xhtml+xml")


def front_end(state: State) -> str:
    """Return the kind of front end: "page" (a browser that navigates), "htmx" or "script".

    :raises ConfigurationError: if the application's hook returns anything else.
    """
    hook = state.hooks.front_end
    chosen = hook() if hook is not None else None
    if chosen is None:
        return _front_end()
    if chosen not in FRONT_ENDS:
        raise ConfigurationError(
            f"'front_end' gave {chosen!r}: give one of {', '.join(FRONT_ENDS)}, or None."
        )
    return chosen


def _front_end() -> str:
    headers = request.headers
    if headers.get("HX-Request") == "true":
        # https://htmx.org/reference/#request_headers
        return "htmx"
    # A browser requests a prefetched page again when the user goes there.
    in_advance = "prefetch" in headers.get("Sec-Purpose", headers.get("Purpose", ""))
    if in_advance or headers.get("X-Requested-With") == "XMLHttpRequest":
        return "script"
    # https://www.w3.org/TR/fetch-metadata/#sec-fetch-mode-header
    mode = headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return "page" if mode == "navigate" else "script"
    # It is not sent over http. Whatever goes to a page names HTML; tests often send nothing.
    names_html = any(kind in HTML for kind in request.accept_mimetypes.values())
    return "page" if names_html or "Accept" not in headers else "script"


def is_of_a_strangers_page() -> bool:
    """Return whether another site's page sends this request without navigating here.

    A link, in an e-mail for example, navigates here; a frame or an image doesn't.
    https://www.w3.org/TR/fetch-metadata/
    """
    mode, target = (request.headers.get(f"Sec-Fetch-{name}") for name in ("Mode", "Dest"))
    leads_here = mode in (None, "navigate") and target in (None, "document")
    return is_of_another_site() and not leads_here


def is_of_another_site() -> bool:
    """Return whether another site's page sent this request, as far as the browser says."""
    return request.headers.get("Sec-Fetch-Site") == "cross-site"


def here() -> str:
    """Return the path and query of this request, as encoded by the client."""
    # request.full_path is decoded, and doesn't always encode to the same URL again.
    path = request.environ.get("SCRIPT_NAME", "") + request.environ["PATH_INFO"]
    address = quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~")
    if request.query_string:
        address += "?" + quote(request.query_string, safe=SAFE)
    return address


def page_of_request() -> str | None:
    """Return the path of the page that sent this request, or None for another site's page."""
    if request.headers.get("HX-Boosted") == "true" and request.method == "GET":
        # A link to a page, which htmx follows in the browser's place.
        return local_next(here())
    address = request.headers.get("HX-Current-URL") or request.headers.get("Referer", "")
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or parts.netloc != request.host:
        return None
    return local_next(parts._replace(scheme="", netloc="", fragment="").geturl())
