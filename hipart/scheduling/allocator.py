"""The C library's allocator, told to keep what tensors give back.

By default glibc returns memory to the system when a step frees it and faults it in again in the
next, page by page: up to a third of a small model's step on a CPU.
"""

import ctypes
from functools import cache

#: Numbers of glibc's ``malloc.h``.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
#: Blocks below this come from the heap, and that much of it may lie unused.
KEPT_BYTES = 2**30
MOST_OF_OLD_GLIBC = 2**25


@cache
def keep_freed_memory() -> None:
    """For this process, once; where the C library is another one, nothing happens."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    if not mallopt(M_MMAP_THRESHOLD, KEPT_BYTES):
        mallopt(M_MMAP_THRESHOLD, MOST_OF_OLD_GLIBC)
    mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
