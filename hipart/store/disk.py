"""What the store asks of a disk: files that are whole, folders that are settled, room for more."""

import errno
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

_SMALL = 1 << 16


def folders_in(folder: Path) -> set[str]:
    """Names of the folders in a folder, which need not be there; hidden ones are left out."""
    try:
        with os.scandir(folder) as entries:
            return {one.name for one in entries if one.name[0] != "." and _is_folder(one)}
    except FileNotFoundError:
        return set()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def read_bytes(file: str) -> bytes:
    """All of a file, of thousands that are small: ``open`` takes as long again as the disk."""
    descriptor = os.open(file, os.O_RDONLY)
    try:
        parts = [os.read(descriptor, _SMALL)]
        while len(parts[-1]) == _SMALL:
            parts.append(os.read(descriptor, _SMALL))
        return b"".join(parts)
    finally:
        os.close(descriptor)


def json_text(value: dict[str, Any]) -> str:
    """The same text for the same values."""
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a file that is either absent or whole, even after a power cut."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(json_text(value))
    _sync(part)
    part.replace(path)


def settle(folder: Path) -> None:
    """Have everything in a folder on the disk, so that it may appear under its final name.

    All files at once: the disk is waited for about once, not once a file.
    """
    list(threads().map(_sync, (path for path in folder.rglob("*") if path.is_file())))


def without_space(error: BaseException, folder: Path, needed: int) -> str | None:
    """What to say of an error that comes of a full disk; None of any other."""
    full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
    if not full and "os error 28" not in str(error):  # as safetensors says it
        return None
    free = shutil.disk_usage(folder).free
    return (
        f"{folder}: no space left: {free / 1e6:.1f} MB are free, and this job needs about "
        f"{max(needed, 1) / 1e6:.1f} MB. Make room, and run the same command again"
    )


@cache
def threads() -> ThreadPoolExecutor:
    """Threads that wait for the disk, or for the other side."""
    return ThreadPoolExecutor(8, thread_name_prefix="store")


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
