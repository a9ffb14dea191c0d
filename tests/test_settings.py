"""Settings: every wrong one stops the application, and says which it is and why."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import certifi
import pytest
from cryptography.fernet import Fernet
from flask import Flask

from flask_wepay import WePay
from flask_wepay.errors import ConfigurationError
from flask_wepay.settings import DEFAULTS, Settings

STAGE = {"WEPAY_CLIENT_ID": 123456, "WEPAY_CLIENT_SECRET": "c1i2e3n4t5"}
PRODUCTION = {
    **STAGE,
    "WEPAY_ENVIRONMENT": "production",
    "WEPAY_REDIRECT_URI": "https://www.example.com/wepay/callback",
}
SANDBOX = {"WEPAY_ENVIRONMENT": "sandbox"}
KEY = Fernet.generate_key().decode()


def read(**config: Any) -> Settings:
    """Initialise an application with these settings, and return what was read."""
    app = Flask("tests.settings")
    app.config.update({"SECRET_KEY": "a secret key for tests only"}, **config)
    WePay(app)
    return app.extensions["wepay"].settings


@pytest.fixture(autouse=True)
def _no_ca_bundle_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)


#: The settings, the key that the message names, and what it says besides.
WRONG: list[tuple[dict[str, Any], str, str]] = [
    # The application
    ({}, "WEPAY_CLIENT_ID", "is missing"),
    ({"WEPAY_CLIENT_SECRET": "s"}, "WEPAY_CLIENT_ID", "is missing"),
    ({"WEPAY_CLIENT_ID": 123456}, "WEPAY_CLIENT_SECRET", "is missing"),
    ({**SANDBOX, "WEPAY_CLIENT_ID": 777}, "WEPAY_CLIENT_SECRET", "is missing"),
    *(
        (
            {**STAGE, "WEPAY_CLIENT_ID": wrong},
            "WEPAY_CLIENT_ID",
            "copy the number from your application",
        )
        for wrong in (
            "abc",
            "12x",
            "-5",
            "1.5",
            " 123",
            "123\n",
            "١٢٣",
            "0",
            0,
            -1,
            2**63,
            str(2**63),
            "9" * 5000,
            1.0,
            True,
            [1],
            b"123",
        )
    ),
    *(
        ({**STAGE, "WEPAY_CLIENT_SECRET": wrong}, "WEPAY_CLIENT_SECRET", mistake)
        for wrong, mistake in (
            (5220123456, "is of type int, not a string: from_prefixed_env reads digits as JSON"),
            (1e5, "reads digits as JSON, so quote it"),
            (True, "reads true and false as JSON, so quote it"),
            (["s"], "reads brackets as JSON, so quote it"),
            ({"s": 1}, "reads braces as JSON, so quote it"),
            (b"secret", "is of type bytes, not a string: decode it"),
            (("s",), "is of type tuple, not a string: give a string"),
        )
    ),
    *(
        ({**STAGE, "WEPAY_CLIENT_SECRET": wrong}, "WEPAY_CLIENT_SECRET", "no spaces or line ends")
        for wrong in (" s", "s ", "s\n", "a\nb", "\u3000s", "s" * 256, "s\0")
    ),
    # The environment
    *(
        ({**STAGE, "WEPAY_ENVIRONMENT": wrong}, "WEPAY_ENVIRONMENT", '"stage", "production"')
        for wrong in ("Production", "prod", "live", "staging", "stage ", "production\n")
    ),
    ({**STAGE, "WEPAY_ENVIRONMENT": True}, "WEPAY_ENVIRONMENT", 'a string: use "stage"'),
    ({**STAGE, "WEPAY_ENVIRONMENT": None}, "WEPAY_ENVIRONMENT", "leave it out"),
    # The sandbox's address
    *(
        ({**SANDBOX, "WEPAY_SANDBOX_URL": wrong}, "WEPAY_SANDBOX_URL", "https://host/path")
        for wrong in (
            "127.0.0.1:8010",
            "localhost",
            "ftp://127.0.0.1",
            "//127.0.0.1:8010",
            "http://",
            "http://127.0.0.1:port",
            "http://127.0.0.1:99999",
            "http://127.0.0.1:0",
            "http://127.0.0.1:",
            "http://[::1",
            "http://127.0.0.1:8010\n",
            "http://127.0.0.1 :8010",
            "http:\\\\127.0.0.1",
            "http://bücher.example",
            "http://user@127.0.0.1:8010",
            "http://user:password@127.0.0.1:8010",
        )
    ),
    ({**SANDBOX, "WEPAY_SANDBOX_URL": "http://127.0.0.1:8010/?a=1"}, "WEPAY_SANDBOX_URL", "query"),
    ({**SANDBOX, "WEPAY_SANDBOX_URL": "http://127.0.0.1:8010/#a"}, "WEPAY_SANDBOX_URL", "query"),
    ({**SANDBOX, "WEPAY_SANDBOX_URL": "http://127.0.0.1:8010/v2/"}, "WEPAY_SANDBOX_URL", "/v2"),
    ({**SANDBOX, "WEPAY_SANDBOX_URL": 8010}, "WEPAY_SANDBOX_URL", "give a URL"),
    ({**SANDBOX, "WEPAY_SANDBOX_URL": None}, "WEPAY_SANDBOX_URL", "leave it out"),
    *(
        (
            {**SANDBOX, "WEPAY_SANDBOX_URL": "http://sandbox.example:8010", **application},
            "WEPAY_SANDBOX_URL",
            "https only",
        )
        for application in (STAGE, {"WEPAY_CLIENT_ID": 12345, "WEPAY_CLIENT_SECRET": "my own"})
    ),
    # The keys
    *(
        ({**STAGE, "SECRET_KEY": wrong}, "SECRET_KEY", f"' is {mistake}")
        for wrong, mistake in (
            (None, "missing: sessions and stored tokens depend on it."),
            ("", "an empty string: sessions and stored tokens depend on it."),
            (b"", "an empty string: sessions and stored tokens depend on it."),
            (
                12345,
                "of type int, not a string: sessions and stored tokens depend on it"
                " (from_prefixed_env reads digits as JSON, so quote it).",
            ),
            (
                ["a"],
                "of type list, not a string: sessions and stored tokens depend on it"
                " (from_prefixed_env reads brackets as JSON, so quote it).",
            ),
            (object(), "of type object, not a string: sessions and stored tokens depend on it."),
        )
    ),
    *(
        ({**STAGE, "SECRET_KEY_FALLBACKS": wrong}, "SECRET_KEY_FALLBACKS", mistake)
        for wrong, mistake in (
            ("a former key", "give a list"),
            (b"a former key", "give a list"),
            (12345, "give a list"),
            ([""], "has one that is an empty string"),
            (["a", None], "has one that is missing"),
            (["a", None], "depend on it."),
            ([12345], "quote it"),
        )
    ),
    *(
        ({**STAGE, "WEPAY_TOKEN_KEYS": wrong}, "WEPAY_TOKEN_KEYS", "newest first")
        for wrong in (KEY, KEY.encode(), [], (), {KEY: 1}, 5, True)
    ),
    *(
        ({**STAGE, "WEPAY_TOKEN_KEYS": wrong}, "WEPAY_TOKEN_KEYS", "generate-key")
        for wrong in (
            [""],
            ["abc"],
            [KEY, KEY[:-4]],
            [12345],
            [None],
            ["ü" * 44],
            [KEY * 2],
            [f"{KEY},{KEY}"],
            [KEY + "\n"],
            [[]],
        )
    ),
    # Routes
    *(
        ({**STAGE, "WEPAY_URL_PREFIX": wrong}, "WEPAY_URL_PREFIX", '"/wepay"')
        for wrong in (
            "wepay",
            "/",
            "/wepay/",
            "//wepay",
            "/we//pay",
            "/<name>",
            "/a?b",
            "/a#b",
            "/a b",
            "/a\n",
            "https://example.com",
        )
    ),
    ({**STAGE, "WEPAY_URL_PREFIX": 5}, "WEPAY_URL_PREFIX", "not a string"),
    ({**STAGE, "WEPAY_URL_PREFIX": None}, "WEPAY_URL_PREFIX", "leave it out"),
    *(
        ({**STAGE, "WEPAY_LOGIN_REDIRECT": wrong}, "WEPAY_LOGIN_REDIRECT", "a path of this site")
        for wrong in (
            "https://evil.example",
            "//evil.example",
            "/a//b",
            "\\\\evil.example",
            "/\\evil.example",
            "/a\tb",
            "/a\n",
            "/a b",
        )
    ),
    *(
        ({**STAGE, "WEPAY_LOGIN_REDIRECT": wrong}, "WEPAY_LOGIN_REDIRECT", "redirect forever")
        for wrong in (
            "wepay.login",
            "wepay.callback",
            "/wepay/login",
            "/wepay/login?force=1",
            "/wepay/callback#x",
        )
    ),
    ({**STAGE, "WEPAY_LOGIN_REDIRECT": 5}, "WEPAY_LOGIN_REDIRECT", "not a string"),
    # Addresses of ours
    *(
        ({**STAGE, key: wrong}, key, "https://host/path")
        for key in ("WEPAY_REDIRECT_URI", "WEPAY_CALLBACK_URI")
        for wrong in (
            "www.example.com/wepay",
            "/wepay/callback",
            "ftp://www.example.com/",
            "https:///wepay",
            "https://www.example.com:x/",
            "https://[www.example.com/",
            "https://www.example.com/a b",
            "https://www.example.com/\\a",
            "https://www.example.com/\r\n",
            "https://www.exämple.com/",
            "https://user@www.example.com/",
        )
    ),
    *(
        ({**STAGE, key: wrong}, key, what)
        for key in ("WEPAY_REDIRECT_URI", "WEPAY_CALLBACK_URI")
        for wrong, what in (
            ("https://www.example.com/#a", "has a fragment"),
            ("https://www.example.com/#", "has a fragment"),
            ("https://www.example.com/" + "a" * 2060, "is over 2083 characters"),
            (8000, "not a string: give a URL"),
            (True, "not a string: give a URL"),
            (Path("/wepay/ipn"), "not a string: give a string"),
        )
    ),
    *(
        ({**PRODUCTION, key: wrong}, key, what)
        for key in ("WEPAY_REDIRECT_URI", "WEPAY_CALLBACK_URI")
        for wrong, what in (
            ("http://www.example.com/a", "requires https"),
            ("https://www.example.com:8443/a", "has a port"),
            ("https://www.example.com:443/a", "has a port"),
            ("https://www.example.com:/a", "a colon and no port"),
            ("https://localhost/a", "public address"),
            ("https://LOCALHOST./a", "public address"),
            ("https://shop.localhost/a", "public address"),
            ("https://127.0.0.1/a", "public address"),
            ("https://127.8.8.8/a", "public address"),
            ("https://[::1]/a", "public address"),
            ("https://0.0.0.0/a", "public address"),
        )
    ),
    *(
        ({**base, "WEPAY_REDIRECT_URI": f"https://{host}/a"}, "WEPAY_REDIRECT_URI", "underscore")
        for base in (STAGE, PRODUCTION, SANDBOX)
        for host in ("my_shop.example.com", "a.my_shop.example.com", "_.example.com")
    ),
    *(
        ({**STAGE, "WEPAY_CALLBACK_URI": wrong}, "WEPAY_CALLBACK_URI", "False for no IPNs")
        for wrong in ("http://localhost:8000/ipn", "https://127.0.0.1/ipn", "http://[::1]/ipn")
    ),
    *(
        ({**PRODUCTION, "WEPAY_REDIRECT_URI": None, **hosts}, "WEPAY_REDIRECT_URI", "forged Host")
        for hosts in ({}, {"TRUSTED_HOSTS": None}, {"TRUSTED_HOSTS": []})
    ),
    # Calls
    *(
        ({**STAGE, "WEPAY_API_VERSION": wrong}, "WEPAY_API_VERSION", "2019-04-03")
        for wrong in ("v2", "2019-4-3", "20190403", "2019-04-03\n", "٢٠١٩-04-03")
    ),
    ({**STAGE, "WEPAY_API_VERSION": 20190403}, "WEPAY_API_VERSION", "a string: give a date"),
    *(
        ({**STAGE, "WEPAY_TIMEOUT": wrong}, "WEPAY_TIMEOUT", "seconds as a number")
        for wrong in (
            0,
            -1,
            "20",
            None,
            True,
            float("nan"),
            float("inf"),
            3601,
            (5, 20),
        )
    ),
    *(
        ({**STAGE, "WEPAY_CA_BUNDLE": wrong}, "WEPAY_CA_BUNDLE", "can't be turned off")
        for wrong in (False, True, 0, b"/etc/ssl")
    ),
    *(
        (
            {**STAGE, "WEPAY_CA_BUNDLE": wrong},
            "WEPAY_CA_BUNDLE",
            "there are no certificates at that path",
        )
        for wrong in ("/no/such/file.pem", Path("/no/such/file.pem"), __file__)
    ),
    *(
        ({**STAGE, "WEPAY_PROXIES": wrong}, "WEPAY_PROXIES", "http://proxy.example:3128")
        for wrong in (
            "http://proxy.example:3128",
            ["http://proxy.example:3128"],
            True,
            {"https": 3128},
            {"https": None},
            {"https": ""},
            {"https": "http://"},
            {"https": "proxy.example:3128"},
            {"https": "squid:3128"},
            {"https": "user:hidden@proxy:3128"},
            {"HTTPS": "http://proxy.example"},
            {"wepayapi.com": "http://proxy.example"},
            {"no_proxy": "example.com"},
            {1: "http://proxy.example"},
        )
    ),
    *(
        ({**STAGE, "WEPAY_PROXIES": {scheme: f"{proxy}://u:hidden@h:1"}}, "WEPAY_PROXIES", what)
        for scheme in ("https", "all", "https://wepayapi.com")
        for proxy, what in (
            ("socks5", f"has a SOCKS proxy for '{scheme}': timeouts don't work"),
            ("socks5h", f"has a SOCKS proxy for '{scheme}'"),
            ("SOCKS4", f"has a SOCKS proxy for '{scheme}'"),
            ("ftp", f"has an invalid entry for '{scheme}'"),
        )
    ),
    *(
        ({**STAGE, "WEPAY_THROTTLE": wrong}, "WEPAY_THROTTLE", "30 per 10 seconds")
        for wrong in (
            "thirty",
            "30",
            "30 per fortnight",
            "30 per 0 seconds",
            "0 per second",
            "-1 per second",
            "30 per 10 seconds; 100 per hour",
            "None",
            "off",
        )
    ),
    ({**STAGE, "WEPAY_THROTTLE": 30}, "WEPAY_THROTTLE", "a string: write it as"),
    ({**STAGE, "WEPAY_THROTTLE": False}, "WEPAY_THROTTLE", "or None to turn it off"),
    *(
        ({**STAGE, "WEPAY_THROTTLE_STORAGE": wrong}, "WEPAY_THROTTLE_STORAGE", "memory://")
        for wrong in ("localhost:6379", "nosuch://localhost", "/var/run/redis.sock")
    ),
    ({**STAGE, "WEPAY_THROTTLE_STORAGE": 6379}, "WEPAY_THROTTLE_STORAGE", "not a string"),
    ({**STAGE, "WEPAY_THROTTLE_STORAGE": None}, "WEPAY_THROTTLE_STORAGE", "leave it out"),
    # A merchant's own token
    *(
        ({"WEPAY_ACCESS_TOKEN": wrong}, "WEPAY_ACCESS_TOKEN", "no spaces or line ends")
        for wrong in (" STAGE_t", "STAGE_t\n", "a b", "Bearer STAGE_t", "tökén", "t" * 256, "a\0")
    ),
    ({"WEPAY_ACCESS_TOKEN": 12345678}, "WEPAY_ACCESS_TOKEN", "quote it"),
    ({"WEPAY_ACCESS_TOKEN": "PRODUCTION_ab"}, "WEPAY_ACCESS_TOKEN", "begins with PRODUCTION_"),
    (
        {"WEPAY_ACCESS_TOKEN": "STAGE_ab", "WEPAY_ENVIRONMENT": "production"},
        "WEPAY_ACCESS_TOKEN",
        "begins with STAGE_",
    ),
    # Flask's own
    ({**STAGE, "SESSION_COOKIE_SAMESITE": "Strict"}, "SESSION_COOKIE_SAMESITE", '"Lax"'),
    ({**STAGE, "SESSION_COOKIE_SAMESITE": "strict"}, "SESSION_COOKIE_SAMESITE", '"Lax"'),
    ({**STAGE, "SESSION_COOKIE_SAMESITE": "None"}, "SESSION_COOKIE_SAMESITE", "COOKIE_SECURE"),
    # Empty strings
    *(
        ({**STAGE, key: ""}, key, "is an empty string")
        for key in sorted(DEFAULTS.keys() - {"WEPAY_URL_PREFIX"})
    ),
]


@pytest.mark.parametrize(("config", "key", "mistake"), WRONG)
def test_wrong_setting(config: dict[str, Any], key: str, mistake: str) -> None:
    """A wrong setting stops the application with its key and the likeliest mistake."""
    with pytest.raises(ConfigurationError) as caught:
        read(**config)

    assert f"'{key}'" in str(caught.value)
    assert mistake in str(caught.value)
    assert "hidden" not in str(caught.value)


def test_every_key_has_a_wrong_value() -> None:
    """There is no setting that takes just anything."""
    refused = {key for config, key, mistake in WRONG if mistake != "is an empty string"}

    assert refused >= DEFAULTS.keys()


#: The settings, the attribute that they set, and what it is then.
RIGHT: list[tuple[dict[str, Any], str, Any]] = [
    (STAGE, "environment", "stage"),
    (PRODUCTION, "environment", "production"),
    (SANDBOX, "environment", "sandbox"),
    (STAGE, "client_id", 123456),
    ({**STAGE, "WEPAY_CLIENT_ID": "123456"}, "client_id", 123456),
    ({**STAGE, "WEPAY_CLIENT_ID": 2**63 - 1}, "client_id", 2**63 - 1),
    ({**STAGE, "WEPAY_CLIENT_ID": str(2**63 - 1)}, "client_id", 2**63 - 1),
    (SANDBOX, "client_id", 12345),
    (SANDBOX, "client_secret.value", "1a2b3c4d5e6f"),
    ({**SANDBOX, "WEPAY_CLIENT_ID": "12345"}, "client_secret.value", "1a2b3c4d5e6f"),
    ({**SANDBOX, "WEPAY_CLIENT_SECRET": "my own"}, "client_secret.value", "my own"),
    ({**SANDBOX, **STAGE}, "client_secret.value", "c1i2e3n4t5"),
    ({**STAGE, "WEPAY_CLIENT_SECRET": "ö" * 255}, "client_secret.value", "ö" * 255),
    ({**STAGE, "WEPAY_CLIENT_SECRET": "5220123456"}, "client_secret.value", "5220123456"),
    (STAGE, "api_url", "https://stage.wepayapi.com/v2/"),
    (STAGE, "token_url", "https://stage.wepayapi.com/v2/oauth2/token"),
    (STAGE, "authorize_url", "https://stage.wepay.com/v2/oauth2/authorize"),
    (PRODUCTION, "api_url", "https://wepayapi.com/v2/"),
    (PRODUCTION, "token_url", "https://wepayapi.com/v2/oauth2/token"),
    (PRODUCTION, "authorize_url", "https://www.wepay.com/v2/oauth2/authorize"),
    (SANDBOX, "api_url", "http://127.0.0.1:8010/v2/"),
    (SANDBOX, "authorize_url", "http://127.0.0.1:8010/v2/oauth2/authorize"),
    *(
        ({**SANDBOX, **application, "WEPAY_SANDBOX_URL": url}, "api_url", api_url)
        for application in ({}, STAGE)
        for url, api_url in (
            ("http://localhost:8010/", "http://localhost:8010/v2/"),
            ("http://LocalHost:8010", "http://localhost:8010/v2/"),
            ("http://[::1]:8010", "http://[::1]:8010/v2/"),
            ("https://sandbox.example/of/mine//", "https://sandbox.example/of/mine/v2/"),
        )
    ),
    (
        {**SANDBOX, "WEPAY_SANDBOX_URL": "http://sandbox_1:8010"},
        "api_url",
        "http://sandbox_1:8010/v2/",
    ),
    ({**STAGE, "WEPAY_SANDBOX_URL": "of no use here"}, "api_url", "https://stage.wepayapi.com/v2/"),
    *(
        ({**STAGE, "WEPAY_URL_PREFIX": prefix}, "url_prefix", prefix)
        for prefix in ("", "/wepay", "/a/b.c/d-e_f~")
    ),
    *(
        ({**STAGE, "WEPAY_LOGIN_REDIRECT": target}, "login_redirect", target)
        for target in (
            "/",
            "index",
            "shop.index",
            "/a?b=c&d#e",
            "/käse",
            "/wepay/login/hints",
            "/wepay",
        )
    ),
    (
        {**STAGE, "WEPAY_LOGIN_REDIRECT": "/wepay/login", "WEPAY_URL_PREFIX": "/pay"},
        "login_redirect",
        "/wepay/login",
    ),
    *(
        ({**base, "WEPAY_REDIRECT_URI": uri}, "redirect_uri", uri)
        for base, uri in (
            (STAGE, "http://localhost:8000/wepay/callback"),
            (STAGE, "https://www.example.com/under_score?a_b=1"),
            (STAGE, "https://www.example.com/" + "a" * 2059),
            (PRODUCTION, "https://www.example.com/wepay/callback"),
            (PRODUCTION, "https://localhost.example.com/a"),
            (PRODUCTION, "https://WWW.Example.com/a"),
            (PRODUCTION, "https://203.0.113.7/a"),
        )
    ),
    (
        {**PRODUCTION, "WEPAY_REDIRECT_URI": None, "TRUSTED_HOSTS": ["example.com"]},
        "redirect_uri",
        None,
    ),
    *(
        ({**base, "WEPAY_CALLBACK_URI": uri}, "callback_uri", uri)
        for base, uri in (
            (STAGE, None),
            (STAGE, False),
            (STAGE, "http://my_shop.example.com:8443/ipn?a=b"),
            (SANDBOX, "http://127.0.0.1:8000/wepay/ipn"),
            (PRODUCTION, False),
            (PRODUCTION, "https://ipn.example.com/wepay/ipn"),
        )
    ),
    ({**STAGE, "WEPAY_API_VERSION": "2019-04-03"}, "api_version", "2019-04-03"),
    (STAGE, "api_version", None),
    (STAGE, "timeout", 20.0),
    ({**STAGE, "WEPAY_TIMEOUT": 0.5}, "timeout", 0.5),
    ({**STAGE, "WEPAY_TIMEOUT": 3600}, "timeout", 3600.0),
    (STAGE, "ca_bundle", True),
    ({**STAGE, "WEPAY_CA_BUNDLE": certifi.where()}, "ca_bundle", certifi.where()),
    ({**STAGE, "WEPAY_CA_BUNDLE": Path(certifi.where())}, "ca_bundle", certifi.where()),
    (
        {**STAGE, "WEPAY_CA_BUNDLE": str(Path(__file__).parent)},
        "ca_bundle",
        str(Path(__file__).parent),
    ),
    (STAGE, "proxies", {}),
    *(
        ({**STAGE, "WEPAY_PROXIES": proxies}, "proxies", proxies)
        for proxies in (
            {},
            {"https": "http://user:password@proxy.example:3128"},
            {"http": "http://squid:3128", "all": "HTTPS://socks.example"},
            {"https://wepayapi.com": "http://proxy.example:3128"},
        )
    ),
    (STAGE, "throttle", "30 per 10 seconds"),
    ({**STAGE, "WEPAY_THROTTLE": None}, "throttle", None),
    *(
        ({**STAGE, "WEPAY_THROTTLE": limit}, "throttle", limit)
        for limit in ("6/second", "6 per minute", "100/2 hours")
    ),
    (STAGE, "access_token", None),
    ({"WEPAY_ACCESS_TOKEN": "STAGE_ab"}, "access_token.value", "STAGE_ab"),
    ({"WEPAY_ACCESS_TOKEN": "t" * 255}, "access_token.value", "t" * 255),
    ({"WEPAY_ACCESS_TOKEN": "STAGE_ab"}, "client_id", 0),
    ({"WEPAY_ACCESS_TOKEN": "STAGE_ab", **STAGE}, "client_id", 123456),
    ({"WEPAY_ACCESS_TOKEN": "STAGE_ab", "WEPAY_CLIENT_ID": 5}, "client_secret.value", ""),
    ({"WEPAY_ACCESS_TOKEN": "STAGE_ab", **SANDBOX}, "client_id", 12345),
    (
        {"WEPAY_ACCESS_TOKEN": "PRODUCTION_ab", "WEPAY_ENVIRONMENT": "production"},
        "redirect_uri",
        None,
    ),
    ({**STAGE, "SESSION_COOKIE_SAMESITE": "Lax"}, "environment", "stage"),
    ({**STAGE, "SESSION_COOKIE_SAMESITE": None}, "environment", "stage"),
    (
        {**STAGE, "SECRET_KEY": b"bytes", "SECRET_KEY_FALLBACKS": ("a", b"b")},
        "environment",
        "stage",
    ),
    ({**STAGE, "WEPAY_TOKEN_KEYS": [KEY, Fernet.generate_key()]}, "environment", "stage"),
    ({**STAGE, "WEPAY_TOKEN_KEYS": (KEY,)}, "environment", "stage"),
]


@pytest.mark.parametrize(("config", "attribute", "expected"), RIGHT)
def test_right_setting(config: dict[str, Any], attribute: str, expected: Any) -> None:
    """A right setting is taken as it is."""
    value: Any = read(**config)
    for name in attribute.split("."):
        value = getattr(value, name)

    assert value == expected
    assert type(value) is type(expected)


def test_defaults_are_set() -> None:
    """Every key is in the configuration afterwards, and what was there stays."""
    app = Flask("tests.settings")
    app.config.update(SECRET_KEY="a secret key for tests only", WEPAY_TIMEOUT=7, **STAGE)

    WePay(app)

    assert {key: app.config[key] for key in DEFAULTS} == {**DEFAULTS, **STAGE, "WEPAY_TIMEOUT": 7}


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("WEPAY_CLIENTID", "WEPAY_CLIENT_ID"),
        ("WEPAY_CLIENT_IDS", "WEPAY_CLIENT_ID"),
        ("WEPAY_CLEINT_ID", "WEPAY_CLIENT_ID"),
        ("WEPAY_CLIENT_SECRETS", "WEPAY_CLIENT_SECRET"),
        ("WEPAY_ENVIROMENT", "WEPAY_ENVIRONMENT"),
        ("WEPAY_ENVIRONNEMENT", "WEPAY_ENVIRONMENT"),
        ("WEPAY_TIME_OUT", "WEPAY_TIMEOUT"),
        ("WEPAY_TIMEOUTMS", "WEPAY_TIMEOUT"),
        ("WEPAY_REDIRECT_URL", "WEPAY_REDIRECT_URI"),
        ("WEPAY_CALLBACK_URL", "WEPAY_CALLBACK_URI"),
        ("WEPAY_SANDBOX_URI", "WEPAY_SANDBOX_URL"),
        ("WEPAY_PROXY", None),
        ("WEPAY_PROXIE", "WEPAY_PROXIES"),
        ("WEPAY_TOKEN_KEY", "WEPAY_TOKEN_KEYS"),
        ("WEPAY_THROTLE", "WEPAY_THROTTLE"),
        ("WEPAY_CLIENT_KEY", None),
        ("WEPAY_CLIENT_KWARGS", None),
        ("WEPAY_ENV", None),
        ("WEPAY_SCOPE", None),
    ],
)
def test_misspelt_key(key: str, meant: str | None) -> None:
    """A key within two letters of a known one stops the application; others cause a warning."""
    if meant is None:
        with pytest.warns(UserWarning, match=f"'{key}' is not a setting") as warned:
            read(**STAGE, **{key: "x"})

        assert [str(warning.message) for warning in warned].count(str(warned[0].message)) == 1
    else:
        with pytest.raises(ConfigurationError, match=f"'{key}'.*did you mean '{meant}'"):
            read(**STAGE, **{key: "x"})


@pytest.mark.parametrize("line", ["WePay(app)", "WePay().init_app(app)"])
def test_warning_points_to_the_application(line: str) -> None:
    """The warning of an unknown key names the line that initialises the extension, once."""
    apps = [Flask("tests.settings") for _ in range(2)]
    for app in apps:
        app.config.update(SECRET_KEY="a secret key for tests only", WEPAY_SCOPE="x", **STAGE)
    code = compile(f"\nfor app in apps:\n    {line}", "/srv/flask_wepay_shop.py", "exec")

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        exec(code, {"WePay": WePay, "apps": apps})

    blamed = [(warning.filename, warning.lineno) for warning in caught]
    assert blamed == [("/srv/flask_wepay_shop.py", 3)]


def test_keys_of_others_are_left_alone() -> None:
    """A key that does not begin with WEPAY_ is nobody's business."""
    assert read(**STAGE, WEPAYX_CLIENT_ID=1, MY_WEPAY_TIMEOUT="x", WEPA_TIMEOUT=1).timeout == 20


@pytest.mark.parametrize(
    ("variables", "attribute", "expected"),
    [
        ({}, "client_id", 123456),
        ({"WEPAY_CLIENT_ID": '"123456"'}, "client_id", 123456),
        ({"WEPAY_CLIENT_SECRET": '"5220123456"'}, "client_secret.value", "5220123456"),
        ({"WEPAY_CLIENT_SECRET": "1a2b3c"}, "client_secret.value", "1a2b3c"),
        ({"WEPAY_TIMEOUT": "7.5"}, "timeout", 7.5),
        ({"WEPAY_THROTTLE": "null"}, "throttle", None),
        ({"WEPAY_CALLBACK_URI": "false"}, "callback_uri", False),
        ({"WEPAY_API_VERSION": "2019-04-03"}, "api_version", "2019-04-03"),
        ({"WEPAY_PROXIES__https": "http://p.example"}, "proxies", {"https": "http://p.example"}),
        ({"WEPAY_URL_PREFIX": ""}, "url_prefix", ""),
    ],
)
def test_environment_variables(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], attribute: str, expected: Any
) -> None:
    """What from_prefixed_env makes of environment variables is understood."""
    base = {"SECRET_KEY": "k", "WEPAY_CLIENT_ID": "123456", "WEPAY_CLIENT_SECRET": "c1i2e3n4t5"}
    for name, text in {**base, **variables}.items():
        monkeypatch.setenv(f"FLASK_{name}", text)
    app = Flask("tests.settings")
    app.config.from_prefixed_env()

    WePay(app)

    value: Any = app.extensions["wepay"].settings
    for name in attribute.split("."):
        value = getattr(value, name)
    assert value == expected


@pytest.mark.parametrize("secret", ["5220123456", "1e400", "true", "[1]", '{"a": 1}'])
def test_secret_that_json_reads(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    """A secret that from_prefixed_env takes for JSON is refused with the advice to quote it."""
    monkeypatch.setenv("FLASK_WEPAY_CLIENT_SECRET", secret)
    app = Flask("tests.settings")
    app.config.update(SECRET_KEY="a secret key for tests only", WEPAY_CLIENT_ID=5)
    app.config.from_prefixed_env()

    with pytest.raises(ConfigurationError, match=r"'WEPAY_CLIENT_SECRET'.*quote it"):
        WePay(app)


def test_certificates_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """REQUESTS_CA_BUNDLE is used where the setting is not given, and checked all the same."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())

    assert read(**STAGE).ca_bundle == certifi.where()

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/no/such/file.pem")

    with pytest.raises(ConfigurationError, match="'REQUESTS_CA_BUNDLE'"):
        read(**STAGE)
    assert read(**STAGE, WEPAY_CA_BUNDLE=certifi.where()).ca_bundle == certifi.where()

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")

    assert read(**STAGE).ca_bundle is True


def test_nothing_falls_back_to_production() -> None:
    """Without an environment it is stage, and stage only."""
    settings = read(**STAGE)

    assert settings.environment == "stage"
    assert "https://wepayapi.com" not in repr(settings)


@pytest.mark.parametrize(
    "late",
    ["token_getter", "token_setter"],
)
def test_merchant_token_beside_a_store(late: str) -> None:
    """A merchant's own token together with a token_model or token hooks is refused."""
    app = Flask("tests.settings")
    app.config.update(SECRET_KEY="a secret key for tests only", WEPAY_ACCESS_TOKEN="STAGE_ab")

    with pytest.raises(
        ConfigurationError, match=r"'WEPAY_ACCESS_TOKEN'.*token_model or token hook"
    ):
        WePay(app, token_model=object)
    wepay = WePay()
    getattr(wepay, late)(lambda owner, token=None: None)
    with pytest.raises(ConfigurationError, match="'WEPAY_ACCESS_TOKEN'"):
        wepay.init_app(app)


def test_merchant_token_beside_late_hooks() -> None:
    """Token hooks that are registered later are refused at the first use."""
    app = Flask("tests.settings")
    app.config.update(SECRET_KEY="a secret key for tests only", WEPAY_ACCESS_TOKEN="STAGE_ab")
    wepay = WePay(app)
    wepay.token_getter(lambda owner: None)

    with app.app_context(), pytest.raises(ConfigurationError, match="'WEPAY_ACCESS_TOKEN'"):
        wepay.oauth.wepay.post("user", json={})


def test_twice_on_one_application() -> None:
    """A second init_app on one application is refused."""
    app = Flask("tests.settings")
    app.config.update(SECRET_KEY="a secret key for tests only", **STAGE)
    WePay(app)

    with pytest.raises(ConfigurationError, match="already"):
        WePay(app)


def test_secrets_are_out_of_the_repr() -> None:
    """The repr of the settings shows no secret, no key and no password."""
    settings = read(
        **STAGE,
        WEPAY_TOKEN_KEYS=[KEY],
        WEPAY_PROXIES={"https": "http://user:hunter2@proxy.example"},
        WEPAY_THROTTLE_STORAGE="memory://hunter2",
        WEPAY_ACCESS_TOKEN="STAGE_ab",
    )

    shown = repr(settings)

    assert "client_id=123456" in shown
    assert not [
        secret
        for secret in ("c1i2e3n4t5", KEY, "hunter2", "STAGE_ab", "a secret key for tests only")
        if secret in shown
    ]
