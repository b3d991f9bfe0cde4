"""A finished stage job: a folder of files that never change, and how damage to them is found."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from hipart.store.disk import read_bytes
from hipart.store.objects import JobObjects

CHECKSUMS = "checksums.json"
#: What every artifact has, also one from before there were checksums, and what is at least in it.
RECORDS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "identity.json": {"config": dict, "data": str, "needs": dict, "stage": str, "version": int},
    "metrics.json": {},
    "provenance.json": {"seconds": (int, float), "started_at": str},
}


class StoreError(ValueError):
    """The store cannot be used as it is; the message names the folder and the remedy."""


@dataclass(frozen=True)
class Artifact:
    """A finished stage job in a store; files that are not in its folder are had from ``objects``.

    A table asks for ten thousand of them, so nothing is made of paths before it is asked for.
    """

    root: Path
    stage: str
    key: str
    objects: JobObjects | None = field(default=None, compare=False, repr=False)

    @cached_property
    def path(self) -> Path:
        """Its folder."""
        return self.root / self.stage / self.key

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What was hashed into the key."""
        return self._read("identity.json")

    @cached_property
    def metrics(self) -> dict[str, float]:
        """Final numbers by name."""
        return self._read("metrics.json")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """When, where, how long, with which versions and commit; not part of the key."""
        return self._read("provenance.json")

    def file(self, name: str) -> Path:
        """A file of it, which need not be there."""
        path = Path(self._place(name))
        if self.objects is not None and _lies_inside(name) and not path.exists():
            _, digest = self._checksums.get(name, (0, ""))
            if digest and not self.objects.fetch(self.stage, self.key, digest, path):
                self.objects.set_aside(self.stage, self.key)
        return path

    def complete(self) -> Path:
        """Its folder, with all its files in it."""
        for name in self._checksums:
            self.file(name)
        return self.path

    def damage(self, largest: int | None = None) -> str | None:
        """What is wrong with its files, in words; None if nothing is, or nobody can tell.

        Where it is to be quick, only files of at most ``largest`` bytes are looked at, and none is
        got from elsewhere.
        """
        return self._unsaid() or self._altered(largest)

    def _unsaid(self) -> str | None:
        """What its records lack that no checksum vouches for."""
        read = CHECKSUMS
        try:
            checksums = self._checksums
            for read in (name for name in RECORDS if name not in checksums):
                if lack := _lack(read, self._read(read)):
                    return f"{read} {lack}"
        except StoreError:
            return f"{read} cannot be read"
        return None

    def _altered(self, largest: int | None) -> str | None:
        """What is not as its checksum says."""
        for name, (size, digest) in self._checksums.items():
            elsewhere = self.objects is not None and not (self.path / name).exists()
            if largest is not None and (size > largest or elsewhere):
                continue
            if not _lies_inside(name):
                return f"{CHECKSUMS} names {name!r}, which lies outside"
            try:
                file = self.file(name)
                found = file.stat().st_size
                if found != size:
                    return f"{name} has {found} bytes of {size}"
                if _digest(file) != digest:
                    return f"{name} has other content than was written"
            except OSError as error:
                return f"{name} cannot be read ({error.strerror})"
        return None

    @cached_property
    def _checksums(self) -> dict[str, tuple[int, str]]:
        """Size and digest of every file; none of an artifact from before there were any."""
        if not (self.path / CHECKSUMS).exists():
            return {}
        read = self._read(CHECKSUMS)
        try:
            return {name: (int(size), str(digest)) for name, (size, digest) in read.items()}
        except (TypeError, ValueError, OverflowError):
            raise StoreError(
                f"{self.path / CHECKSUMS}: names no size and digest of every file"
            ) from None

    def _place(self, name: str) -> str:
        return f"{self.root}/{self.stage}/{self.key}/{name}"

    def _read(self, name: str) -> dict[str, Any]:
        file = self._place(name)
        try:
            content = from_json(read_bytes(file))  # reads what json does in half the time
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{file}: cannot be read ({error}). Remove the folder {self.path} to have the job "
                "trained again."
            ) from None
        if not isinstance(content, dict):
            raise StoreError(f"{file}: must hold a JSON object, got {type(content).__name__}")
        return content


def checksums_of(folder: Path) -> dict[str, Any]:
    """Size and SHA-256 of every file in a folder, by name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    return {str(one.relative_to(folder)): [one.stat().st_size, _digest(one)] for one in files}


def _lack(record: str, content: dict[str, Any]) -> str:
    """What a record does not say that every artifact's does, in words; nothing where all is there.

    There is no stage without a metric.
    """
    if not content:
        return "is empty"
    lacking = [
        key for key, kind in RECORDS[record].items() if not isinstance(content.get(key), kind)
    ]
    return f"does not say {', '.join(lacking)}" if lacking else ""


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _lies_inside(name: str) -> bool:
    """Whether a name that was read somewhere is one of a file in its folder."""
    return ".." not in Path(name).parts and not Path(name).is_absolute() and "\0" not in name
