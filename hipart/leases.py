"""Who works on what, among processes on any machines that see one folder.

A lease is a file: created exclusively, renewed while its owner lives, expired when nobody has
renewed it for a while. Expiry is told by the watcher's own clock, so clocks need not agree. An
owner on the same machine whose process has ended is found out at once.
"""

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

#: A lease that nobody has renewed for so long has expired.
EXPIRY_S = float(os.environ.get("HIPART_LEASE_SECONDS", "60"))
#: How often one that is held by somebody else is looked at.
LOOK_S = 0.1


class _Seen(NamedTuple):
    """Somebody's lease as it was found, which changes with every renewal."""

    token: str
    renewed_ns: int
    owner: dict[str, Any]


class Leases:
    """Leases by name in a folder. Names are those of jobs: letters, digits, a dash."""

    def __init__(self, folder: Path, expiry_s: float = EXPIRY_S) -> None:
        self._folder = folder
        self._expiry_s = expiry_s

    @contextmanager
    def hold(self, name: str) -> Iterator[None]:
        """Hold a lease; waits while somebody else does who lives."""
        path = self._folder / name
        handle = self._wait(path)
        _keeper().keep(handle, self._expiry_s)
        try:
            yield
        finally:
            _keeper().drop(handle)
            _release(path, handle)

    def holder(self, name: str) -> str | None:
        """Who holds a lease, in words; None if nobody does."""
        seen = _look(self._folder / name)
        if seen is None:
            return None
        return f"{seen.owner.get('host')}, process {seen.owner.get('pid')}"

    def _wait(self, path: Path) -> int:
        """Create the lease as soon as there is none, or only one that has expired."""
        last: _Seen | None = None
        since = time.monotonic()
        while True:
            handle = _create(path)
            if handle is not None:
                return handle
            seen = _look(path)
            if seen is None:
                continue
            if seen != last:
                last, since = seen, time.monotonic()
            if _is_dead(seen.owner) or time.monotonic() - since > self._expiry_s:
                _remove(path, seen)
            else:
                time.sleep(LOOK_S)


class _Keeper:
    """The thread that renews all that this process holds."""

    def __init__(self) -> None:
        #: Open file of each lease -> how often it is renewed, and when it is due.
        self._held: dict[int, tuple[float, float]] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._renew, name="leases", daemon=True).start()

    def keep(self, handle: int, expiry_s: float) -> None:
        """Renew a lease until it is dropped."""
        every = expiry_s / 6
        with self._changed:
            due = time.monotonic() + every
            if all(due < at for _, at in self._held.values()):
                self._changed.notify()
            self._held[handle] = every, due

    def drop(self, handle: int) -> None:
        """A lease is given back."""
        with self._changed:
            del self._held[handle]

    def _renew(self) -> None:
        with self._changed:
            while True:
                due = min((at for _, at in self._held.values()), default=None)
                self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))
                now = time.monotonic()
                for handle, (every, at) in self._held.items():
                    if at <= now:
                        os.utime(handle)
                        self._held[handle] = every, now + every


@cache
def _keeper() -> _Keeper:
    return _Keeper()


@cache
def _machine() -> tuple[str, str]:
    """This machine's name, and which of its lives and of its process tables this is."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return socket.gethostname(), f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname(), ""


def _begun(pid: int) -> str | None:
    """When a process of this machine began, in the kernel's ticks; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _create(path: Path) -> int | None:
    """The open file of a new lease; None if there is one."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except FileExistsError:
        return None
    host, boot = _machine()
    pid, token = os.getpid(), uuid.uuid4().hex
    owner = {"host": host, "boot": boot, "pid": pid, "begun": _own_begin(pid), "token": token}
    os.write(handle, json.dumps(owner).encode())
    return handle


@cache
def _own_begin(pid: int) -> str | None:
    return _begun(pid)


def _look(path: Path) -> _Seen | None:
    """The lease that is there. Opening it has a network file system ask its server."""
    try:
        with path.open("rb") as file:
            renewed_ns = os.fstat(file.fileno()).st_mtime_ns
            text = file.read()
    except FileNotFoundError:
        return None
    try:
        owner = dict(json.loads(text))
    except (ValueError, TypeError):  # it is being written, or its writer died in the middle
        owner = {}
    return _Seen(str(owner.get("token", "")), renewed_ns, owner)


def _is_dead(owner: dict[str, Any]) -> bool:
    """Whether an owner was a process of this machine that has ended; elsewhere nobody can tell."""
    host, boot = _machine()
    if not boot or owner.get("host") != host:
        return False
    return owner.get("boot") != boot or _begun(int(owner.get("pid", 0))) != owner.get("begun")


def _remove(path: Path, seen: _Seen) -> None:
    """Remove a lease that has expired, and no other: it is moved first, and looked at there."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.rename(aside)
    except FileNotFoundError:
        return
    found = _look(aside)
    if found is not None and found.token != seen.token:  # somebody was faster, and holds it now
        with suppress(FileExistsError):
            os.link(aside, path)
    aside.unlink()


def _release(path: Path, handle: int) -> None:
    """Give a lease back, unless it has expired and is somebody else's now."""
    mine = os.fstat(handle)
    try:
        if os.path.samestat(mine, os.stat(path)):
            path.unlink()
    except FileNotFoundError:
        pass
    os.close(handle)
