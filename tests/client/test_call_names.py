"""Which call names are taken, and where nothing is ever sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from servers import RawServer, answer, answering, echo

from flask_wepay import WePayClient
from flask_wepay.errors import InvalidCall, OutcomeUnknown


@pytest.mark.parametrize(
    "name", ["user", "account/find", "/account/find", "account/get_update_uri"]
)
def test_calls_are_words_joined_by_slashes(client_of: Any, name: str) -> None:
    """A call's name is lower-case words joined by slashes; one leading slash is forgiven."""
    client = client_of(echo)

    assert client.call(name) == {"token": "Bearer STAGE_alice"}


ODD_NAMES = [
    "http://{}/v2/user",
    "https://{}/v2/user",
    "//{}/v2/user",
    "///{}/v2/user",
    "/\\{}/v2/user",
    "\\\\{}/user",
    "@{}/user",
    "user@{}",
    ":80@{}/",
    ".{}/user",
    "{}",
    "user?next={}",
    "user#{}",
    "user;{}",
    "../../{}",
    "../user",
    "./user",
    "user/../app",
    "user/..",
    "user/",
    "//user",
    "user//modify",
    "/",
    "",
    " user",
    "user ",
    "user\n",
    "user\r\nHost: {}",
    "user\t",
    "user%2fmodify",
    "user%00",
    "User",
    "USER",
    "1user",
    "user-modify",
    "üser",
    "user\N{FULLWIDTH SOLIDUS}modify",
    "v2.user",
]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_are_refused(serve: Callable[..., RawServer], client_at: Any, name: str) -> None:
    """An absolute, relative or odd call name is refused, and nothing reaches any host."""
    wepay, other = serve(echo), serve(echo)
    client = client_at(wepay.url)

    with pytest.raises(InvalidCall, match="is not the name of a call"):
        client.call(name.format(f"127.0.0.1:{other.port}"))

    assert (wepay.connections, other.connections) == (0, 0)


@pytest.mark.parametrize("name", [None, 5, b"user", ["user"], object()])
def test_names_are_strings(client_of: Any, name: Any) -> None:
    """A call name of another type than a string is refused, as a ValueError too."""
    client = client_of(echo)

    with pytest.raises(ValueError, match="is not the name of a call"):
        client.call(name)


@pytest.mark.parametrize("name", ["http://127.0.0.1/v2/user", "//evil.example/user", "user?a=b"])
def test_authlibs_client_takes_no_odd_names_either(client_of: Any, name: str) -> None:
    """The Authlib client, used directly, is held to the same rule."""
    client: WePayClient = client_of(echo)

    with pytest.raises(InvalidCall):
        client._state.oauth.wepay.post(name, token={"access_token": "x"}, json={})


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See", "307 Same", "308 Same"])
@pytest.mark.parametrize("target", ["http://127.0.0.1:{}/v2/user", "//127.0.0.1:{}/", "/v2/app"])
def test_redirects_are_not_followed(
    serve: Callable[..., RawServer], client_at: Any, status: str, target: str
) -> None:
    """A redirect is OutcomeUnknown, and nothing goes where it points."""
    other = serve(echo)
    wepay = serve(answering(answer({}, status, Location=target.format(other.port))))
    client = client_at(wepay.url)

    with pytest.raises(OutcomeUnknown) as caught:
        client.call("checkout/create", amount=1)

    assert caught.value.status == int(status[:3])
    assert (len(wepay.requests), other.connections) == (1, 0)


def test_no_netrc_and_no_proxy_of_the_environment(
    serve: Callable[..., RawServer],
    client_at: Any,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> None:
    """What ~/.netrc and HTTP_PROXY say changes neither the credentials nor the way."""
    proxy, wepay = serve(echo), serve(echo)
    netrc = tmp_path / "netrc"
    netrc.write_text("default login mallory password stolen\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
    ):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    assert client_at(wepay.url).call("user") == {"token": "Bearer STAGE_alice"}
    assert proxy.connections == 0


def test_a_configured_proxy_is_used(serve: Callable[..., RawServer], client_at: Any) -> None:
    """WEPAY_PROXIES is the one way to a proxy."""
    proxy = serve(echo)
    client = client_at("http://localhost:9", WEPAY_PROXIES={"http": proxy.url})

    client.call("user")

    assert proxy.requests[0].path == "http://localhost:9/v2/user"
