"""The control API: a sandbox's controls, for other processes.

``POST /sandbox/<action>`` takes an action's arguments as a JSON object, ``GET
/sandbox/<what>`` shows a part of the world, and ``GET /sandbox`` lists both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from inspect import Parameter, getdoc
from typing import Any

from flask import Blueprint, Response, jsonify, request

from .ipns import IPN
from .levers import Levers
from .log import Exchange
from .running import current_sandbox
from .signatures import check_fit, describe, describe_arguments
from .switches import SWITCHES, set_switches
from .world import Clock

routes = Blueprint("control", __name__, url_prefix="/sandbox")


@dataclass(frozen=True)
class Action:
    """An action of the control API."""

    #: Takes the sandbox and the arguments, which are checked against its signature.
    method: Callable[..., Any]
    #: Converts what the method returns into the answer, which is empty by default.
    answer: Callable[[Any], Any] = lambda _: {}
    #: The answer in the documentation.
    shown: str = "``{}``"

    @property
    def does(self) -> str:
        """Return what it does, as one sentence."""
        return (getdoc(self.method) or "").partition("\n\n")[0]

    @property
    def arguments(self) -> dict[str, tuple[str, Any]]:
        """Return the JSON type of each argument, and its default."""
        return describe_arguments(self.method)


@routes.get("")
def index() -> Response:
    """List the actions with their arguments, and the views."""
    actions = {
        name: {
            "does": action.does,
            "arguments": {
                argument: {"type": kind, "default": default}
                if default is not Parameter.empty
                else {"type": kind}
                for argument, (kind, default) in action.arguments.items()
            },
        }
        for name, action in ACTIONS.items()
    }
    switches = {name: describe(hint) for name, hint in SWITCHES.items()}
    return jsonify(actions=actions, switches=switches, views=list(VIEWS))


@routes.post("/<action>")
def act(action: str) -> tuple[Response, int]:
    """Execute an action; an invalid request is answered with 400 and a sentence."""
    if action not in ACTIONS:
        return jsonify(problem=f"There is no {action!r}.", actions=sorted(ACTIONS)), 404
    # Only JSON: a form on another site can't send that.
    arguments = request.get_json(silent=True) if request.is_json else None
    if not isinstance(arguments, dict):
        return jsonify(problem="Send a JSON object with Content-Type: application/json."), 400
    method, answer = ACTIONS[action].method, ACTIONS[action].answer
    try:
        check_fit(method, arguments)
        return jsonify(answer(method(current_sandbox(), **arguments))), 200
    except (AssertionError, LookupError, TimeoutError, TypeError, ValueError) as error:
        return jsonify(problem=f"{type(error).__name__}: {error}"), 400


@routes.get("/<what>")
def show(what: str) -> tuple[Response, int]:
    """Return a part of the world, or of the log with ``?call=user``."""
    if what not in VIEWS:
        return jsonify(problem=f"There is no {what!r}.", views=sorted(VIEWS)), 404
    if what == "log" and "call" in request.args:
        return jsonify(_exchanges(current_sandbox().log.of(request.args["call"]))), 200
    return jsonify(VIEWS[what](current_sandbox())), 200


def _same(thing: Any) -> Any:
    return thing


def _under(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda thing: {name: thing}


def _ipn(ipn: IPN) -> dict[str, Any]:
    return {**asdict(ipn), "state": ipn.state}


def _ipns(ipns: list[IPN]) -> list[dict[str, Any]]:
    return [_ipn(ipn) for ipn in ipns]


def _exchanges(exchanges: list[Exchange]) -> list[dict[str, Any]]:
    return [_exchange(exchange) for exchange in exchanges]


def _exchange(exchange: Exchange) -> dict[str, Any]:
    return {
        **{name: getattr(exchange, name) for name in ("number", "at", "method", "path", "query")},
        "headers": dict(exchange.headers),
        "body": exchange.body.decode(errors="replace"),
        "status": exchange.status,
        "answer": exchange.answer.decode(errors="replace"),
        "problems": exchange.problems,
    }


def _clock(clock: Callable[[], float]) -> dict[str, Any]:
    return {"now": clock(), "frozen": isinstance(clock, Clock) and clock.frozen}


def _set(sandbox: Levers, **switches: Any) -> dict[str, Any]:
    """Change switches."""
    set_switches(sandbox.world, switches)
    return switches


def _wait(sandbox: Levers, hold: int, timeout: float = 10.0) -> int:
    """Wait until a request is held, for at most so many seconds."""
    sandbox.faults.find_hold(hold).wait(timeout)
    return hold


def _release(sandbox: Levers, hold: int) -> int:
    """Release a held request."""
    sandbox.faults.find_hold(hold).release()
    return hold


def _deliver_ipns(sandbox: Levers) -> list[IPN]:
    """Deliver the notifications that are due, and return them."""
    return sandbox.deliver_ipns()


ACTIONS: dict[str, Action] = {
    "add_application": Action(Levers.add_application, _same, "the application"),
    "make_user": Action(Levers.make_user, _same, "the user"),
    "delete_user": Action(Levers.delete_user),
    "issue_code": Action(Levers.issue_code, _under("code"), '``{"code": "..."}``'),
    "issue_token": Action(
        Levers.issue_token, _under("access_token"), '``{"access_token": "..."}``'
    ),
    "authorize": Action(Levers.authorize, _under("redirect_uri"), '``{"redirect_uri": "..."}``'),
    "revoke": Action(Levers.revoke, _same, "the revoked tokens"),
    "expire_codes": Action(Levers.expire_codes),
    "confirm_user": Action(Levers.confirm_user, _same, "the user"),
    "verify_account": Action(Levers.verify_account, _same, "the account"),
    "change_account": Action(Levers.change_account, _same, "the account"),
    "change_card": Action(Levers.change_card, _same, "the card"),
    "pay": Action(Levers.pay, _same, "the checkout"),
    "pay_at": Action(Levers.pay_at, _under("redirect_uri"), '``{"redirect_uri": "..."}``'),
    "approve_at": Action(Levers.approve_at, _under("redirect_uri"), '``{"redirect_uri": "..."}``'),
    "update_at": Action(Levers.update_at, _under("redirect_uri"), '``{"redirect_uri": "..."}``'),
    "withdraw_at": Action(
        Levers.withdraw_at, _under("redirect_uri"), '``{"redirect_uri": "..."}``'
    ),
    "change_preapproval": Action(Levers.change_preapproval, _same, "the preapproval"),
    "change_withdrawal": Action(Levers.change_withdrawal, _same, "the withdrawal"),
    "answer_next": Action(Levers.answer_next),
    "delay_next": Action(Levers.delay_next),
    "drop_next": Action(Levers.drop_next),
    "hold": Action(Levers.hold, lambda hold: {"hold": hold.number}, '``{"hold": 1}``'),
    "wait": Action(_wait, _under("hold"), '``{"hold": 1}``'),
    "release": Action(_release, _under("hold"), '``{"hold": 1}``'),
    "clear_faults": Action(Levers.clear_faults),
    "count": Action(Levers.count, _under("count"), '``{"count": 1}``'),
    "verify": Action(Levers.verify, _exchanges, "the requests, as in the log"),
    "clear_log": Action(Levers.clear_log),
    "deliver_ipns": Action(_deliver_ipns, _ipns, "the IPNs"),
    "deliver_ipn": Action(Levers.deliver_ipn, _ipn, "the IPN"),
    "fail_ipn": Action(Levers.fail_ipn, _ipn, "the IPN"),
    "replay_ipn": Action(Levers.replay_ipn, _ipn, "the new IPN"),
    "move_clock": Action(Levers.move_clock),
    "set_clock": Action(Levers.set_clock, _under("now"), '``{"now": 1772366400.0}``'),
    "set": Action(_set, _same, "the switches that were given"),
    "reset": Action(Levers.reset),
}

VIEWS: dict[str, Callable[[Levers], Any]] = {
    "applications": lambda sandbox: list(sandbox.world.applications.values()),
    "users": lambda sandbox: list(sandbox.world.users.values()),
    "tokens": lambda sandbox: list(sandbox.world.tokens.values()),
    "accounts": lambda sandbox: list(sandbox.world.ledger.accounts.values()),
    "cards": lambda sandbox: list(sandbox.world.wallet.cards.values()),
    "checkouts": lambda sandbox: list(sandbox.world.ledger.checkouts.values()),
    "preapprovals": lambda sandbox: list(sandbox.world.wallet.preapprovals.values()),
    "withdrawals": lambda sandbox: list(sandbox.world.ledger.withdrawals.values()),
    "ipns": lambda sandbox: _ipns(sandbox.ipns),
    "log": lambda sandbox: _exchanges(list(sandbox.log)),
    "clock": lambda sandbox: _clock(sandbox.world.clock),
}
