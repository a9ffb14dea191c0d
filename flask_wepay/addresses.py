"""WePay's own URLs, and its rules for the URLs of an application.

https://developer.wepay.com/api/api-calls/oauth2
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from .errors import ConfigurationError

__all__ = [
    "LONGEST_URI",
    "addresses_at_wepay",
    "check_callback_uri",
    "check_redirect_uri",
    "is_local",
]

#: The authorize page and the base URL of every call, by environment.
_HOSTS = {
    "production": ("https://www.wepay.com/v2/oauth2/authorize", "https://wepayapi.com/v2/"),
    "stage": ("https://stage.wepay.com/v2/oauth2/authorize", "https://stage.wepayapi.com/v2/"),
}
LONGEST_URI = 2083


def addresses_at_wepay(environment: str, sandbox_url: str, *, ready_made: bool) -> tuple[str, str]:
    """Return the URL of the authorize page, and the base URL of every call.

    Only the sandbox's `ready_made` application, whose secret is public, may use http to
    another machine.

    :raises ConfigurationError: if the base URL of the sandbox is invalid.
    """
    if environment != "sandbox":
        return _HOSTS[environment]
    url = sandbox_url.rstrip("/")
    parts = _split(url, "WEPAY_SANDBOX_URL")
    away = parts.scheme == "http" and not is_local(parts.hostname or "")
    _refuse(
        "WEPAY_SANDBOX_URL",
        (re.search("[?#]", url), "has a query or fragment", "give only the base URL"),
        (parts.path.endswith("/v2"), "ends in /v2", "leave it out: every call adds it"),
        (
            away and not ready_made,
            "is http on another machine",
            "a client secret of your own goes over https only",
        ),
    )
    # The URL of a request has its host in lower case.
    base = parts._replace(netloc=parts.netloc.lower()).geturl() + "/v2/"
    return base + "oauth2/authorize", base


def check_redirect_uri(uri: str, environment: str, name: str) -> None:
    """Check a redirect URI; `name` is its source, for the error.

    :raises ConfigurationError: if WePay would refuse it.
    """
    host = _check(uri, environment, name)
    _refuse(
        name,
        (
            "_" in host,
            f"has an underscore in its host {host!r}",
            "WePay's domain match fails on it, so use a host without one",
        ),
    )


def check_callback_uri(uri: str, environment: str, name: str) -> None:
    """Check a callback_uri for IPNs; `name` is its source, for the error.

    :raises ConfigurationError: if WePay would refuse it, or can't reach it.
    """
    host = _check(uri, environment, name)
    _refuse(
        name,
        (
            environment != "sandbox" and is_local(host),
            "is on localhost, which WePay can't reach",
            "give a public address, or False for no IPNs",
        ),
    )


def is_local(host: str) -> bool:
    """Return whether a host is this machine, which WePay can't reach."""
    host = host.rstrip(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _check(uri: str, environment: str, name: str) -> str:
    """Check a URL of the application that WePay is given, and return its host."""
    parts = _split(uri, name)
    host = parts.hostname or ""
    production = environment == "production"
    _refuse(
        name,
        (len(uri) > LONGEST_URI, f"is over {LONGEST_URI} characters", "WePay accepts up to that"),
        ("#" in uri, "has a fragment", "leave out the part from '#' on"),
        (production and is_local(host), "is on localhost", "give the site's public address"),
        (production and parts.scheme != "https", "is http", "in production WePay requires https"),
        (production and parts.port is not None, "has a port", "in production WePay accepts none"),
    )
    return host


def _split(uri: str, name: str) -> SplitResult:
    form = "give it as https://host/path"
    try:
        parts = urlsplit(uri)
        absolute = parts.scheme in ("http", "https") and parts.port != 0
    except ValueError:
        raise ConfigurationError.of(name, "is not an address", form) from None
    # urlsplit drops newlines, and browsers treat a backslash as a slash.
    plain = re.fullmatch(r"[!-\[\]-~]+", uri)
    _refuse(
        name,
        (not absolute or not plain, "is not an absolute address", form),
        # As Werkzeug reads the Host header.
        (not parts.hostname, "has no host", f"{form}; one with an underscore counts as none"),
        (parts.netloc.endswith(":"), "has a colon and no port", form),
        ("@" in parts.netloc, "has a user or password in it", form),
    )
    return parts


def _refuse(name: str, *rules: tuple[object, str, str]) -> None:
    """Raise for the first rule that applies: (whether it does, what is wrong, what to do)."""
    for broken, what, mistake in rules:
        if broken:
            raise ConfigurationError.of(name, what, mistake)
