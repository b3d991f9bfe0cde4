"""What a worker's memory is told: freed memory is kept, and lies in large pages."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

#: Blocks as tensors have them, freed and allocated anew. Said: pages that had to be fetched, and
#: kilobytes that lie in large pages, where numpy would put its own.
SCRIPT = """
import resource, sys
from pathlib import Path
from hipart.scheduling.allocator import enlarge_pages, keep_freed_memory

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    blocks = [b"1" * 2**22 for _ in range(32)]

def large():
    (line,) = [one for one in Path("/proc/self/smaps_rollup").read_text().splitlines()
               if one.startswith("AnonHugePages")]
    return int(line.split()[1])

if "keep" in sys.argv:
    keep_freed_memory()
use()
before = faults()
for _ in range(5):
    use()
again = faults() - before
if "enlarge" in sys.argv:
    enlarge_pages()
print(again, large())
"""


def measured(*words: str) -> tuple[int, int]:
    """Pages fetched for 640 MB in blocks of 4 MB, and kilobytes in large pages."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], capture_output=True, text=True, check=True
    )
    again, large = map(int, done.stdout.split())
    return again, large


def test_freed_memory_is_not_fetched_again() -> None:
    pages = 5 * 32 * 2**22 // 4096
    assert measured("keep")[0] < pages / 20


@pytest.mark.skipif(
    not Path("/sys/kernel/mm/transparent_hugepage").exists()
    or tuple(map(int, platform.release().split(".")[:2])) < (6, 1),
    reason="Linux can do it since 6.1, where it has large pages",
)
def test_kept_memory_lies_in_large_pages() -> None:
    kept = 32 * 2**22 // 1024
    assert measured("keep", "enlarge")[1] > kept / 2
    assert measured("keep")[1] < kept / 2
