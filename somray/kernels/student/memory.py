"""What the C library does with a tensor's memory once it is freed.

A network's planes live for milliseconds. By itself glibc hands large blocks back to Linux at once and asks for
them anew, page by page, each of them cleared: a slice of 512×512 faulted in 40 MiB, a third of its time
(benchmarks/LOG.md). Units begin with what is free given back (`runtime.execute`).
"""

import ctypes
from functools import cache

__all__ = ["keep_freed"]

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
MIB = 2**20
BLOCKS = (64 * MIB, 32 * MIB)
"""Blocks up to so many bytes come from the heap; older releases of glibc take no more than the second."""
KEPT = 256 * MIB
"""Of free heap, at most."""


@cache
def keep_freed() -> None:
    """Let this process keep what it frees for its next blocks; another C library than glibc goes on as it does."""
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None and any(set_option(_MMAP_THRESHOLD, size) for size in BLOCKS):
        set_option(_TRIM_THRESHOLD, KEPT)
