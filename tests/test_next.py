"""``next`` never leaves the site, and what stays on it comes through unchanged."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from ada_url import URL
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import assume, example, given
from hypothesis import strategies as st

from flask_wepay.oauth.logins import local_path
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox

MakeApp = Callable[..., Flask]

#: Where the browser is when it reads a Location; the judge is a WHATWG URL parser.
BASE = "http://localhost/wepay/callback?code=c&state=s"
ORIGIN = "http://localhost"
OWN = ["/wepay/login", "/wepay/callback", "/wepay/ipn"]

EVIL = "evil.example"
OFF_SITE = [
    # Absolute, in every spelling.
    f"http://{EVIL}",
    f"https://{EVIL}/",
    f"HTTPS://{EVIL}/",
    f"https:{EVIL}",
    f"https:/{EVIL}",
    f"https:///{EVIL}",
    f"https:\\\\{EVIL}",
    f"http:////{EVIL}",
    f"ht\ttp://{EVIL}",
    f"\x00https://{EVIL}",
    f" https://{EVIL}",
    f"ftp://{EVIL}",
    f"ws://{EVIL}",
    f"blob:https://{EVIL}/x",
    f"filesystem:https://{EVIL}/x",
    f"view-source:https://{EVIL}",
    # What runs instead of leading somewhere.
    "javascript:alert(1)",
    "JavaScript:alert(1)",
    "java\nscript:alert(1)",
    " javascript:alert(1)",
    "\x01javascript:alert(1)",
    "javascript://%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "mailto:a@evil.example",
    "about:blank",
    # Scheme-relative.
    f"//{EVIL}",
    f"//{EVIL}/path?x#y",
    f"///{EVIL}",
    f"////{EVIL}",
    f"/////{EVIL}",
    f"//{EVIL}:443",
    f"//user@{EVIL}",
    f"//localhost@{EVIL}",
    f"//localhost:80@{EVIL}",
    f"//{EVIL}#@localhost",
    f"//{EVIL}?@localhost",
    f"//{EVIL}%2f@localhost",
    f"//localhost.{EVIL}",
    f"//localhost%2e{EVIL}",
    f"//localhost%00.{EVIL}",
    "//0x7f000001",
    "//2130706433",
    "//127.1",
    "//[::1]",
    "//[::ffff:127.0.0.1]",
    "//%65vil.example",
    "//\uff45vil.example",
    "//evil\u3002example",
    "//evil\uff0eexample",
    "//ⓔvil.example",
    "//xn--vil-bma.example",
    "//",
    "///",
    # Backslashes, which a browser reads as slashes.
    f"\\\\{EVIL}",
    f"/\\{EVIL}",
    f"\\/{EVIL}",
    f"/\\/{EVIL}",
    f"//\\{EVIL}",
    f"\\\\\\{EVIL}",
    f"/\\\\{EVIL}",
    f"/\\user@{EVIL}",
    f"/%09\\{EVIL}",
    # Control characters, which a browser drops.
    f"/\t/{EVIL}",
    f"/\n/{EVIL}",
    f"/\r/{EVIL}",
    f"/\r\n/{EVIL}",
    f"\t//{EVIL}",
    f"\n//{EVIL}",
    f"\x0b//{EVIL}",
    f"\x00//{EVIL}",
    f"\x1f//{EVIL}",
    f" //{EVIL}",
    f"/\t\\{EVIL}",
    f"/\t\t\t/{EVIL}",
    f"/\x00/{EVIL}",
    f"/\n\\{EVIL}",
    f"/\r\nLocation: https://{EVIL}",
    "/\r\nSet-Cookie: session=stolen",
    # Relative, or no path at all.
    "relative",
    "./relative",
    "../up",
    "?query",
    "#fragment",
    "@evil.example",
    ":80/",
    ".evil.example",
    "localhost",
    "",
    " ",
    "\t",
]

#: Odd, but of this site whatever a browser makes of it.
ON_SITE = [
    f"/%2f{EVIL}",
    f"/%2F%2F{EVIL}",
    f"/%5c{EVIL}",
    f"/%5C%5C{EVIL}",
    f"/%09/{EVIL}",
    f"/%0a/{EVIL}",
    f"/%0d%0aLocation:https://{EVIL}",
    f"/%00/{EVIL}",
    f"/.//{EVIL}",
    f"/..//{EVIL}",
    f"/./..//{EVIL}",
    f"/x/..//{EVIL}",
    f"/x/../..//{EVIL}",
    f"/%2e//{EVIL}",
    f"/%2e%2e//{EVIL}",
    f"/x/%2e%2e//{EVIL}",
    f"/https://{EVIL}",
    f"/https:/{EVIL}",
    f"/javascript:alert(1)//{EVIL}",
    f"/@{EVIL}",
    f"/user@{EVIL}",
    f"/:80@{EVIL}",
    f"/;//{EVIL}",
    f"/?//{EVIL}",
    f"/#//{EVIL}",
    f"/?next=https://{EVIL}",
    f"/?@{EVIL}",
    f"/#@{EVIL}",
    f"/\u3002/{EVIL}",
    f"/\uff0f{EVIL}",
    f"/\u2044{EVIL}",
    f"/\uff3c{EVIL}",
    f"/\u2028/{EVIL}",
    f"/\u00a0/{EVIL}",
    f"/\u00ad/{EVIL}",
    f"/\u200b/{EVIL}",
    f"/\ufeff/{EVIL}",
    f"/\x7f/{EVIL}",
    f"/\x85/{EVIL}",
    f"/ /{EVIL}",
    f"/%/{EVIL}",
    f"/%zz//{EVIL}",
    f"/%u2215{EVIL}",
    f"/{{{EVIL}}}",
    "/" + "\u202e" + EVIL,
]

OWN_ROUTES = [
    "/wepay/login",
    "/wepay/login?force=1",
    "/wepay/login#x",
    "/wepay/login/",
    "/wepay/callback?code=x&state=y",
    "/wepay/callback?error=access_denied",
    "/wepay/ipn",
    "/wepay//login",
    "/./wepay/login",
    "/x/../wepay/login",
    "/../wepay/login",
    "/x/%2e%2e/wepay/login",
    "/wepay/x/../login",
    "/wepay%2flogin",
    "/%77epay/login",
    "/wepay/%6cogin?force=1",
    "/.//wepay/login",
    "/x/..//wepay/callback",
]

GOOD = [
    "/",
    "/campaigns/7",
    "/campaigns/7?tab=money&sort=-date",
    "/campaigns/7?tab=money#donate",
    "/#top",
    "/a/b/",
    "/100%25",
    "/a%2Fb",
    "/a%20b?q=c+d%20e",
    "/straße?größe=5€#über",
    "/日本語/ページ?検索=寄付",
    "/🎁",
    "/a b",
    "/é",
    "/e\u0301",
    '/search?filter={"open":true}&ids=[1,2]',
    "/search?q=a|b^c`d&x='y'",
    "/p;v=1,2/~me/!$&'()*+,;=:@",
    "/path?url=https://other.example/x?y=z",
    "/a/../b/./c",
    "/%e2%82%ac",
    "/wepay",
    "/wepay/login-help",
    "/wepayments/login",
    "/Wepay/Login",
]


def resolved(place: str) -> str:
    """Give the address that a browser goes to, as a server reads it.

    A browser leaves some characters of a query raw that others encode.
    """
    return re.sub(r"[][{}|^`]", lambda raw: quote(raw[0]), URL(place, base=BASE).href)


def stays(place: str) -> bool:
    """Tell whether a browser that is led there is still on the site, and not on our routes."""
    there = URL(place, base=BASE)
    return there.origin == ORIGIN and there.pathname not in OWN


@pytest.fixture
def client(make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect) -> FlaskClient:
    """A browser whose user is connected already."""
    client = make_app(WEPAY_THROTTLE=None, WEPAY_LOGIN_REDIRECT="/dropped").test_client()
    client.get("/as/alice")
    wepay_connect(client)
    return client


def straight(client: FlaskClient, sandbox: Sandbox, login: str) -> str:
    """Give the place that a login leads to whose owner is connected already."""
    return client.get(login).location


def through_wepay(client: FlaskClient, sandbox: Sandbox, login: str) -> str:
    """Give the place that a callback leads to."""
    return client.get(sandbox.authorize(client.get(f"{login}&force=1").location)).location


def by_the_row(client: FlaskClient, sandbox: Sandbox, login: str) -> str:
    """Give the place that a second click on the same callback leads to."""
    back = sandbox.authorize(client.get(f"{login}&force=1").location)
    before = client.get_cookie("session").value
    client.get(back)
    client.set_cookie("session", before)
    return client.get(back).location


ways = pytest.mark.parametrize("way", [straight, through_wepay, by_the_row])


def places(client: FlaskClient, sandbox: Sandbox, way: Any, targets: list[str]) -> dict[str, str]:
    return {
        target: way(client, sandbox, f"/wepay/login?next={quote(target, safe='')}")
        for target in targets
    }


@ways
def test_no_trick_leaves_the_site(
    client: FlaskClient, wepay_sandbox: Sandbox, way: Callable[..., str]
) -> None:
    """What leads off the site, or is no path of it, is dropped in favour of the setting."""
    found = places(client, wepay_sandbox, way, OFF_SITE)

    assert {target: place for target, place in found.items() if place != "/dropped"} == {}


@ways
def test_odd_paths_stay(
    client: FlaskClient, wepay_sandbox: Sandbox, way: Callable[..., str]
) -> None:
    """What only looks like leaving is not harmful, whatever becomes of it."""
    found = places(client, wepay_sandbox, way, ON_SITE)

    assert {target: place for target, place in found.items() if not stays(place)} == {}


@ways
def test_own_routes_are_dropped(
    client: FlaskClient, wepay_sandbox: Sandbox, way: Callable[..., str]
) -> None:
    """A `next` that leads back to login, callback or IPN is dropped, however it is spelled."""
    found = places(client, wepay_sandbox, way, OWN_ROUTES)

    assert {target: place for target, place in found.items() if place != "/dropped"} == {}


@ways
def test_good_ones_come_through(
    client: FlaskClient, wepay_sandbox: Sandbox, way: Callable[..., str]
) -> None:
    """A path with query, fragment and any characters leads where it would by itself."""
    found = places(client, wepay_sandbox, way, GOOD)

    assert {t: resolved(place) for t, place in found.items()} == {t: resolved(t) for t in GOOD}


def test_there_are_a_hundred_tricks() -> None:
    """The table is a long one, and has nothing twice."""
    tricks = OFF_SITE + ON_SITE + OWN_ROUTES

    assert len(tricks) == len(set(tricks)) > 150


def test_the_judge_judges() -> None:
    """Most of the tricks would have left the site, had they been believed."""
    gone = [target for target in OFF_SITE if URL.can_parse(target, BASE) and not stays(target)]

    assert len(gone) > 60


@pytest.mark.parametrize(("length", "place"), [(599, None), (600, "/dropped"), (50000, "/dropped")])
def test_too_long(
    client: FlaskClient, wepay_sandbox: Sandbox, length: int, place: str | None
) -> None:
    """A `next` that is too long for the cookie is dropped, and the login works."""
    target = "/" + "n" * length

    assert through_wepay(client, wepay_sandbox, f"/wepay/login?next={target}") == place or target


def test_length_counts_encoded(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """What counts is the length as it is stored, where "ü" is six bytes."""
    target = quote("/" + "ü" * 100)

    assert through_wepay(client, wepay_sandbox, f"/wepay/login?next={target}") == "/dropped"


def test_first_of_two(client: FlaskClient, wepay_sandbox: Sandbox) -> None:
    """Of two arguments the first one counts, and is the one that is judged."""
    login = f"/wepay/login?next=/good&next=//{EVIL}"

    assert through_wepay(client, wepay_sandbox, login) == "/good"


@pytest.mark.parametrize("prefix", ["", "/pay/v2"])
def test_own_routes_under_another_prefix(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect, prefix: str
) -> None:
    """The extension's routes are recognized wherever they are mounted."""
    client = make_app(WEPAY_URL_PREFIX=prefix, WEPAY_LOGIN_REDIRECT="/dropped").test_client()
    client.get("/as/alice")

    own, other = (
        wepay_connect(client, login=f"{prefix}/login?force=1&next={target}").location
        for target in (f"{prefix}/x/../login", "/wepay/login" if prefix else "/")
    )

    assert own == "/dropped"
    assert other != "/dropped"


def test_mounted_below_a_path(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """Behind a SCRIPT_NAME the own routes are recognized, and other paths come through."""
    client = make_app(WEPAY_LOGIN_REDIRECT="/dropped").test_client()
    client.get("/as/alice")
    below = {"base_url": "http://localhost/shop"}

    places = [
        client.get(
            wepay_sandbox.authorize(
                client.get(f"/wepay/login?force=1&next={target}", **below).location
            ).replace("http://localhost/shop", ""),
            **below,
        ).location
        for target in ("/shop/wepay/login", "/shop/cart")
    ]

    assert places == ["/dropped", "/shop/cart"]


PIECES = st.one_of(
    st.characters(exclude_categories=["Cs"]),
    st.sampled_from(["/", "//", "\\", ".", "..", "%", "%2e", "%2f", "%5c", "%00", "\t", "\n"]),
    st.sampled_from(["\r", "\0", " ", "@", ":", "?", "#", "[", "]", "javascript:", "https:", EVIL]),
    st.sampled_from(["wepay", "login", "ipn", "\u3002", "\uff0f", "\u2028", "\u200b", "\ud800"]),
)
TEXTS = st.lists(PIECES, max_size=12).map("".join)


@given(TEXTS)
@example("/\\evil.example")
@example("/x/..//evil.example")
def test_generated(target: str) -> None:
    """Whatever is made of slashes, dots, controls and percent signs stays on the site."""
    for start in ("", "/", "//", "/\\"):
        place = local_path(start + target, OWN)

        assert place is None or (stays(place) and place.isascii() and place.isprintable())


@given(TEXTS)
@example('a?{"x":[1]}|^`#<b>')
def test_generated_paths_come_through(target: str) -> None:
    """Every address of the site, as a browser writes it, comes through to the letter."""
    assume("\ud800" not in target and URL.can_parse(f"{ORIGIN}/{target}"))
    there = URL(f"{ORIGIN}/{target}")
    path = there.pathname + there.search + there.hash
    assume(there.origin == ORIGIN and not path.startswith("//") and len(path) < 600)
    assume(stays(path) and local_path(there.pathname, OWN) is not None)

    place = local_path(path, OWN)

    # A browser leaves a backslash in a query as it is; a trick or not, it is dropped.
    assert place is None if "\\" in path else resolved(place or "") == resolved(path)
