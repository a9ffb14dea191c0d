"""Read and validate the ``WEPAY_*`` settings; an invalid one stops the application.

Every message names the setting, what is wrong with it, and the most likely mistake.
"""

from __future__ import annotations

import inspect
import os
import re
import traceback
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

from flask import Flask

from .addresses import addresses_at_wepay, check_callback_uri, check_redirect_uri
from .errors import ConfigurationError
from .foreign import plain
from .tokens import LARGEST_INTEGER, Secret
from .tokens.encryption import Keyring

__all__ = ["DEFAULTS", "Settings", "read_settings"]

#: Every setting with its default, applied with setdefault.
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

_wrong = ConfigurationError.of

#: The pattern of each string setting, and the most likely mistake.
_FORMS = {
    "WEPAY_ENVIRONMENT": (
        r"stage|production|sandbox",
        'use "stage", "production" or "sandbox", in lower case',
    ),
    "WEPAY_URL_PREFIX": (r"(/[A-Za-z0-9._~-]+)*", 'give a path such as "/wepay"'),
    "WEPAY_LOGIN_REDIRECT": (
        r"(?!.*(//|\\))[^\x00-\x20\x7f]+",
        'give an endpoint such as "index" or a path of this site such as "/dashboard"',
    ),
    "WEPAY_API_VERSION": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", 'give a date such as "2019-04-03"'),
    "WEPAY_THROTTLE": (
        r"[1-9][0-9]*\s*(per|/)\s*([1-9][0-9]*\s*)?[a-z]+",
        'write it as "30 per 10 seconds", or None to turn it off',
    ),
    "WEPAY_CLIENT_SECRET": (
        r"(?!\s)[^\x00-\x1f\x7f]{1,255}(?<!\s)",
        "it has at most 255 characters, and no spaces or line ends around it",
    ),
    "WEPAY_ACCESS_TOKEN": (
        r"[!-~]{1,255}",
        "it has at most 255 characters, and no spaces or line ends",
    ),
}
#: The settings whose values no message shows.
_SECRET = ("WEPAY_CLIENT_SECRET", "WEPAY_ACCESS_TOKEN")
#: The types that from_prefixed_env returns unintentionally, and the text that it reads as such.
_READ_AS_JSON: dict[type, str] = {
    bool: "true and false",
    int: "digits",
    float: "digits",
    list: "brackets",
    dict: "braces",
}
#: The prefix of the other environment's tokens.
_FOREIGN = {"production": "STAGE_", "stage": "PRODUCTION_"}
#: The client id and secret of every sandbox's ready-made application.
SANDBOX_APPLICATION = (12345, "1a2b3c4d5e6f")


@dataclass(frozen=True, slots=True)
class Settings:
    """The validated settings of one application; the repr leaves secrets out."""

    environment: str
    client_id: int
    client_secret: Secret
    authorize_url: str
    #: The base URL; it ends in a slash, and a call's name is appended.
    api_url: str
    keyring: Keyring
    url_prefix: str
    login_redirect: str
    redirect_uri: str | None
    #: None for the IPN route, False for no IPNs.
    callback_uri: str | bool | None
    api_version: str | None
    #: Seconds.
    timeout: float
    #: A path, or True for certifi's bundle.
    ca_bundle: str | bool
    proxies: Mapping[str, str] = field(repr=False)
    throttle: str | None
    throttle_storage: Secret
    access_token: Secret | None

    @property
    def token_url(self) -> str:
        """The URL at which a code is exchanged for a token."""
        return self.api_url + "oauth2/token"


def read_settings(app: Flask) -> Settings:
    """Apply the defaults, validate every setting, and return them.

    :raises ConfigurationError: for the first invalid setting.
    """
    for key, default in DEFAULTS.items():
        app.config.setdefault(key, default)
    try:
        return _read(app.config)
    except ConfigurationError as error:
        message = str(error)
    # Raised again, because the frames below hold the configuration with its secrets.
    raise ConfigurationError(message)


def _read(config: Mapping[str, Any]) -> Settings:
    _check_keys(config)
    environment = _required(config, "WEPAY_ENVIRONMENT")
    access_token = _access_token(config, environment)
    client_id, secret = _application(config, environment, required=access_token is None)
    authorize_url, api_url = addresses_at_wepay(
        environment,
        _required(config, "WEPAY_SANDBOX_URL"),
        ready_made=(client_id, secret) == SANDBOX_APPLICATION,
    )
    return Settings(
        environment=environment,
        client_id=client_id,
        client_secret=Secret(secret),
        authorize_url=authorize_url,
        api_url=api_url,
        keyring=_keyring(config),
        url_prefix=_required(config, "WEPAY_URL_PREFIX"),
        login_redirect=_login_redirect(config),
        redirect_uri=_redirect_uri(config, environment, required=access_token is None),
        callback_uri=_callback_uri(config, environment),
        api_version=_text(config, "WEPAY_API_VERSION"),
        timeout=_timeout(config),
        ca_bundle=_ca_bundle(config),
        proxies=_proxies(config),
        throttle=_text(config, "WEPAY_THROTTLE"),
        throttle_storage=Secret(_required(config, "WEPAY_THROTTLE_STORAGE")),
        access_token=access_token,
    )


def _text(config: Mapping[str, Any], key: str) -> str | None:
    """Return a string setting if it has the right pattern, or None if it isn't set."""
    value = config[key]
    if value is None:
        return None
    pattern, mistake = _FORMS.get(key, (".*", "give a URL"))
    text = plain(value)
    if text is None:
        read = _READ_AS_JSON.get(type(value))
        if read is None:
            mistake = "decode it" if isinstance(value, bytes) else "give a string"
        elif key in _FORMS and re.fullmatch(pattern, str(value).lower()):
            mistake = f"from_prefixed_env reads {read} as JSON, so quote it"
        raise _wrong(key, f"is of type {type(value).__name__}, not a string", mistake)
    if not re.fullmatch(pattern, text, re.DOTALL):
        what = "is malformed" if key in _SECRET else f"is {text!r}"
        raise _wrong(key, what, mistake)
    return text


def _required(config: Mapping[str, Any], key: str) -> str:
    value = _text(config, key)
    if value is None:
        raise _wrong(key, "is None", "leave it out for the default, or give a value")
    return value


def _check_keys(config: Mapping[str, Any]) -> None:
    for key in config:
        if key in DEFAULTS:
            if plain(config[key]) == "" and key != "WEPAY_URL_PREFIX":
                raise _wrong(key, "is an empty string", "leave it out, or give a value")
        elif key.startswith("WEPAY_"):
            meant = min(DEFAULTS, key=lambda known: _letters_apart(key, known))
            if _letters_apart(key, meant) <= 2:
                raise ConfigurationError(
                    f"'{key}' is not a setting of Flask-WePay: did you mean '{meant}'?"
                )
            warnings.warn(
                f"'{key}' is not a setting of Flask-WePay and is ignored.",
                stacklevel=_callers_level(),
            )


def _callers_level() -> int:
    """Return the stacklevel of the code that called WePay(app) or init_app."""
    package = f"{Path(__file__).parent}{os.sep}"
    stack = traceback.walk_stack(inspect.currentframe())
    ours = takewhile(lambda step: step[0].f_code.co_filename.startswith(package), stack)
    return sum(1 for _ in ours)


def _letters_apart(one: str, other: str) -> int:
    """Return the edit distance of two words."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        above, row = row, [i]
        for j, wanted in enumerate(other, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (letter != wanted)))
    return row[-1]


def _access_token(config: Mapping[str, Any], environment: str) -> Secret | None:
    token = _text(config, "WEPAY_ACCESS_TOKEN")
    if token is None:
        return None
    foreign = _FOREIGN.get(environment)
    if foreign is not None and token.startswith(foreign):
        raise _wrong(
            "WEPAY_ACCESS_TOKEN",
            f"begins with {foreign} while 'WEPAY_ENVIRONMENT' is {environment!r}",
            "stage and production don't share tokens",
        )
    return Secret(token)


def _application(config: Mapping[str, Any], environment: str, *, required: bool) -> tuple[int, str]:
    """Return the client id and secret, or 0 and "" if WEPAY_ACCESS_TOKEN replaces them."""
    ready_made = SANDBOX_APPLICATION if environment == "sandbox" else (None, None)
    client_id, secret = _client_id(config), _text(config, "WEPAY_CLIENT_SECRET")
    if client_id is None:
        client_id = ready_made[0]
    if secret is None and client_id == ready_made[0]:
        secret = ready_made[1]
    for key, value in (("WEPAY_CLIENT_ID", client_id), ("WEPAY_CLIENT_SECRET", secret)):
        if required and value is None:
            raise _wrong(key, "is missing", "copy it from your application's page at WePay")
    return client_id or 0, secret or ""


def _client_id(config: Mapping[str, Any]) -> int | None:
    value = config["WEPAY_CLIENT_ID"]
    text = plain(value)
    if text is not None and re.fullmatch(r"[0-9]{1,19}", text):
        value = int(text)
    # For isinstance a bool is an int.
    if value is None or (type(value) is int and 0 < value <= LARGEST_INTEGER):
        return value
    raise _wrong(
        "WEPAY_CLIENT_ID",
        "is not a positive integer",
        "copy the number from your application's page at WePay",
    )


def _redirect_uri(config: Mapping[str, Any], environment: str, *, required: bool) -> str | None:
    uri = _text(config, "WEPAY_REDIRECT_URI")
    if uri is not None:
        check_redirect_uri(uri, environment, "WEPAY_REDIRECT_URI")
    elif environment == "production" and required and not config.get("TRUSTED_HOSTS"):
        raise _wrong(
            "WEPAY_REDIRECT_URI",
            "is missing in production, and so is Flask's 'TRUSTED_HOSTS'",
            "set one of them, or a forged Host header ends up in the redirect URI",
        )
    return uri


def _callback_uri(config: Mapping[str, Any], environment: str) -> str | bool | None:
    if config["WEPAY_CALLBACK_URI"] is False:
        return False
    uri = _text(config, "WEPAY_CALLBACK_URI")
    if uri is not None:
        check_callback_uri(uri, environment, "WEPAY_CALLBACK_URI")
    return uri


def _login_redirect(config: Mapping[str, Any]) -> str:
    target = _required(config, "WEPAY_LOGIN_REDIRECT")
    prefix = config["WEPAY_URL_PREFIX"]
    own = {f"{start}{name}" for start in ("wepay.", f"{prefix}/") for name in ("login", "callback")}
    if re.split(r"[?#]", target)[0] in own:
        raise _wrong("WEPAY_LOGIN_REDIRECT", f"is {target!r}", "that would redirect forever")
    return target


def _timeout(config: Mapping[str, Any]) -> float:
    value = config["WEPAY_TIMEOUT"]
    if type(value) not in (int, float) or not 0 < value <= 3600:
        raise _wrong("WEPAY_TIMEOUT", f"is {value!r}", "give seconds as a number, such as 20")
    return float(value)


def _ca_bundle(config: Mapping[str, Any]) -> str | bool:
    key, path = "WEPAY_CA_BUNDLE", config["WEPAY_CA_BUNDLE"]
    if path is None:
        key, path = "REQUESTS_CA_BUNDLE", os.environ.get("REQUESTS_CA_BUNDLE")
        if not path:
            return True
    if not isinstance(path, str | os.PathLike):
        raise _wrong(
            key,
            f"is {path!r}",
            "give the path of the trusted certificates; verification can't be turned off",
        )
    file = Path(path)
    try:
        usable = file.is_dir() or b"CERTIFICATE-----" in file.read_bytes()
    except (OSError, ValueError):
        # A path with a NUL raises a ValueError.
        usable = False
    if not usable:
        raise _wrong(key, f"is {str(path)!r}", "there are no certificates at that path")
    return str(file)


def _proxies(config: Mapping[str, Any]) -> Mapping[str, str]:
    proxies = {} if config["WEPAY_PROXIES"] is None else config["WEPAY_PROXIES"]
    example = 'give an http proxy as {"https": "http://proxy.example:3128"}'
    if not isinstance(proxies, Mapping):
        raise _wrong("WEPAY_PROXIES", "is not a mapping", example)
    checked = {}
    for name, value in proxies.items():
        scheme, proxy = plain(name), plain(value)
        # With any other key, requests would silently bypass the proxy.
        known = re.fullmatch(r"(https?|all)(://.+)?", scheme or "")
        if scheme is None or proxy is None or not known:
            raise _wrong("WEPAY_PROXIES", f"has an invalid entry for {name!r}", example)
        if re.match("socks[^/]*://", proxy, re.IGNORECASE):
            mistake = f"timeouts don't work with one, so {example}"
            raise _wrong("WEPAY_PROXIES", f"has a SOCKS proxy for {scheme!r}", mistake)
        if not re.match("https?://.", proxy, re.IGNORECASE):
            raise _wrong("WEPAY_PROXIES", f"has an invalid entry for {scheme!r}", example)
        checked[scheme] = proxy
    return checked


def _is_text(text: str) -> bool:
    # Bytes of an environment variable that aren't text arrive as surrogates.
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _check_secret_key(key: str, has: str, secret: object) -> None:
    mistake = "sessions and stored tokens depend on it"
    if secret is None:
        what = "missing"
    elif not isinstance(secret, str | bytes):
        what = f"of type {type(secret).__name__}, not a string"
        read = _READ_AS_JSON.get(type(secret))
        mistake += f" (from_prefixed_env reads {read} as JSON, so quote it)" if read else ""
    elif not secret:
        what = "an empty string"
    elif isinstance(secret, str) and not _is_text(secret):
        what = "of bytes that aren't text"
        mistake = "write it in hexadecimal, as secrets.token_hex() does"
    else:
        return
    raise _wrong(key, f"{has} {what}", mistake)


def _keyring(config: Mapping[str, Any]) -> Keyring:
    fallbacks = config.get("SECRET_KEY_FALLBACKS") or ()
    if not isinstance(fallbacks, list | tuple):
        raise _wrong("SECRET_KEY_FALLBACKS", "is not a list", "give a list of former keys")
    secrets = [config.get("SECRET_KEY"), *fallbacks]
    _check_secret_key("SECRET_KEY", "is", secrets[0])
    for secret in fallbacks:
        _check_secret_key("SECRET_KEY_FALLBACKS", "has one that is", secret)
    keys = config["WEPAY_TOKEN_KEYS"]
    if keys is None:
        return Keyring.of_secrets(secrets)
    if not isinstance(keys, list | tuple) or not keys:
        raise _wrong(
            "WEPAY_TOKEN_KEYS", "is not a list", "give a list of Fernet keys, newest first"
        )
    try:
        return Keyring.of_fernet(keys, secrets)
    except (TypeError, ValueError):
        raise _wrong(
            "WEPAY_TOKEN_KEYS",
            "has an entry that isn't a Fernet key",
            "create one with 'flask wepay generate-key'",
        ) from None
