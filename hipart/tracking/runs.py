"""MLflow runs under identities of our own: each is found before it would be made a second time.

An identity is a tag, so it survives any crash; looking up and making happen under one file
lock, so two commands that share a workspace make one run. ``mlflow`` is imported here and only
when a ``RunBook`` is opened, which takes seconds.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from filelock import FileLock

if TYPE_CHECKING:
    from mlflow import MlflowClient

T = TypeVar("T")

NOTHING: Mapping[str, str] = MappingProxyType({})

ID_TAG = "hipart.id"
STAMP_TAG = "hipart.stamp"
ERROR_TAG = "error"
NOTE_TAG = "mlflow.note.content"
PARENT_TAG = "mlflow.parentRunId"

#: MLflow without its banners, telemetry and calls of git.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
#: What goes into one call, of MLflow's 1,000 entries in all, and how long a value may be.
METRICS_PER_CALL, PARAMS_PER_CALL, VALUE_LENGTH, ERROR_LENGTH = 800, 100, 6000, 5000


class Point(NamedTuple):
    """One value of a metric. Equal points are one point to MLflow, so logging twice is safe."""

    name: str
    value: float
    milliseconds: int
    step: int = 0


@dataclass(frozen=True)
class RunSpec:
    """What a run is before anything has happened in it. Its tags are kept up to date."""

    experiment: str
    identity: str
    name: str
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """How a run ended well: an equal ``stamp`` says that it is this very outcome."""

    stamp: str
    started_ms: int
    ended_ms: int
    tags: Mapping[str, str]
    points: Callable[[], Iterable[Point]]


@dataclass
class RunRecord:
    """A run as MLflow holds it now."""

    run_id: str
    status: str
    tags: dict[str, str]
    params: frozenset[str]


def quiet() -> None:
    """Silence MLflow in this process and those it starts; must come before its import."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def now_ms() -> int:
    """The time, as MLflow counts it."""
    return time.time_ns() // 1_000_000


class RunBook:
    """The runs of one sqlite database. One thread at a time."""

    def __init__(self, database: Path, artifacts: Path) -> None:
        """Open the database; it is made first if it is not there."""
        quiet()
        database, self._artifacts = database.absolute(), artifacts.absolute()
        database.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(database.with_suffix(".lock"))
        self._experiments: dict[str, str] = {}
        self._records: dict[str, RunRecord] = {}
        with self._lock:
            if not database.exists():
                _create(database)
            self._client = _open(database)

    @property
    def known(self) -> int:
        """Runs that were made or looked up."""
        return len(self._records)

    def ensure(self, spec: RunSpec, born: Mapping[str, str] = NOTHING) -> RunRecord:
        """The one run of this identity, made if need be; only a new one is tagged ``born``."""
        record = self._record(spec, now_ms(), born)
        self._log(record, params=spec.params, tags=spec.tags)
        return record

    def complete(self, spec: RunSpec, outcome: Outcome, born: Mapping[str, str] = NOTHING) -> None:
        """Finish the run with this outcome; one with another outcome gives way to a new run."""
        record = self._record(spec, outcome.started_ms, born)
        known = record.tags.get(STAMP_TAG)
        if known is not None and known != outcome.stamp:
            self._client.delete_run(record.run_id)
            del self._records[spec.identity]
            record = self._record(spec, outcome.started_ms, born)
        if known == outcome.stamp:
            self._log(record, params=spec.params, tags=spec.tags)
        else:
            tags = {**spec.tags, **outcome.tags, STAMP_TAG: outcome.stamp}
            self._log(record, outcome.points(), spec.params, tags)
        if record.tags.pop(ERROR_TAG, None) is not None:
            self._client.delete_tag(record.run_id, ERROR_TAG)
        self.set_status(record, "FINISHED", outcome.ended_ms)

    def set_status(self, record: RunRecord, status: str, at_ms: int | None = None) -> None:
        """Move a run to a status of MLflow's; nothing happens if it has it."""
        if record.status == status:
            return
        if status in ("RUNNING", "SCHEDULED"):
            self._client.update_run(record.run_id, status=status)
        else:
            self._client.set_terminated(record.run_id, status, at_ms or now_ms())
        record.status = status

    def fail(self, record: RunRecord, error: str) -> None:
        """End a run badly; the reason goes away when it is completed after all."""
        self._log(record, tags={ERROR_TAG: error[:ERROR_LENGTH]})
        self.set_status(record, "FAILED")

    def attach(self, record: RunRecord, files: Iterable[Path]) -> None:
        """Copy files into the run's artifact folder, over those of the same name."""
        for file in files:
            self._client.log_artifact(record.run_id, str(file))

    def _find(self, spec: RunSpec) -> RunRecord | None:
        # An identity is made here, of letters, digits and colons: nothing to quote.
        runs = self._client.search_runs(
            [self._experiment(spec.experiment)], f"tags.`{ID_TAG}` = '{spec.identity}'"
        )
        return _record(runs[0]) if runs else None

    def _make(self, spec: RunSpec, started_ms: int, born: Mapping[str, str]) -> RunRecord:
        tags = {**spec.tags, **born, ID_TAG: spec.identity}
        experiment = self._experiment(spec.experiment)
        return _record(self._client.create_run(experiment, started_ms, tags, spec.name))

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            found = self._client.get_experiment_by_name(name)
            if found is None:
                place = (self._artifacts / name).as_uri()
                self._experiments[name] = self._client.create_experiment(name, place)
            else:
                if found.lifecycle_stage == "deleted":
                    self._client.restore_experiment(found.experiment_id)
                self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _record(self, spec: RunSpec, started_ms: int, born: Mapping[str, str]) -> RunRecord:
        record = self._records.get(spec.identity)
        if record is None:
            with self._lock:
                record = self._find(spec) or self._make(spec, started_ms, born)
            self._records[spec.identity] = record
        return record

    def _log(
        self,
        record: RunRecord,
        points: Iterable[Point] = (),
        params: Mapping[str, str] = NOTHING,
        tags: Mapping[str, str] = NOTHING,
    ) -> None:
        """Log points, and those params and tags that differ; tags last, so that they vouch for all.

        In as few calls as can be: each costs about as much as everything in it.
        """
        from mlflow.entities import Param, RunTag

        missing = {k: v for k, v in params.items() if k not in record.params}
        changed = {k: v for k, v in tags.items() if record.tags.get(k) != v}
        entries = [Param(name, value[:VALUE_LENGTH]) for name, value in missing.items()]
        *early_points, last_points = list(_chunks(points, METRICS_PER_CALL)) or [[]]
        *early_entries, last_entries = list(_chunks(entries, PARAMS_PER_CALL)) or [[]]
        for some in early_points:
            self._client.log_batch(record.run_id, metrics=_metrics(some))
        for few in early_entries:
            self._client.log_batch(record.run_id, params=few)
        if last_points or last_entries or changed:
            self._client.log_batch(
                record.run_id,
                metrics=_metrics(last_points),
                params=last_entries,
                tags=[RunTag(name, value) for name, value in changed.items()],
            )
        record.params |= set(missing)
        record.tags |= changed


def _open(database: Path) -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{database}")


def _create(database: Path) -> None:
    """Make the database appear whole: MLflow can't open one whose making was interrupted."""
    folder = database.with_name(".mlflow-new")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    _open(folder / database.name)
    (folder / database.name).rename(database)
    shutil.rmtree(folder)


def _record(run: Any) -> RunRecord:
    data = run.data
    return RunRecord(run.info.run_id, run.info.status, dict(data.tags), frozenset(data.params))


def _metrics(points: Iterable[Point]) -> list[Any]:
    from mlflow.entities import Metric

    return [Metric(re.sub(r"[^\w\-. :/]", "_", point.name), *point[1:]) for point in points]


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
