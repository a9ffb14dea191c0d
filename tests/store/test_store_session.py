"""What happens to the application's session while the package looks into its table: nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, scoped_session, sessionmaker
from store.owners import BILL, Platform
from store.postgresql import PostgreSQL, database_url

from flask_wepay import WePay, signals
from flask_wepay.errors import NotAuthorized, StoreUnavailable, TokenRevoked
from flask_wepay.sandbox import Sandbox
from flask_wepay.sqla import WePayTokenMixin

POOL_OF_ONE = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 0.5}


class Desk:
    """A view's own work, done on the application's session."""

    def __init__(self, platform: Platform) -> None:
        self._db = platform.app.extensions["test"]["db"]
        self._note = type(
            "Note", (self._db.Model,), {"id": sa.Column(sa.Integer, primary_key=True)}
        )
        with platform.app.app_context():
            self._db.metadata.tables["note"].drop(self._db.engine, checkfirst=True)
            self._db.create_all()

    @property
    def session(self) -> Session:
        return self._db.session()

    def write(self, *, flush: bool) -> None:
        self.session.add(self._note(id=1))
        if flush:
            self.session.flush()

    def read(self) -> None:
        self.session.execute(sa.select(self._note.id)).all()

    def saved(self) -> int:
        """Count what another connection sees."""
        with self._db.engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(self._note.__table__))


@pytest.fixture
def desk(platform: Platform) -> Desk:
    return Desk(platform)


def look(platform: Platform) -> Any:
    assert platform.app.extensions["test"]["wepay"].client_for("alice").authorized


def lose(platform: Platform) -> Any:
    platform.revoke(BILL)
    with pytest.raises(TokenRevoked):
        platform.app.extensions["test"]["wepay"].client_for("alice").call("user")


def disconnect(platform: Platform) -> Any:
    try:
        platform.app.extensions["test"]["wepay"].client_for("alice").disconnect()
    except StoreUnavailable as error:
        # SQLite's one write lock is the view's.
        assert "commit it before" in str(error)  # noqa: PT017


@pytest.mark.parametrize("action", [look, lose, disconnect])
def test_pending_work_is_not_flushed(platform: Platform, desk: Desk, action: Any) -> None:
    """What a view has added and not flushed is just so afterwards."""
    platform.connect("alice")

    with platform.app.app_context():
        desk.write(flush=False)
        action(platform)

        assert len(desk.session.new) == 1
        desk.session.rollback()
        assert desk.saved() == 0


@pytest.mark.parametrize("action", [look, lose, disconnect])
def test_flushed_work_is_not_committed(platform: Platform, desk: Desk, action: Any) -> None:
    """What a view has flushed stays uncommitted, and can still be committed or rolled back."""
    platform.connect("alice")
    with platform.app.app_context():
        desk.write(flush=True)
        transaction = desk.session.get_transaction()
        action(platform)

        assert desk.session.get_transaction() is transaction
        assert desk.saved() == 0
        desk.session.rollback()
        assert desk.saved() == 0
        desk.write(flush=True)
        desk.session.commit()
        assert desk.saved() == 1


def test_dead_row_is_marked_beside_a_writing_view(platform: Platform, desk: Desk) -> None:
    """Where a second transaction is possible a dead row is marked at once; else at a later use."""
    platform.connect("alice")
    is_sqlite = "sqlite" in platform.app.config["SQLALCHEMY_DATABASE_URI"]

    with platform.received(signals.wepay_token_revoked) as told:
        with platform.app.app_context():
            desk.write(flush=True)
            lose(platform)
            desk.session.rollback()
        assert platform.reasons() == [None if is_sqlite else "revoked"]
        assert platform.use("alice") is TokenRevoked

    assert platform.reasons() == ["revoked"]
    assert len(told) == 1


def test_disconnect_beside_a_writing_view(platform: Platform, desk: Desk) -> None:
    """Where a second transaction is impossible a disconnect says so, and forgets nothing."""
    platform.connect("alice")
    is_sqlite = "sqlite" in platform.app.config["SQLALCHEMY_DATABASE_URI"]

    with platform.app.app_context():
        desk.write(flush=True)
        disconnect(platform)
        desk.session.rollback()

    assert platform.use("alice") == (BILL if is_sqlite else NotAuthorized)


def test_reading_view_may_disconnect(platform: Platform, desk: Desk) -> None:
    """A view that has only read can disconnect, on every database."""
    platform.connect("alice")

    with platform.app.app_context():
        desk.read()
        assert desk.session.in_transaction()
        disconnect(platform)

    assert platform.use("alice") is NotAuthorized


@pytest.fixture
def with_engine(make_app: Any, wepay_sandbox: Sandbox) -> Any:
    """Make a platform whose owner alice is connected, and a desk, given the engine's options."""

    def make(options: dict[str, Any], url: str | None = None) -> tuple[Platform, Desk]:
        app = make_app(
            **{"SQLALCHEMY_DATABASE_URI": url} if url else {},
            SQLALCHEMY_ENGINE_OPTIONS=options,
            WEPAY_THROTTLE=None,
        )
        platform = Platform(app, wepay_sandbox)
        desk = Desk(platform)
        platform.connect("alice")
        return platform, desk

    return make


def test_pool_of_one(with_engine: Any) -> None:
    """A view whose transaction holds the only connection makes its calls over that."""
    small, desk = with_engine(POOL_OF_ONE, database_url())

    with small.app.app_context():
        desk.write(flush=True)
        client = small.app.extensions["test"]["wepay"].client_for("alice")
        assert client.call("user")["email"] == BILL
        small.revoke(BILL)
        with pytest.raises(TokenRevoked):
            client.call("user")
        with pytest.raises(StoreUnavailable, match="commit it before"):
            client.disconnect()
        desk.session.commit()
        assert desk.saved() == 1

    assert small.reasons() == [None]
    assert small.use("alice") is TokenRevoked
    assert small.reasons() == ["revoked"]


@pytest.mark.parametrize(
    "options",
    [{"pool_size": 1, "max_overflow": -1}, {"poolclass": sa.NullPool}],
    ids=["may grow", "no pool"],
)
def test_pool_without_bound(with_engine: Any, options: dict[str, Any]) -> None:
    """Where there is always another connection a dead row is marked beside a writing view."""
    platform, desk = with_engine(options, database_url())

    with platform.app.app_context():
        desk.write(flush=True)
        lose(platform)
        desk.session.rollback()

    assert platform.reasons() == ["revoked"]


def lose_beside_a_writing_view(platform: Platform, desk: Desk) -> None:
    """Find alice's row dead, and disconnect her; what the view wrote is its own to roll back."""
    with platform.app.app_context():
        desk.write(flush=True)
        lose(platform)
        disconnect(platform)
        desk.session.rollback()
        assert desk.saved() == 0


@pytest.mark.parametrize("poolclass", [sa.StaticPool, sa.pool.SingletonThreadPool])
def test_database_in_memory(with_engine: Any, poolclass: Any) -> None:
    """With one connection for everything a view's flushed work is still its own to roll back."""
    platform, desk = with_engine({"poolclass": poolclass})

    lose_beside_a_writing_view(platform, desk)

    assert platform.reasons() == [None]


def test_one_connection_to_postgresql(with_engine: Any) -> None:
    """A single connection that everybody shares is never committed behind a view's back."""
    lose_beside_a_writing_view(*with_engine({"poolclass": sa.StaticPool}, database_url()))


def test_session_after_a_failed_flush(platform: Platform, desk: Desk) -> None:
    """A session that has to be rolled back first is not asked, and on PostgreSQL not followed."""
    platform.connect("alice")
    with platform.app.app_context():
        desk.write(flush=True)
        desk.session.commit()
        desk.session.expunge_all()
        desk.write(flush=False)
        with pytest.raises(sa.exc.IntegrityError):
            desk.session.flush()
        client = platform.app.extensions["test"]["wepay"].client_for("alice")
        if platform.app.extensions["test"]["db"].engine.dialect.name == "postgresql":
            with pytest.raises(StoreUnavailable, match="roll the transaction back first"):
                _ = client.authorized
            desk.session.rollback()
            assert client.authorized
        else:
            assert not desk.session.is_active
            assert client.authorized
            assert not desk.session.is_active


def test_pending_work_of_our_own_routes_is_committed(platform: Platform, desk: Desk) -> None:
    """What a before_request function wrote is saved before WePay is asked."""
    platform.app.before_request(lambda: desk.write(flush=False))
    browser = platform.app.test_client()
    with browser.session_transaction() as session:
        session["user"] = "alice"
    back = platform.authorized(browser)

    browser.get(back)

    with platform.app.app_context():
        assert desk.saved() == 1


def test_work_that_cannot_be_committed(platform: Platform, desk: Desk) -> None:
    """A commit that fails ends our own route with 503, before WePay is asked."""
    browser = platform.browser("alice")
    back = platform.authorized(browser)
    with platform.app.app_context():
        desk.write(flush=False)
        desk.session.commit()
    platform.app.before_request_funcs.setdefault(None, []).append(lambda: desk.write(flush=False))

    assert browser.get(back).status_code == 503
    assert platform.sandbox.count("oauth2/token") == 0


@pytest.fixture
def plain(tmp_path: Path) -> Any:
    """SQLAlchemy without Flask-SQLAlchemy: a base, an engine and a session of one's own."""

    class Base(DeclarativeBase):
        pass

    class WePayToken(WePayTokenMixin, Base):
        note = mapped_column(sa.Text, nullable=True)

    engine = sa.create_engine(f"sqlite:///{tmp_path}/plain.db")
    Base.metadata.create_all(engine)
    yield WePayToken, scoped_session(sessionmaker(engine))
    engine.dispose()


@pytest.mark.usefixtures("wepay_sandbox")
def test_session_of_ones_own(plain: Any, wepay_connect: Any) -> None:
    """Any callable that gives a session will do, and the model may have further columns."""
    model, session = plain
    app = Flask(__name__)
    app.config.update(SECRET_KEY="for tests", WEPAY_ENVIRONMENT="sandbox", TESTING=True)
    wepay = WePay(app, token_model=model, session=session)
    wepay.owner_loader(lambda: "alice")

    wepay_connect(app.test_client())

    with app.app_context():
        assert wepay.client_for("alice").call("user")["email"] == BILL
    session.remove()


def test_no_session_at_all(plain: Any) -> None:
    """A token_model without any session is a mistake that is named at first use."""
    from flask_wepay.errors import ConfigurationError

    app = Flask(__name__)
    app.config.update(SECRET_KEY="for tests", WEPAY_ENVIRONMENT="sandbox", TESTING=True)
    wepay = WePay(app, token_model=plain[0])

    with app.app_context(), pytest.raises(ConfigurationError, match="Did you forget to call"):
        wepay.client_for("alice").call("user")


def test_token_reader_of_flask_sqlalchemy_lite(wepay_sandbox: Sandbox, wepay_connect: Any) -> None:
    """Flask-SQLAlchemy-Lite's session is found by itself."""
    from flask_sqlalchemy_lite import SQLAlchemy

    class Base(DeclarativeBase):
        pass

    class WePayToken(WePayTokenMixin, Base):
        pass

    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="for tests",
        WEPAY_ENVIRONMENT="sandbox",
        TESTING=True,
        SQLALCHEMY_ENGINES={"default": {"url": "sqlite://", "poolclass": sa.StaticPool}},
    )
    db = SQLAlchemy(app)
    wepay = WePay(app, token_model=WePayToken)
    wepay.owner_loader(lambda: "alice")
    with app.app_context():
        Base.metadata.create_all(db.engine)

    wepay_connect(app.test_client())

    with app.app_context():
        assert wepay.client_for("alice").call("user")["email"] == BILL
        db.engine.dispose()


def test_session_cut_from_the_database(
    postgresql_server: PostgreSQL, make_app: Any, wepay_sandbox: Sandbox
) -> None:
    """A view whose connection was cut gets StoreUnavailable, whatever it asks for."""
    app = make_app(SQLALCHEMY_DATABASE_URI=database_url(), WEPAY_THROTTLE=None)
    platform = Platform(app, wepay_sandbox)
    desk = Desk(platform)
    platform.connect("alice")

    with app.app_context():
        desk.read()
        platform.execute(_CUT_OTHERS)
        client = app.extensions["test"]["wepay"].client_for("alice")
        with pytest.raises(StoreUnavailable):
            client.call("user")
        desk.session.rollback()

        assert client.call("user")["email"] == BILL


_CUT_OTHERS = sa.text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND datname = current_database()"
)
