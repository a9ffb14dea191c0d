"""The Authlib client ``wepay.oauth.wepay``, used directly."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from applications import MakeApp, rows_of
from authlib.integrations.base_client import MissingTokenError
from authlib.integrations.flask_client import OAuth
from flask import Flask, current_app, session
from flask.testing import FlaskClient
from wire import RawServer, http

from flask_wepay import WePay
from flask_wepay.errors import ConfigurationError, InvalidCall
from flask_wepay.oauth import client as oauth
from flask_wepay.oauth.client import SCOPE, WePayApp, check_call
from flask_wepay.tokens import MalformedToken, Token

Connect = Callable[..., Any]
TOKEN = {"access_token": "STAGE_given", "user_id": 5, "token_type": "BEARER"}


def bearer_of(sandbox: Any, call: str = "user") -> str:
    """The token that the last request to a call carried."""
    return sandbox.last(call).headers["authorization"].removeprefix("Bearer ")


def living_token(sandbox: Any, user_id: int) -> str:
    """The one token of a user that lives."""
    [token] = sandbox.tokens(user_id)
    return token.access_token


@pytest.fixture(autouse=True)
def asking(app: Flask, wepay: WePay) -> None:
    """Let the application use Authlib's client in its views."""

    @app.get("/who")
    def who() -> Any:
        return wepay.oauth.wepay.post("user", json={}).json()

    @app.get("/try")
    def attempt() -> str:
        with pytest.raises(MissingTokenError):
            wepay.oauth.wepay.post("user", json={})
        assert wepay.oauth.wepay.token is None
        return "nothing"

    @app.get("/adopt/<int:user_id>/<token>")
    def adopt(user_id: int, token: str) -> Any:
        wepay.oauth.wepay.token = {**TOKEN, "access_token": token, "user_id": user_id}
        return wepay.oauth.wepay.post("user", json={}).json()


def test_acts_for_the_current_owner(
    app: Flask, client: FlaskClient, wepay_sandbox: Any, wepay_connect: Connect
) -> None:
    """Used directly the client acts for whoever the request is of."""
    bob = app.test_client()
    bob.get("/as/bob")
    wepay_connect(client, email="alice@example.com")
    wepay_connect(bob, email="bob@example.com")

    emails = [browser.get("/who").json["email"] for browser in (client, bob, client)]

    assert emails == ["alice@example.com", "bob@example.com", "alice@example.com"]


@pytest.mark.usefixtures("wepay_sandbox")
def test_no_cache_in_an_outer_context(
    app: Flask, client: FlaskClient, wepay_connect: Connect
) -> None:
    """Within one application context that serves several owners each is itself."""
    bob = app.test_client()
    with app.app_context():
        bob.get("/as/bob")
        wepay_connect(client, email="alice@example.com")
        wepay_connect(bob, email="bob@example.com")

        emails = [browser.get("/who").json["email"] for browser in (client, bob, client)]

    assert emails == ["alice@example.com", "bob@example.com", "alice@example.com"]


def test_owners_of_one_context(
    app: Flask, client: FlaskClient, wepay: WePay, wepay_sandbox: Any, wepay_connect: Connect
) -> None:
    """Jobs that act for one owner after the other in one context send each one's own token."""
    bob = app.test_client()
    bob.get("/as/bob")
    wepay_connect(client, email="alice@example.com")
    wepay_connect(bob, email="bob@example.com")

    with app.app_context():
        seen = [
            wepay.oauth.wepay.post("user", json={}, token=wepay.client_for(owner).token).json()
            for owner in ("alice", "bob", "alice")
        ]

    assert [user["email"] for user in seen] == [
        "alice@example.com",
        "bob@example.com",
        "alice@example.com",
    ]


def test_token_that_changed(
    client: FlaskClient, wepay_sandbox: Any, wepay_connect: Connect
) -> None:
    """After a second login the new token is used at once."""
    wepay_connect(client, email="alice@example.com")
    client.get("/who")
    wepay_connect(client, email="alice@example.com", login="/wepay/login?force=1")

    user_id = client.get("/who").json["user_id"]

    assert bearer_of(wepay_sandbox) == living_token(wepay_sandbox, user_id)


def test_nobody(app: Flask, client: FlaskClient, wepay: WePay, wepay_sandbox: Any) -> None:
    """Without a connection nothing is sent."""
    assert client.get("/try").text == "nothing"
    with app.app_context(), pytest.raises(MissingTokenError):
        wepay.oauth.wepay.post("user", json={})
    assert len(wepay_sandbox.log) == 0


def test_given_token(app: Flask, wepay: WePay, wepay_sandbox: Any) -> None:
    """A token that is given is used, as a Token or as a mapping such as Authlib's."""
    given: list[Any] = [
        TOKEN,
        Token.from_mapping(TOKEN),
        {"access_token": "STAGE_given", "token_type": "bearer"},
    ]
    for token in given:
        with app.app_context():
            answer = wepay.oauth.wepay.post("user", json={}, token=token)

        assert answer.status_code == 401
        assert bearer_of(wepay_sandbox) == "STAGE_given"


def test_api_version(make_app: MakeApp, wepay_sandbox: Any) -> None:
    """WEPAY_API_VERSION goes with every call, and gives way to the one that a call names."""
    app = make_app(WEPAY_API_VERSION="2019-04-03")
    client, token = app.extensions["wepay"].oauth.wepay, {"access_token": "STAGE_ca8f2d"}
    with app.test_request_context():
        client.post("user", token=token, json={})
        client.post("user", token=token, json={}, headers={"Api-Version": "2018-06-01"})

    versions = [exchange.headers["api-version"] for exchange in wepay_sandbox.log]
    assert versions == ["2019-04-03", "2018-06-01"]


@pytest.mark.parametrize("token", [{"access_token": "a\r\nb"}, {"access_token": 5}, {"a": "b"}, {}])
def test_given_nonsense(app: Flask, wepay: WePay, wepay_sandbox: Any, token: Any) -> None:
    """What could not stand in a header is not sent, nor in its place the current owner's token."""
    with app.test_request_context():
        session["user"] = "alice"
        app.extensions["wepay"].store.adopt("alice", Token("STAGE_of-alice", 100001))
        with pytest.raises(MalformedToken):
            wepay.oauth.wepay.post("user", json={}, token=token)

    assert len(wepay_sandbox.log) == 0


def test_token_is_stored(app: Flask, client: FlaskClient, wepay: WePay, wepay_sandbox: Any) -> None:
    """The token setter is attached: a token that is set belongs to the current owner."""
    token = wepay_sandbox.issue_token()
    user_id = next(iter(wepay_sandbox.world.users))

    answer = client.get(f"/adopt/{user_id}/{token}")

    assert answer.json["user_id"] == user_id
    [row] = rows_of(app)
    assert (row.owner, row.user_id) == ("alice", user_id)
    assert token not in row.token


def test_merchant_token(make_app: MakeApp, wepay_sandbox: Any) -> None:
    """With WEPAY_ACCESS_TOKEN the client sends that token, which has no user_id here."""
    token = wepay_sandbox.issue_token()
    wepay = WePay()
    app = make_app(wepay, WEPAY_ACCESS_TOKEN=token)

    with app.test_request_context():
        answer = wepay.oauth.wepay.post("user", json={})

    assert answer.status_code == 200
    assert bearer_of(wepay_sandbox) == token


def test_without_token(app: Flask, wepay: WePay, wepay_sandbox: Any) -> None:
    """Calls that need no token, such as /app, go without."""
    with app.app_context():
        answer = wepay.oauth.wepay.post(
            "app",
            json={"client_id": 12345, "client_secret": "1a2b3c4d5e6f"},
            withhold_token=True,
        )

    assert answer.json()["client_id"] == 12345
    assert "authorization" not in wepay_sandbox.last("app").headers


@pytest.mark.parametrize("method", ["get", "post", "put", "patch", "delete"])
def test_every_method(app: Flask, wepay: WePay, wepay_sandbox: Any, method: str) -> None:
    """Each of Authlib's methods goes to WePay under the same rules."""
    with app.app_context():
        getattr(wepay.oauth.wepay, method)("/user", token=TOKEN)

    assert wepay_sandbox.last("user").method == method.upper()
    assert bearer_of(wepay_sandbox) == "STAGE_given"


ODD_NAMES: list[Any] = [
    "",
    "/",
    "//",
    "//evil.example/user",
    "///evil.example/user",
    "/\\evil.example/user",
    "\\\\evil.example",
    "https://evil.example/v2/user",
    "http://evil.example",
    "HTTPS://evil.example",
    "https:evil.example",
    "https:/evil.example",
    "ftp://evil.example",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "@evil.example/user",
    "user@evil.example",
    ".evil.example/user",
    ":8080/user",
    "../user",
    "user/../../v1/user",
    "user/./create",
    "user/",
    "user//create",
    "user?access_token=STAGE_given",
    "user#fragment",
    "user;a=b",
    "user%2f..%2fevil",
    "user create",
    " user",
    "user\n",
    "user\r\nHost: evil.example",
    "user\0",
    "User",
    "USER",
    "üser",
    "\uff55ser",
    "5user",
    "_user",
    "https://stage.wepayapi.com/v2/user",
    "http://127.0.0.1:8010/v2/user",
    "v2/user?x",
    None,
    5,
    b"user",
    ["user"],
]


def test_odd_names(app: Flask, wepay: WePay, wepay_sandbox: Any) -> None:
    """What is not lower-case words joined by slashes goes nowhere."""
    assert len(ODD_NAMES) >= 30
    with app.app_context():
        for name in ODD_NAMES:
            with pytest.raises(InvalidCall, match="is not the name of a call"):
                wepay.oauth.wepay.post(name, token=TOKEN, json={})

    assert len(wepay_sandbox.log) == 0


@pytest.mark.parametrize(
    ("name", "call"),
    [("user", "user"), ("/user", "user"), ("account/get_update_uri", "account/get_update_uri")],
)
def test_right_name(name: str, call: str) -> None:
    """Words joined by slashes are a call; one leading slash is forgiven."""
    assert check_call(name) == call


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v2/user",
        "http://127.0.0.1:8010.evil.example/v2/user",
        "http://127.0.0.1:8010@evil.example/v2/user",
        "http://127.0.0.1:80100/v2/user",
        "https://127.0.0.1:8010/v2/user",
        "http://127.0.0.1:8010/v2",
        "/v2/user",
        "",
    ],
)
def test_session_of_the_client(app: Flask, wepay: WePay, wepay_sandbox: Any, url: str) -> None:
    """The session below the client, too, sends to WePay's own address only."""
    with (
        app.app_context(),
        wepay.oauth.wepay._get_oauth_client() as session,
        pytest.raises(InvalidCall, match="Only URLs under"),
    ):
        session.post(url, withhold_token=True)

    assert len(wepay_sandbox.log) == 0


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Same", "308 Same"])
@pytest.mark.parametrize("follow", [{}, {"allow_redirects": True}])
def test_no_redirects(make_app: MakeApp, status: str, follow: dict[str, bool]) -> None:
    """A redirect is an answer like any other, whatever the caller asks for."""
    with (
        RawServer(http(b"{}")) as elsewhere,
        RawServer(http(b"{}", status, [f"Location: {elsewhere.url}/v2/user"])) as server,
    ):
        app = make_app(WEPAY_SANDBOX_URL=server.url)

        with app.app_context():
            answer = app.extensions["test"]["wepay"].oauth.wepay.post("user", token=TOKEN, **follow)

    assert answer.status_code == int(status[:3])
    assert elsewhere.requests == []


@pytest.mark.parametrize("given", [{}, {"timeout": 0.8}, {"timeout": 0}])
def test_deadline(make_app: MakeApp, given: dict[str, float]) -> None:
    """Every request has a deadline, which a caller can shorten and not do without."""
    with RawServer(lambda connection, left: connection.recv(1) and None) as server:
        app = make_app(WEPAY_SANDBOX_URL=server.url, WEPAY_TIMEOUT=1)

        with app.app_context(), pytest.raises(requests.Timeout):
            app.extensions["test"]["wepay"].oauth.wepay.post("user", token=TOKEN, **given)


def test_deadline_of_a_drip(make_app: MakeApp) -> None:
    """A body that drips in does not outlast the deadline."""

    def drip(connection: Any, left: Any) -> None:
        connection.sendall(http(b"", headers=[]))
        while not left.wait(0.02):
            connection.sendall(b" ")

    with RawServer(drip) as server:
        app = make_app(WEPAY_SANDBOX_URL=server.url, WEPAY_TIMEOUT=1)

        # On a busy machine the time may be up before the body has begun.
        ended = (requests.ConnectionError, requests.Timeout)
        with app.app_context(), pytest.raises(ended):
            app.extensions["test"]["wepay"].oauth.wepay.post("user", token=TOKEN)


def test_no_netrc(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, wepay_connect: Connect
) -> None:
    """A netrc file changes neither the token request nor a call."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login user password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    good = json.dumps(TOKEN).encode()
    with RawServer(http(good)) as server:
        app = make_app(WEPAY_SANDBOX_URL=server.url)
        browser = app.test_client()
        browser.get("/as/alice")
        state = browser.get("/wepay/login").location.rpartition("state=")[2]

        browser.get("/wepay/callback", query_string={"code": "c0d3", "state": state})
        with app.app_context():
            app.extensions["test"]["wepay"].oauth.wepay.post("user", token=TOKEN)

    exchange, call = (request.lower() for request in server.requests)
    assert b"authorization" not in exchange
    assert b"authorization: bearer stage_given\r\n" in call
    assert b"basic" not in exchange + call


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_no_proxy_of_the_environment(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The environment's proxies are not used by themselves."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with RawServer(http(b"{}")) as proxy, RawServer(http(b"{}")) as server:
        monkeypatch.setenv(name, proxy.url)
        app = make_app(WEPAY_SANDBOX_URL=server.url)

        with app.app_context():
            app.extensions["test"]["wepay"].oauth.wepay.post("user", token=TOKEN)

        assert (len(server.requests), len(proxy.requests)) == (1, 0)


def test_proxy_of_the_settings(make_app: MakeApp) -> None:
    """WEPAY_PROXIES is used, and a caller can't put another in its place."""
    with RawServer(http(b"{}")) as proxy, RawServer(http(b"{}")) as other:
        app = make_app(WEPAY_SANDBOX_URL="http://127.0.0.1:8010", WEPAY_PROXIES={"http": proxy.url})

        with app.app_context():
            app.extensions["test"]["wepay"].oauth.wepay.post(
                "user", token=TOKEN, proxies={"http": other.url}
            )

    [request] = proxy.requests
    assert request.startswith(b"POST http://127.0.0.1:8010/v2/user HTTP/1.1\r\n")
    assert other.requests == []


def test_verification_stays_on(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller can't turn the verification of certificates off."""
    seen: list[Any] = []
    app = make_app()
    wepay = app.extensions["test"]["wepay"]
    monkeypatch.setattr(
        requests.Session, "send", lambda self, request, **kwargs: seen.append(kwargs["verify"])
    )

    with app.app_context(), pytest.raises(AttributeError):
        wepay.oauth.wepay.post("user", token=TOKEN, verify=False)

    assert seen == [app.extensions["wepay"].settings.ca_bundle]
    assert seen[0]


def test_cookies_do_not_stay(make_app: MakeApp) -> None:
    """A cookie of WePay's does not travel from one owner's request to another's."""
    with RawServer(http(b"{}", headers=["Content-Length: 2", "Set-Cookie: who=alice"])) as server:
        app = make_app(WEPAY_SANDBOX_URL=server.url)

        with app.app_context():
            for _ in range(2):
                app.extensions["test"]["wepay"].oauth.wepay.post("user", token=TOKEN)

    assert len(server.requests) == 2
    assert b"who=alice" not in server.requests[1]


def test_own_registry_is_untouched(make_app: MakeApp) -> None:
    """The application's Authlib registry, made before or after, keeps its place and clients."""
    wepay = WePay()
    app = make_app(wepay)
    assert "authlib.integrations.flask_client" not in app.extensions
    own = OAuth(app)
    own.register("google", client_id="g", client_secret="s")

    with app.app_context():
        assert app.extensions["authlib.integrations.flask_client"] is own
        assert own.create_client("wepay") is None
        assert wepay.oauth is not own
        assert wepay.oauth.create_client("google") is None
        assert isinstance(wepay.oauth.wepay, WePayApp)


def test_registry_made_before() -> None:
    """A registry that was there first is not overwritten."""
    app = Flask("tests.oauth")
    app.config.update(SECRET_KEY="a secret key for tests only", WEPAY_ENVIRONMENT="sandbox")
    own = OAuth(app)

    WePay(app)

    assert app.extensions["authlib.integrations.flask_client"] is own
    assert own.create_client("wepay") is None


def test_given_registry() -> None:
    """A registry that is given gets the client, beside those it has."""
    app = Flask("tests.oauth")
    app.config.update(SECRET_KEY="a secret key for tests only", WEPAY_ENVIRONMENT="sandbox")
    own = OAuth(app)
    google = own.register("google", client_id="g", client_secret="s")

    wepay = WePay(app, oauth=own)

    with app.app_context():
        assert wepay.oauth is own
    assert isinstance(own.wepay, WePayApp)
    assert own.google is google


def test_registry_that_will_not_do() -> None:
    """A registry of no or another application, or with a "wepay" of its own, is refused."""
    apps = [Flask("tests.oauth") for _ in range(3)]
    for app in apps:
        app.config.update(SECRET_KEY="a secret key for tests only", WEPAY_ENVIRONMENT="sandbox")
    taken = OAuth(apps[2])
    taken.register("wepay", client_id="w", client_secret="s")
    shared = WePay(oauth=OAuth(apps[0]))
    shared.init_app(apps[0])

    with pytest.raises(ConfigurationError, match=r"init_app\(app\) first"):
        WePay(apps[1], oauth=OAuth())
    with pytest.raises(ConfigurationError, match="another application"):
        shared.init_app(apps[1])
    with pytest.raises(ConfigurationError, match="already has a client named 'wepay'"):
        WePay(apps[2], oauth=taken)


@pytest.mark.filterwarnings("ignore:'WEPAY_:UserWarning")
def test_authlib_reads_no_settings(make_app: MakeApp, wepay_sandbox: Any) -> None:
    """Keys that Authlib would read of a client called "wepay" have no effect."""
    evil = "https://evil.example/"
    app = make_app(
        WEPAY_CLIENT_KWARGS={"scope": "nothing", "default_timeout": 1, "verify": False},
        WEPAY_AUTHORIZE_URL=evil,
        WEPAY_AUTHORIZE_PARAMS={"response_type": "token"},
        WEPAY_ACCESS_TOKEN_URL=evil,
        WEPAY_ACCESS_TOKEN_PARAMS={"grant_type": "password"},
        WEPAY_REQUEST_TOKEN_URL=evil,
        WEPAY_REQUEST_TOKEN_PARAMS={"a": "b"},
        WEPAY_REFRESH_TOKEN_URL=evil,
        WEPAY_REFRESH_TOKEN_PARAMS={"a": "b"},
        WEPAY_API_BASE_URL=evil,
        WEPAY_SERVER_METADATA_URL=evil,
    )
    browser = app.test_client()
    browser.get("/as/alice")

    location = browser.get("/wepay/login").location
    back = browser.get(wepay_sandbox.authorize(location))

    assert back.location == "/"
    assert "evil" not in location
    assert "response_type" not in location
    assert f"scope={SCOPE.replace(',', '%2C')}" in location
    assert set(wepay_sandbox.last("oauth2/token").json) == {
        "client_id",
        "client_secret",
        "redirect_uri",
        "code",
        "callback_uri",
    }


def test_no_secret_in_class_attributes(make_app: MakeApp) -> None:
    """No class keeps what one application was registered with."""
    make_app(WEPAY_CLIENT_ID=777, WEPAY_CLIENT_SECRET="c1i2e3n4t5")

    for cls in {*WePayApp.__mro__, *oauth.WePaySession.__mro__, WePay, OAuth}:
        assert "c1i2e3n4t5" not in repr(vars(cls))
    assert WePayApp.OAUTH_APP_CONFIG is None


def test_two_applications(make_app: MakeApp, wepay_sandbox: Any, wepay_connect: Connect) -> None:
    """One extension object on two applications: each has its own client, settings and tokens."""
    wepay, kept = WePay(), {}
    wepay.token_getter(lambda owner: kept.get((current_app.config["WEPAY_CLIENT_ID"], owner)))
    wepay.token_setter(
        lambda owner, token: kept.update({(current_app.config["WEPAY_CLIENT_ID"], owner): token})
    )
    wepay_sandbox.world.add_application(54321, "another secret")
    first = make_app(wepay, WEPAY_CLIENT_ID=12345)
    second = make_app(wepay, WEPAY_CLIENT_ID=54321, WEPAY_CLIENT_SECRET="another secret")
    clients = []

    for app in (first, second):
        browser = app.test_client()
        browser.get("/as/alice")
        wepay_connect(browser, email="alice@example.com")
        with app.app_context():
            clients.append(wepay.oauth.wepay)

    sent = [exchange.json for exchange in wepay_sandbox.log.of("oauth2/token")]
    assert [(body["client_id"], body["client_secret"]) for body in sent] == [
        (12345, "1a2b3c4d5e6f"),
        (54321, "another secret"),
    ]
    assert [client.client_id for client in clients] == [12345, 54321]
    assert kept.keys() == {(12345, "alice"), (54321, "alice")}
    with first.app_context():
        assert wepay.oauth.wepay is clients[0]


def test_own_login_is_refused(app: Flask, wepay: WePay) -> None:
    """Authlib's own login, which would have none of our checks, is refused with the way to go."""
    with app.test_request_context():
        with pytest.raises(ConfigurationError, match=r"wepay\.login"):
            wepay.oauth.wepay.authorize_redirect("http://localhost/")
        with pytest.raises(ConfigurationError, match=r"wepay\.callback"):
            wepay.oauth.wepay.authorize_access_token()
        with pytest.raises(ConfigurationError, match=r"wepay\.callback"):
            wepay.oauth.wepay.fetch_access_token(code="a code")
