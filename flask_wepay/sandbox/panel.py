"""The control panel: the sandbox's objects, its log, and buttons."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

from flask import Blueprint, abort, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from .levers import Levers
from .objects import CheckoutState
from .running import current_sandbox
from .world import Clock

routes = Blueprint("panel", __name__)

#: The number of exchanges on the page.
SHOWN = 50

_TOKEN = re.compile(r"((?:STAGE|PRODUCTION)_\w{6})\w{20,}")

Form = MultiDict[str, str]
Thing = TypeVar("Thing")


@routes.get("/")
def index() -> str:
    """Show everything on one page; ``?live=1`` reloads it every few seconds."""
    sandbox = current_sandbox()
    world = sandbox.world
    with world.lock:
        return render_template(
            "panel.html",
            world=world,
            users=list(world.users.values()),
            tokens=_newest_first(world.tokens.values()),
            accounts=_newest_first(world.ledger.accounts.values()),
            checkouts=_newest_first(world.ledger.all_checkouts()),
            ipns=_newest_first(sandbox.ipns),
            exchanges=_newest_first(sandbox.log)[:SHOWN],
            live="live" in request.args,
            now=world.clock(),
            frozen=isinstance(world.clock, Clock) and world.clock.frozen,
        )


@routes.post("/panel/<action>")
def act(action: str) -> Response:
    """Execute a button's action, and redirect to its section of the page."""
    if action not in BUTTONS:
        abort(404)
    section, press = BUTTONS[action]
    try:
        press(current_sandbox(), request.form)
    except (LookupError, ValueError):
        abort(404)
    return redirect(url_for(".index", _anchor=section))


@routes.app_template_filter("when")
def show_time(seconds: float) -> str:
    """Format a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


@routes.app_template_filter("body")
def show_body(body: bytes) -> str:
    """Format a body, with abbreviated tokens."""
    text = body.decode(errors="replace")
    with contextlib.suppress(ValueError):
        text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return abbreviate(text.encode(errors="replace").decode())


@routes.app_template_filter("abbreviate")
def abbreviate(text: str) -> str:
    """Abbreviate every access token in a text."""
    return _TOKEN.sub(r"\1…", text)


def _newest_first(things: Iterable[Thing]) -> list[Thing]:
    return list(things)[::-1]


#: The action of each button, and its section of the page.
BUTTONS: dict[str, tuple[str, Callable[[Levers, Form], Any]]] = {
    "revoke": ("users", lambda sandbox, form: sandbox.revoke(int(form["id"]))),
    "delete": ("users", lambda sandbox, form: sandbox.delete_user(int(form["id"]))),
    "expire-codes": ("users", lambda sandbox, form: sandbox.expire_codes()),
    "verify": ("accounts", lambda sandbox, form: sandbox.verify_account(int(form["id"]))),
    "move": (
        "checkouts",
        lambda sandbox, form: sandbox.pay(
            int(form["id"]), state=cast("CheckoutState", form["state"])
        ),
    ),
    "deliver": ("ipns", lambda sandbox, form: sandbox.deliver_ipn(int(form["id"]))),
    "fail": ("ipns", lambda sandbox, form: sandbox.fail_ipn(int(form["id"]))),
    "replay": ("ipns", lambda sandbox, form: sandbox.replay_ipn(int(form["id"]))),
    "move-clock": ("ipns", lambda sandbox, form: sandbox.move_clock(float(form["seconds"]))),
    "clear-log": ("log", lambda sandbox, form: sandbox.clear_log()),
}
