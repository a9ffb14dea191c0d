"""What a process's memory holds."""

from __future__ import annotations

import ctypes
import gc
import sys
from pathlib import Path


def peak_memory() -> float:
    """Return the most memory that this process ever used, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


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
