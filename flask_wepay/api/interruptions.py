"""Distinguish what interrupts a call, such as a job's time limit, from its own failures."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from http.client import HTTPException
from types import FrameType, TracebackType

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
    steps = list(_steps(error.__traceback__))
    if any(_handles_a_signal(step.tb_frame) for step in steps):
        return True
    by_an_instruction = steps[-1].tb_frame.f_code.co_code[steps[-1].tb_lasti] in _RAISE
    return not by_an_instruction and all(_package_of(step.tb_frame) != package for step in steps)


def _steps(step: TracebackType | None) -> Iterator[TracebackType]:
    while step is not None:
        yield step
        step = step.tb_next


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _handles_a_signal(frame: FrameType) -> bool:
    # Python passes a handler the frame that it interrupts.
    return any(
        value is frame.f_back or (isinstance(value, tuple) and frame.f_back in value)
        for value in frame.f_locals.values()
        if frame.f_back is not None
    )
