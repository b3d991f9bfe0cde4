"""A process and all that it began."""

from contextlib import suppress
from pathlib import Path


def family(pid: int) -> set[int]:
    """The numbers of a process and of its descendants, also of those in sessions of their own."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended in this moment
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
    members = {pid}
    while more := {one for one, parent in parents.items() if parent in members} - members:
        members |= more
    return members
