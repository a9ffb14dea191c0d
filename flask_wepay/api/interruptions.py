"""Distinguish what interrupts a call, such as a job's time limit, from its own failures."""

from __future__ import annotations

import dis
import traceback
from http.client import HTTPException
from types import FrameType

import requests
from urllib3.exceptions import HTTPError

__all__ = ["is_interruption"]

#: The exceptions of requests and the layers below it, wrapped or not.
_FAILURES = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)
_RAISE = {dis.opmap["RAISE_VARARGS"], dis.opmap["RERAISE"]}


def is_interruption(error: BaseException) -> bool:
    """Return whether an exception came from outside the code that was running.

    A time limit is raised by a signal handler, or by another thread between two instructions.
    An exception of any layer between us and the network, expected or not, is raised by an
    instruction of its own code, or within the package that defines it.
    """
    if not isinstance(error, Exception):
        return True
    package = type(error).__module__.partition(".")[0]
    if isinstance(error, _FAILURES) or package == "builtins":
        return False
    steps = list(traceback.walk_tb(error.__traceback__))
    if any(_handles_a_signal(frame) for frame, _ in steps):
        return True
    tb = error.__traceback__
    while tb is not None and tb.tb_next is not None:
        tb = tb.tb_next
    by_an_instruction = tb is not None and tb.tb_frame.f_code.co_code[tb.tb_lasti] in _RAISE
    return not by_an_instruction and all(_package_of(frame) != package for frame, _ in steps)


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _handles_a_signal(frame: FrameType) -> bool:
    # Python passes a handler the frame that it interrupts.
    return any(
        value is frame.f_back or (isinstance(value, tuple) and frame.f_back in value)
        for value in frame.f_locals.values()
        if frame.f_back is not None
    )
