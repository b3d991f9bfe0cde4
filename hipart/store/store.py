"""The artifact store: an artifact appears whole, once, and never changes.

Layout: ``STAGE/KEY/`` holds ``identity.json`` (what was hashed), ``metrics.json``,
``history.jsonl``, weights as safetensors and ``provenance.json``; the state of a training that a
longer one may continue is beside them. A job in progress lives in ``.work/STAGE-KEY/`` with its
last checkpoint, under a lease in ``.leases/``; the rename of that folder publishes it.
``checksums.json`` names every other file of an artifact with its size and SHA-256; what does not
agree with it is moved to ``.damaged/``. There are no status files and nothing is unpickled.

Machines without a common folder share an object store. The folder is then each machine's copy of
it: of a job that another has done it has the small files, and gets the others when they are asked
for.
"""

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Set
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from hipart.jobs import StageJob
from hipart.pipeline import PIPELINE
from hipart.store.artifact import CHECKSUMS, Artifact, StoreError, checksums_of
from hipart.store.bucket import Bucket
from hipart.store.disk import folders_in, json_text, settle, threads, write_json
from hipart.store.leases import FolderPlace, Leases
from hipart.store.objects import JobObjects, ObjectPlace, Published

FORMAT = 1
#: Files up to this size are looked at whenever a run begins with what is finished.
QUICK_BYTES = 1 << 16
#: How often a lease in an object store, held by somebody else, is looked at.
OBJECT_LOOK_S = 1.0


class ArtifactStore:
    """Finished stage jobs by stage and key, in one folder; with ``uri``, a copy of what is there.

    Raises ``StoreError`` if the folder was written by a newer version.
    """

    def __init__(self, root: Path, uri: str | None = None) -> None:
        self.root = root.absolute()
        self.uri = uri
        self._leases = [Leases(FolderPlace(self.root / ".leases"))]
        self._objects: JobObjects | None = None
        if uri is not None:
            bucket = Bucket(uri)
            self._objects = JobObjects(bucket)
            self._leases.append(Leases(ObjectPlace(bucket), look_s=OBJECT_LOOK_S))
        mark = self.root / "format.json"
        if mark.exists():
            _check_format(str(mark), mark.read_bytes())

    @property
    def name(self) -> str:
        """Where finished jobs are, for a user."""
        return self.uri or str(self.root)

    def find(self, stage: str, key: str) -> Artifact | None:
        """The artifact of a job, or None if it is not finished."""
        if stage not in PIPELINE or not key.isalnum():  # read from a file, it may be anything
            return None
        there = (self.root / stage / key).is_dir() or self._copy(stage, key)
        return self._artifact(stage, key) if there else None

    def held(self, jobs: Iterable[StageJob]) -> dict[str, Artifact]:
        """The artifacts of those jobs that are finished, by key; looks once into every stage."""
        wanted: dict[str, set[str]] = {stage: set() for stage in PIPELINE}
        for job in jobs:
            wanted[job.stage].add(job.key)
        return {
            key: self._artifact(stage, key)
            for stage, keys in wanted.items()
            for key in self._keys(stage, keys)
        }

    def __contains__(self, job: StageJob) -> bool:
        if (self.root / job.stage / job.key).is_dir():
            return True
        return self._objects is not None and job.key in self._objects.keys(job.stage)

    def artifacts(self) -> Iterator[Artifact]:
        """Every finished artifact, in the order of the pipeline."""
        for stage in PIPELINE:
            yield from (self._artifact(stage, key) for key in sorted(self._keys(stage)))

    def lookup(self, name: str) -> Artifact:
        """The one artifact that ``STAGE/KEY``, or the beginning of a key, means.

        Raises ``StoreError`` if there is none or more than one.
        """
        stage, _, key = name.rpartition("/")
        found = [a for a in self.artifacts() if a.key.startswith(key) and stage in ("", a.stage)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise StoreError(f"{self.name}: no artifact is called {name!r}")
        names = ", ".join(f"{artifact.stage}/{artifact.key}" for artifact in found[:5])
        raise StoreError(f"{name!r} means {len(found)} artifacts: {names}; give more of the key")

    def prepare(self) -> None:
        """Create the store and its format mark.

        Raises ``StoreError`` if it can't be written, ``BucketError`` if objects can't be put.
        """
        mark = self.root / "format.json"
        try:
            self._make_folders()
            if not mark.exists():
                write_json(mark, {"format": FORMAT})
            probe = self.root / ".work" / f".probe-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise StoreError(
                f"{self.root}: the store folder cannot be written ({error.strerror}). Choose "
                "another with --workspace DIR or HIPART_WORKSPACE."
            ) from None
        if self._objects is not None:
            _check_format(f"{self.uri}/format.json", self._objects.prepare(mark.read_bytes()))

    @contextmanager
    def claim(self, job: StageJob) -> Iterator[Path]:
        """Hold a job's work folder; waits while another living process, anywhere, holds it."""
        name = f"{job.stage}-{job.key}"
        work = self.root / ".work" / name
        if self._objects is not None:  # this machine may not have its copy yet
            self._make_folders()
        with ExitStack() as held:
            for leases in self._leases:
                held.enter_context(leases.hold(name))
            work.mkdir(parents=True, exist_ok=True)
            if self._objects is not None:
                self._objects.take_up(name, work)
            yield work

    def leave(self, job: StageJob, work: Path) -> None:
        """Leave a claimed work folder to whoever goes on with the job, perhaps elsewhere."""
        if self._objects is not None:
            self._objects.leave(f"{job.stage}-{job.key}", work)

    def publish(
        self, job: StageJob, work: Path, metrics: dict[str, float], provenance: dict[str, Any]
    ) -> Artifact:
        """Make a claimed work folder the job's artifact, whole and once."""
        texts = {
            "identity.json": json_text(job.identity),
            "metrics.json": json_text(metrics),
            "provenance.json": json_text(provenance),
        }
        for name, text in texts.items():
            (work / name).write_text(text)
        checksums = checksums_of(work)
        (work / CHECKSUMS).write_text(json_text(checksums))
        settle(work)
        if self._objects is not None:
            done = Published(texts, checksums)
            if not self._objects.publish(job.stage, job.key, work, done):
                shutil.rmtree(work)
                self._copy(job.stage, job.key)
                return self._artifact(job.stage, job.key)
        self._appear(work, job.stage, job.key)
        return self._artifact(job.stage, job.key)

    def sift(self, artifacts: Iterable[Artifact]) -> list[str]:
        """Set aside those whose numbers are damaged; what was wrong.

        Weights are looked at when a job is to stand on them.
        """
        told = []
        for artifact in artifacts:
            why = artifact.damage(QUICK_BYTES)
            if why is not None:
                aside = self.set_aside(artifact, why)
                told.append(f"{artifact.stage}/{artifact.key[:8]}: {why}; moved to {aside}")
        return told

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

    def _make_folders(self) -> None:
        for name in (".work", ".leases"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def _artifact(self, stage: str, key: str) -> Artifact:
        return Artifact(self.root, stage, key, self._objects)

    def _keys(self, stage: str, wanted: Set[str] | None = None) -> Set[str]:
        """Keys of finished jobs, all or those that are wanted; their folders are here then."""
        here = folders_in(self.root / stage)
        there: Set[str] = self._objects.keys(stage) - here if self._objects else frozenset()
        if wanted is not None:
            here, there = here & wanted, there & wanted
        copied = zip(there, threads().map(partial(self._copy, stage), there), strict=True)
        return here | {key for key, found in copied if found}

    def _copy(self, stage: str, key: str) -> bool:
        """Get the small files of a job that was done elsewhere; whether it is done."""
        found = self._objects.find(stage, key) if self._objects else None
        if found is None:
            return False
        new = self.root / ".work" / f".copy-{uuid.uuid4().hex}"
        new.mkdir(parents=True)
        for name, text in found.texts.items():
            (new / Path(name).name).write_text(text)
        (new / CHECKSUMS).write_text(json_text(dict(found.checksums)))
        self._appear(new, stage, key)
        return True

    def _appear(self, folder: Path, stage: str, key: str) -> None:
        """Have a folder appear as an artifact, unless somebody was faster."""
        final = self.root / stage / key
        if not final.parent.is_dir():
            final.parent.mkdir(exist_ok=True)
        if not final.is_dir() and os.path.lexists(final):
            self._clear(final)
        try:
            folder.rename(final)
        except OSError:
            if not final.is_dir():
                raise
            shutil.rmtree(folder)

    def _clear(self, file: Path) -> None:
        """Move a file out of the way that lies where an artifact's folder belongs."""
        aside = self.root / ".damaged" / f"{file.parent.name}-{file.name}.{uuid.uuid4().hex}"
        aside.mkdir(parents=True)
        file.rename(aside / file.name)
        (aside / "damage.txt").write_text("a file lay where the folder belongs\n")


def _check_format(place: str, mark: bytes) -> None:
    try:
        found = json.loads(mark)["format"]
    except (ValueError, KeyError, TypeError):
        raise StoreError(f"{place}: not the mark of a hipart-search store") from None
    if not isinstance(found, int) or found > FORMAT:
        raise StoreError(
            f"{place}: the store has format {found}, written by a newer version; this version "
            f"reads format {FORMAT} and older. Upgrade hipart-search or choose another store."
        )
