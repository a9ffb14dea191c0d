"""Run commands as somebody at a terminal does, and hunt for secrets in all they say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import Result
from flask import Flask

from flask_wepay import signals
from flask_wepay.cli import wepay as commands
from flask_wepay.oauth.logins import new_state
from flask_wepay.sandbox import Sandbox
from flask_wepay.tokens import Token

COLUMNS = 80


@pytest.fixture
def run(app: Flask, wepay_sandbox: Sandbox) -> Callable[..., Result]:
    """Run a command: ``run("tokens", "--json", app=other, typed="y")``."""

    def run(*args: str, app: Flask = app, typed: str | None = None) -> Result:
        runner = app.test_cli_runner()
        result = runner.invoke(commands, args, input=typed, env={"COLUMNS": str(COLUMNS)})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        for secret in secrets(app, wepay_sandbox):
            assert secret not in result.output
        return result

    return run


def secrets(app: Flask, sandbox: Sandbox) -> Iterator[str]:
    """Give all that no command may show."""
    settings = app.extensions["wepay"].settings if "wepay" in app.extensions else None
    if settings is not None:
        yield from filter(None, [settings.client_secret.value])
        yield from [settings.access_token.value] if settings.access_token else []
    yield app.config["SECRET_KEY"]
    yield from app.config.get("WEPAY_TOKEN_KEYS") or ()
    for token in sandbox.world.tokens.values():
        yield token.access_token
        if token.callback_uri:
            yield token.callback_uri.partition("wepay_signature=")[2]
    for row in rows_of(app):
        yield from (secret for secret in row if isinstance(secret, str))


def rows_of(app: Flask) -> list[Any]:
    """Read the secrets of the token table, nothing where there is none."""
    if "test" not in app.extensions:
        return []
    with app.app_context(), suppress(sa.exc.SQLAlchemyError):
        engine = app.extensions["test"]["db"].engine
        with engine.connect() as connection:
            return list(connection.execute(sa.text("SELECT token, state_hash FROM wepay_token")))
    return []


@pytest.fixture
def connect(app: Flask, wepay_sandbox: Sandbox) -> Callable[..., str]:
    """Connect an owner with a WePay user: ``connect("alice")``, and give the token."""

    def connect(owner: str, user_id: int | None = None, *, app: Flask = app, **facts: Any) -> str:
        if user_id is None:
            user_id = wepay_sandbox.make_user(
                f"user{len(wepay_sandbox.world.users)}@x.example"
            ).user_id
        access_token = wepay_sandbox.issue_token(user_id)
        with app.app_context():
            store = app.extensions["wepay"].store
            store.grant(store.begin(owner, new_state()), Token(access_token, user_id, **facts))
        return access_token

    return connect


@pytest.fixture
def told(app: Flask) -> Iterator[list[Any]]:
    """Collect the ends of connections that the application is told of."""
    heard: list[Any] = []

    def revoked(sender: Flask, owner: str, user_id: int, reason: str) -> None:
        heard.append((owner, user_id, reason))

    signals.wepay_token_revoked.connect(revoked, sender=app)
    yield heard
    signals.wepay_token_revoked.disconnect(revoked, sender=app)


@pytest.fixture
def without_table(make_app: Any) -> dict[str, tuple[Flask, str]]:
    """Give applications that keep tokens elsewhere, or nowhere, and what is said of them."""
    from flask_wepay import WePay

    hooks = WePay()
    kept: dict[str, Any] = {}
    hooks.token_getter(kept.get)
    hooks.token_setter(kept.__setitem__)
    merchant = {"WEPAY_ENVIRONMENT": "sandbox", "WEPAY_ACCESS_TOKEN": "STAGE_of-the-merchant"}
    return {
        "hooks": (make_app(hooks), "'token_getter'"),
        "merchant": (make_app(WePay(), **merchant), "'WEPAY_ACCESS_TOKEN'"),
        "missing": (make_app(WePay()), "token_model"),
    }
