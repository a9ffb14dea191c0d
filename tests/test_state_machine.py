"""Whatever owners, users and operators do, in any order: the store and the sandbox agree."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from cryptography.fernet import Fernet
from flask import Flask, session
from flask.testing import FlaskClient
from flask_sqlalchemy import SQLAlchemy
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from store.owners import Platform

from flask_wepay import WePay, signals
from flask_wepay.errors import NotAuthorized, TokenRevoked
from flask_wepay.sandbox import Sandbox
from flask_wepay.sqla import WePayTokenMixin
from flask_wepay.tokens.encryption import Keyring

#: Tracing every line would cost half the time, and other tests cover the same ones.
pytestmark = pytest.mark.no_cover

OWNERS = ["alice", "bob"]
EMAILS = ["bill@example.com", "mary@example.com"]

owners, emails = st.sampled_from(OWNERS), st.sampled_from(EMAILS)


@pytest.fixture(scope="module")
def app() -> Iterator[Flask]:
    """One application for all runs: what differs between them is in its table and the sandbox."""
    app = Flask(__name__)
    app.config.update(
        TESTING=True,
        SECRET_KEY="a secret key for tests only",
        WEPAY_ENVIRONMENT="sandbox",
        WEPAY_THROTTLE=None,
        SQLALCHEMY_DATABASE_URI="sqlite://",
    )
    db = SQLAlchemy(app)
    model = type("WePayToken", (WePayTokenMixin, db.Model), {})
    wepay = WePay(app, token_model=model)
    wepay.owner_loader(lambda: session.get("user"))
    app.add_url_rule("/as/<owner>", view_func=lambda owner: session.update(user=owner) or owner)
    app.extensions["test"] = {"db": db, "model": model, "wepay": wepay}
    with app.app_context():
        db.create_all()
        yield app
        db.engine.dispose()


class Machine(RuleBasedStateMachine):
    """Owners of a platform, and a plain idea of what must be true of each.

    `connected` says by owner which WePay user was granted last, `token` which of the
    sandbox's tokens that grant brought; it is live if the sandbox says so.
    """

    app: Flask
    sandbox: Sandbox

    @initialize()
    def begin(self) -> None:
        self.sandbox.reset()
        self.platform = Platform(self.app, self.sandbox)
        self.platform.execute(self.platform.table.delete())
        self.browsers = {owner: self.platform.browser(owner) for owner in OWNERS}
        self.came_back: list[tuple[str, str]] = []
        self.waiting: list[tuple[str, str, str, float]] = []
        self.granted: dict[str, list[tuple[str, Any]]] = {owner: [] for owner in OWNERS}
        self.told: list[Any] = []
        self.key = Fernet.generate_key().decode()
        self.use_keys(self.key)
        self.travel = time_machine.travel(time.time(), tick=True)
        self.clock = self.travel.start()
        self._receive = lambda sender, **facts: self.told.append(facts["owner"])
        signals.wepay_token_revoked.connect(self._receive, sender=self.app)

    def teardown(self) -> None:
        if hasattr(self, "travel"):
            self.travel.stop()
            signals.wepay_token_revoked.disconnect(self._receive, sender=self.app)

    def browser(self, owner: str) -> FlaskClient:
        # Flask's session does not last for ever.
        self.browsers[owner].get(f"/as/{owner}")
        return self.browsers[owner]

    # What people do

    @rule(owner=owners, email=emails)
    def log_in(self, owner: str, email: str) -> None:
        back = self.platform.authorized(self.browser(owner), email)
        self.waiting = [*self.waiting, (owner, email, back, time.time())][-3:]

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def call_back(self, data: st.DataObject) -> None:
        login = data.draw(st.sampled_from(self.waiting))
        self.waiting.remove(login)
        owner, email, back, began = login
        exchanges = self.sandbox.count("oauth2/token")
        answer = self.browser(owner).get(back)
        age = time.time() - began
        # A login can be finished within the hour, and WePay's code used within ten minutes.
        assert answer.status_code == (302 if age < 600 else 502 if age < 3600 else 400)
        assert self.sandbox.count("oauth2/token") == exchanges + (age < 3600)
        if answer.status_code == 302:
            self.came_back.append((owner, back))
            self.granted[owner].append((email, list(self.sandbox.world.tokens.values())[-1]))

    @rule(owner=owners, email=emails)
    def connect(self, owner: str, email: str) -> None:
        assert self.platform.connect(owner, email).location == "/"
        self.granted[owner].append((email, list(self.sandbox.world.tokens.values())[-1]))

    @precondition(lambda self: self.came_back)
    @rule(data=st.data(), thief=owners)
    def replay(self, data: st.DataObject, thief: str) -> None:
        owner, back = data.draw(st.sampled_from(self.came_back))
        exchanges = self.sandbox.count("oauth2/token")
        answer = self.browser(thief).get(back)
        # Granted; or dead by now; or, for somebody else or once pruned, no login at all.
        assert answer.status_code in ((302, 409, 400) if thief == owner else (400,))
        assert self.sandbox.count("oauth2/token") == exchanges

    @rule(owner=owners)
    def disconnect(self, owner: str) -> None:
        with self.app.app_context():
            self.app.extensions["test"]["wepay"].client_for(owner).disconnect()
        self.granted[owner].clear()

    @rule(email=emails)
    def revoke(self, email: str) -> None:
        self.platform.revoke(email)

    @rule(owner=owners)
    def use(self, owner: str) -> None:
        assert self.platform.use(owner) in self.expected(owner)
        # One use heals: the next look-up knows what the sandbox knows.
        works = self.expected(owner)[0] in EMAILS
        with self.app.app_context():
            candidates = self.platform.store.find(owner).candidates
        assert bool(candidates) == works
        if works:
            _, token = self.granted[owner][-1]
            assert candidates[0].token.access_token == token.access_token

    @rule(owner=owners)
    def lose_and_use(self, owner: str) -> None:
        """A connection that is lost is told once, however often it is used."""
        if self.expected(owner)[0] in EMAILS:
            email, _ = self.granted[owner][-1]
            self.told.clear()
            self.platform.revoke(email)
            assert [self.platform.use(owner) for _ in range(2)] == [TokenRevoked] * 2
            assert self.told == [owner]

    @rule(owner=owners, days=st.integers(0, 2))
    def lose_and_prune(self, owner: str, days: int) -> None:
        """A connection that is lost leaves its owner without one, after a prune as well."""
        if self.expected(owner)[0] in EMAILS:
            email, _ = self.granted[owner][-1]
            self.platform.revoke(email)
            assert self.platform.use(owner) is TokenRevoked
            self.clock.shift(3 * 86400)
            self.prune(days=days)
            assert self.platform.use(owner) is TokenRevoked

    # What operators do

    @rule(batch_size=st.integers(1, 3))
    def rotate(self, batch_size: int) -> None:
        """Put a new key before the present one, rotate, and take the old one away."""
        old, self.key = self.key, Fernet.generate_key().decode()
        self.use_keys(self.key, old)
        with self.app.app_context():
            rotation = self.platform.store.maintenance.rotate(batch_size)
            assert all(progress.unreadable == 0 for progress in rotation)
        self.use_keys(self.key)

    def use_keys(self, *keys: str) -> None:
        """Do what a restart with other WEPAY_TOKEN_KEYS would do."""
        with self.app.app_context():
            store = self.platform.store
        store._keyring = store.maintenance._keyring = Keyring.of_fernet(keys)

    @rule(days=st.integers(0, 2))
    def prune(self, days: int) -> None:
        with self.app.app_context():
            self.platform.store.maintenance.prune(days)

    @rule(seconds=st.sampled_from([1, 700, 4000, 3 * 86400]))
    def wait(self, seconds: int) -> None:
        self.clock.shift(seconds)

    @rule(seconds=st.sampled_from([None, 600, 86400]))
    def let_tokens_expire(self, seconds: int | None) -> None:
        self.sandbox.world.expires_in = seconds

    # What must be true

    def expected(self, owner: str) -> list[Any]:
        """List what a use may find: the owner's WePay user, or why there is none."""
        if not self.granted[owner]:
            return [NotAuthorized, TokenRevoked]
        email, token = self.granted[owner][-1]
        if token.expires_in is not None and token.issued_at + token.expires_in <= time.time() + 2:
            return [NotAuthorized, TokenRevoked]
        return [email] if token.revoked_at is None else [TokenRevoked, NotAuthorized]

    @invariant()
    def no_token_of_another_user_is_a_candidate(self) -> None:
        if not hasattr(self, "granted"):
            return
        for owner in OWNERS:
            with self.app.app_context():
                found = self.platform.store.find(owner)
            for candidate in found.candidates:
                email, _ = self.granted[owner][-1]
                assert candidate.user_id == self.platform.user_id(email)

    @invariant()
    def dead_rows_keep_no_token(self) -> None:
        if not hasattr(self, "platform"):
            return
        for row in self.platform.rows():
            alive = row.granted_at is not None and row.revoked_at is None
            assert (row.token is not None) == alive
            assert (row.reason is not None) == (row.revoked_at is not None)


def test_state_machine(app: Flask, wepay_sandbox: Sandbox) -> None:
    """Logins, callbacks, replays, revocations, rotations and pruning agree with WePay's truth."""
    Machine.app, Machine.sandbox = app, wepay_sandbox
    runs, steps = (int(n) for n in os.environ.get("WEPAY_STATE_MACHINE", "200x30").split("x"))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=runs,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=runs == 200,
            suppress_health_check=list(HealthCheck),
        ),
    )
