"""The processes of this machine: which there are, and which of them another began."""

from collections.abc import Iterator
from pathlib import Path


def processes() -> Iterator[tuple[int, int, str]]:
    """Number, parent and command line of every process."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text().rpartition(")")[2].split()
                command = (folder / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            yield int(folder.name), int(stat[1]), command


def family(pid: int) -> set[int]:
    """The numbers of a process and of its descendants, also of those in sessions of their own."""
    parents = {number: parent for number, parent, _ in processes()}
    members = {pid}
    while more := {one for one, parent in parents.items() if parent in members} - members:
        members |= more
    return members
