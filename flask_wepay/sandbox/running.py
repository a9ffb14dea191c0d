"""The sandbox and the logged request that the running view is about."""

from __future__ import annotations

from flask import current_app, request

from .levers import Levers


def current_sandbox() -> Levers:
    """Give the sandbox that the running application is the face of."""
    sandbox: Levers = current_app.extensions["wepay_sandbox"]
    return sandbox


def note_problems(*problems: str) -> None:
    """Say in the log what is wrong with the current request."""
    # A problem may quote what nobody can print.
    printable = [problem.encode(errors="replace").decode() for problem in problems]
    request.environ["wepay_sandbox.exchange"].problems.extend(printable)
