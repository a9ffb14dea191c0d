"""The control API: the levers of a sandbox, for other processes to pull.

``POST /sandbox/<action>`` takes the method's arguments as a JSON object, ``wait`` and
``release`` a hold's number, and ``set`` the switches; and
``GET /sandbox/<what>`` shows users, tokens, accounts, checkouts, ipns or the log.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from types import NoneType
from typing import Any

from flask import Blueprint, Response, jsonify, request

from .faults import check_type
from .levers import Levers
from .log import Exchange
from .running import current_sandbox

routes = Blueprint("control", __name__, url_prefix="/sandbox")

Action = Callable[..., Any]


@routes.post("/<action>")
def act(action: str) -> tuple[Response, int]:
    """Do something; what is wrong with the request is answered with 400 and a sentence."""
    if action not in ACTIONS:
        return jsonify(problem=f"There is no {action!r}.", actions=sorted(ACTIONS)), 404
    # Only JSON: a form on another site can't send that.
    arguments = request.get_json(silent=True) if request.is_json else None
    if not isinstance(arguments, dict):
        return jsonify(problem="Send a JSON object with Content-Type: application/json."), 400
    try:
        return jsonify(ACTIONS[action](current_sandbox(), **arguments)), 200
    except (AssertionError, LookupError, TimeoutError, TypeError, ValueError) as error:
        return jsonify(problem=f"{type(error).__name__}: {error}"), 400


@routes.get("/<what>")
def show(what: str) -> tuple[Response, int]:
    """Show a part of the world."""
    if what not in VIEWS:
        return jsonify(problem=f"There is no {what!r}.", views=sorted(VIEWS)), 404
    return jsonify(VIEWS[what](current_sandbox())), 200


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        **{name: getattr(exchange, name) for name in ("number", "at", "method", "path", "query")},
        "headers": dict(exchange.headers),
        "body": exchange.body.decode(errors="replace"),
        "status": exchange.status,
        "answer": exchange.answer.decode(errors="replace"),
        "problems": exchange.problems,
    }


def _set(sandbox: Levers, **switches: Any) -> dict[str, Any]:
    for name, value in switches.items():
        if name not in SWITCHES:
            raise LookupError(f"{name}; there are {', '.join(SWITCHES)}")
        if (name, value) != ("expires_in", "absent"):
            check_type(name, value, *SWITCHES[name])
    for name, value in switches.items():
        setattr(sandbox if name == "state_on_denial" else sandbox.world, name, value)
    return switches


def _hold(sandbox: Levers, **arguments: Any) -> dict[str, int]:
    return {"hold": sandbox.hold(**arguments).number}


def _wait(sandbox: Levers, hold: int, timeout: float = 10.0) -> dict[str, int]:
    sandbox.faults.find_hold(hold).wait(timeout)
    return {"hold": hold}


def _release(sandbox: Levers, hold: int) -> dict[str, int]:
    sandbox.faults.find_hold(hold).release()
    return {"hold": hold}


def _quietly(action: Action) -> Action:
    def act(sandbox: Levers, **arguments: Any) -> dict[str, Any]:
        action(sandbox, **arguments)
        return {}

    return act


#: What can be set, and of which types; expires_in may be "absent" too.
SWITCHES: dict[str, tuple[type, ...]] = {
    "state_on_denial": (bool,),
    "expires_in": (int, NoneType),
    "throttled": (bool,),
    "ipn_on_replacement": (bool,),
    "shows_deleted_users": (bool,),
}

ACTIONS: dict[str, Action] = {
    "make_user": Levers.make_user,
    "issue_code": lambda sandbox, **kw: {"code": sandbox.issue_code(**kw)},
    "issue_token": lambda sandbox, **kw: {"access_token": sandbox.issue_token(**kw)},
    "authorize": lambda sandbox, **kw: {"redirect_uri": sandbox.authorize(**kw)},
    "revoke": Levers.revoke,
    "delete_user": _quietly(Levers.delete_user),
    "expire_codes": _quietly(Levers.expire_codes),
    "verify_account": Levers.verify_account,
    "pay": Levers.pay,
    "answer_next": _quietly(Levers.answer_next),
    "delay_next": _quietly(Levers.delay_next),
    "drop_next": _quietly(Levers.drop_next),
    "hold": _hold,
    "wait": _wait,
    "release": _release,
    "move_clock": _quietly(Levers.move_clock),
    "deliver_ipns": Levers.deliver_ipns,
    "set": _set,
    "reset": _quietly(Levers.reset),
}

VIEWS: dict[str, Callable[[Levers], Any]] = {
    "users": lambda sandbox: list(sandbox.world.users.values()),
    "tokens": lambda sandbox: list(sandbox.world.tokens.values()),
    "accounts": lambda sandbox: list(sandbox.world.ledger.accounts.values()),
    "checkouts": lambda sandbox: list(sandbox.world.ledger.checkouts.values()),
    "ipns": lambda sandbox: [asdict(ipn) for ipn in sandbox.ipns],
    "log": lambda sandbox: [_exchange(exchange) for exchange in sandbox.log],
}
