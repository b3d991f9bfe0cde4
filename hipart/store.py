"""The artifact store: an artifact appears whole, once, and never changes.

Layout: ``STAGE/KEY/`` holds ``identity.json`` (what was hashed), ``metrics.json``,
``history.jsonl``, weights as safetensors and ``provenance.json``; the state of a training that a
longer one may continue is beside them. A job in progress lives in ``.work/STAGE-KEY/`` with its
last checkpoint, under a lease in ``.leases/``; the rename of that folder publishes it.
``checksums.json`` names every other file of an artifact with its size and SHA-256; what does not
agree with it is moved to ``.damaged/``. There are no status files and nothing is unpickled.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import count
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from hipart.jobs import StageJob
from hipart.leases import Leases
from hipart.pipeline import PIPELINE

FORMAT = 1
CHECKSUMS = "checksums.json"


class StoreError(ValueError):
    """The store cannot be used as it is; the message names the folder and the remedy."""


@dataclass(frozen=True)
class Artifact:
    """A finished stage job."""

    path: Path

    @property
    def stage(self) -> str:
        """Name of the stage."""
        return self.path.parent.name

    @property
    def key(self) -> str:
        """Key of the job."""
        return self.path.name

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

    def damage(self) -> str | None:
        """What is wrong with its files, in words; None if nothing is, or nobody can tell."""
        if not (self.path / CHECKSUMS).exists():  # it was made before there were any
            return None
        for name, (size, digest) in self._read(CHECKSUMS).items():
            file = self.path / name
            if ".." in Path(name).parts or Path(name).is_absolute():
                return f"{CHECKSUMS} names {name!r}, which lies outside"
            try:
                found = file.stat().st_size
                if found != size:
                    return f"{name} has {found} bytes of {size}"
                if _digest(file) != digest:
                    return f"{name} has other content than was written"
            except OSError as error:
                return f"{name} cannot be read ({error.strerror})"
        return None

    def _read(self, name: str) -> dict[str, Any]:
        file = f"{self.path}/{name}"
        try:
            with open(file, "rb", buffering=0) as stream:
                content = from_json(stream.read())  # reads what json does in half the time
        except (OSError, ValueError) as error:
            raise StoreError(
                f"{file}: cannot be read ({error}). Remove the folder {self.path} to have the job "
                "trained again."
            ) from None
        if not isinstance(content, dict):
            raise StoreError(f"{file}: must hold a JSON object, got {type(content).__name__}")
        return content


class ArtifactStore:
    """Finished stage jobs by stage and key, in one folder.

    Raises ``StoreError`` if the folder was written by a newer version.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self._leases = Leases(self.root / ".leases")
        self._check_format()

    def find(self, stage: str, key: str) -> Artifact | None:
        """The artifact of a job, or None if it is not finished."""
        if stage not in PIPELINE or not key.isalnum():  # read from a file, it may be anything
            return None
        path = self.root / stage / key
        return Artifact(path) if path.is_dir() else None

    def held(self, jobs: Iterable[StageJob]) -> dict[str, Artifact]:
        """The artifacts of those jobs that are finished, by key; looks once into every stage."""
        folders = {stage: self.root / stage for stage in PIPELINE}
        there = {stage: _folders_in(folder) for stage, folder in folders.items()}
        return {
            job.key: Artifact(folders[job.stage] / job.key)
            for job in jobs
            if job.key in there[job.stage]
        }

    def __contains__(self, job: StageJob) -> bool:
        return self.find(job.stage, job.key) is not None

    def artifacts(self) -> Iterator[Artifact]:
        """Every finished artifact, in the order of the pipeline."""
        for stage in PIPELINE:
            folder = self.root / stage
            if folder.is_dir():
                yield from (Artifact(path) for path in sorted(folder.iterdir()) if path.is_dir())

    def lookup(self, name: str) -> Artifact:
        """The one artifact that ``STAGE/KEY``, or the beginning of a key, means.

        Raises ``StoreError`` if there is none or more than one.
        """
        stage, _, key = name.rpartition("/")
        found = [a for a in self.artifacts() if a.key.startswith(key) and stage in ("", a.stage)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise StoreError(f"{self.root}: no artifact is called {name!r}")
        names = ", ".join(f"{artifact.stage}/{artifact.key}" for artifact in found[:5])
        raise StoreError(f"{name!r} means {len(found)} artifacts: {names}; give more of the key")

    def prepare(self) -> None:
        """Create the folder and its format mark; raises ``StoreError`` if it can't be written."""
        mark = self.root / "format.json"
        try:
            for name in (".work", ".leases"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
            if not mark.exists():
                _write_json(mark, {"format": FORMAT})
            probe = self.root / ".work" / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise StoreError(
                f"{self.root}: the store folder cannot be written ({error.strerror}). Choose "
                "another with --workspace DIR or HIPART_WORKSPACE."
            ) from None

    @contextmanager
    def claim(self, job: StageJob) -> Iterator[Path]:
        """Hold a job's work folder; waits while another living process, anywhere, holds it."""
        name = f"{job.stage}-{job.key}"
        work = self.root / ".work" / name
        with self._leases.hold(name):
            work.mkdir(parents=True, exist_ok=True)
            yield work

    def publish(
        self, job: StageJob, work: Path, metrics: dict[str, float], provenance: dict[str, Any]
    ) -> Artifact:
        """Make a claimed work folder the job's artifact, whole and once."""
        final = self.root / job.stage / job.key
        for name, content in (
            ("identity", job.identity),
            ("metrics", metrics),
            ("provenance", provenance),
        ):
            (work / f"{name}.json").write_text(_json(content))
        (work / CHECKSUMS).write_text(_json(_checksums(work)))
        _settle(work)
        if not final.parent.is_dir():
            final.parent.mkdir(exist_ok=True)
        try:
            work.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            shutil.rmtree(work)
        return Artifact(final)

    def set_aside(self, artifact: Artifact, why: str) -> Path | None:
        """Move a damaged artifact out of the way, so that its job is done again; nothing is lost.

        None if another process was faster.
        """
        folder = self.root / ".damaged"
        folder.mkdir(exist_ok=True)
        for number in count():
            aside = folder / f"{artifact.stage}-{artifact.key}.{number}"
            if aside.exists():
                continue
            try:
                artifact.path.rename(aside)
            except FileNotFoundError:
                return None
            except OSError:  # somebody took the number
                continue
            (aside / "damage.txt").write_text(f"{why}\n")
            return aside
        raise AssertionError

    def _check_format(self) -> None:
        mark = self.root / "format.json"
        if not mark.exists():
            return
        try:
            found = json.loads(mark.read_text())["format"]
        except (OSError, ValueError, KeyError, TypeError):
            raise StoreError(f"{mark}: not the mark of a hipart-search store") from None
        if not isinstance(found, int) or found > FORMAT:
            raise StoreError(
                f"{mark}: the store has format {found}, written by a newer version; this version "
                f"reads format {FORMAT} and older. Upgrade hipart-search or choose another folder."
            )


def _folders_in(folder: Path) -> set[str]:
    """Names of the folders in a folder, which need not be there."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_dir()}
    except FileNotFoundError:
        return set()


def _checksums(folder: Path) -> dict[str, Any]:
    """Size and digest of every file in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != CHECKSUMS)
    return {str(one.relative_to(folder)): [one.stat().st_size, _digest(one)] for one in files}


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a file that is either absent or whole, even after a power cut."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(_json(value))
    _sync(part)
    part.replace(path)


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


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"


def _settle(folder: Path) -> None:
    """Have everything in a folder on the disk, so that it may appear under its final name.

    All files at once: the disk is waited for about once, not once a file.
    """
    list(_disk().map(_sync, (path for path in folder.rglob("*") if path.is_file())))


@cache
def _disk() -> ThreadPoolExecutor:
    """Threads that wait for the disk."""
    return ThreadPoolExecutor(4, thread_name_prefix="disk")


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
