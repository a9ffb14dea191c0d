"""Flask-WePay beside the other extensions of an application, and on every kind of session."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_sqlalchemy_lite
import pytest
import sqlalchemy as sa
from authlib.integrations.flask_client import OAuth
from flask import Flask, session
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy.orm import (
    DeclarativeBase,
    DeclarativeBaseNoMeta,
    MappedAsDataclass,
    declarative_base,
    mapped_column,
    scoped_session,
    sessionmaker,
)
from sqlalchemy.pool import StaticPool
from store import mariadb, postgresql

from flask_wepay import WePay, current_wepay
from flask_wepay.errors import ConfigurationError, StoreUnavailable
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox
from flask_wepay.sqla import WePayTokenMixin

MakeApp = Callable[..., Flask]


@pytest.fixture
def bare() -> Flask:
    """An application without a database yet."""
    app = Flask("integrations")
    app.config.update(SECRET_KEY="x", TESTING=True, WEPAY_ENVIRONMENT="sandbox")
    app.add_url_rule("/as/<owner>", "as", lambda owner: session.update(user=owner) or owner)
    app.add_url_rule("/call", "call", lambda: current_wepay.call("user"))
    app.add_url_rule("/leave", "leave", lambda: current_wepay.disconnect() or "")
    app.add_url_rule("/authorized", "authorized", lambda: str(current_wepay.authorized))
    return app


def goes_through(wepay: WePay, app: Flask, connect: Connect) -> FlaskClient:
    """Take a browser through the life of a connection."""
    wepay.owner_loader(lambda: session.get("user"))
    client = app.test_client()
    client.get("/as/alice")
    assert client.get("/authorized").text == "False"
    assert connect(client).location == "/"
    assert client.get("/call").json["state"] == "registered"
    assert connect(client, login="/wepay/login?force=1").location == "/"
    assert client.get("/call").json["state"] == "registered"
    client.get("/leave")
    assert client.get("/authorized").text == "False"
    assert connect(client).location == "/"
    return client


# Databases


def dispose(app: Flask, db: SQLAlchemy) -> None:
    with app.app_context():
        db.session.remove()
        db.engine.dispose()


def default() -> SQLAlchemy:
    return SQLAlchemy()


def with_declarative_base() -> SQLAlchemy:
    return SQLAlchemy(model_class=type("Base", (DeclarativeBase,), {}))


def without_metaclass() -> SQLAlchemy:
    return SQLAlchemy(model_class=type("Base", (DeclarativeBaseNoMeta,), {}))


def with_dataclasses() -> SQLAlchemy:
    return SQLAlchemy(model_class=type("Base", (MappedAsDataclass, DeclarativeBase), {}))


BASES = [default, with_declarative_base, without_metaclass]
# https://github.com/pallets-eco/flask-sqlalchemy/issues/1420
if sa.__version__ < "2.1":
    BASES.append(with_dataclasses)


@pytest.mark.parametrize("make_db", BASES)
@pytest.mark.parametrize("late", [True, False])
def test_flask_sqlalchemy(
    bare: Flask,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    make_db: Callable[[], SQLAlchemy],
    late: bool,
) -> None:
    """Flask-SQLAlchemy's session is found by itself, on any base, whichever comes first."""
    bare.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    db = make_db()
    model: Any = type("WePayToken", (WePayTokenMixin, db.Model), {})
    wepay = WePay(token_model=model)
    for extension in [wepay, db] if late else [db, wepay]:
        extension.init_app(bare)
    with bare.app_context():
        db.create_all()

    goes_through(wepay, bare, wepay_connect)

    with bare.app_context():
        assert db.session.query(model).filter_by(owner="alice").count() == 3
    dispose(bare, db)


def test_flask_sqlalchemy_bind(bare: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect) -> None:
    """A model with a bind key lives in that database."""
    bare.config.update(
        SQLALCHEMY_DATABASE_URI="sqlite://", SQLALCHEMY_BINDS={"payments": "sqlite://"}
    )
    db = SQLAlchemy(bare)
    model = type("WePayToken", (WePayTokenMixin, db.Model), {"__bind_key__": "payments"})
    wepay = WePay(bare, token_model=model)
    with bare.app_context():
        db.create_all()

    goes_through(wepay, bare, wepay_connect)

    with bare.app_context():
        assert sa.inspect(db.engines["payments"]).get_table_names() == ["wepay_token"]
        assert sa.inspect(db.engines[None]).get_table_names() == []
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


@pytest.mark.parametrize("bases", [(DeclarativeBase,), (MappedAsDataclass, DeclarativeBase)])
def test_flask_sqlalchemy_lite(
    bare: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect, bases: tuple[type, ...]
) -> None:
    """Flask-SQLAlchemy-Lite's session is found by itself."""
    bare.config["SQLALCHEMY_ENGINES"] = {"default": {"url": "sqlite://", "poolclass": StaticPool}}
    base: Any = type("Base", bases, {})
    model = type("WePayToken", (WePayTokenMixin, base), {})
    db = flask_sqlalchemy_lite.SQLAlchemy(bare)
    wepay = WePay(bare, token_model=model)
    with bare.app_context():
        base.metadata.create_all(db.engine)

    goes_through(wepay, bare, wepay_connect)

    with bare.app_context():
        db.engine.dispose()


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    """A database in memory, with a second schema beside the first."""
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    sa.event.listen(
        engine, "connect", lambda dbapi, record: dbapi.execute("ATTACH ':memory:' AS payments")
    )
    yield engine
    engine.dispose()


def declarative() -> Any:
    return type("Base", (DeclarativeBase,), {})


def dataclasses() -> Any:
    return type("Base", (MappedAsDataclass, DeclarativeBase), {})


@pytest.mark.parametrize("make_base", [declarative, dataclasses, declarative_base])
@pytest.mark.parametrize("scoped", [True, False])
def test_plain_sqlalchemy(
    bare: Flask,
    engine: sa.Engine,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    make_base: Callable[[], Any],
    scoped: bool,
) -> None:
    """Any callable that gives a session will do, and any declarative base."""
    base = make_base()
    model = type("WePayToken", (WePayTokenMixin, base), {})
    base.metadata.create_all(engine)
    make_session: Any = sessionmaker(engine)
    if scoped:
        make_session = scoped_session(make_session)
        bare.teardown_appcontext(lambda error: make_session.remove())
    wepay = WePay(bare, token_model=model, session=make_session)

    goes_through(wepay, bare, wepay_connect)

    with engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(model)) == 3


def test_another_schema_and_name(
    bare: Flask, engine: sa.Engine, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """The table may be called something else, and live in another schema."""
    base = declarative()
    names = {"__tablename__": "authorizations", "__table_args__": {"schema": "payments"}}
    model = type("WePayToken", (WePayTokenMixin, base), names)
    base.metadata.create_all(engine)
    wepay = WePay(bare, token_model=model, session=sessionmaker(engine))

    goes_through(wepay, bare, wepay_connect)

    with engine.connect() as connection:
        query = sa.text("SELECT count(*) FROM payments.authorizations")
        assert connection.scalar(query) == 3


def test_columns_of_ones_own(
    bare: Flask, engine: sa.Engine, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A model may have more columns, as long as they can be left out."""
    base = declarative()
    columns = {
        "note": mapped_column(sa.Text, nullable=True),
        "shard": mapped_column(sa.Integer, nullable=False, server_default="7"),
        "tenant": mapped_column(sa.String(9), nullable=False, default="acme"),
    }
    model: Any = type("WePayToken", (WePayTokenMixin, base), columns)
    base.metadata.create_all(engine)
    wepay = WePay(bare, token_model=model, session=sessionmaker(engine))

    goes_through(wepay, bare, wepay_connect)

    with engine.connect() as connection:
        rows = connection.execute(sa.select(model.note, model.shard, model.tenant)).all()
    assert set(rows) == {(None, 7, "acme")}


def test_no_database(bare: Flask) -> None:
    """A model without a session is told of at first use, with what was forgotten."""
    base = declarative()
    wepay = WePay(bare, token_model=type("WePayToken", (WePayTokenMixin, base), {}))

    with bare.app_context(), pytest.raises(ConfigurationError, match=r"db\.init_app\(app\)"):
        bool(wepay.client_for("alice").authorized)


def test_session_without_an_engine(bare: Flask) -> None:
    """A session that is bound to nothing is told of as any other database that can't be used."""
    model = type("WePayToken", (WePayTokenMixin, declarative()), {})
    wepay = WePay(bare, token_model=model, session=sessionmaker())

    with bare.app_context(), pytest.raises(StoreUnavailable, match="UnboundExecutionError"):
        wepay.client_for("alice").call("user")


# Migrations

MIGRATED = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from flask_wepay import WePay
from flask_wepay.sqla import WePayTokenMixin

app = Flask(__name__)
app.config.from_prefixed_env()
db = SQLAlchemy(app)

class WePayToken(WePayTokenMixin, db.Model):
    pass

Migrate(app, db)
WePay(app, token_model=WePayToken)

# Each of them starts a Python of its own otherwise.
for command in ("init", "migrate", "upgrade", "migrate"):
    result = app.test_cli_runner().invoke(args=["db", command])
    assert result.exit_code == 0, result.output
"""


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mariadb"])
def test_flask_migrate(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect, tmp_path: Path, kind: str
) -> None:
    """An autogenerated migration of the model runs unedited, and leaves nothing to be done."""
    (tmp_path / "migrated.py").write_text(MIGRATED)
    servers = {"postgresql": postgresql.database_url, "mariadb": mariadb.database_url}
    uri = servers[kind]() if kind in servers else f"sqlite:///{tmp_path / 'migrated.db'}"
    environ = {
        **os.environ,
        "FLASK_SECRET_KEY": "a secret key for tests only",
        "FLASK_WEPAY_ENVIRONMENT": "sandbox",
        "FLASK_SQLALCHEMY_DATABASE_URI": uri,
    }

    done = subprocess.run(
        [sys.executable, "migrated.py"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert done.returncode == 0, done.stderr
    (script,) = (tmp_path / "migrations" / "versions").glob("*.py")
    assert "flask_wepay" not in script.read_text()
    client = make_app(SQLALCHEMY_DATABASE_URI=uri).test_client()
    client.get("/as/alice")
    assert wepay_connect(client).location == "/"
    engine = sa.create_engine(uri, poolclass=sa.NullPool)
    with engine.begin() as connection:
        assert connection.scalars(sa.text("SELECT owner FROM wepay_token")).all() == ["alice"]
        indexes = sa.inspect(connection).get_indexes("wepay_token")
        connection.execute(sa.text("DROP TABLE alembic_version"))
    assert {"ix_wepay_token_owner_newest", "ix_wepay_token_owner_living"} <= {
        index["name"] for index in indexes
    }


# An Authlib registry of the application's own

GOOGLE = {
    "client_id": "google",
    "client_secret": "secret",
    "authorize_url": "https://accounts.google.example/authorize",
}


@pytest.mark.parametrize("before", [True, False])
def test_own_registry(make_app: MakeApp, wepay_sandbox: Sandbox, before: bool) -> None:
    """The application's own registry is neither touched nor overwritten."""
    wepay = WePay(token_model=object())
    made: list[OAuth] = []

    def make_registry(app: Flask) -> None:
        registry = OAuth(app)
        registry.register("google", **GOOGLE)
        made.append(registry)

    app = Flask("registry")
    app.config.update(SECRET_KEY="x", WEPAY_ENVIRONMENT="sandbox")
    for step in [make_registry, wepay.init_app] if before else [wepay.init_app, make_registry]:
        step(app)

    (registry,) = made
    with app.test_request_context():
        assert app.extensions["authlib.integrations.flask_client"] is registry
        assert registry.create_client("wepay") is None
        assert wepay.oauth is not registry
        assert wepay.oauth.create_client("google") is None
        location = registry.google.authorize_redirect("https://shop.example/google").location
    assert location.startswith("https://accounts.google.example/authorize?response_type=code")


def test_registry_to_register_with(
    bare: Flask, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """With oauth=… the client is registered beside the application's others."""
    registry = OAuth(bare)
    registry.register("google", **GOOGLE)
    tokens: dict[str, Any] = {}
    wepay = WePay(bare, oauth=registry)
    wepay.token_getter(tokens.get)
    wepay.token_setter(tokens.__setitem__)

    goes_through(wepay, bare, wepay_connect)

    with bare.app_context():
        assert wepay.oauth is registry
        assert registry.wepay is registry.create_client("wepay")
        assert registry.google.client_id == "google"


@pytest.mark.parametrize("registered", [True, False])
def test_registry_of_another_application(bare: Flask, registered: bool) -> None:
    """One registry serves one application: another's, or nobody's, is refused."""
    registry = OAuth(Flask("another")) if registered else OAuth()

    with pytest.raises(ConfigurationError, match="registry of another application"):
        WePay(bare, oauth=registry)


# Flask-WTF


@pytest.mark.parametrize("before", [True, False])
def test_csrf_protect(make_app: MakeApp, wepay_sandbox: Sandbox, before: bool) -> None:
    """CSRFProtect stops no IPN, whichever comes first, and still protects everything else."""
    app = Flask("csrf")
    app.config.update(SECRET_KEY="x", WEPAY_ENVIRONMENT="sandbox", WEPAY_URL_PREFIX="/pay")
    wepay = WePay(token_model=object())
    for extension in [CSRFProtect(), wepay] if before else [wepay, CSRFProtect()]:
        extension.init_app(app)
    app.add_url_rule("/form", "form", lambda: "", methods=["POST"])
    with app.test_request_context():
        address = wepay.ipn_url()
    client = app.test_client()

    signed = client.post(address, data={"checkout_id": "7"})
    unsigned = client.post("/pay/ipn", data={"checkout_id": "7"})
    other = client.post("/form")
    again = client.post(address, data={"checkout_id": "7"})

    assert [answer.status_code for answer in (signed, unsigned, other, again)] == [
        200,
        403,
        400,
        200,
    ]
    assert "CSRF token is missing" in other.text


def test_csrf_protect_and_login(
    make_app: MakeApp, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A whole login works beside CSRFProtect."""
    app = make_app()
    CSRFProtect(app)
    client = app.test_client()
    client.get("/as/alice")

    assert wepay_connect(client).location == "/"


def test_without_csrf_protect(make_app: MakeApp) -> None:
    """Without CSRFProtect an IPN is what it is."""
    client = make_app().test_client()

    assert client.post("/wepay/ipn").status_code == 403
