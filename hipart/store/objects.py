"""Finished jobs as objects, for machines that have no folder in common.

``STAGE/KEY.json`` is a finished job: its small files, and the digests of all. It is put once, on
the condition that there is none, and so publishes the job. The other files are in
``files/STAGE-KEY/`` under their digests. ``leases/`` says who works on what, and ``left/`` holds
what an interrupted job had written.
"""

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from hipart.store.bucket import Bucket, BucketError, Version
from hipart.store.leases import Seen, owner, read_owner

T = TypeVar("T")

#: How long a finished job is offered to a store that is away, and how often.
PATIENCE_S, AGAIN_S = 600.0, 5.0
#: How long the jobs of a stage are taken to be those that were listed.
LISTED_S = 10.0

#: Size and SHA-256 of files by name.
Checksums = Mapping[str, tuple[int, str]]


class Published(NamedTuple):
    """A finished job: its small files as texts, and the checksums of all."""

    texts: Mapping[str, str]
    checksums: Checksums


class JobObjects:
    """Finished jobs, and what unfinished ones left, below a URI."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._listed: dict[str, tuple[float, frozenset[str]]] = {}

    def prepare(self, mark: bytes) -> bytes:
        """See that objects can be written, and that of two first writers one is refused.

        Returns the mark that the store was made with.
        """
        self._bucket.create("format.json", mark)
        probe = f"probes/{owner()['token']}"
        firsts = [self._bucket.create(probe, b"") for _ in range(2)]
        self._bucket.delete(probe)
        if firsts[1] is not None:
            raise BucketError(
                f"{self._bucket.uri}: this store does not honour conditional puts "
                "(If-None-Match), so two writers would overwrite each other"
            )
        found = self._bucket.get("format.json")
        return found.content if found else mark

    def keys(self, stage: str) -> frozenset[str]:
        """Keys of the finished jobs of a stage, as they were ``LISTED_S`` ago at most."""
        at, keys = self._listed.get(stage, (-LISTED_S, frozenset()))
        if time.monotonic() - at > LISTED_S:
            names = [Path(name).name for name in self._bucket.names(f"{stage}/")]
            keys = frozenset(name.removesuffix(".json") for name in names)
            self._listed[stage] = time.monotonic(), keys
        return keys

    def find(self, stage: str, key: str) -> Published | None:
        """A finished job; None if it is not."""
        found = self._bucket.get(f"{stage}/{key}.json")
        if found is None:
            return None
        try:
            read = json.loads(found.content)
            texts = {str(name): str(text) for name, text in read["texts"].items()}
            files = {
                str(name): (int(n), str(digest)) for name, (n, digest) in read["files"].items()
            }
            return Published(texts, files)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BucketError(
                f"{self._bucket.uri}/{stage}/{key}.json: this is no finished job. Remove the "
                "object to have the job done again"
            ) from None

    def publish(self, stage: str, key: str, folder: Path, published: Published) -> bool:
        """Put a finished job's files, and then the job; False if somebody was faster.

        A store that is away is waited for, for ``PATIENCE_S``.
        """
        checksums = published.checksums

        def put(name: str) -> None:
            place = f"files/{stage}-{key}/{checksums[name][1]}"
            _patiently(lambda: self._bucket.put(place, folder / name))

        list(_threads().map(put, [name for name in checksums if name not in published.texts]))
        content = json.dumps({"files": checksums, "texts": published.texts}, sort_keys=True)
        name = f"{stage}/{key}.json"
        return _patiently(lambda: self._bucket.create(name, content.encode())) is not None

    def fetch(self, stage: str, key: str, digest: str, to: Path) -> bool:
        """Get a file of a finished job; False if it is gone, or not what was put there."""
        found = self._bucket.get(f"files/{stage}-{key}/{digest}")
        if found is None or sha256(found.content).hexdigest() != digest:
            return False
        part = to.with_name(f".{to.name}.{owner()['token']}")
        part.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(found.content)
        part.replace(to)
        return True

    def set_aside(self, stage: str, key: str) -> None:
        """Have a job that is damaged count as finished no longer; it stays in ``damaged/``."""
        found = self._bucket.get(f"{stage}/{key}.json")
        if found is not None:
            self._bucket.put(f"damaged/{stage}-{key}.{owner()['token']}.json", found.content)
            self._bucket.delete(f"{stage}/{key}.json")
        self._listed.pop(stage, None)

    def leave(self, name: str, folder: Path) -> None:
        """Leave what a job has written so far to whoever goes on with it."""
        for path in folder.rglob("*"):
            if path.is_file():
                self._bucket.put(f"left/{name}/{path.relative_to(folder)}", path)

    def take_up(self, name: str, folder: Path) -> None:
        """Get what a job has left, which is later than whatever its folder has."""
        for left in self._bucket.names(f"left/{name}/"):
            path = folder / left.removeprefix(f"left/{name}/")
            found = self._bucket.get(left)
            if found is not None and ".." not in path.parts:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(found.content)
            self._bucket.delete(left)


class ObjectPlace:
    """Leases as objects: a renewal puts another version in place of the last, and of no other.

    One that is given back stays, marked as free: only puts have a condition.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def create(self, name: str) -> "_HeldObject | None":
        """A new object; None if there is one."""
        lease = _HeldObject(self._bucket, f"leases/{name}")
        return lease if lease.take(None) else None

    def look(self, name: str) -> Seen | None:
        """The object that is there."""
        found = self._bucket.get(f"leases/{name}")
        return Seen(found.version, read_owner(found.content)) if found else None

    def take_over(self, name: str, seen: Seen) -> "_HeldObject | None":
        """Another version in place of the one that was seen."""
        lease = _HeldObject(self._bucket, f"leases/{name}")
        version: Any = seen.version
        return lease if lease.take(version) else None


class _HeldObject:
    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket, self._name = bucket, name
        self._owner, self._renewals = owner(), 0
        self._version: Version | None = None

    def take(self, before: Version | None, **more: object) -> bool:
        """Put this owner in place of a version, or of nothing; whether it is there now."""
        content = json.dumps({**self._owner, "renewals": self._renewals, **more}).encode()
        self._version = (
            self._bucket.replace(self._name, content, before)
            if before
            else self._bucket.create(self._name, content)
        )
        if self._version is None:  # a put that was repeated may have refused itself
            found = self._bucket.get(self._name)
            if found is not None and found.content == content:
                self._version = found.version
        return self._version is not None

    def renew(self) -> None:
        self._renewals += 1
        self._replace()

    def release(self) -> None:
        self._replace(free=True)

    def _replace(self, **more: object) -> None:
        """A store that is away is asked again when the next renewal is due."""
        before = self._version
        if before is not None:  # else it is somebody else's now
            try:
                self.take(before, **more)
            except BucketError:
                self._version = before


def _patiently(action: Callable[[], T]) -> T:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return action()
        except BucketError:
            if time.monotonic() > until:
                raise
            time.sleep(AGAIN_S)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(8, thread_name_prefix="objects")
