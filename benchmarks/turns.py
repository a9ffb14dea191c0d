"""What each measurement is made of: tasks that take turns, some of them in other processes."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.managers import BaseManager
from statistics import median
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Made = TypeVar("Made")


def in_turns(
    tasks: Mapping[Name, Callable[[], list[float]]], rounds: int, warm_up: int = 1
) -> dict[Name, float]:
    """Carry out each task once a round, and give the median of the figures that it returns.

    The tasks come in random order, so that whatever else the machine does hits all alike.
    """
    figures: dict[Name, list[float]] = {name: [] for name in tasks}
    for turn in range(-warm_up, rounds):
        for name in random.sample(list(tasks), len(tasks)):
            measured = tasks[name]()
            figures[name] += measured if turn >= 0 else []
    return {name: median(taken) for name, taken in figures.items()}


class _Process(BaseManager):
    """A process for one object."""


def _make(make: Callable[..., Made], *arguments: object) -> Made:
    return make(*arguments)


_Process.register("make", _make)


@contextmanager
def apart(make: Callable[..., Made], *arguments: object) -> Iterator[Made]:
    """Make an object in a process of its own; its methods can be called from here."""
    process = _Process(ctx=get_context("spawn"))
    process.start(_end_with_parent)
    with process:
        yield process.make(make, *arguments)


def _end_with_parent() -> None:
    def wait() -> None:
        parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
