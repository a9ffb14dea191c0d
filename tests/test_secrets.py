"""Nothing secret is shown, kept in the clear or raised: a hunt through whole logins."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
import sqlalchemy as sa
from applications import MakeApp, rows_of
from flask import Flask, render_template_string
from flask.testing import FlaskClient
from hunter import Hunter
from werkzeug.test import TestResponse

from flask_wepay import WePay, current_wepay
from flask_wepay.errors import ConfigurationError, WePayError
from flask_wepay.tokens import MalformedToken

CLIENT_SECRET = "1a2b3c4d5e6f"


class Site:
    """An application under the hunt: its browser, its sandbox, and all that it raised."""

    def __init__(self, app: Flask, hunter: Hunter, sandbox: Any) -> None:
        self.app = app
        self.hunter = hunter
        self.sandbox = sandbox
        self.wepay: WePay = app.extensions["test"]["wepay"]
        self.browser: FlaskClient = app.test_client()
        self.browser.get("/as/alice")

    def begin(self, login: str = "/wepay/login") -> dict[str, str]:
        """Log in up to the way back, and hunt its code and state from then on."""
        answer = self.browser.get(login)
        back = self.sandbox.authorize(answer.location)
        arguments = dict(parse_qsl(urlsplit(back).query))
        self.hunter.secrets |= {arguments["code"], arguments["state"]}
        self.look_around(answer, leads_to_wepay=True)
        return arguments

    def finish(self, arguments: dict[str, str]) -> TestResponse:
        """Come back from WePay, and look at all there is afterwards."""
        answer = self.browser.get("/wepay/callback", query_string=arguments)
        self.hunter.secrets |= set(self.sandbox.world.tokens)
        self.look_around(answer)
        return answer

    def connect(self) -> TestResponse:
        """Log in from beginning to end."""
        return self.finish(self.begin())

    def get(self, path: str) -> TestResponse:
        """Open a page, and look at all there is afterwards."""
        answer = self.browser.get(path)
        self.look_around(answer)
        return answer

    def look_around(self, answer: TestResponse, *, leads_to_wepay: bool = False) -> None:
        """Look at an answer, the cookies, the logs and the database.

        The state belongs into the address at WePay, and so into Flask's page about it.
        """
        if not leads_to_wepay:
            self.hunter.look("page", answer.get_data())
            self.hunter.look("headers", list(answer.headers))
        self.hunter.look_at_cookies(self.browser, self.app)
        self.hunter.look_at_logs()
        for row in rows_of(self.app):
            self.hunter.look("row", row._asdict())


@pytest.fixture
def hunter() -> Iterator[Hunter]:
    """A hunt that must find nothing, and look at something."""
    with Hunter(CLIENT_SECRET) as hunter:
        yield hunter
        hunter.look_at_logs()
    assert hunter.looked > 0
    assert hunter.found == []


@pytest.fixture
def make_site(make_app: MakeApp, hunter: Hunter) -> Callable[..., Site]:
    """Make applications under the hunt, whose handler looks at every error of ours."""

    def make(sandbox: Any, *, handler: bool = True, **config: Any) -> Site:
        app = make_app(WEPAY_SANDBOX_URL=sandbox.url, **config)
        if handler:

            @app.errorhandler(WePayError)
            def look(error: WePayError) -> tuple[str, int]:
                hunter.look_at_error("handler", error)
                return f"{type(error).__name__}: {error}", 500

        @app.get("/call/<path:name>")
        def call(name: str) -> Any:
            return {"value": current_wepay.call(name)}

        @app.get("/batch")
        def batch() -> str:
            results = current_wepay.batch([("user", {}), ("account/find", {})])
            for result in results:
                hunter.look("member", result)
            return str(results)

        @app.get("/direct")
        def direct() -> Any:
            wepay: WePay = app.extensions["test"]["wepay"]
            try:
                return wepay.oauth.wepay.post("user", json={}).json()
            except requests.RequestException as error:
                hunter.look_at_error("direct", error)
                return {"failed": type(error).__name__}

        @app.get("/shown")
        def shown() -> str:
            return render_template_string(
                "{{ current_wepay }} {{ current_wepay.token }} {{ current_wepay.user_id }}"
                " {{ current_wepay.token | string }} {{ config['WEPAY_CLIENT_ID'] }}"
            )

        return Site(app, hunter, sandbox)

    return make


@pytest.fixture
def site(make_site: Callable[..., Site], wepay_sandbox: Any) -> Site:
    """An application under the hunt, in the sandbox."""
    return make_site(wepay_sandbox)


def test_login(site: Site) -> None:
    """A login, the calls after it, a second login and a disconnect show nothing."""
    assert site.connect().location == "/"
    assert site.get("/call/user").json["value"]["state"] == "registered"
    assert site.get("/wepay/login").location == "/"
    assert site.get("/direct").json["user_id"]
    assert site.finish(site.begin("/wepay/login?force=1")).location == "/"
    assert "access_token" not in site.get("/shown").text
    assert site.get("/batch").status_code == 200
    with site.app.app_context():
        site.wepay.client_for("alice").disconnect()
    assert site.get("/call/user").text.startswith("NotAuthorized")


def test_login_over_sockets(make_site: Callable[..., Site], wepay_live_sandbox: Any) -> None:
    """The same over real connections, with what urllib3 logs of them."""
    site = make_site(wepay_live_sandbox)
    arguments = site.begin()
    site.browser.get("/wepay/callback", query_string=arguments)
    site.hunter.secrets |= set(wepay_live_sandbox.world.tokens)

    assert {"flask_wepay", "urllib3.connectionpool"} <= site.hunter.loggers
    assert site.get("/call/user").status_code == 200
    wepay_live_sandbox.drop_next("account/create")
    assert site.get("/call/account/create").text.startswith("OutcomeUnknown")
    wepay_live_sandbox.drop_next("user")
    assert site.get("/direct").json == {"failed": "ConnectionError"}
    wepay_live_sandbox.drop_next("oauth2/token")
    assert site.finish(site.begin("/wepay/login?force=1")).text.startswith("OutcomeUnknown")
    wepay_live_sandbox.stop()
    assert site.get("/call/user").text.startswith("ConnectionFailed")
    assert site.get("/direct").json == {"failed": "ConnectionError"}


#: What goes wrong with the exchange; "{}" stands for everything secret.
FAILURES: dict[str, dict[str, Any]] = {
    "refused": {"status": 400, "body": {"error": "{}", "error_code": 1012}},
    "refused with an echo": {
        "status": 400,
        "body": {
            "error": "invalid_request {}",
            "error_description": "{}",
            "error_code": 1003,
            "details": [{"{}": ["{}"]}],
        },
    },
    "refused without a code": {"status": 403, "body": {"error": "{}", "error_description": "{}"}},
    "refused with 200": {"body": {"error": "{}", "error_description": "{}"}},
    "throttled": {"status": 429, "body": {"error": "{}", "error_code": 1007}},
    "failed": {"status": 500, "body": {"error_description": "{}", "error_code": 1008}},
    "html": {"status": 502, "body": "<html>{}"},
    "text": {"body": "{}"},
    "a list": {"body": ["{}"]},
    "cut short": {"body": '{{"access_token": "{}", "user_id": 5'},
    "a wrong type": {"body": {"access_token": ["{}"], "user_id": 5, "token_type": "BEARER"}},
    "a wrong user": {"body": {"access_token": "{}", "user_id": "{}", "token_type": "BEARER"}},
    "a wrong token_type": {"body": {"access_token": "x", "user_id": 5, "token_type": "{}"}},
    "a wrong expires_in": {
        "body": {"access_token": "x", "user_id": 5, "token_type": "BEARER", "expires_in": "{}"}
    },
    "a redirect": {"status": 302, "body": "", "headers": {"Location": "http://a.example/?{}"}},
}


def _filled(value: Any, text: str) -> Any:
    if isinstance(value, str):
        return value.replace("{}", text).replace("{{", "{")
    if isinstance(value, list):
        return [_filled(item, text) for item in value]
    if isinstance(value, dict):
        return {_filled(key, text): _filled(item, text) for key, item in value.items()}
    return value


@pytest.mark.parametrize("handler", [True, False], ids=["handler", "template"])
@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES)
def test_exchange_that_fails(
    make_site: Callable[..., Site], wepay_sandbox: Any, failure: dict[str, Any], handler: bool
) -> None:
    """An exchange that fails shows nothing, even where WePay echoes all that it was sent."""
    site = make_site(wepay_sandbox, handler=handler)
    arguments = site.begin()
    echo = f"{arguments['code']} and {CLIENT_SECRET}"
    wepay_sandbox.answer_next("oauth2/token", **_filled(failure, echo))

    answer = site.finish(arguments)

    assert answer.status_code >= 500
    assert site.get(f"/wepay/callback?code={arguments['code']}").status_code >= 400


@pytest.mark.parametrize("fault", ["drop before", "drop after", "too slow", "unreachable"])
def test_exchange_without_an_answer(site: Site, fault: str) -> None:
    """A connection that breaks during the exchange shows nothing."""
    arguments = site.begin()
    if fault == "unreachable":
        site.sandbox.unreachable = True
    elif fault == "too slow":
        site.sandbox.delay_next("oauth2/token", 60)
    else:
        site.sandbox.drop_next("oauth2/token", before=fault == "drop before")

    answer = site.finish(arguments)

    assert answer.status_code == 500
    assert answer.text.startswith(("OutcomeUnknown", "ConnectionFailed"))


ECHOES: list[dict[str, Any]] = [
    {
        "status": 400,
        "body": {"error": "{}", "error_description": "{}", "error_code": code, "details": ["{}"]},
    }
    for code in (1001, 1002, 1003, 1006, 1008, 1009, 1010, 1011, 3001, 7003)
] + [
    {"status": 429, "body": {"error": "{}", "error_description": "{}", "error_code": 1007}},
    {"status": 400, "body": {"error": "{}", "error_description": "{}"}},
    {"status": 500, "body": {"error": "{}", "error_description": "{}"}},
    {"status": 502, "body": "<html>{}"},
    {"status": 200, "body": "{}"},
    {"status": 302, "body": "{}", "headers": {"Location": "http://a.example/?{}"}},
]


@pytest.mark.parametrize("echo", ECHOES)
@pytest.mark.parametrize("path", ["/call/user", "/call/account/create", "/wepay/login"])
def test_call_that_fails(site: Site, path: str, echo: dict[str, Any]) -> None:
    """A refused call shows nothing, even where WePay echoes the token."""
    site.connect()
    [token] = site.sandbox.world.tokens
    site.sandbox.answer_next("*", **_filled(echo, token), times=3)

    answer = site.get(path)

    assert answer.status_code in (302, 500)


def test_batch_that_fails(site: Site) -> None:
    """Members of a batch that fail show nothing, even where WePay echoes the token."""
    site.connect()
    [token] = site.sandbox.world.tokens
    echo = {"error": token, "error_description": token, "error_code": 1003, "details": [token]}
    calls = [{"call": "/user", "reference_id": str(number), "response": echo} for number in (0, 1)]
    site.sandbox.answer_next("batch/create", body={"calls": calls})

    assert "InvalidRequest" in site.get("/batch").text

    site.sandbox.answer_next("batch/create", status=400, body={**echo, "details": [CLIENT_SECRET]})

    answer = site.get("/batch")

    assert answer.text.startswith("InvalidRequest")


@pytest.mark.parametrize("fault", ["drop", "too slow", "unreachable"])
@pytest.mark.parametrize("path", ["/call/account/create", "/batch", "/direct", "/wepay/login"])
def test_call_without_an_answer(site: Site, path: str, fault: str) -> None:
    """A connection that breaks during a call shows nothing."""
    site.connect()
    if fault == "unreachable":
        site.sandbox.unreachable = True
    elif fault == "too slow":
        site.sandbox.delay_next("*", 60, times=3)
    else:
        site.sandbox.drop_next("*", times=3)

    answer = site.get(path)

    assert "executed" in answer.text or "nothing was sent" in answer.text or answer.json["failed"]


@pytest.mark.parametrize(
    "path",
    [
        "/wepay/callback?error={}&error_description={}",
        "/wepay/callback?error=access_denied&error_description={}&state={}",
        "/wepay/callback?code={}&state={}",
        "/wepay/callback?code={}",
        "/wepay/callback?state={}",
        "/wepay/callback?code={}&code={}&state=",
    ],
)
def test_strangers_callback(make_site: Callable[..., Site], wepay_sandbox: Any, path: str) -> None:
    """What a stranger puts into the address of a callback is neither shown nor logged."""
    site = make_site(wepay_sandbox, handler=False)
    site.hunter.secrets.add("c0d3-of-a-stranger")

    answer = site.get(path.replace("{}", "c0d3-of-a-stranger"))

    assert answer.status_code in (400, 403)


def test_unreadable_token(site: Site) -> None:
    """A token that no key opens is reported without a word of it."""
    site.connect()
    with site.app.app_context():
        db, model = site.app.extensions["test"]["db"], site.app.extensions["test"]["model"]
        db.session.execute(sa.update(model).values(owner="bob"))
        db.session.commit()
    site.browser.get("/as/bob")

    answer = site.get("/call/user")

    assert answer.text.startswith("TokenUnreadable")


@pytest.mark.parametrize("statement", ["INSERT", "UPDATE"])
def test_database_that_fails(site: Site, statement: str) -> None:
    """A database that refuses a row's birth or its grant shows nothing."""
    refuse = (
        f"CREATE TRIGGER no BEFORE {statement} ON wepay_token BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    with site.app.app_context(), site.app.extensions["test"]["db"].engine.begin() as connection:
        connection.execute(sa.text(refuse))

    answer = site.connect()

    assert answer.text.startswith("StoreUnavailable")
    assert len(site.sandbox.world.tokens) == (statement == "UPDATE")


def test_settings_that_are_wrong(hunter: Hunter) -> None:
    """A wrong setting is reported without any of the secrets beside it."""
    right = {
        "SECRET_KEY": "k3y-0f-fl4sk",
        "WEPAY_CLIENT_ID": 5,
        "WEPAY_CLIENT_SECRET": "s3cr3t",
        "WEPAY_ACCESS_TOKEN": None,
        "WEPAY_TOKEN_KEYS": None,
    }
    wrong: list[dict[str, Any]] = [
        {"WEPAY_CLIENT_SECRET": "s3cr3t\n"},
        {"WEPAY_CLIENT_SECRET": ["s3cr3t"]},
        {"WEPAY_ACCESS_TOKEN": "t0k3n with a space"},
        {"WEPAY_ACCESS_TOKEN": "PRODUCTION_t0k3n"},
        {"WEPAY_TOKEN_KEYS": ["k3y-0f-t0k3n5"]},
        {"WEPAY_TOKEN_KEYS": "k3y-0f-t0k3n5"},
        {"WEPAY_TIMEOUT": 0},
        {"WEPAY_THROTTLE": "5 per fortnight"},
        {"SECRET_KEY_FALLBACKS": ["k3y-0f-fl4sk", None]},
    ]
    hunter.secrets |= {"s3cr3t", "t0k3n", "k3y-0f-fl4sk", "k3y-0f-t0k3n5"}
    for settings in wrong:
        app = Flask("tests.secrets")
        app.config.update(right, **settings)

        with pytest.raises(WePayError) as caught:
            WePay(app)

        hunter.look_at_error("init_app", caught.value)


def test_reprs(site: Site) -> None:
    """The repr of nothing that the extension makes shows a secret."""
    site.connect()
    state = site.app.extensions["wepay"]

    with site.app.app_context():
        client = site.wepay.client_for("alice")
        things = {
            "state": state,
            "settings": state.settings,
            "keyring": state.settings.keyring,
            "caller": state.caller,
            "throttle": vars(state.caller),
            "store": state.store,
            "found": state.store.find("alice"),
            "extension": site.wepay,
            "registry": site.wepay.oauth,
            "client": site.wepay.oauth.wepay,
            "owner's client": client,
            "token": client.token,
            "current_wepay": current_wepay,
        }

        assert client.token is not None
        for name, thing in things.items():
            site.hunter.look(name, thing)
            site.hunter.look(name, f"{thing} {thing!r}")


# The hunter is worth nothing if it can't find anything.


class Leak(Exception):
    """An error to hide something in."""


def _in_text() -> None:
    raise Leak("it is hunter2")


def _in_arguments() -> None:
    raise Leak({"deep": [("hunter2",)]})


def _in_attribute() -> None:
    error = Leak()
    error.kept = b"hunter2"  # type: ignore[attr-defined]
    raise error


def _in_request() -> None:
    request = requests.Request("POST", "http://a.example", headers={"Authorization": "hunter2"})
    raise requests.ConnectionError(request=request.prepare())


def _in_body() -> None:
    request = requests.Request("POST", "http://a.example", json={"client_secret": "hunter2"})
    raise requests.ConnectionError(request=request.prepare())


def _in_local() -> None:
    password = "hunter2"
    raise Leak(len(password))


def _in_local_list() -> None:
    passwords = [{"of": ("hunter2",)}]
    raise Leak(len(passwords))


def _in_cause() -> None:
    try:
        _in_text()
    except Leak as error:
        raise Leak from error


def _in_context() -> None:
    try:
        _in_local()
    except Leak:
        raise Leak from None


def _in_argument_of_a_frame(password: str = "hunter2") -> None:
    raise Leak


LEAKS = [
    _in_text,
    _in_arguments,
    _in_attribute,
    _in_request,
    _in_body,
    _in_local,
    _in_local_list,
    _in_cause,
    _in_context,
    _in_argument_of_a_frame,
]


@pytest.mark.parametrize("leak", LEAKS)
def test_hunter_finds_in_errors(monkeypatch: pytest.MonkeyPatch, leak: Callable[[], None]) -> None:
    """The hunter finds what an error, its causes and their frames give away."""
    hunter = Hunter("hunter2")
    # As if this module were the package.
    monkeypatch.setitem(globals(), "__name__", "flask_wepay.leaking")

    with pytest.raises(Exception) as caught:  # noqa: PT011
        leak()
    hunter.look_at_error("here", caught.value)

    assert hunter.found


def test_hunter_leaves_others_frames_alone() -> None:
    """What only frames above the package hold is not the package's."""
    hunter = Hunter("hunter2")

    with pytest.raises(Leak) as caught:
        _in_local()
    hunter.look_at_error("here", caught.value)

    assert hunter.found == []


@pytest.mark.parametrize(
    "log",
    [
        lambda logger: logger.debug("it is hunter2"),
        lambda logger: logger.debug("it is %s", "hunter2"),
        lambda logger: logger.debug("it is", extra={"password": "hunter2"}),
        lambda logger: logger.debug("it is %s", {"a": ["hunter2"]}),
        lambda logger: logger.debug("it is", exc_info=Leak("hunter2")),
    ],
)
@pytest.mark.parametrize("name", ["flask_wepay", "authlib", "urllib3.connectionpool", "other"])
def test_hunter_finds_in_logs(log: Callable[[logging.Logger], None], name: str) -> None:
    """The hunter finds what anybody logs, in the text or beside it."""
    with Hunter("hunter2") as hunter:
        log(logging.getLogger(name))
        hunter.look_at_logs()

    assert hunter.found


def test_hunter_finds_in_cookies(app: Flask) -> None:
    """The hunter opens the session, however it is packed."""
    hunter = Hunter("hunter2")
    browser = app.test_client()
    with browser.session_transaction() as session:
        session["long"] = "a" * 1000
        session["deep"] = {"a": ["hunter2"]}

    hunter.look_at_cookies(browser, app)

    assert hunter.found == [
        "session",
        "session.'deep'",
        "session.'deep'.'a'",
        "session.'deep'.'a'.0",
    ]


@pytest.mark.parametrize(
    "thing", ["hunter2", b"hunter2", {"hunter2": 1}, [("hunter2",)], {"hunter2"}]
)
def test_hunter_finds_in_things(thing: Any) -> None:
    """The hunter finds a secret wherever it is in a thing, and nothing where it is not."""
    hunter = Hunter("hunter2")

    hunter.look("here", thing)

    assert hunter.found
    other = Hunter("hunter3")
    other.look("here", thing)
    assert other.found == []
    assert other.looked


# Mappings that applications hand over

LOOSE = "STAGE_cleartext_token"


@pytest.mark.parametrize(
    "given",
    [
        {"access_token": LOOSE, "user_id": "123", "token_type": "BEARER", "expires_at": None},
        {"access_token": LOOSE + " ", "user_id": 123, "token_type": "BEARER"},
        [LOOSE],
        LOOSE,
    ],
)
def test_getter_that_returns_no_token(make_app: Any, given: Any) -> None:
    """What a token_getter returned is in no frame of the error about it."""
    hooks = WePay()
    hooks.token_getter(lambda owner: given)
    hooks.token_setter(lambda owner, token: None)
    app = make_app(hooks)
    hunter = Hunter(LOOSE)

    with app.app_context(), pytest.raises(ConfigurationError) as caught:
        hooks.client_for("alice").call("user")

    hunter.look_at_error("getter", caught.value)
    assert hunter.looked > 0
    assert hunter.found == []


@pytest.mark.parametrize("what", ["database away", "wrong field", "posted", "posted elsewhere"])
def test_token_handed_to_the_authlib_client(make_app: Any, what: str) -> None:
    """Nor is a token in the frames that are ours, of what the Authlib client raises."""
    app = make_app()
    client = app.extensions["wepay"].oauth.wepay
    good = {"access_token": LOOSE, "user_id": 5, "token_type": "BEARER", "expires_at": None}
    acts = {
        "database away": lambda: setattr(client, "token", good),
        "wrong field": lambda: setattr(client, "token", {**good, "user_id": "5"}),
        "posted": lambda: client.post("user", token={**good, "access_token": LOOSE + "\n"}),
        "posted elsewhere": lambda: client.post("//evil.example", token=good),
    }
    hunter = Hunter(LOOSE)
    with app.app_context():
        app.extensions["test"]["db"].drop_all()
    with app.test_request_context() as context:
        context.session["user"] = "alice"
        with pytest.raises((WePayError, MalformedToken)) as caught:
            acts[what]()

    for link in [caught.value, caught.value.__cause__, caught.value.__context__]:
        trace = link and link.__traceback__
        while trace:
            frame, trace = trace.tb_frame, trace.tb_next
            if "flask_wepay" in frame.f_code.co_filename or "authlib" in frame.f_code.co_filename:
                for name, value in frame.f_locals.items():
                    hunter.look(f"{frame.f_code.co_qualname}: {name}", value)
    assert hunter.found == []


def test_response_of_a_direct_call(app: Flask, wepay_sandbox: Any, wepay_connect: Any) -> None:
    """Whoever pickles a response does not have the token that its request carried."""
    client = app.test_client()
    client.get("/as/alice")
    wepay_connect(client)
    (token,) = wepay_sandbox.world.tokens

    with app.test_request_context() as context:
        context.session["user"] = "alice"
        response = app.extensions["wepay"].oauth.wepay.post("user", json={})

    assert response.status_code == 200
    assert token.encode() not in pickle.dumps(response)


@pytest.mark.parametrize("uri", ["redis+x://u:p4ssw0rd@h/0", "redis://u:p4ssw0rd@h:bad/0"])
def test_password_of_a_storage(make_app: Any, uri: str) -> None:
    """A wrong storage leaves its password in no frame of ours."""
    config = {"WEPAY_THROTTLE_STORAGE": uri}
    hunter = Hunter("p4ssw0rd")

    with pytest.raises(ConfigurationError) as caught:
        make_app(**config)

    trace = caught.value.__traceback__
    while trace:
        frame, trace = trace.tb_frame, trace.tb_next
        if "/flask_wepay/" in frame.f_code.co_filename:
            for name, value in frame.f_locals.items():
                if name not in ("app", "self"):
                    hunter.look(f"{frame.f_code.co_qualname}: {name}", value)
    assert hunter.found == []


def test_secret_key_of_raw_bytes(make_app: Any) -> None:
    """A key of bytes that are no text is named, and is in no frame of the error."""
    key = "my\udcfe\udcffSECRETKEYBYTES"
    hunter = Hunter("SECRETKEYBYTES")

    with pytest.raises(ConfigurationError, match="'SECRET_KEY'") as caught:
        make_app(SECRET_KEY=key)

    assert caught.value.__cause__ is caught.value.__context__ is None
    hunter.look("message", str(caught.value))
    assert hunter.found == []
