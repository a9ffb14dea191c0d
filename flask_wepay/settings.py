"""Read and check ``WEPAY_*`` from app.config; a wrong one stops the application.

Every check says which key is wrong, what is wrong, and the likeliest mistake.
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

_wrong = ConfigurationError.of

#: What a string must look like, else the likeliest mistake.
_FORMS = {
    "WEPAY_ENVIRONMENT": (
        r"stage|production|sandbox",
        'it is one of "stage", "production" and "sandbox", in lower case',
    ),
    "WEPAY_URL_PREFIX": (r"(/[A-Za-z0-9._~-]+)*", 'give a path such as "/wepay"'),
    "WEPAY_LOGIN_REDIRECT": (
        r"(?!.*(//|\\))[^\x00-\x20\x7f]+",
        'give an endpoint such as "index" or a path of this site such as "/dashboard"',
    ),
    "WEPAY_API_VERSION": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", 'it is a date: "2019-04-03"'),
    "WEPAY_THROTTLE": (
        r"[1-9][0-9]*\s*(per|/)\s*([1-9][0-9]*\s*)?[a-z]+",
        'write it as "30 per 10 seconds", or None for off',
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
#: What no message shows.
_SECRET = ("WEPAY_CLIENT_SECRET", "WEPAY_ACCESS_TOKEN")
#: What from_prefixed_env gives where it was not meant, and of which text it makes that.
_READ_AS_JSON: dict[type, str] = {
    bool: "true and false",
    int: "digits",
    float: "digits",
    list: "brackets",
    dict: "braces",
}
#: What a token of the other environment begins with.
_FOREIGN = {"production": "STAGE_", "stage": "PRODUCTION_"}
#: The application that every sandbox has ready.
SANDBOX_APPLICATION = (12345, "1a2b3c4d5e6f")


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
    throttle_storage: Secret
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
    try:
        return _read(app.config)
    except ConfigurationError as error:
        message = str(error)
    # Raised anew: the frames below hold the configuration, secrets and all.
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
    """Return a string of the form that its key asks for, or None where it is not set."""
    value = config[key]
    if value is None:
        return None
    pattern, mistake = _FORMS.get(key, (".*", "it is an address"))
    text = plain(value)
    if text is None:
        read = _READ_AS_JSON.get(type(value))
        if read is None:
            mistake = "decode it" if isinstance(value, bytes) else "make it one"
        elif key in _FORMS and re.fullmatch(pattern, str(value).lower()):
            mistake = f"from_prefixed_env reads {read} as JSON, so quote it"
        raise _wrong(key, f"is of type {type(value).__name__}, not a string", mistake)
    if not re.fullmatch(pattern, text, re.DOTALL):
        what = "is not copied right" if key in _SECRET else f"is {text!r}"
        raise _wrong(key, what, mistake)
    return text


def _required(config: Mapping[str, Any], key: str) -> str:
    value = _text(config, key)
    if value is None:
        raise _wrong(key, "is None", "leave it out for its default, or give it a value")
    return value


def _check_keys(config: Mapping[str, Any]) -> None:
    for key in config:
        if key in DEFAULTS:
            if plain(config[key]) == "" and key != "WEPAY_URL_PREFIX":
                raise _wrong(key, "is an empty string", "leave it out, or give it a value")
        elif key.startswith("WEPAY_"):
            meant = min(DEFAULTS, key=lambda known: _letters_apart(key, known))
            if _letters_apart(key, meant) <= 2:
                raise ConfigurationError(
                    f"'{key}' is no setting of Flask-WePay: did you mean '{meant}'?"
                )
            warnings.warn(
                f"'{key}' is no setting of Flask-WePay and is ignored.", stacklevel=_callers_level()
            )


def _callers_level() -> int:
    """Count the frames up to whoever called WePay(app) or init_app, as a stacklevel."""
    package = f"{Path(__file__).parent}{os.sep}"
    stack = traceback.walk_stack(inspect.currentframe())
    ours = takewhile(lambda step: step[0].f_code.co_filename.startswith(package), stack)
    return sum(1 for _ in ours)


def _letters_apart(one: str, other: str) -> int:
    """Count the letters to insert, leave out or change in one word to get the other."""
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
            "stage and production share no tokens",
        )
    return Secret(token)


def _application(config: Mapping[str, Any], environment: str, *, required: bool) -> tuple[int, str]:
    """Return the client id and secret; 0 and nothing where a token stands in for them."""
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
    # bool is an int to isinstance.
    if value is None or (type(value) is int and 0 < value <= LARGEST_INTEGER):
        return value
    raise _wrong(
        "WEPAY_CLIENT_ID",
        "is not a positive integer",
        "the client id is the number on your application's page at WePay",
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
        raise _wrong("WEPAY_LOGIN_REDIRECT", f"is {target!r}", "that would go round in circles")
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
            "give the path of the certificates to trust; verification can't be turned off",
        )
    file = Path(path)
    try:
        usable = file.is_dir() or b"CERTIFICATE-----" in file.read_bytes()
    except (OSError, ValueError):
        # A path with a NUL is a ValueError.
        usable = False
    if not usable:
        raise _wrong(key, f"is {str(path)!r}", "no certificates are there; check the path")
    return str(file)


def _proxies(config: Mapping[str, Any]) -> Mapping[str, str]:
    proxies = {} if config["WEPAY_PROXIES"] is None else config["WEPAY_PROXIES"]
    example = 'give an http proxy as {"https": "http://proxy.example:3128"}'
    if not isinstance(proxies, Mapping):
        raise _wrong("WEPAY_PROXIES", "is not a mapping", example)
    checked = {}
    for name, value in proxies.items():
        scheme, proxy = plain(name), plain(value)
        # With any other key requests would go past the proxy without a word.
        known = re.fullmatch(r"(https?|all)(://.+)?", scheme or "")
        if scheme is None or proxy is None or not known:
            raise _wrong("WEPAY_PROXIES", f"has a wrong entry for {name!r}", example)
        if re.match("socks[^/]*://", proxy, re.IGNORECASE):
            mistake = f"no deadline would hold over it, so {example}"
            raise _wrong("WEPAY_PROXIES", f"has a SOCKS proxy for {scheme!r}", mistake)
        if not re.match("https?://.", proxy, re.IGNORECASE):
            raise _wrong("WEPAY_PROXIES", f"has a wrong entry for {scheme!r}", example)
        checked[scheme] = proxy
    return checked


def _is_text(text: str) -> bool:
    # What an environment variable has besides text comes as halves of characters.
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
        what = "of bytes that are no text"
        mistake = "write it in hexadecimal, as secrets.token_hex() makes one"
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
            "has an entry that is no Fernet key",
            "make one with 'flask wepay generate-key'",
        ) from None
