# pyright: strict
"""A user's program with every public name, as a type checker of theirs sees it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, assert_type

from flask import Flask, Response, session
from flask.typing import ResponseReturnValue
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from flask_wepay import WePay, WePayClient, current_wepay, errors, signals, wepay_required
from flask_wepay.pytest_plugin import Connect, DeliverIPN
from flask_wepay.sandbox import (
    ANSWERS,
    DEFAULT_URL,
    IPN,
    AuthorizeRefused,
    Clock,
    Exchange,
    Hold,
    Refused,
    Sandbox,
    Seed,
    World,
)
from flask_wepay.sandbox import create_app as create_sandbox
from flask_wepay.sqla import WePayTokenMixin


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(model_class=Base)


class WePayToken(WePayTokenMixin, Base):
    note: Mapped[str | None] = mapped_column(default=None)


wepay = WePay(token_model=WePayToken)


@wepay.owner_loader
def owner() -> str | None:
    return session.get("user")


@wepay.prefill
def prefill() -> Mapping[str, str | None]:
    return {"user_name": "Alice", "user_email": None}


def create_app(**config: object) -> Flask:
    app = Flask(__name__)
    app.config.from_mapping(
        SECRET_KEY="a secret key for tests only",
        WEPAY_ENVIRONMENT="sandbox",
        SQLALCHEMY_DATABASE_URI="sqlite://",
    )
    app.config.from_mapping(config)
    db.init_app(app)
    wepay.init_app(app)
    app.add_url_rule("/as/<name>", view_func=enter)
    app.add_url_rule("/account/<int:number>", view_func=account)
    app.add_url_rule("/later/<int:number>", view_func=later)
    app.add_url_rule("/leave", view_func=leave, methods=["POST"])
    app.register_error_handler(errors.NotAuthorized, refused)
    with app.app_context():
        db.create_all()
    return app


def enter(name: str) -> str:
    session["user"] = name
    return name


@wepay_required
def account(number: int) -> str:
    user: Any = current_wepay.call("user")
    token = current_wepay.token
    expires_at = token.expires_at if token is not None else None
    assert_type(current_wepay.authorized, bool)
    assert_type(current_wepay.user_id, int | None)
    assert_type(expires_at, int | None)
    return f"{user['email']} {number}"


@wepay_required
async def later(number: int) -> tuple[str, int]:
    return f"{current_wepay.user_id} {number}", 200


@wepay_required
def leave() -> Response:
    current_wepay.disconnect()
    return Response(status=204)


# The signatures are those of the functions.
def direct() -> None:
    assert_type(account(7), str)
    assert_type(account(number=7), str)


async def direct_later() -> None:
    assert_type(await later(7), tuple[str, int])


def refused(error: errors.NotAuthorized) -> ResponseReturnValue:
    return f"Connect first, {error.owner}", 403


def pay(owner: str, amount: Decimal) -> str:
    client: WePayClient = wepay.client_for(owner)
    try:
        client.call(
            "checkout/create",
            {"amount": float(amount)},
            unique_id="7",
            api_version="2019-04-03",
            risk_token="risk",
            client_ip="203.0.113.7",
            timeout=5,
            wait=1.5,
        )
    except errors.Throttled as error:
        return f"in {error.retry_after:.0f} s"
    except errors.TokenRevoked as error:
        return f"{error.owner} has to connect"
    except errors.OutcomeUnknown as error:
        return f"{error.call} {error.unique_id} {error.status}"
    except (
        errors.InvalidRequest,
        errors.PermissionDenied,
        errors.TokenInvalid,
        errors.ServerError,
        errors.APIError,
    ) as error:
        return f"{error.call} {error.status} {error.error} {error.error_code} {error.description}"
    except (errors.ConnectionFailed, errors.StoreUnavailable, errors.InvalidCall) as error:
        return str(error)
    except errors.TokenUnreadable as error:
        return str(error.owner)
    except (errors.ConfigurationError, errors.NotAuthorized):
        raise
    except errors.ExchangeFailed as error:
        return str(error.error_code)
    except (errors.AuthorizationDenied, errors.StateMismatch, errors.AuthorizationError) as error:
        return f"{error.error} {error.description}"
    except errors.WePayError as error:
        return str(error)
    return "paid"


def pay_many(owners: list[str]) -> list[Any]:
    one = wepay.client_for(owners[0]).batch([("user", {}), ("account/find", {"name": "x"})])
    return [*one, *wepay.batch([(owner, "user", {}) for owner in owners], timeout=5, wait=1)]


def listen(app: Flask, told: list[str]) -> None:
    def receive(sender: Flask, **facts: Any) -> None:
        told.append(f"{sender.name} {sorted(facts)}")

    for signal in (
        signals.wepay_authorized,
        signals.wepay_denied,
        signals.wepay_token_revoked,
        signals.wepay_user_deleted,
        signals.wepay_ipn_received,
    ):
        signal.connect(receive, app, weak=False)


def owners_who_are_connected() -> list[str]:
    rows = db.session.scalars(select(WePayToken).where(WePayToken.revoked_at.is_(None)))
    return [row.owner for row in rows]


def with_hooks(app: Flask, kept: dict[str, Mapping[str, Any] | None]) -> WePay:
    other = WePay()

    @other.token_getter
    def get(owner: str) -> Mapping[str, Any] | None:
        return kept.get(owner)

    @other.token_setter
    def put(owner: str, token: Mapping[str, Any] | None) -> None:
        kept[owner] = token

    other.init_app(app)
    assert_type(other.ipn_url(), str | None)
    return other


def by_authlib(call: str) -> int:
    # Authlib has no types.
    registry: Any = wepay.oauth
    status: int = registry.wepay.post(call, json={}).status_code
    return status


def test_donation(wepay_sandbox: Sandbox, wepay_connect: Connect, wepay_ipn: DeliverIPN) -> None:
    client = create_app(WEPAY_SANDBOX_URL=DEFAULT_URL).test_client()
    client.get("/as/alice")
    with wepay_sandbox.hold("user", "before") as hold:
        assert_type(hold, Hold)
    assert wepay_connect(client, email="bill@example.com").status_code == 302
    assert wepay_ipn(client, 100001).status_code == 200
    assert_type(wepay_sandbox.last("user"), Exchange)
    assert_type(wepay_sandbox.ipns, list[IPN])
    assert_type(wepay_sandbox.world, World)


def wepay_of_ones_own(clock: Clock) -> Flask:
    sandbox = Sandbox()
    try:
        sandbox.authorize("https://shop.example/")
    except AuthorizeRefused as error:
        raise SystemExit(str(error)) from None
    if 1008 in ANSWERS:
        raise Refused(1008)
    return create_sandbox(World(start=Seed({"users": [{"email": "a@example.com"}]})))
