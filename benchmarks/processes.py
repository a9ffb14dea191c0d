"""Processes that answer one JSON line with another; they end when nobody asks any more."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent
#: Seconds for a process to end by itself.
PATIENCE = 20


class Child:
    """A Python module of ours in a process of its own."""

    def __init__(self, module: str, *arguments: str, **environment: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"benchmarks.{module}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | environment,
        )

    @cached_property
    def greeting(self) -> Any:
        """What the process says of itself when it is ready; it is waited for at the first use."""
        return self._read()

    def ask(self, **request: Any) -> Any:
        # It speaks first.
        _ = self.greeting
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def _read(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(answer: Callable[..., Any], greeting: Any = None) -> None:
    """Answer requests from standard input until it ends."""
    # What anybody prints must not come between the answers.
    out, sys.stdout = sys.stdout, sys.stderr
    _say(out, greeting)
    for line in sys.stdin:
        _say(out, answer(**json.loads(line)))


def _say(out: Any, answer: Any) -> None:
    out.write(json.dumps(answer) + "\n")
    out.flush()


def peak_memory() -> float:
    """Return the most memory that this process ever used, in MiB."""
    return _status("VmHWM")


def memory(pid: int | str = "self") -> float:
    """Return the memory that a process uses, in MiB."""
    return _status("VmRSS", pid)


class _Mallinfo2(ctypes.Structure):
    # https://man7.org/linux/man-pages/man3/mallinfo.3.html
    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names.split()]


def in_use() -> dict[str, int]:
    """Return how many blocks of Python's are in use, and how many bytes of glibc's.

    Unlike resident memory, neither includes what an allocator keeps free for later.
    """
    gc.collect()
    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = _Mallinfo2
    info = mallinfo2()
    return {"blocks": sys.getallocatedblocks(), "bytes": info.uordblks + info.hblkhd}


def _status(field: str, pid: int | str = "self") -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))
