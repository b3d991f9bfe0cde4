"""The memory of a worker that computes on a CPU: what tensors give back is kept, in large pages.

By default glibc returns memory to the system when a step frees it and faults it in again in the
next, page by page: up to a third of a small model's step. What is kept lies in pages of 4 kB, whose
places a processor looks up all the time; pages of 2 MiB spare it 1 to 4 % of a step.
"""

import ctypes
from functools import cache
from pathlib import Path

#: Numbers of glibc's ``malloc.h``.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
#: Blocks below this come from the heap, and that much of it may lie unused.
KEPT_BYTES = 2**30
MOST_OF_OLD_GLIBC = 2**25
#: Numbers of Linux' ``mman.h``: large pages for what is still to come, and for what is there.
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25
LARGE_PAGE = 2**21
#: Mappings below this are left alone: stacks of threads, and what a library keeps for itself.
WORTH_IT_BYTES = 2**24


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


def enlarge_pages() -> None:
    """Put this process's memory into large pages, where Linux can: a second for half a gigabyte.

    What is in large pages already costs nothing.
    """
    try:
        madvise, mappings = ctypes.CDLL(None).madvise, Path("/proc/self/maps").read_text()
    except (AttributeError, OSError):
        return
    for mapping in mappings.splitlines():
        span, rights, _, _, inode, *name = mapping.split()
        if rights != "rw-p" or inode != "0" or name not in ([], ["[heap]"]):
            continue
        first, last = (int(address, 16) for address in span.split("-"))
        first, last = -(-first // LARGE_PAGE) * LARGE_PAGE, last // LARGE_PAGE * LARGE_PAGE
        if last - first >= WORTH_IT_BYTES:
            for advice in (MADV_HUGEPAGE, MADV_COLLAPSE):
                madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), advice)
