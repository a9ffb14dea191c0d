"""What ends a call from outside, such as a job's time limit, told from what fails within."""

from __future__ import annotations

import traceback
from http.client import HTTPException
from types import FrameType

import requests
from urllib3.exceptions import HTTPError

__all__ = ["is_interruption"]

#: What requests and the layers below it raise, wrapped or not.
_FAILURES = (requests.RequestException, HTTPError, HTTPException, OSError, ValueError)


def is_interruption(error: BaseException) -> bool:
    """Tell whether an exception came from outside of what was running.

    A time limit is raised by the handler of a signal, or by another thread; what any layer
    between us and the network raises, foreseen or not, was raised by that layer's own code.
    """
    if not isinstance(error, Exception):
        return True
    package = type(error).__module__.partition(".")[0]
    if isinstance(error, _FAILURES) or package == "builtins":
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    by_its_own_code = any(_package_of(frame) == package for frame in frames)
    return not by_its_own_code or any(map(_handles_a_signal, frames))


def _package_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _handles_a_signal(frame: FrameType) -> bool:
    # Python gives a handler the frame that it interrupts.
    return any(
        value is frame.f_back or (isinstance(value, tuple) and frame.f_back in value)
        for value in frame.f_locals.values()
        if frame.f_back is not None
    )
