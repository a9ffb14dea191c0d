"""The sandbox and the logged request of the current view."""

from __future__ import annotations

from flask import current_app, request

from .levers import Levers


def current_sandbox() -> Levers:
    """Return the sandbox of the current application."""
    sandbox: Levers = current_app.extensions["wepay_sandbox"]
    return sandbox


def note_problems(*problems: str) -> None:
    """Log what is wrong with the current request."""
    # A problem may quote unprintable characters.
    printable = [problem.encode(errors="replace").decode() for problem in problems]
    request.environ["wepay_sandbox.exchange"].problems.extend(printable)
