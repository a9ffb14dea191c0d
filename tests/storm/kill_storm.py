"""Callbacks, and workers killed in the midst of them: what is left must be put right by one use.

Four workers are forked from a process that has imported everything, and again whenever one
was killed with ``kill -9``. They log two owners in and let the callbacks run, and now and
then make a call, revoke at WePay, or disconnect; after a dozen callbacks they go on to two
other owners, and leave these as they are, in the midst of it. WePay, the sandbox, is a
process of its own that nobody kills, and that lets its answers overtake each other. At the
end each owner makes one call, and that is compared with WePay's truth:

lost
    WePay holds a live token whose callback was answered, whatever with, or whose row was
    granted, and the table does not have it, although neither the owner disconnected nor
    WePay said that it was revoked.
avoidably stale
    The table has the live token of the owner's WePay user, and yet the one use failed, or
    the next use would begin with another one.
wrong
    A callback was answered otherwise than with "connected", or than with "you were
    disconnected" where that is true. A call acted as a WePay user that is not the owner's,
    was carried out without a live token in the table, ended in another error than "connect
    again", or ended differently when it was made once more.

What a worker took with it when it was killed between WePay's answer and our commit could
not be helped by anybody: that is counted as "died with its worker", of which there may be
as many as kills, and one use must find out that the owner has to connect again.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from mmap import mmap
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests
import sqlalchemy as sa
from flask import Flask, session
from flask_sqlalchemy import SQLAlchemy

from flask_wepay import WePay
from flask_wepay.errors import NotAuthorized, TokenRevoked, WePayError
from flask_wepay.ipns import read_signature
from flask_wepay.sandbox.faults import Fault
from flask_wepay.sandbox.server import LiveSandbox
from flask_wepay.sqla import WePayTokenMixin

WORKERS = 4
#: Callbacks after which the workers leave two owners for the next two.
GENERATION = 12
#: WePay's users have ids from here on, two for each owner.
FIRST_USER = 500_000
#: Seconds that WePay may take to answer an exchange after it has carried it out.
DAWDLE = 0.03
#: Seconds within which a worker is killed once its turn has come: about a callback's length.
INSTANT = 0.04


@dataclass
class Verdict:
    stale: int = 0
    lost: int = 0
    wrong: int = 0
    callbacks: int = 0
    kills: int = 0
    owners: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        return (
            f"avoidably stale, lost, wrong after one use: {self.stale} / {self.lost} / {self.wrong}"
        )


def make_app(database_url: str, sandbox_url: str) -> Flask:
    """Make the platform, with a table and no open connection."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY="a secret key for tests only",
        WEPAY_ENVIRONMENT="sandbox",
        WEPAY_SANDBOX_URL=sandbox_url,
        WEPAY_THROTTLE=None,
        SQLALCHEMY_DATABASE_URI=database_url,
    )
    db = SQLAlchemy(app)
    model = type("WePayToken", (WePayTokenMixin, db.Model), {})
    wepay = WePay(app, token_model=model)
    wepay.owner_loader(lambda: session.get("user"))
    app.extensions["storm"] = (db, model, wepay)
    app.add_url_rule("/as/<owner>", view_func=lambda owner: session.update(user=owner) or owner)
    with app.app_context():
        db.create_all()
        db.engine.dispose()
    return app


@contextmanager
def wepay_process(generations: int) -> Iterator[str]:
    """Run the sandbox as a process of its own; give its address."""
    here, there = os.pipe()
    pid = _fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # It would report every request that a killed worker broke off.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        sandbox = LiveSandbox()
        sandbox.faults.take = _dawdle  # type: ignore[method-assign]
        for number in range(4 * generations):
            sandbox.make_user(user_id=FIRST_USER + number)
        sandbox.start()
        os.write(there, sandbox.url.encode())
        sandbox.wait()
        os._exit(0)
    try:
        yield os.read(here, 100).decode()
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(here)
        os.close(there)


def _dawdle(call: str) -> Fault:
    """Let exchanges be answered in another order than they were processed."""
    return Fault(delay=random.random() * DAWDLE) if call == "oauth2/token" else Fault()


class WePayAPI:
    """The strings of the sandbox's process."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/sandbox"
        self._session = requests.Session()
        self._session.trust_env = False

    def act(self, action: str, **arguments: Any) -> Any:
        return self._session.post(f"{self._url}/{action}", json=arguments, timeout=30).json()

    def show(self, what: str) -> Any:
        return self._session.get(f"{self._url}/{what}", timeout=60).json()


def users_of(owner: str) -> list[int]:
    """Give the WePay users of an owner: his own two, and one that another owner has too."""
    generation, number = (int(part) for part in owner.split("-"))
    first = FIRST_USER + 4 * generation
    return [first + 2 * number, first + 2 * number + 1, first + 2 * (1 - number)]


class Worker:
    """What one worker does until it is killed, or told to stop."""

    def __init__(self, app: Flask, url: str, generation: mmap, seed: str) -> None:
        self._app = app
        self._api = WePayAPI(url)
        self._generation = generation
        self._random = random.Random(seed)

    def run(self, begun: int, log: int, stop: Path) -> None:
        parent = os.getppid()
        while not stop.exists() and os.getppid() == parent:
            (generation,) = struct.unpack("q", self._generation[:8])
            owner = f"{generation}-{self._random.randrange(2)}"
            what = self._random.random()
            if what < 0.03:
                self._api.act("revoke", user_id=self._random.choice(users_of(owner)))
            elif what < 0.05:
                self._disconnect(owner)
            elif what < 0.25:
                self._use(owner, log)
            else:
                self._call_back(owner, begun, log)

    def _call_back(self, owner: str, begun: int, log: int) -> None:
        browser = self._app.test_client()
        browser.get(f"/as/{owner}")
        location = urlsplit(browser.get("/wepay/login?force=1").location)
        query = {name: value[0] for name, value in parse_qs(location.query).items()}
        (user_id,) = self._random.choices(users_of(owner), [8, 1, 1])
        code = self._api.act("issue_code", redirect_uri=query["redirect_uri"], user_id=user_id)
        back = urlencode({"code": code["code"], "state": query["state"]})
        os.write(begun, b".")
        answer = browser.get(f"/wepay/callback?{back}")
        state_hash = hashlib.sha256(query["state"].encode()).hexdigest()
        os.write(log, f"callback {answer.status_code} {state_hash}\n".encode())

    def _use(self, owner: str, log: int) -> None:
        outcome = use(self._app, owner)
        if outcome not in (*users_of(owner), None):
            os.write(log, f"wrong {owner} {outcome}\n".encode())

    def _disconnect(self, owner: str) -> None:
        with self._app.app_context():
            self._app.extensions["storm"][2].client_for(owner).disconnect()


def use(app: Flask, owner: str) -> Any:
    """Make one call; give the WePay user it acted as, None for "connect again", or the error."""
    with app.app_context():
        try:
            return app.extensions["storm"][2].client_for(owner).call("user")["user_id"]
        except (NotAuthorized, TokenRevoked):
            return None
        except WePayError as error:
            return repr(error)


def storm(database_url: str, callbacks: int, kills: int, seed: int) -> Verdict:
    """Let it rage, and judge what is left."""
    directory = Path(tempfile.mkdtemp(prefix="wepay-storm-"))
    try:
        with wepay_process(callbacks // GENERATION + 100) as url:
            app = make_app(database_url, url)
            verdict = _rage(app, url, directory, callbacks, kills, seed)
            api = WePayAPI(url)
            _judge(app, api.show("tokens"), (directory / "log").read_text(), verdict)
            with app.app_context():
                app.extensions["storm"][0].engine.dispose()
            return verdict
    finally:
        shutil.rmtree(directory)


def _rage(app: Flask, url: str, directory: Path, callbacks: int, kills: int, seed: int) -> Verdict:
    chance = random.Random(seed)
    log = os.open(directory / "log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    here, there = os.pipe()
    stop = directory / "stop"
    generation = mmap(-1, 8)
    verdict = Verdict()
    forked = 0

    def fork() -> int:
        nonlocal forked
        forked += 1
        pid = _fork()
        if pid == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            try:
                Worker(app, url, generation, f"{seed}-{forked}").run(there, log, stop)
            except BaseException as error:  # noqa: BLE001
                os.write(log, f"wrong worker {error!r}\n".encode())
                os._exit(1)
            os._exit(0)
        return pid

    workers = [fork() for _ in range(WORKERS)]
    every = callbacks / (kills + 1)
    try:
        while verdict.callbacks < callbacks or verdict.kills < kills:
            verdict.callbacks += len(os.read(here, max(1, int(every / 2))))
            generation[:8] = struct.pack("q", verdict.callbacks // GENERATION)
            if verdict.kills < kills and verdict.callbacks >= every * (verdict.kills + 1):
                time.sleep(chance.random() * INSTANT)
                victim = chance.randrange(WORKERS)
                os.kill(workers[victim], signal.SIGKILL)
                os.waitpid(workers[victim], 0)
                workers[victim] = fork()
                verdict.kills += 1
        stop.touch()
    except BaseException:
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        raise
    finally:
        for pid in workers:
            os.waitpid(pid, 0)
        for descriptor in (log, here, there):
            os.close(descriptor)
    return verdict


def _judge(app: Flask, tokens: list[dict[str, Any]], log: str, verdict: Verdict) -> None:
    answers = _judge_answers(app, log, verdict)
    live = _live_tokens(app, tokens)
    for user_id, (_, state_hash, row) in live.items():
        fate = _fate(row, answers.get(state_hash))
        verdict.fates[fate] += 1
        if fate == "lost":
            verdict.lost += 1
            print("lost", user_id, row, file=sys.stderr)  # noqa: T201
    # A kill ends one callback at most.
    verdict.lost += max(0, verdict.fates["died with its worker"] - verdict.kills)
    rows: dict[str, list[Any]] = {}
    for row in _rows(app):
        rows.setdefault(row.owner, []).append(row)
    for owner, of_owner in rows.items():
        _judge_owner(app, owner, of_owner, live, verdict)
    verdict.owners = len(rows)


def _judge_answers(app: Flask, log: str, verdict: Verdict) -> dict[str, str]:
    """Judge what living workers said; give the answer to each callback by its state hash."""
    reasons = {row.state_hash[:16]: row.reason for row in _rows(app)}
    answers = {}
    for line in log.splitlines():
        kind, *words = line.split(maxsplit=2)
        if kind == "callback":
            answer, state_hash = words[0], words[1][:16]
            verdict.answers[answer] += 1
            answers[state_hash] = answer
            if answer == "302" or (answer, reasons.get(state_hash)) == ("409", "disconnected"):
                continue
        verdict.wrong += 1
        print(line, file=sys.stderr)  # noqa: T201
    return answers


def _fate(row: Any, answer: str | None) -> str:
    """Say what became of a live token: its row, and what its callback was answered, if it was."""
    granted = row is not None and row.granted_at is not None
    if not granted and answer is None:
        return "died with its worker"
    if row is not None and row.reason == "disconnected" and (granted or answer == "409"):
        return "disconnected"
    return "kept" if granted and row.revoked_at is None else "lost"


def _judge_owner(
    app: Flask, owner: str, rows: list[Any], live: dict[int, Any], verdict: Verdict
) -> None:
    granted = [row for row in rows if row.granted_at is not None]
    if not granted:
        verdict.wrong += use(app, owner) is not None
        return
    user_id = max(granted, key=lambda row: (row.granted_at, row.id)).user_id
    access_token, _, row = live.get(user_id, (None, None, None))
    kept = row is not None and row.owner == owner and row.granted_at and not row.revoked_at
    first, second = use(app, owner), use(app, owner)
    with app.app_context():
        candidates = app.extensions["wepay"].store.find(owner).candidates
        next_token = candidates[0].token.access_token if candidates else None
    if first != second or first not in (None, user_id) or (first is not None and not kept):
        verdict.wrong += 1
        print("wrong", owner, user_id, first, second, row, file=sys.stderr)  # noqa: T201
    elif (first is None and kept) or next_token != (access_token if kept else None):
        verdict.stale += 1
        print("stale", owner, user_id, first, candidates, row, file=sys.stderr)  # noqa: T201


def _live_tokens(app: Flask, tokens: list[dict[str, Any]]) -> dict[int, tuple[str, str, Any]]:
    """Find the live token of each WePay user, and the row that was born for it."""
    settings = app.extensions["wepay"].settings
    rows = {(row.id, row.state_hash[:16]): row for row in _rows(app)}
    live = {}
    for token in tokens:
        if token["revoked_at"] is None:
            (signature,) = parse_qs(urlsplit(token["callback_uri"]).query)["wepay_signature"]
            origin = read_signature(settings, signature)
            assert origin is not None
            row = rows.get((origin.row_id, origin.state_hash))
            live[token["user_id"]] = (token["access_token"], origin.state_hash, row)
    return live


def _rows(app: Flask) -> list[Any]:
    db, model, _ = app.extensions["storm"]
    with app.app_context(), db.engine.connect() as connection:
        return list(connection.execute(sa.select(model.__table__)))


def _fork() -> int:
    with warnings.catch_warnings():
        # Whatever threads there are hold nothing that a child touches.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()
