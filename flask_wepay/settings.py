"""Read and check ``WEPAY_*`` from app.config; a wrong one stops the application.

Every check says which key is wrong, what is wrong, and the likeliest mistake.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from flask import Flask

from .encryption import Keyring
from .errors import ConfigurationError
from .tokens import LARGEST_INTEGER, MalformedToken, Secret, check_access_token

__all__ = ["DEFAULTS", "Settings", "check_redirect_uri", "is_local", "read_settings"]

#: Every key and its default, set with setdefault.
DEFAULTS: dict[str, Any] = {
    "WEPAY_CLIENT_ID": None,
    "WEPAY_CLIENT_SECRET": None,
    "WEPAY_ENVIRONMENT": "stage",
    "WEPAY_SANDBOX_URL": "http://127.0.0.1:8010",
    "WEPAY_TOKEN_KEYS": None,
    "WEPAY_URL_PREFIX": "/wepay",
    "WEPAY_LOGIN_REDIRECT": "/",
    "WEPAY_REDIRECT_URI": None,
    "WEPAY_CALLBACK_URI": None,
    "WEPAY_API_VERSION": None,
    "WEPAY_TIMEOUT": 20,
    "WEPAY_CA_BUNDLE": None,
    "WEPAY_PROXIES": None,
    "WEPAY_THROTTLE": "30 per 10 seconds",
    "WEPAY_THROTTLE_STORAGE": "memory://",
    "WEPAY_ACCESS_TOKEN": None,
}

#: The application that every sandbox has ready.
SANDBOX_APPLICATION = (12345, "1a2b3c4d5e6f")

#: The authorization endpoint and the base of every call, per environment:
#: https://developer.wepay.com/api/api-calls/oauth2
_HOSTS = {
    "production": ("https://www.wepay.com/v2/oauth2/authorize", "https://wepayapi.com/v2/"),
    "stage": ("https://stage.wepay.com/v2/oauth2/authorize", "https://stage.wepayapi.com/v2/"),
}
_PREFIXES = {"production": "STAGE_", "stage": "PRODUCTION_"}
LONGEST_URI = 2083
LONGEST_SECRET = 255
#: The ratio of difflib that takes in names at most two letters apart.
_SIMILAR = 0.84


@dataclass(frozen=True, slots=True)
class Settings:
    """The checked settings of one application; secrets are out of the repr."""

    environment: str
    client_id: int
    client_secret: Secret
    authorize_url: str
    #: Ends in a slash; a call's name is appended.
    api_url: str
    keyring: Keyring
    url_prefix: str
    login_redirect: str
    redirect_uri: str | None
    #: None: the IPN route; False: no IPNs.
    callback_uri: str | bool | None
    api_version: str | None
    #: Seconds.
    timeout: float
    #: A path, or True for the bundle of certifi.
    ca_bundle: str | bool
    proxies: Mapping[str, str] = field(repr=False)
    throttle: str | None
    throttle_storage: str = field(repr=False)
    access_token: Secret | None

    @property
    def token_url(self) -> str:
        """The address that exchanges a code for a token."""
        return self.api_url + "oauth2/token"


def read_settings(app: Flask) -> Settings:
    """Set the defaults, check every setting, and return them.

    :raises ConfigurationError: for the first setting that is wrong.
    """
    for key, default in DEFAULTS.items():
        app.config.setdefault(key, default)
    config = app.config
    _check_spelling(config)
    for key in DEFAULTS:
        if config[key] == "" and key != "WEPAY_URL_PREFIX":
            raise _wrong(key, "is an empty string", "leave it out, or give it a value")

    environment = _environment(config)
    access_token = _access_token(config, environment)
    client_id, client_secret = _application(config, environment, access_token is not None)
    authorize_url, api_url = _addresses(config, environment, client_id)
    _check_session_cookie(config)
    return Settings(
        environment=environment,
        client_id=client_id,
        client_secret=Secret(client_secret),
        authorize_url=authorize_url,
        api_url=api_url,
        keyring=_keyring(config),
        url_prefix=_url_prefix(config),
        login_redirect=_login_redirect(config),
        redirect_uri=_redirect_uri(config, environment, access_token is not None),
        callback_uri=_callback_uri(config, environment),
        api_version=_api_version(config),
        timeout=_timeout(config),
        ca_bundle=_ca_bundle(config),
        proxies=_proxies(config),
        throttle=_throttle(config),
        throttle_storage=_string(config, "WEPAY_THROTTLE_STORAGE"),
        access_token=access_token,
    )


def check_redirect_uri(uri: str, environment: str, name: str) -> SplitResult:
    """Check a redirect URI against WePay's rules, and return its parts.

    `name` says in the error where the address comes from.

    :raises ConfigurationError: if WePay would refuse it.
    """
    parts = _address(uri, name, environment)
    if "_" in (parts.hostname or ""):
        raise _wrong(
            name,
            f"has an underscore in its host {parts.hostname!r}",
            "WePay's domain match breaks on it; use a host without underscores",
        )
    if environment == "production" and is_local(parts.hostname or ""):
        raise _wrong(name, "is on localhost", "in production give the site's public address")
    return parts


def is_local(host: str) -> bool:
    """Tell whether a host is this machine, which WePay can't reach."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _wrong(key: str, what: str, mistake: str) -> ConfigurationError:
    return ConfigurationError(f"'{key}' {what}: {mistake}.")


def _check_spelling(config: Mapping[str, Any]) -> None:
    for key in config:
        if not key.startswith("WEPAY_") or key in DEFAULTS:
            continue
        similar = difflib.get_close_matches(key, DEFAULTS, n=1, cutoff=_SIMILAR)
        if similar:
            raise _wrong(key, "is no setting of Flask-WePay", f"did you mean '{similar[0]}'?")
        warnings.warn(f"'{key}' is no setting of Flask-WePay and is ignored.", stacklevel=4)


def _string(config: Mapping[str, Any], key: str) -> str:
    value = config[key]
    if not isinstance(value, str):
        kind = type(value).__name__
        quoted = "from_prefixed_env reads digits as a number, so quote it" if kind == "int" else ""
        raise _wrong(key, f"is of type {kind}, not a string", quoted or "give a string")
    return value


def _environment(config: Mapping[str, Any]) -> str:
    value = config["WEPAY_ENVIRONMENT"]
    known = [*_HOSTS, "sandbox"]
    if value not in known:
        raise _wrong(
            "WEPAY_ENVIRONMENT",
            f"is {value!r}",
            'it is one of "stage", "production" and "sandbox", in lower case',
        )
    return str(value)


def _application(config: Mapping[str, Any], environment: str, has_token: bool) -> tuple[int, str]:
    """Return the client id and secret; 0 and nothing where a token stands in for them."""
    default_id, default_secret = SANDBOX_APPLICATION if environment == "sandbox" else (None, None)
    client_id, secret = config["WEPAY_CLIENT_ID"], config["WEPAY_CLIENT_SECRET"]
    if has_token and client_id is None and secret is None:
        return default_id or 0, default_secret or ""
    client_id = default_id if client_id is None else client_id
    if client_id is None:
        raise _wrong(
            "WEPAY_CLIENT_ID", "is missing", "copy it from your application's page at WePay"
        )
    if isinstance(client_id, str) and re.fullmatch(r"[0-9]+", client_id):
        client_id = int(client_id)
    if type(client_id) is not int or not 0 < client_id <= LARGEST_INTEGER:
        raise _wrong(
            "WEPAY_CLIENT_ID",
            "is not a positive integer",
            "the client id is the number on your application's page at WePay",
        )
    if secret is None and client_id == default_id:
        secret = default_secret
    if secret is None:
        raise _wrong(
            "WEPAY_CLIENT_SECRET", "is missing", "copy it from your application's page at WePay"
        )
    _string({**config, "WEPAY_CLIENT_SECRET": secret}, "WEPAY_CLIENT_SECRET")
    if len(secret) > LONGEST_SECRET or not secret.isprintable() or secret != secret.strip():
        raise _wrong(
            "WEPAY_CLIENT_SECRET",
            "is over 255 characters, or has spaces or line ends around it",
            "copy the secret alone",
        )
    return client_id, secret


def _access_token(config: Mapping[str, Any], environment: str) -> Secret | None:
    if config["WEPAY_ACCESS_TOKEN"] is None:
        return None
    try:
        token = check_access_token(_string(config, "WEPAY_ACCESS_TOKEN"))
    except MalformedToken:
        raise _wrong(
            "WEPAY_ACCESS_TOKEN",
            "is over 255 characters, or has spaces or other odd characters",
            "copy the token alone",
        ) from None
    other = _PREFIXES.get(environment)
    if other is not None and token.startswith(other):
        raise _wrong(
            "WEPAY_ACCESS_TOKEN",
            f"begins with {other} while 'WEPAY_ENVIRONMENT' is {environment!r}",
            "stage and production share no tokens",
        )
    return Secret(token)


def _addresses(config: Mapping[str, Any], environment: str, client_id: int) -> tuple[str, str]:
    if environment != "sandbox":
        return _HOSTS[environment]
    url = _string(config, "WEPAY_SANDBOX_URL")
    parts = _split(url, "WEPAY_SANDBOX_URL")
    if parts.query or parts.fragment:
        raise _wrong("WEPAY_SANDBOX_URL", "has a query or fragment", "give the base URL alone")
    if (
        parts.scheme == "http"
        and not is_local(parts.hostname or "")
        and client_id != SANDBOX_APPLICATION[0]
    ):
        raise _wrong(
            "WEPAY_SANDBOX_URL",
            "is http on another machine",
            "a client secret of your own goes over https only",
        )
    base = url.rstrip("/") + "/v2/"
    return base + "oauth2/authorize", base


def _split(uri: str, name: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise _wrong(name, "is not an address", "give it as https://host/path") from None
    plain = uri.isascii() and uri.isprintable() and " " not in uri and "\\" not in uri
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not plain:
        raise _wrong(name, "is not an absolute http address", "give it as https://host/path")
    if parts.username is not None or parts.password is not None:
        raise _wrong(name, "has a user or password in it", "give it as https://host/path")
    return parts


def _address(uri: str, name: str, environment: str) -> SplitResult:
    """Check an address of ours that WePay is given."""
    parts = _split(uri, name)
    if len(uri) > LONGEST_URI:
        raise _wrong(name, f"is over {LONGEST_URI} characters", "WePay takes no longer ones")
    if parts.fragment:
        raise _wrong(name, "has a fragment", "leave out the part from '#' on")
    if environment == "production":
        if parts.scheme != "https":
            raise _wrong(name, "is http", "in production WePay wants https")
        if parts.port is not None:
            raise _wrong(name, "has a port", "in production WePay takes no ports")
    return parts


def _redirect_uri(config: Mapping[str, Any], environment: str, has_token: bool) -> str | None:
    if config["WEPAY_REDIRECT_URI"] is not None:
        uri = _string(config, "WEPAY_REDIRECT_URI")
        check_redirect_uri(uri, environment, "WEPAY_REDIRECT_URI")
        return uri
    if environment == "production" and not has_token and not config.get("TRUSTED_HOSTS"):
        raise _wrong(
            "WEPAY_REDIRECT_URI",
            "is missing in production, and so is Flask's 'TRUSTED_HOSTS'",
            "set one of them, or a forged Host header ends up in the redirect URI",
        )
    return None


def _callback_uri(config: Mapping[str, Any], environment: str) -> str | bool | None:
    value = config["WEPAY_CALLBACK_URI"]
    if value is None or value is False:
        return value
    uri = _string(config, "WEPAY_CALLBACK_URI")
    parts = _address(uri, "WEPAY_CALLBACK_URI", environment)
    if environment != "sandbox" and is_local(parts.hostname or ""):
        raise _wrong(
            "WEPAY_CALLBACK_URI",
            "is on localhost, which WePay can't reach",
            "give a public address, or False for no IPNs",
        )
    return uri


def _url_prefix(config: Mapping[str, Any]) -> str:
    prefix = _string(config, "WEPAY_URL_PREFIX")
    if prefix and (not prefix.startswith("/") or prefix.endswith("/") or "<" in prefix):
        raise _wrong("WEPAY_URL_PREFIX", f"is {prefix!r}", 'give a path such as "/wepay"')
    return prefix


def _login_redirect(config: Mapping[str, Any]) -> str:
    target = _string(config, "WEPAY_LOGIN_REDIRECT")
    if "//" in target or "\\" in target or not target.isprintable():
        raise _wrong(
            "WEPAY_LOGIN_REDIRECT",
            f"is {target!r}",
            'give an endpoint such as "index" or a path of this site such as "/dashboard"',
        )
    return target


def _api_version(config: Mapping[str, Any]) -> str | None:
    if config["WEPAY_API_VERSION"] is None:
        return None
    version = _string(config, "WEPAY_API_VERSION")
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", version):
        raise _wrong("WEPAY_API_VERSION", f"is {version!r}", 'it is a date: "2019-04-03"')
    return version


def _timeout(config: Mapping[str, Any]) -> float:
    value = config["WEPAY_TIMEOUT"]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 3600:
        raise _wrong("WEPAY_TIMEOUT", f"is {value!r}", "give seconds, such as 20")
    return float(value)


def _ca_bundle(config: Mapping[str, Any]) -> str | bool:
    if config["WEPAY_CA_BUNDLE"] is None:
        return os.environ.get("REQUESTS_CA_BUNDLE") or True
    path = config["WEPAY_CA_BUNDLE"]
    if isinstance(path, bool) or not isinstance(path, str | os.PathLike):
        raise _wrong(
            "WEPAY_CA_BUNDLE",
            f"is {path!r}",
            "give the path of the certificates to trust; verification can't be turned off",
        )
    if not Path(path).exists():
        raise _wrong("WEPAY_CA_BUNDLE", "names no file", "check the path")
    return os.fspath(path)


def _proxies(config: Mapping[str, Any]) -> Mapping[str, str]:
    value = config["WEPAY_PROXIES"]
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(
        isinstance(item, str) for pair in value.items() for item in pair
    ):
        raise _wrong(
            "WEPAY_PROXIES",
            "is not a mapping of strings",
            'give it as {"https": "http://proxy.example:3128"}',
        )
    return dict(value)


def _throttle(config: Mapping[str, Any]) -> str | None:
    return None if config["WEPAY_THROTTLE"] is None else _string(config, "WEPAY_THROTTLE")


def _check_session_cookie(config: Mapping[str, Any]) -> None:
    same_site = config.get("SESSION_COOKIE_SAMESITE")
    if isinstance(same_site, str) and same_site.lower() == "strict":
        raise _wrong(
            "SESSION_COOKIE_SAMESITE",
            'is "Strict"',
            "the session is not sent when WePay leads the user back, so every login would"
            ' fail; use "Lax"',
        )


def _keyring(config: Mapping[str, Any]) -> Keyring:
    secrets = [config.get("SECRET_KEY"), *(config.get("SECRET_KEY_FALLBACKS") or ())]
    if not all(isinstance(secret, str | bytes) and secret for secret in secrets):
        raise _wrong(
            "SECRET_KEY",
            "or one of 'SECRET_KEY_FALLBACKS' is missing, empty or no string",
            "sessions and stored tokens depend on it (from_prefixed_env reads digits as a"
            " number: quote it)",
        )
    keys = config["WEPAY_TOKEN_KEYS"]
    if keys is None:
        return Keyring.of_secrets(secrets)
    if isinstance(keys, str) or not isinstance(keys, Sequence) or not keys:
        raise _wrong(
            "WEPAY_TOKEN_KEYS", "is not a list", "give a list of Fernet keys, newest first"
        )
    try:
        return Keyring.of_fernet(keys)
    except (TypeError, ValueError, AttributeError):
        raise _wrong(
            "WEPAY_TOKEN_KEYS",
            "has an entry that is no Fernet key",
            "make one with 'flask wepay generate-key'",
        ) from None
