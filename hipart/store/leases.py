"""Who works on what, among processes on any machines that see one place: a folder, or objects.

A lease is created exclusively, renewed while its owner lives, and has expired when nobody has
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
from typing import Any, NamedTuple, Protocol

#: A lease that nobody has renewed for so long has expired.
EXPIRY_S = float(os.environ.get("HIPART_LEASE_SECONDS", "60"))
#: How often one that is held by somebody else is looked at.
LOOK_S = 0.1


class Seen(NamedTuple):
    """Somebody's lease as it was found; ``version`` changes with every renewal."""

    version: object
    owner: dict[str, Any]


class Held(Protocol):
    """A lease of this process."""

    def renew(self) -> None:
        """Say that its owner lives."""
        ...

    def release(self) -> None:
        """Give it back, unless it has expired and is somebody else's now."""
        ...


class Place(Protocol):
    """Where leases are. Names are those of jobs: letters, digits, a dash."""

    def create(self, name: str) -> Held | None:
        """A new lease; None if there is one."""
        ...

    def look(self, name: str) -> Seen | None:
        """The lease that is there."""
        ...

    def take_over(self, name: str, seen: Seen) -> Held | None:
        """A lease in place of one that has expired; None if that is no longer as it was seen."""
        ...


class HeldError(Exception):
    """Somebody else who lives holds a lease."""

    def __init__(self, owner: dict[str, Any]) -> None:
        super().__init__(f"process {owner.get('pid')} on {owner.get('host')}")


class Leases:
    """Leases by name in one place."""

    def __init__(self, place: Place, expiry_s: float = EXPIRY_S, look_s: float = LOOK_S) -> None:
        self._place = place
        self._expiry_s = expiry_s
        self._look_s = look_s

    @contextmanager
    def hold(self, name: str, waits: bool = True) -> Iterator[None]:
        """Hold a lease; while somebody else does who lives, waits, or raises ``HeldError``."""
        held = self._wait(name, waits)
        _keeper().keep(held, self._expiry_s)
        try:
            yield
        finally:
            _keeper().drop(held)
            held.release()

    def _wait(self, name: str, waits: bool) -> Held:
        """Create the lease as soon as there is none, or only one that has expired.

        Who doesn't wait has to look on nevertheless until one from elsewhere is renewed.
        """
        last: Seen | None = None
        since = time.monotonic()
        while True:
            held = self._place.create(name)
            while held is None:
                seen = self._place.look(name)
                if seen is None:
                    break
                if not waits and (_is_here(seen.owner) or last not in (None, seen)):
                    raise HeldError(seen.owner)
                if seen != last:
                    last, since = seen, time.monotonic()
                if is_dead(seen.owner) or time.monotonic() - since > self._expiry_s:
                    held = self._place.take_over(name, seen)
                else:
                    time.sleep(self._look_s)
            if held is not None:
                return held


class _Keeper:
    """The thread that renews all that this process holds."""

    def __init__(self) -> None:
        #: How often each lease is renewed, and when it is due.
        self._held: dict[Held, tuple[float, float]] = {}
        self._changed = threading.Condition()
        threading.Thread(target=self._renew, name="leases", daemon=True).start()

    def keep(self, held: Held, expiry_s: float) -> None:
        """Renew a lease until it is dropped."""
        every = expiry_s / 6
        with self._changed:
            due = time.monotonic() + every
            if all(due < at for _, at in self._held.values()):
                self._changed.notify()
            self._held[held] = every, due

    def drop(self, held: Held) -> None:
        """A lease is given back."""
        with self._changed:
            del self._held[held]

    def _renew(self) -> None:
        with self._changed:
            while True:
                due = min((at for _, at in self._held.values()), default=None)
                self._changed.wait(None if due is None else max(0.0, due - time.monotonic()))
                now = time.monotonic()
                for held, (every, at) in self._held.items():
                    if at <= now:
                        held.renew()
                        self._held[held] = every, now + every


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


def owner() -> dict[str, Any]:
    """This process, as owner of a new lease."""
    host, boot = _machine()
    pid = os.getpid()
    begun, token = _own_begin(pid), uuid.uuid4().hex
    return {"host": host, "boot": boot, "pid": pid, "begun": begun, "token": token}


@cache
def _own_begin(pid: int) -> str | None:
    return _begun(pid)


def read_owner(text: bytes) -> dict[str, Any]:
    """The owner that a lease names; nobody where it names none."""
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError):  # it is being written, or its writer died in the middle
        return {}


def is_dead(owner: dict[str, Any]) -> bool:
    """Whether an owner gave the lease back, or was a process of this machine that has ended.

    Of one elsewhere nobody can tell.
    """
    if owner.get("free"):
        return True
    host, boot = _machine()
    if not boot or owner.get("host") != host:
        return False
    pid = owner.get("pid", 0)
    if not isinstance(pid, int):  # nobody that a lease of ours names
        return False
    return owner.get("boot") != boot or _begun(pid) != owner.get("begun")


def _is_here(owner: dict[str, Any]) -> bool:
    """Whether an owner is a process of this machine that lives."""
    host, boot = _machine()
    return bool(boot) and owner.get("host") == host and not is_dead(owner)


class FolderPlace:
    """Leases as files: a renewal sets the time of the last change."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, name: str) -> "_HeldFile | None":
        """A new file, open; None if there is one."""
        path = self._folder / name
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            return None
        os.write(handle, json.dumps(owner()).encode())
        return _HeldFile(path, handle)

    def look(self, name: str) -> Seen | None:
        """The file that is there. Opening it has a network file system ask its server."""
        return _look(self._folder / name)

    def living(self) -> Iterator[Path]:
        """The files whose owners live, or may: of one elsewhere nobody can tell."""
        for path in sorted(self._folder.glob("[!.]*")):
            seen = _look(path)
            if seen is not None and not is_dead(seen.owner):
                yield path

    def take_over(self, name: str, seen: Seen) -> "_HeldFile | None":
        """Remove a file that was seen, and no other: it is moved first, and looked at there."""
        path = self._folder / name
        aside = path.with_name(f".{name}.{uuid.uuid4().hex}")
        try:
            path.rename(aside)
        except FileNotFoundError:
            return self.create(name)
        found = _look(aside)
        if found is not None and found.owner != seen.owner:  # somebody was faster, and holds it
            with suppress(FileExistsError):
                os.link(aside, path)
        aside.unlink()
        return self.create(name)


class _HeldFile:
    def __init__(self, path: Path, handle: int) -> None:
        self._path, self._handle = path, handle

    def renew(self) -> None:
        os.utime(self._handle)

    def release(self) -> None:
        mine = os.fstat(self._handle)
        try:
            if os.path.samestat(mine, os.stat(self._path)):
                self._path.unlink()
        except FileNotFoundError:
            pass
        os.close(self._handle)


def _look(path: Path) -> Seen | None:
    try:
        with path.open("rb") as file:
            return Seen(os.fstat(file.fileno()).st_mtime_ns, read_owner(file.read()))
    except FileNotFoundError:
        return None
