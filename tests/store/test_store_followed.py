"""The token table is where the session of the application has it: routers, tenants, suites."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask, g, request
from flask.testing import FlaskClient
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, scoped_session, sessionmaker
from store.postgresql import database_url
from werkzeug.local import LocalProxy

from flask_wepay import WePay, current_wepay
from flask_wepay.cli import wepay as commands
from flask_wepay.errors import ConfigurationError, StoreUnavailable, TokenRevoked
from flask_wepay.pytest_plugin import Connect
from flask_wepay.sandbox import Sandbox
from flask_wepay.sqla import WePayTokenMixin
from flask_wepay.tokens import Secret
from flask_wepay.tokens.store import StateTaken

RED, BLUE = "red@example.com", "blue@example.com"
TENANTS = ("red", "blue")


class Base(DeclarativeBase):
    pass


class WePayToken(WePayTokenMixin, Base):
    pass


class Note(Base):
    __tablename__ = "note"
    id = mapped_column(sa.Integer, primary_key=True)


class GuardedBase(DeclarativeBase):
    pass


class GuardedToken(WePayTokenMixin, GuardedBase):
    __tablename__ = "guarded_token"
    tenant = mapped_column(
        sa.Text, server_default=sa.text("current_setting('app.tenant', true)"), nullable=True
    )


@pytest.fixture
def make_engine() -> Iterator[Callable[..., sa.Engine]]:
    """Make engines that are disposed of."""
    engines: list[sa.Engine] = []

    def make(url: str, **options: Any) -> sa.Engine:
        engines.append(sa.create_engine(url, **options))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


@pytest.fixture
def sqlite(make_engine: Any, tmp_path: Path) -> sa.Engine:
    """A database in a file that begins transactions as SQLAlchemy's documentation advises."""
    engine = make_engine(f"sqlite:///{tmp_path}/leader.db", connect_args={"timeout": 1})
    begin_by_hand(engine)
    Base.metadata.create_all(engine)
    return engine


@pytest.fixture
def postgresql(make_engine: Any) -> sa.Engine:
    engine = make_engine(database_url())
    with engine.begin() as connection:
        for schema in TENANTS:
            connection.execute(sa.text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
        Base.metadata.drop_all(connection)
        Base.metadata.create_all(connection)
    return engine


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> sa.Engine:
    return request.getfixturevalue(request.param)


def begin_by_hand(engine: sa.Engine) -> None:
    sa.event.listen(engine, "connect", lambda driver, _: setattr(driver, "isolation_level", None))
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))


def platform(session: Any, model: Any = WePayToken) -> Flask:
    """An application of the owner "1", whose tenant is in the header X-Tenant."""
    app = Flask("tests.followed")
    app.config.update(SECRET_KEY="for tests only", WEPAY_ENVIRONMENT="sandbox", TESTING=True)
    wepay = WePay(app, token_model=model, session=session)
    wepay.owner_loader(lambda: "1")
    app.extensions["test"] = wepay

    @app.get("/me")
    def me() -> str:
        return current_wepay.call("user")["email"] if current_wepay.authorized else "nobody"

    return app


def browser_of(app: Flask, tenant: str) -> FlaskClient:
    browser = app.test_client()
    browser.environ_base["HTTP_X_TENANT"] = tenant
    return browser


def look_before_each_request(app: Flask, session: Callable[[], Session]) -> None:
    """Let the session have a transaction when our own routes are entered."""

    @app.before_request
    def look() -> None:
        session().execute(sa.select(Note.id)).all()


def tenant() -> str:
    return request.headers.get("X-Tenant", "red")


def count(engine: sa.Engine, table: str = "wepay_token") -> int:
    with engine.connect() as connection:
        return connection.scalar(sa.text(f"SELECT count(*) FROM {table}"))


# Routers


class ByClause(Session):
    """SQLAlchemy's recipe: what neither flushes nor writes goes to the follower."""

    def get_bind(self, mapper: Any = None, clause: Any = None, **_: Any) -> sa.Engine:
        writes = self._flushing or isinstance(clause, sa.Update | sa.Delete | sa.Insert)
        return self.info["leader" if writes else "follower"]


class ByFlush(Session):
    """Its older form, which knows a write by the flush alone, and takes no further arguments."""

    def get_bind(self, mapper: Any = None, clause: Any = None) -> sa.Engine:
        return self.info["leader" if self._flushing else "follower"]


class ByModel(Session):
    """A table in a database of its own."""

    def get_bind(self, mapper: Any = None, **_: Any) -> sa.Engine:
        mine = mapper is not None and issubclass(mapper.class_, WePayToken)
        return self.info["leader" if mine else "follower"]


class WithArguments(ByClause):
    """A session that nobody else knows how to make."""

    def __init__(self, purpose: str, **options: Any) -> None:
        super().__init__(**options)
        self.purpose = purpose


def read_only(engine: sa.Engine, make_engine: Any) -> sa.Engine:
    """A follower that takes no writes: another connection to the same data."""
    if engine.dialect.name == "sqlite":
        return make_engine(f"sqlite:///file:{engine.url.database}?mode=ro&uri=true")
    return make_engine(engine.url, connect_args={"options": "-c default_transaction_read_only=on"})


@pytest.mark.parametrize("session_class", [ByClause, ByFlush, ByModel, WithArguments])
@pytest.mark.parametrize("in_transaction", [False, True])
def test_router(
    engine: sa.Engine,
    make_engine: Any,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    session_class: Any,
    in_transaction: bool,
) -> None:
    """Rows are written, and read, where the application's session writes them."""
    info = {"leader": engine, "follower": read_only(engine, make_engine)}
    arguments = {"purpose": "x"} if session_class is WithArguments else {}
    session = scoped_session(sessionmaker(class_=session_class, info=info, **arguments))
    app = platform(session)
    app.teardown_appcontext(lambda _: session.remove())
    if in_transaction:
        look_before_each_request(app, session)

    answer = wepay_connect(app.test_client(), email=RED)

    assert (answer.status_code, answer.location) == (302, "/")
    assert app.test_client().get("/me").text == RED
    wepay_sandbox.revoke(wepay_sandbox.world.user_by_email(RED).user_id)
    with pytest.raises(TokenRevoked):
        app.test_client().get("/me")
    with engine.connect() as connection:
        assert connection.scalars(sa.select(WePayToken.reason)).all() == ["revoked"]


def test_follower_that_lags(
    make_engine: Any, tmp_path: Path, sqlite: sa.Engine, wepay_connect: Connect
) -> None:
    """A follower that has heard of nothing yet is never asked who is connected."""
    follower = make_engine(f"sqlite:///{tmp_path}/follower.db")
    Base.metadata.create_all(follower)
    app = platform(sessionmaker(class_=ByClause, info={"leader": sqlite, "follower": follower}))

    wepay_connect(app.test_client(), email=RED)

    assert app.test_client().get("/me").text == RED
    assert (count(sqlite), count(follower)) == (1, 0)


def test_router_that_fails(sqlite: sa.Engine) -> None:
    """A session that can't tell where the table is ends the call, with its reason in words."""

    class OnlyInRequests(Session):
        def get_bind(self, *_: Any, **__: Any) -> sa.Engine:
            raise LookupError("no tenant")

    app = platform(sessionmaker(sqlite, class_=OnlyInRequests))

    with app.app_context(), pytest.raises(StoreUnavailable, match="no tenant"):
        _ = app.extensions["test"].client_for("1").authorized


# Tenants


def schemas(engine: sa.Engine) -> None:
    """A schema for each tenant; who sets none is at red's."""
    with engine.begin() as connection:
        for name in TENANTS:
            connection.execute(sa.text(f"CREATE SCHEMA {name}"))
            connection.execute(sa.text(f"SET LOCAL search_path TO {name}"))
            Base.metadata.create_all(connection, checkfirst=False)
        connection.execute(sa.text("DROP TABLE public.wepay_token, public.note"))
    sa.event.listen(engine, "connect", lambda driver, _: driver.execute("SET search_path TO red"))
    sa.event.listen(engine, "connect", lambda driver, _: driver.commit())
    engine.dispose()


def set_by_the_factory(engine: sa.Engine) -> Any:
    """Say it to the transaction of a session that is kept in g."""
    make = sessionmaker(engine)

    def current() -> Session:
        if "session" not in g:
            g.session = make()
            g.session.execute(sa.text(f"SET LOCAL search_path TO {tenant()}"))
        return g.session

    return current, lambda app: app.teardown_appcontext(lambda _: g.pop("session", make()).close())


def set_before_the_request(engine: sa.Engine) -> Any:
    """Say it to the connection that the session happens to have, as many threads advise."""
    session = scoped_session(sessionmaker(engine))

    def prepare(app: Flask) -> None:
        @app.before_request
        def enter() -> None:
            session.execute(sa.text(f"SET search_path TO {tenant()}"))

        app.teardown_appcontext(lambda _: session.remove())

    return session, prepare


def set_after_begin(engine: sa.Engine) -> Any:
    """Say it to every transaction of the session's class."""
    make = sessionmaker(engine)
    sa.event.listen(
        make,
        "after_begin",
        lambda _, __, connection: connection.execute(
            sa.text(f"SET LOCAL search_path TO {tenant()}")
        ),
    )
    session = scoped_session(make)
    return session, lambda app: app.teardown_appcontext(lambda _: session.remove())


def set_on_one_session(engine: sa.Engine) -> Any:
    """Say it to every transaction of a session that a request made for itself."""
    make = sessionmaker(engine)

    def current() -> Session:
        if "session" not in g:
            g.session = make(info={"tenant": tenant()})
            sa.event.listen(
                g.session,
                "after_begin",
                lambda session, _, connection: connection.execute(
                    sa.text(f"SET LOCAL search_path TO {session.info['tenant']}")
                ),
            )
        return g.session

    return current, lambda app: app.teardown_appcontext(lambda _: g.pop("session", make()).close())


def translated_by_the_engine(engine: sa.Engine) -> Any:
    """Let a router choose an engine whose options name the schema."""
    engines = {
        name: engine.execution_options(schema_translate_map={None: name}) for name in TENANTS
    }

    class Routed(Session):
        def get_bind(self, *_: Any, **__: Any) -> sa.Engine:
            return engines[tenant()]

    session = scoped_session(sessionmaker(class_=Routed))
    return session, lambda app: app.teardown_appcontext(lambda _: session.remove())


def translated_by_an_event(engine: sa.Engine) -> Any:
    """Let an event give each statement the schema."""
    make = sessionmaker(engine)
    sa.event.listen(
        make,
        "do_orm_execute",
        lambda state: state.update_execution_options(schema_translate_map={None: tenant()}),
    )
    session = scoped_session(make)
    return session, lambda app: app.teardown_appcontext(lambda _: session.remove())


def translated_by_a_method(engine: sa.Engine) -> Any:
    """Let the session's own method give each statement the schema."""

    class Translating(Session):
        def execute(self, statement: Any, params: Any = None, **arguments: Any) -> Any:
            options = {"schema_translate_map": {None: tenant()}}
            return super().execute(statement, params, execution_options=options)

    session = scoped_session(sessionmaker(engine, class_=Translating))
    return session, lambda app: app.teardown_appcontext(lambda _: session.remove())


def translated_by_the_session(engine: sa.Engine) -> Any:
    """Give each statement of a session the schema, as SQLAlchemy 2.1 can."""
    make = sessionmaker(engine)

    def current() -> Session:
        if "session" not in g:
            options = {"schema_translate_map": {None: tenant()}}
            g.session = make(execution_options=options)
        return g.session

    return current, lambda app: app.teardown_appcontext(lambda _: g.pop("session", make()).close())


def translated_since_the_user_was_loaded(engine: sa.Engine) -> Any:
    """Give a session the schema when its transaction has begun, as SQLAlchemy 2.1 can."""
    make = sessionmaker(engine)

    def current() -> Session:
        if "session" not in g:
            g.session = make()
            g.session.execute(sa.text("SELECT 1"))
            options = {"schema_translate_map": {None: tenant()}}
            g.session.execution_options = g.session.execution_options.union(options)
        return g.session

    return current, lambda app: app.teardown_appcontext(lambda _: g.pop("session", make()).close())


WAYS = [
    set_by_the_factory,
    set_before_the_request,
    set_after_begin,
    set_on_one_session,
    translated_by_the_engine,
    translated_by_an_event,
    translated_by_a_method,
]
if "execution_options" in signature(Session).parameters:
    WAYS += [translated_by_the_session, translated_since_the_user_was_loaded]


def platform_of_tenants(engine: sa.Engine, ways: Any) -> tuple[Flask, Any]:
    """Give an application with a schema for each tenant, and what returns its session."""
    schemas(engine)
    session, prepare = ways(engine)
    app = platform(session)
    prepare(app)
    return app, session


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize("ways", WAYS)
def test_tenant(
    postgresql: sa.Engine,
    wepay_sandbox: Sandbox,
    wepay_connect: Connect,
    ways: Any,
    in_transaction: bool,
) -> None:
    """The user "1" of one tenant is never connected to the merchant of another tenant's user."""
    app, session = platform_of_tenants(postgresql, ways)
    if in_transaction:
        look_before_each_request(app, session)

    answer = wepay_connect(browser_of(app, "blue"), email=BLUE)

    assert answer.location == "/"
    assert browser_of(app, "blue").get("/me").text == BLUE
    assert browser_of(app, "red").get("/me").text == "nobody"
    assert [count(postgresql, f"{name}.wepay_token") for name in TENANTS] == [0, 1]
    wepay_connect(browser_of(app, "red"), email=RED)
    wepay_connect(browser_of(app, "blue"), email=BLUE, login="/wepay/login?force=1")
    assert browser_of(app, "red").get("/me").text == RED
    with postgresql.connect() as connection:
        reasons = connection.scalars(sa.text("SELECT reason FROM blue.wepay_token ORDER BY id"))
        assert reasons.all() == ["replaced", None]


@pytest.mark.parametrize("ways", WAYS)
def test_fresh_look_up_of_a_tenant(
    postgresql: sa.Engine, wepay_connect: Connect, ways: Any
) -> None:
    """What is read beside a view's transaction is read at the view's tenant."""
    app, session = platform_of_tenants(postgresql, ways)
    wepay_connect(browser_of(app, "blue"), email=BLUE)

    found = {}
    for name in TENANTS:
        with app.test_request_context(headers={"X-Tenant": name}):
            app.preprocess_request()
            session().execute(sa.select(Note.id)).all()
            store = app.extensions["wepay"].store
            found[name] = len(store.find("1", fresh=True).candidates)

    assert found == {"red": 0, "blue": 1}


@pytest.mark.parametrize("ways", [set_by_the_factory, set_after_begin])
def test_failed_session_of_a_tenant(
    postgresql: sa.Engine, wepay_connect: Connect, ways: Any
) -> None:
    """A view whose transaction has failed never acts for another tenant's user."""
    app, session = platform_of_tenants(postgresql, ways)
    for name, email in zip(TENANTS, (RED, BLUE), strict=True):
        wepay_connect(browser_of(app, name), email=email)

    with app.test_request_context(headers={"X-Tenant": "blue"}):
        fail(session())
        client = app.extensions["test"].client_for("1")
        if ways is set_after_begin:
            assert client.call("user")["email"] == BLUE
        else:
            with pytest.raises(StoreUnavailable, match="roll the transaction back first"):
                client.call("user")
            with pytest.raises(StoreUnavailable, match="roll the transaction back first"):
                client.disconnect()


def test_double_click_at_a_tenant(postgresql: sa.Engine) -> None:
    """A state whose row is at the transaction's tenant is taken, for a second click too."""
    app, session = platform_of_tenants(postgresql, set_by_the_factory)
    state = Secret("a state")

    with app.test_request_context(headers={"X-Tenant": "blue"}):
        store = app.extensions["wepay"].store
        session().execute(sa.select(Note.id)).all()
        place = store.release()
        store.begin("1", state, place)
        with pytest.raises(StateTaken):
            store.begin("1", state, place)


@pytest.fixture
def guarded(postgresql: sa.Engine, make_engine: Any) -> sa.Engine:
    """A database whose rows are seen by their tenant only, reached by a user that this binds."""
    with postgresql.begin() as connection:
        GuardedBase.metadata.drop_all(connection)
        GuardedBase.metadata.create_all(connection)
        connection.execute(
            sa.text(
                """
                DROP ROLE IF EXISTS shop; CREATE ROLE shop LOGIN;
                GRANT ALL ON guarded_token, note TO shop;
                GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO shop;
                ALTER TABLE guarded_token ENABLE ROW LEVEL SECURITY;
                CREATE POLICY mine ON guarded_token
                    USING (tenant = current_setting('app.tenant', true))
                    WITH CHECK (tenant = current_setting('app.tenant', true))
                """
            )
        )
    yield make_engine(postgresql.url.set(username="shop"))
    with postgresql.begin() as connection:
        GuardedBase.metadata.drop_all(connection)
        connection.execute(sa.text("DROP OWNED BY shop; DROP ROLE shop"))


_SET_TENANT = sa.text("SELECT set_config('app.tenant', :tenant, true)")


def test_row_level_security(guarded: sa.Engine, wepay_connect: Connect) -> None:
    """What an event tells each transaction, ours are told too."""

    class Guarded(Session):
        pass

    @sa.event.listens_for(Guarded, "after_begin")
    def enter(session: Session, _: Any, connection: sa.Connection) -> None:
        connection.execute(_SET_TENANT, {"tenant": tenant()})

    session = scoped_session(sessionmaker(guarded, class_=Guarded))
    app = platform(session, GuardedToken)
    app.teardown_appcontext(lambda _: session.remove())

    assert wepay_connect(browser_of(app, "blue"), email=BLUE).location == "/"

    assert browser_of(app, "blue").get("/me").text == BLUE
    assert browser_of(app, "red").get("/me").text == "nobody"


def test_setting_that_cannot_be_followed(
    guarded: sa.Engine, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """What a request told one transaction alone ends the login before WePay is asked."""
    session = scoped_session(sessionmaker(guarded))
    app = platform(session, GuardedToken)
    app.before_request(lambda: session.execute(_SET_TENANT, {"tenant": tenant()}).all() and None)
    app.teardown_appcontext(lambda _: session.remove())

    answer = wepay_connect(browser_of(app, "blue"), email=BLUE)

    assert answer.status_code == 503
    assert wepay_sandbox.count("oauth2/token") == 0
    assert "after_begin" in app.test_cli_runner().invoke(commands, ["check"]).output


# An outer transaction, which a test suite rolls back


@pytest.mark.parametrize("mode", ["create_savepoint", "conditional_savepoint"])
def test_outer_transaction(engine: sa.Engine, wepay_connect: Connect, mode: str) -> None:
    """With a bind that is a connection, what a login stored is rolled back with all else."""
    with engine.connect() as connection, connection.begin() as outer:
        session = scoped_session(sessionmaker(connection, join_transaction_mode=mode))
        session.add(Note(id=1))
        session.commit()
        app = platform(session)

        answer = wepay_connect(app.test_client(), email=RED)

        assert answer.location == "/"
        assert app.test_client().get("/me").text == RED
        with app.app_context():
            session.add(Note(id=2))
            session.flush()
            app.extensions["test"].client_for("1").disconnect()
        assert app.test_client().get("/me").text == "nobody"
        session.remove()
        outer.rollback()
    assert (count(engine), count(engine, "note")) == (0, 0)


def test_outer_transaction_of_flask_sqlalchemy(
    make_app: Any, tmp_path: Path, wepay_connect: Any
) -> None:
    """Where a suite puts a connection in the place of Flask-SQLAlchemy's engine it is used."""
    app = make_app(SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db")
    db = app.extensions["test"]["db"]
    with app.app_context():
        engines = db.engines
        engine = engines[None]
        engine.dispose()
        begin_by_hand(engine)
    browser = app.test_client()
    browser.get("/as/alice")

    with engine.connect() as connection, connection.begin() as outer:
        engines[None] = connection
        assert wepay_connect(browser).location == "/"
        assert connection.scalar(sa.text("SELECT count(*) FROM wepay_token")) == 1
        outer.rollback()
    engines[None] = engine

    assert count(engine) == 0


# With SQLAlchemy 2.1 the commit of any session ends the transaction that is to isolate it.
if sa.__version__ < "2.1":

    def test_isolation_of_flask_sqlalchemy_lite(tmp_path: Path, wepay_connect: Connect) -> None:
        """Within Flask-SQLAlchemy-Lite's test_isolation a login is rolled back too."""
        from flask_sqlalchemy_lite import SQLAlchemy

        app = Flask("tests.lite")
        app.config.update(
            SECRET_KEY="for tests only",
            WEPAY_ENVIRONMENT="sandbox",
            TESTING=True,
            SQLALCHEMY_ENGINES={"default": f"sqlite:///{tmp_path}/lite.db"},
        )
        db = SQLAlchemy(app)
        wepay = WePay(app, token_model=WePayToken)
        wepay.owner_loader(lambda: "1")
        with app.app_context():
            engine = db.engine
            begin_by_hand(engine)
            Base.metadata.create_all(engine)

        with app.app_context(), db.test_isolation():
            answer = wepay_connect(app.test_client())
            with app.app_context():
                assert wepay.client_for("1").authorized

        assert answer.location == "/"
        assert count(engine) == 0
        engine.dispose()


# What an application does after its own commits


def test_events_after_a_commit(sqlite: sa.Engine, wepay_connect: Connect) -> None:
    """What waits in a view's session for its commit is not sent off by ours."""
    make, sent = sessionmaker(sqlite), list[str]()
    session = scoped_session(make)
    sa.event.listen(make, "before_commit", lambda s: sent.append("before"))
    sa.event.listen(make, "after_commit", lambda s: sent.extend(s.info.pop("mails", [])))
    sa.event.listen(make, "after_rollback", lambda s: s.info.get("mails", []).clear())
    app = platform(session)
    app.teardown_appcontext(lambda _: session.remove())
    wepay_connect(app.test_client(), email=RED)
    sent.clear()

    with app.app_context():
        session.info["mails"] = ["thank you"]
        app.extensions["test"].client_for("1").disconnect()
        assert not app.extensions["test"].client_for("1").authorized
        assert (sent, session.info["mails"]) == ([], ["thank you"])
        session.execute(sa.select(Note.id)).all()
        session.commit()

    assert sent == ["before", "thank you"]


def test_models_committed(make_app: Any, tmp_path: Path, wepay_connect: Any) -> None:
    """Flask-SQLAlchemy tells of a view's changes once, when the view commits them."""
    from flask_sqlalchemy.track_modifications import models_committed

    app = make_app(
        SQLALCHEMY_DATABASE_URI=f"sqlite:///{tmp_path}/app.db", SQLALCHEMY_TRACK_MODIFICATIONS=True
    )
    db, wepay = app.extensions["test"]["db"], app.extensions["test"]["wepay"]
    note = type("Note", (db.Model,), {"id": db.Column(db.Integer, primary_key=True)})
    told: list[int] = []

    def hear(sender: Any, changes: Any) -> None:
        told.append(len(changes))

    browser = app.test_client()
    browser.get("/as/alice")
    with app.app_context():
        db.create_all()
        with models_committed.connected_to(hear, app):
            wepay_connect(browser)
            assert told == []
            db.session.add(note(id=1))
            wepay.client_for("alice").disconnect()
            assert told == []
            db.session.commit()

    assert told == [1]


# What a session callable may return


def test_sessions_behind_others(sqlite: sa.Engine, wepay_connect: Connect) -> None:
    """A registry's registry, and a proxy, lead to the session."""
    session = scoped_session(sessionmaker(sqlite))
    for source in (lambda: session, lambda: LocalProxy(session), sessionmaker(sqlite)):
        assert wepay_connect(platform(source).test_client()).location == "/"
    session.remove()


@pytest.mark.parametrize("wrong", [None, "sqlite://", object])
def test_no_session(wrong: Any) -> None:
    """What is no session is refused by its type."""
    app = platform(lambda: wrong)

    with app.app_context(), pytest.raises(ConfigurationError, match="a SQLAlchemy Session"):
        _ = app.extensions["test"].client_for("1").authorized


# A session that is watched


def test_whoever_replaces_the_method_sees_our_statements(
    engine: sa.Engine, wepay_connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A replaced Session.execute gets our statements, too, as a tracer's does."""
    seen: list[Any] = []
    execute = Session.execute

    def noting(session: Session, statement: Any, *arguments: Any, **options: Any) -> Any:
        seen.append(type(statement))
        return execute(session, statement, *arguments, **options)

    app = platform(scoped_session(sessionmaker(engine)))
    monkeypatch.setattr(Session, "execute", noting)

    wepay_connect(app.test_client(), email=RED)

    assert sa.Insert in seen
    assert sa.Update in seen


# A session that has failed


def fail(session: Session) -> None:
    session.execute(sa.insert(Note).values(id=1))
    session.add(Note(id=1))
    with pytest.raises(sa.exc.IntegrityError):
        session.flush()


def test_failed_session_in_our_own_routes(
    engine: sa.Engine, wepay_sandbox: Sandbox, wepay_connect: Connect
) -> None:
    """A transaction that somebody left failed is rolled back, and the login goes on."""
    session = scoped_session(sessionmaker(engine))
    app = platform(session)
    fail(session())

    assert wepay_connect(app.test_client(), email=RED).location == "/"

    assert app.test_client().get("/me").text == RED
    session.remove()


def test_failed_session_in_a_view(
    make_engine: Any, postgresql: sa.Engine, wepay_connect: Connect
) -> None:
    """With no connection left a view is told at once, not after the pool's time."""
    small = make_engine(postgresql.url, pool_size=1, max_overflow=0, pool_timeout=3600)
    session = scoped_session(sessionmaker(small))
    app = platform(session)
    wepay_connect(app.test_client(), email=RED)

    with app.app_context():
        fail(session())
        client = app.extensions["test"].client_for("1")
        with pytest.raises(StoreUnavailable, match="roll the transaction back first"):
            _ = client.authorized
        session.rollback()
        assert client.authorized
    session.remove()
