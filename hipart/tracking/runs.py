"""MLflow runs under identities of our own: each is found before it would be made a second time.

An identity is a tag, so it survives any crash; looking up and making happen under one file
lock, so two commands that share a workspace make one run. Those who share a server have no lock:
each looks again when it has made a run, and where there are two all keep the one that was made
first.
"""

import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial, wraps
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Concatenate, ParamSpec, TypeVar

from filelock import FileLock

from hipart.tracking.datasets import DataUsed, as_inputs
from hipart.tracking.opening import at_database, at_server, is_away
from hipart.tracking.patience import Patience
from hipart.tracking.records import (
    ERROR_TAG,
    ID_TAG,
    KIND_TAG,
    MADE_TAG,
    NOTE_TAG,
    STAMP_TAG,
    Outcome,
    Point,
    RunRecord,
    RunSpec,
)

P = ParamSpec("P")
T = TypeVar("T")

NOTHING: Mapping[str, str] = MappingProxyType({})

#: What goes into one call, of MLflow's 1,000 entries in all, and how long a value may be.
METRICS_PER_CALL, PARAMS_PER_CALL, VALUE_LENGTH, ERROR_LENGTH = 800, 100, 6000, 5000


def now_ms() -> int:
    """The time, as MLflow counts it."""
    return time.time_ns() // 1_000_000


def _insistent(
    method: Callable[Concatenate["RunBook", P], T],
) -> Callable[Concatenate["RunBook", P], T]:
    """A method that waits for a server that is away."""

    @wraps(method)
    def insist(book: "RunBook", /, *arguments: P.args, **named: P.kwargs) -> T:
        return book._insist(partial(method, book, *arguments, **named))

    return insist


class RunBook:
    """The runs of one sqlite database, or of a server. One thread at a time.

    A server that is away is waited for with ``patience``: a call ends when it has been served.
    """

    def __init__(
        self,
        database: Path,
        artifacts: Path,
        address: str | None = None,
        patience: Patience | None = None,
    ) -> None:
        """Open the database, which is made first if it is not there; or the server there is."""
        self._patience = patience or Patience()
        self._experiments: dict[str, str] = {}
        self._records: dict[str, RunRecord] = {}
        #: Identities of runs made at a server, and what tells them from those that others made.
        self._made: set[str] = set()
        self._maker = uuid.uuid4().hex[:12]
        self._remote = address is not None
        self._lock: AbstractContextManager[object] = nullcontext()
        database, self._artifacts = database.absolute(), artifacts.absolute()
        if address is not None:
            self.client = at_server(address)
            return
        database.parent.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(database.with_suffix(".lock"))
        with self._lock:
            self.client = at_database(database)

    @property
    def known(self) -> int:
        """Runs that were made or looked up."""
        return len(self._records)

    @_insistent
    def find(self, spec: RunSpec) -> RunRecord | None:
        """The run of this identity, if there is one."""
        return self._find(spec)

    def forget_made(self) -> None:
        """Look up anew what was made here: another host may have made the same, and earlier."""
        for identity in self._made:
            self._records.pop(identity, None)
        self._made.clear()

    @_insistent
    def ensure(self, spec: RunSpec, born: Mapping[str, str] = NOTHING) -> RunRecord:
        """The one run of this identity, made if need be; only a new one is tagged ``born``."""
        with self._looking_again(spec):
            record = self._record(spec, now_ms(), born)
            self._log(record, params=spec.params, tags=spec.tags)
        return record

    @_insistent
    def complete(self, spec: RunSpec, outcome: Outcome, born: Mapping[str, str] = NOTHING) -> None:
        """Finish the run with this outcome; one with another outcome gives way to a new run."""
        with self._looking_again(spec):
            record = self._record(spec, outcome.started_ms, born)
            known = record.tags.get(STAMP_TAG)
            if known is not None and known != outcome.stamp:
                self.client.delete_run(record.run_id)
                del self._records[spec.identity]
                record = self._record(spec, outcome.started_ms, born)
            if known == outcome.stamp:
                self._log(record, params=spec.params, tags=spec.tags)
            else:
                self._take(record, outcome.data)
                tags = {**spec.tags, **outcome.tags, STAMP_TAG: outcome.stamp}
                self._log(record, outcome.points(), spec.params, tags)
            if record.tags.pop(ERROR_TAG, None) is not None:
                self.client.delete_tag(record.run_id, ERROR_TAG)
            self.set_status(record, "FINISHED", outcome.ended_ms)

    @_insistent
    def set_status(self, record: RunRecord, status: str, at_ms: int | None = None) -> None:
        """Move a run to a status of MLflow's; nothing happens if it has it."""
        if record.status == status:
            return
        if status in ("RUNNING", "SCHEDULED"):
            self.client.update_run(record.run_id, status=status)
        else:
            self.client.set_terminated(record.run_id, status, at_ms or now_ms())
        record.status = status

    @_insistent
    def fail(self, record: RunRecord, error: str) -> None:
        """End a run badly; the reason goes away when it is completed after all."""
        self._log(record, tags={ERROR_TAG: error[:ERROR_LENGTH]})
        self.set_status(record, "FAILED")

    @_insistent
    def describe(self, experiment: str, note: str) -> None:
        """Give an MLflow experiment its description, and the views of one that trains models."""
        place = self._experiment(experiment)
        held = self.client.get_experiment(place).tags
        for name, value in ((NOTE_TAG, note), (KIND_TAG, "custom_model_development")):
            if held.get(name) != value:
                self.client.set_experiment_tag(place, name, value)

    @_insistent
    def attach(
        self, record: RunRecord, files: Iterable[Path], texts: Mapping[str, str] = NOTHING
    ) -> None:
        """Copy files, and texts by name, into the run's artifacts, over those of the same name."""
        for file in files:
            self.client.log_artifact(record.run_id, str(file))
        for name, text in texts.items():
            self.client.log_text(record.run_id, text, name)

    @_insistent
    def take(self, record: RunRecord, data: Sequence[DataUsed]) -> None:
        """Name the data that a run took; once or again."""
        self._take(record, data)

    def _take(self, record: RunRecord, data: Sequence[DataUsed]) -> None:
        if data:
            self.client.log_inputs(record.run_id, datasets=as_inputs(data))

    def _insist(self, call: Callable[[], T]) -> T:
        return self._patience.insist(call, is_away) if self._remote else call()

    @contextmanager
    def _looking_again(self, spec: RunSpec) -> Iterator[None]:
        """What a call that failed has done is known to the server alone, which is asked again."""
        try:
            yield
        except Exception:
            self._records.pop(spec.identity, None)
            raise

    def _find(self, spec: RunSpec) -> RunRecord | None:
        """The oldest run of this identity; others of them that were made here are deleted."""
        # An identity is made here, of letters, digits and colons: nothing to quote.
        runs = self.client.search_runs(
            [self._experiment(spec.experiment)], f"tags.`{ID_TAG}` = '{spec.identity}'"
        )
        found = sorted(map(_record, runs), key=lambda run: (run.tags.get(MADE_TAG, ""), run.run_id))
        for other in found[1:]:
            if other.tags.get(MADE_TAG, "").endswith(self._maker):
                self.client.delete_run(other.run_id)
        return found[0] if found else None

    def _make(self, spec: RunSpec, started_ms: int, born: Mapping[str, str]) -> RunRecord:
        made = f"{now_ms()} {self._maker}"
        tags = {**spec.tags, **born, ID_TAG: spec.identity, MADE_TAG: made}
        experiment = self._experiment(spec.experiment)
        return _record(self.client.create_run(experiment, started_ms, tags, spec.name))

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            found = self.client.get_experiment_by_name(name)
            if found is None:
                self._experiments[name] = self._make_experiment(name)
            else:
                if found.lifecycle_stage == "deleted":
                    self.client.restore_experiment(found.experiment_id)
                self._experiments[name] = found.experiment_id
        return self._experiments[name]

    def _make_experiment(self, name: str) -> str:
        from mlflow.exceptions import MlflowException

        # A server takes files in and keeps them where it was told to.
        place = None if self._remote else (self._artifacts / name).as_uri()
        try:
            return self.client.create_experiment(name, place)
        except MlflowException as error:
            found = self.client.get_experiment_by_name(name)
            if error.error_code != "RESOURCE_ALREADY_EXISTS" or found is None:
                raise
            return found.experiment_id  # another host was quicker

    def _record(self, spec: RunSpec, started_ms: int, born: Mapping[str, str]) -> RunRecord:
        record = self._records.get(spec.identity)
        if record is None:
            with self._lock:
                record = self._find(spec)
                if record is None:
                    record = self._make(spec, started_ms, born)
                    if self._remote:
                        self._made.add(spec.identity)
                        record = self._find(spec) or record
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
            self.client.log_batch(record.run_id, metrics=_metrics(some))
        for few in early_entries:
            self.client.log_batch(record.run_id, params=few)
        if last_points or last_entries or changed:
            self.client.log_batch(
                record.run_id,
                metrics=_metrics(last_points),
                params=last_entries,
                tags=[RunTag(name, value) for name, value in changed.items()],
            )
        record.params |= set(missing)
        record.tags |= changed


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
