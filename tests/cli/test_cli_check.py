"""``flask wepay check``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import certifi
import limits.storage
import pytest
import requests_mock as requests_mocker
import sqlalchemy as sa
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from flask import Flask
from flask.cli import FlaskGroup
from flask_login import LoginManager

from flask_wepay import WePay
from flask_wepay.cli import wepay as commands
from flask_wepay.sandbox import Sandbox
from flask_wepay.sqla.inspection import Inspection

Run = Callable[..., Result]
BILL = 100001

PRODUCTION = {
    "WEPAY_ENVIRONMENT": "production",
    "WEPAY_CLIENT_ID": 4567,
    "WEPAY_CLIENT_SECRET": "the secret of the client",
    "WEPAY_REDIRECT_URI": "https://shop.example/wepay/callback",
    "WEPAY_THROTTLE_STORAGE": "wepayhealthy://",
    "SESSION_COOKIE_SECURE": True,
    "SESSION_COOKIE_SAMESITE": "Lax",
}


class Healthy(limits.storage.MemoryStorage):
    """Stands in for Redis."""

    STORAGE_SCHEME = ["wepayhealthy"]


class Away(limits.storage.MemoryStorage):
    STORAGE_SCHEME = ["wepayaway"]

    def check(self) -> bool:
        return False


@pytest.fixture
def look(run: Run) -> Callable[..., Any]:
    """Run the check, and give the status and text of what it found of one thing."""

    def look(app: Flask, name: str) -> list[tuple[str, str]]:
        report = json.loads(run("check", "--json", app=app).stdout)
        return [(f["status"], f["text"]) for f in report["checks"] if f["name"] == name]

    return look


@pytest.fixture
def production() -> Any:
    """WePay's production, as far as a check asks it."""
    with requests_mocker.Mocker(real_http=True) as mocker:
        mocker.post(
            "https://wepayapi.com/v2/app", json={"state": "active", "api_version": "2019-04-03"}
        )
        yield mocker


def test_all_is_well(run: Run, app: Flask) -> None:
    """In a development environment nothing is missing, and it exits with 0."""
    result = run("check", app=app)

    assert result.exit_code == 0
    assert result.stdout.endswith("\nAll is well.\n")
    assert "WEPAY_CLIENT_SECRET     derived     ********, the sandbox's own\n" in result.stdout
    assert "WEPAY_THROTTLE          default     30 per 10 seconds\n" in result.stdout
    assert "WEPAY_ENVIRONMENT       app.config  sandbox\n" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_production_is_well(run: Run, make_app: Any, production: Any) -> None:
    """In production it exits with 0 only if there is nothing to warn of."""
    result = run("check", app=make_app(**PRODUCTION))

    assert result.exit_code == 0
    assert result.stdout.endswith("\nAll is well.\n")
    assert " warn " not in result.stdout
    assert " note " not in result.stdout


@pytest.mark.parametrize(
    ("config", "name", "text"),
    [
        ({"WEPAY_THROTTLE_STORAGE": "memory://"}, "throttle", "in each process"),
        ({"WEPAY_THROTTLE": None}, "throttle", "off"),
        ({"SESSION_COOKIE_SECURE": False}, "session cookie", "'SESSION_COOKIE_SECURE'"),
        ({"SESSION_COOKIE_HTTPONLY": False}, "session cookie", "'SESSION_COOKIE_HTTPONLY'"),
        ({"WEPAY_CALLBACK_URI": False}, "callback URI", "off"),
        ({"SECRET_KEY": "dev"}, "keys", "long and random"),
        ({"SECRET_KEY_FALLBACKS": ["dev"]}, "keys", "long and random"),
    ],
)
def test_production_warnings(
    run: Run,
    look: Any,
    make_app: Any,
    production: Any,
    config: dict[str, Any],
    name: str,
    text: str,
) -> None:
    """What is good enough for development is a warning in production, and exits with 1."""
    app = make_app(**{**PRODUCTION, **config})

    result = run("check", app=app)
    [(status, found)] = look(app, name)

    assert result.exit_code == 1
    assert result.stdout.endswith("\nNot all is well.\n")
    assert (status, text in found) == ("warn", True)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"WEPAY_REDIRECT_URI": "http://shop.example/wepay/callback"}, "SESSION_COOKIE_SECURE"),
        ({"SESSION_COOKIE_PATH": "/app"}, "SESSION_COOKIE_PATH"),
        ({"SESSION_COOKIE_PATH": "/app", "SESSION_COOKIE_DOMAIN": ".a.example"}, "_PATH"),
        ({"SESSION_COOKIE_DOMAIN": "a.example", "TRUSTED_HOSTS": ["b.example"]}, "_DOMAIN"),
        ({"APPLICATION_ROOT": "/x", "TRUSTED_HOSTS": "b.example"}, "APPLICATION_ROOT"),
    ],
)
def test_cookie_that_is_lost(look: Any, make_app: Any, config: dict[str, Any], key: str) -> None:
    """A session cookie that would not come back from WePay is seen before a user finds out."""
    app = make_app(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="Lax", **config)

    [(status, text)] = look(app, "session cookie")

    assert (status, key in text) == ("fail", True)


@pytest.mark.parametrize(
    "config", [{}, {"SESSION_COOKIE_DOMAIN": ".a.example"}, {"APPLICATION_ROOT": "/shop"}]
)
def test_cookie_that_comes_back(look: Any, make_app: Any, config: dict[str, Any]) -> None:
    """A session cookie of which only a request tells is nothing to report."""
    app = make_app(SESSION_COOKIE_SECURE=True, SESSION_COOKIE_SAMESITE="Lax", **config)

    assert look(app, "session cookie") == []


def test_sqlite_in_production(look: Any, make_app: Any, production: Any, tmp_path: Path) -> None:
    """What SQLite needs for several processes, which production has, is a warning there."""
    app = make_app(**PRODUCTION, SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/db.sqlite")

    assert look(app, "database") == [
        ("warn", "SQLite in journal mode 'delete': use WAL with more than one process")
    ]


def test_settings_are_masked(run: Run, make_app: Any) -> None:
    """Keys, secrets and tokens are masked, and so is what an address holds of them."""
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    app = make_app(
        WEPAY_CLIENT_ID="4567",
        WEPAY_CLIENT_SECRET="the secret of the client",
        WEPAY_TOKEN_KEYS=keys,
        WEPAY_THROTTLE_STORAGE="wepayhealthy://user:hidden1@redis/0?password=hidden2",
        WEPAY_PROXIES={"https": "http://user:hid/den3@proxy:3128"},
        WEPAY_CALLBACK_URI="https://hooks.example/in?key=hidden4",
    )

    table, array = run("check", app=app), run("check", "--json", app=app)

    for result in (table, array):
        assert "hidden" not in result.output
        assert "den3" not in result.output
    settings = {s["key"]: (s["origin"], s["value"]) for s in json.loads(array.stdout)["settings"]}
    assert settings["WEPAY_CLIENT_SECRET"] == ("app.config", "********")
    assert settings["WEPAY_TOKEN_KEYS"] == ("app.config", "********, ********")
    assert settings["WEPAY_THROTTLE_STORAGE"][1] == "wepayhealthy://********@redis/0?********"
    assert settings["WEPAY_PROXIES"][1] == "{'https': 'http://********@proxy:3128'}"
    assert settings["WEPAY_CALLBACK_URI"][1] == "https://hooks.example/in?********"
    assert settings["WEPAY_TIMEOUT"] == ("default", "20")
    assert settings["WEPAY_API_VERSION"] == ("default", "-")


def test_narrow_terminal(make_app: Any) -> None:
    """A terminal that is too narrow is written beyond."""
    result = make_app().test_cli_runner().invoke(commands, ["check"], env={"COLUMNS": "30"})

    assert result.stdout.endswith("ll is well.\n")


def test_certificates(run: Run, make_app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the trusted certificates come from is told."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    own = run("check", app=make_app())
    path = certifi.where()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", path)
    environment = run("check", app=make_app())

    assert "WEPAY_CA_BUNDLE derived from certifi " in " ".join(own.stdout.split())
    assert f" from REQUESTS_CA_BUNDLE {path} " in " ".join(environment.stdout.split())


def test_wrong_setting(make_app: Any) -> None:
    """A setting that keeps the application from loading is what the check reports."""
    group = FlaskGroup(create_app=lambda: make_app(WEPAY_TIMEOUT=-1))

    table = CliRunner().invoke(group, ["wepay", "check"])
    array = CliRunner().invoke(group, ["wepay", "check", "--json"])

    assert (table.exit_code, array.exit_code) == (1, 1)
    assert "settings        fail    'WEPAY_TIMEOUT' is -1" in table.stdout
    assert json.loads(array.stdout)["ok"] is False


# WePay


@pytest.mark.parametrize(
    ("answer", "name", "status", "text"),
    [
        ({"body": {"state": "disabled"}}, "credentials", "fail", "is disabled"),
        ({"body": {"state": "active"}}, "credentials", "ok", "12345 is active"),
        ({"body": []}, "credentials", "fail", "is None"),
        ({"error_code": 1003}, "credentials", "fail", "error_code 1003"),
        ({"error_code": 1015}, "API version", "fail", "error_code 1015"),
        ({"error_code": 1016}, "API version", "fail", "error_code 1016"),
        ({"error_code": 1007}, "WePay", "fail", "error_code 1007"),
        ({"error_code": 1008}, "WePay", "fail", "error_code 1008"),
        ({"status": 403, "body": "<h1>Blocked</h1>"}, "WePay", "fail", "HTTP 403"),
        ({"status": 200, "body": "<h1>Hello</h1>"}, "WePay", "fail", "no usable body"),
        (
            {"body": {"state": "active", "api_version": "2016-08-10"}},
            "API version",
            "note",
            "2016-08-10",
        ),
    ],
)
def test_wepay(
    look: Any,
    app: Flask,
    wepay_sandbox: Sandbox,
    answer: dict[str, Any],
    name: str,
    status: str,
    text: str,
) -> None:
    """What WePay says of the credentials is told, and blamed on what it is about."""
    wepay_sandbox.answer_next("app", **answer, times=3)

    [(found, said)] = look(app, name)

    assert (found, text in said) == (status, True)


def test_wepay_away(run: Run, look: Any, app: Flask, wepay_sandbox: Sandbox) -> None:
    """WePay away is a failed check, and everything else is checked all the same."""
    wepay_sandbox.unreachable = True

    result = run("check", app=app)

    assert result.exit_code == 1
    [(status, text)] = look(app, "WePay")
    assert (status, "'flask wepay sandbox --port 8010'" in text) == ("fail", True)
    assert look(app, "token table")[0][0] == "ok"


def test_wrong_secret(look: Any, make_app: Any) -> None:
    """A wrong client secret is found out."""
    app = make_app(WEPAY_CLIENT_ID=12345, WEPAY_CLIENT_SECRET="not the sandbox's secret")

    [(status, text)] = look(app, "credentials")

    assert (status, "Check 'WEPAY_CLIENT_SECRET'" in text) == ("fail", True)


def test_wrong_token(look: Any, make_app: Any) -> None:
    """A wrong token of a merchant is blamed on the setting that it is in."""
    app = make_app(WePay(), owner_loader=False, WEPAY_ACCESS_TOKEN="STAGE_unknown")

    [(status, text)] = look(app, "credentials")

    assert (status, text.endswith("Check 'WEPAY_ACCESS_TOKEN'.")) == ("fail", True)


def test_api_version(look: Any, make_app: Any, wepay_sandbox: Sandbox) -> None:
    """The version that was set is the one that WePay is asked with."""
    app = make_app(WEPAY_API_VERSION="2018-08-29")

    found = look(app, "API version")

    assert found == [("ok", "2018-08-29")]
    assert wepay_sandbox.last("app").headers["api-version"] == "2018-08-29"


# Addresses


def test_login_redirect(look: Any, make_app: Any) -> None:
    """A WEPAY_LOGIN_REDIRECT that is no endpoint, with which every login fails, is found out."""
    app = make_app(WEPAY_LOGIN_REDIRECT="no_such_endpoint")

    [(status, text)] = look(app, "login redirect")

    assert (status, "'WEPAY_LOGIN_REDIRECT' is 'no_such_endpoint'" in text) == ("fail", True)


def test_login_redirect_that_exists(look: Any, make_app: Any) -> None:
    """One that is an endpoint is nothing to report."""
    app = make_app(WEPAY_LOGIN_REDIRECT="dashboard")
    app.add_url_rule("/dashboard", "dashboard", lambda: "")

    assert look(app, "login redirect") == []


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/wepay/callback", "ok"),
        ("/shop/wepay/callback", "ok"),
        ("/wepay/callback?from=wepay", "ok"),
        ("/wepay/return", "warn"),
        ("/callback", "warn"),
        ("", "warn"),
    ],
)
def test_path_of_the_redirect_uri(look: Any, make_app: Any, path: str, status: str) -> None:
    """A redirect URI with another path than the callback's is a warning: proxies rewrite paths."""
    app = make_app(WEPAY_REDIRECT_URI=f"https://shop.example{path}")

    [(found, text)] = look(app, "redirect URI")

    assert (found, f"https://shop.example{path}" in text) == (status, True)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, [("note", "from each request; checked at each login")]),
        (
            {"WEPAY_REDIRECT_URI": "https://shop.example/wepay/callback"},
            [("ok", "https://shop.example/wepay/callback")],
        ),
        (
            {"TRUSTED_HOSTS": ["shop.example", ".shop.example"]},
            [("ok", "https://shop.example/wepay/callback, from 'TRUSTED_HOSTS'")] * 2,
        ),
        (
            {"TRUSTED_HOSTS": "shop.example"},
            [("ok", "https://shop.example/wepay/callback, from 'TRUSTED_HOSTS'")],
        ),
    ],
)
def test_redirect_uri(
    look: Any, make_app: Any, config: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """The redirect URI is the setting's, or one for each trusted host."""
    assert look(make_app(**config), "redirect URI") == expected


@pytest.mark.parametrize("host", ["my_shop.example", "localhost", "shop.example:8443"])
def test_trusted_hosts(look: Any, make_app: Any, production: Any, host: str) -> None:
    """A trusted host that WePay would not come back to is found out."""
    config = {**PRODUCTION, "WEPAY_REDIRECT_URI": None, "TRUSTED_HOSTS": [host]}

    [(status, text)] = look(make_app(**config), "redirect URI")

    assert (status, text.startswith("'TRUSTED_HOSTS' ")) == ("fail", True)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ("note", "from each request")),
        (
            {"WEPAY_CALLBACK_URI": False},
            ("note", "off: a revoked authorization is detected only by the next call"),
        ),
        ({"WEPAY_CALLBACK_URI": "https://hooks.example/in"}, ("ok", "https://hooks.example/in")),
        (
            {"WEPAY_REDIRECT_URI": "https://shop.example/wepay/callback"},
            ("ok", "https://shop.example/wepay/ipn"),
        ),
        (
            {"WEPAY_CALLBACK_URI": "https://hooks.example/" + "x" * 2050},
            ("note", "none: this site is on localhost, or its address is too long to be signed"),
        ),
    ],
)
def test_callback_uri(
    look: Any, make_app: Any, config: dict[str, Any], expected: tuple[str, str]
) -> None:
    """Where IPNs go is told, without the signature."""
    assert look(make_app(**config), "callback URI") == [expected]


@pytest.mark.usefixtures("production")
def test_derived_callback_uri(look: Any, make_app: Any) -> None:
    """An address that Flask derives wrongly is found out, with the likely mistake."""
    config = {**PRODUCTION, "WEPAY_REDIRECT_URI": None, "TRUSTED_HOSTS": ["shop.example"]}

    [(status, text)] = look(make_app(**config, SERVER_NAME="shop.example"), "callback URI")

    assert (status, "PREFERRED_URL_SCHEME" in text) == ("fail", True)


# The store


def test_token_table(look: Any, app: Flask, connect: Any) -> None:
    """Of the token table it tells the database and how many rows there are."""
    connect("alice")

    assert look(app, "token table") == [("ok", "sqlite, 1 row")]
    assert look(app, "tokens") == []


def test_database_that_is_not_supported(
    look: Any, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another database may well lose what the rules of the table rely upon."""
    other = Inspection("oracle", [], [])
    monkeypatch.setattr("flask_wepay.sqla.maintenance.inspect", lambda database: other)

    [(status, text)] = look(app, "database")

    assert status == "warn"
    assert text == "oracle is not supported: take mariadb or mysql or postgresql or sqlite"


def test_missing_index(look: Any, app: Flask) -> None:
    """A table that an older migration made is slow, and the check says what to do."""
    change(app, "DROP INDEX ix_wepay_token_owner_living")

    [(status, text)] = look(app, "database")

    assert status == "note"
    assert text.startswith("index 'ix_wepay_token_owner_living' is missing")


def change(app: Flask, *statements: str) -> None:
    with app.app_context():
        db = app.extensions["test"]["db"]
        for statement in statements:
            db.session.execute(sa.text(statement))
        db.session.commit()


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["DROP TABLE wepay_token"], "there is no table 'wepay_token'"),
        (
            [
                "ALTER TABLE wepay_token DROP COLUMN reason",
                "ALTER TABLE wepay_token DROP COLUMN token_type",
            ],
            "column 'token_type' is missing, column 'reason' is missing",
        ),
        (
            ["DROP TABLE wepay_token", "CREATE TABLE wepay_token AS SELECT {columns}"],
            "column 'state_hash' is not unique",
        ),
    ],
    ids=["no-table", "no-column", "not-unique"],
)
def test_migrations(look: Any, app: Flask, statements: list[str], problem: str) -> None:
    """A table that lacks what the model has wants its migrations."""
    columns = ", ".join(f"1 AS {c.name}" for c in app.extensions["test"]["model"].__table__.columns)
    change(app, *(statement.format(columns=columns) for statement in statements))

    assert look(app, "token table") == [("fail", f"{problem}: run your migrations")]


def test_unique_index(look: Any, app: Flask) -> None:
    """A unique index is as good as a unique constraint."""
    columns = ", ".join(f"1 AS {c.name}" for c in app.extensions["test"]["model"].__table__.columns)
    change(
        app,
        "DROP TABLE wepay_token",
        f"CREATE TABLE wepay_token AS SELECT {columns} WHERE 1 = 0",
        "CREATE UNIQUE INDEX one ON wepay_token (state_hash)",
    )

    assert look(app, "token table") == [("ok", "sqlite, 0 rows")]


def test_database_away(look: Any, make_app: Any, tmp_path: Path) -> None:
    """A database that does not answer is a failed check, not a traceback."""
    path = tmp_path / "db.sqlite"
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{path}")
    with app.app_context():
        app.extensions["test"]["db"].engine.dispose()
    path.unlink()
    path.mkdir()

    [(status, text)] = look(app, "token table")

    assert (status, "can't be used right now" in text) == ("fail", True)


def test_unreadable(look: Any, make_app: Any, connect: Any, tmp_path: Path) -> None:
    """Tokens that no key opens are found out."""
    config = {"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path}/db.sqlite"}
    old = make_app(**config, SECRET_KEY="an old secret key")
    connect("alice", app=old)
    connect("bob", app=old)
    with old.app_context():
        old.extensions["wepay"].store.disconnect("bob")

    found = look(make_app(**config, SECRET_KEY="another secret key"), "tokens")

    assert found == [("fail", "no key opens 1 of the newest 1: is an old key missing?")]


def test_stores(look: Any, without_table: Mapping[str, tuple[Flask, str]]) -> None:
    """An application without the table is told what it has instead, or what it forgot."""
    found = {kind: look(app, "token table") for kind, (app, _) in without_table.items()}

    assert found["hooks"] == [("note", "none: 'token_getter' and 'token_setter' store the tokens")]
    assert found["merchant"] == []
    assert found["missing"][0][0] == "fail"
    assert "Did you forget WePay(token_model=…)" in found["missing"][0][1]


def test_merchant(run: Run, make_app: Any, wepay_sandbox: Sandbox) -> None:
    """A merchant's own token is tried, and nothing is said of owners and redirects."""
    stage = {"WEPAY_ENVIRONMENT": "stage"}
    app = make_app(WePay(), **stage, WEPAY_ACCESS_TOKEN="STAGE_of-the-merchant")
    good = {"user_id": 1, "state": "registered"}
    bad = {"error": "access_denied", "error_code": 1011, "error_description": "revoked"}
    with requests_mocker.Mocker() as mocker:
        answers = [{"json": good}, {"json": bad, "status_code": 401}]
        mocker.post("https://stage.wepayapi.com/v2/user", answers)

        well, revoked = (run("check", "--json", app=app) for _ in range(2))

    assert (well.exit_code, revoked.exit_code) == (0, 1)
    found = {f["name"]: f["status"] for f in json.loads(well.stdout)["checks"]}
    assert found["credentials"] == "ok"
    assert not {"redirect URI", "owner", "API version"} & set(found)


def test_merchant_with_a_secret(run: Run, make_app: Any, wepay_sandbox: Sandbox) -> None:
    """Whoever has an application, too, has both tried: it may be fine, and the token not."""
    good = make_app(WePay(), WEPAY_ACCESS_TOKEN=wepay_sandbox.issue_token())
    bad = make_app(WePay(), WEPAY_ACCESS_TOKEN="STAGE_of-nobody")

    well, refused = (run("check", "--json", app=app) for app in (good, bad))

    found = [json.loads(result.stdout)["checks"] for result in (well, refused)]
    assert [f["status"] for f in found[0] if f["name"] == "credentials"] == ["ok", "ok"]
    assert [f["status"] for f in found[1] if f["name"] == "credentials"] == ["fail"]
    assert (well.exit_code, refused.exit_code) == (0, 1)


# The rest


def test_keys(look: Any, make_app: Any) -> None:
    """How many keys there are is told, and where they come from."""
    keys = [Fernet.generate_key().decode() for _ in range(2)]
    own = make_app(WEPAY_TOKEN_KEYS=keys)
    derived = make_app(SECRET_KEY_FALLBACKS=["an older secret key"])

    assert look(own, "keys") == [("ok", "2 in 'WEPAY_TOKEN_KEYS'")]
    assert look(derived, "keys") == [
        ("ok", "2, derived from 'SECRET_KEY' and 'SECRET_KEY_FALLBACKS'")
    ]


def test_owner(look: Any, make_app: Any, production: Any) -> None:
    """Who owns authorizations is told, with what to mind of Flask-Login."""
    loader, browser = make_app(), make_app(owner_loader=False)
    flask_login = make_app(owner_loader=False)
    LoginManager(flask_login)
    nobody = make_app(owner_loader=False, **PRODUCTION)

    found = [look(app, "owner")[0] for app in (loader, browser, flask_login, nobody)]

    assert [status for status, _ in found] == ["ok", "note", "note", "fail"]
    assert "changes with the password" in found[2][1]


@pytest.mark.parametrize(
    ("storage", "expected"),
    [
        ("wepayhealthy://", ("ok", "30 per 10 seconds, shared by wepayhealthy")),
        (
            "wepayaway://",
            ("fail", "wepayaway does not answer, so calls go on without a rate limit"),
        ),
    ],
)
def test_throttle_storage(look: Any, make_app: Any, storage: str, expected: Any) -> None:
    """A shared storage is asked whether it is there."""
    assert look(make_app(WEPAY_THROTTLE_STORAGE=storage), "throttle") == [expected]


def test_redis_away(look: Any, make_app: Any) -> None:
    """A Redis that is away is found out within a second."""
    app = make_app(WEPAY_THROTTLE_STORAGE="redis://127.0.0.1:9/0")

    assert look(app, "throttle")[0][0] == "fail"
