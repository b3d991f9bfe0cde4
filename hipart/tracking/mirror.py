"""The MLflow mirror: a listener that shows what the store holds, never a source.

One MLflow experiment per experiment file, with a parent run and a child run per trial, and one
called ``stages`` with a run per distinct stage job, which all experiments share. What the store
holds is mirrored at the start and again at the end, so the mirror catches up with whatever
happened while nobody looked: any number of crashes leaves one run per trial and per job.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from queue import SimpleQueue

from hipart.experiment.design import Trial
from hipart.experiment.form import Ablation
from hipart.pipeline import StageJob
from hipart.runtime import Runtime
from hipart.scheduling.events import Event
from hipart.store import ArtifactStore
from hipart.tracking.experiment import ExperimentRuns
from hipart.tracking.runs import RunBook
from hipart.tracking.server import artifact_folder
from hipart.tracking.specs import Subject

#: How long ``close`` waits for what is still queued.
FLUSH_S = 600.0

_log = logging.getLogger(__name__)


class MlflowMirror:
    """Mirrors one experiment into MLflow, on a thread of its own.

    Calls return at once. No error of MLflow's reaches the caller: the first is told to
    ``on_warning``, from that thread.
    """

    def __init__(
        self,
        runtime: Runtime,
        ablation: Ablation,
        trials: Sequence[Trial],
        trial_jobs: Sequence[Mapping[str, StageJob]],
        store: ArtifactStore,
        data_fingerprint: str,
        on_warning: Callable[[str], None] = _log.warning,
    ) -> None:
        pairs = list(zip(trials, trial_jobs, strict=True))
        # Looked up now: once the thread has opened MLflow, jobs of this very run may be there.
        reused = {job.key for _, jobs in pairs for job in jobs.values() if job in store}

        def opened() -> ExperimentRuns:
            book = RunBook(runtime.tracking_database, artifact_folder(runtime))
            return ExperimentRuns(book, store, Subject(ablation, data_fingerprint), pairs, reused)

        self._store = store
        self._on_warning = on_warning
        self._warned = False
        self._queue: SimpleQueue[Callable[[ExperimentRuns], None] | None] = SimpleQueue()
        self._thread = threading.Thread(
            target=self._work, args=(opened,), name="mlflow-mirror", daemon=True
        )
        self._queue.put(ExperimentRuns.catch_up)
        self._thread.start()

    def __call__(self, event: Event) -> None:
        """Take note of what happened to a job."""
        self._queue.put(lambda runs: runs.on(event))

    def add(self, trial: Trial, jobs: Mapping[str, StageJob]) -> None:
        """Take note of a trial that a search has just drawn."""
        reused = {job.key for job in jobs.values() if job in self._store}
        self._queue.put(lambda runs: runs.add(trial, jobs, reused))

    def finish(self, files: Iterable[Path] = ()) -> None:
        """The command is done: attach tables and figures, end every run, wait for MLflow."""
        attached = list(files)
        self._queue.put(ExperimentRuns.catch_up)
        self._queue.put(lambda runs: runs.attach(attached))
        self._queue.put(lambda runs: runs.end("FINISHED"))
        self.close()

    def abort(self) -> None:
        """The command was stopped: what is not finished is KILLED."""
        self._queue.put(lambda runs: runs.end("KILLED"))
        self.close()

    def close(self) -> None:
        """Wait until everything said so far is in MLflow; nothing is listened to afterwards."""
        self._queue.put(None)
        self._thread.join(FLUSH_S)
        if self._thread.is_alive():
            self._warn(f"still busy after {FLUSH_S:.0f} s")

    def _work(self, opened: Callable[[], ExperimentRuns]) -> None:
        runs: ExperimentRuns | None = None
        try:
            runs = opened()
        except Exception as error:
            self._warn(f"{type(error).__name__}: {error}")
        while (action := self._queue.get()) is not None:
            if runs is not None:
                try:
                    action(runs)
                except Exception as error:
                    self._warn(f"{type(error).__name__}: {error}")

    def _warn(self, what: str) -> None:
        if not self._warned:
            self._warned = True
            self._on_warning(
                f"MLflow could not be written ({what}). Nothing is lost: results are in the store, "
                "and the same command, given again, completes the mirror."
            )
