"""The runs of one experiment: which there are, and the status that its jobs give them."""

from collections.abc import Mapping, Sequence, Set
from pathlib import Path

from hipart.experiment.design import Trial
from hipart.pipeline import StageJob
from hipart.scheduling.events import Event, JobFailed, JobFinished, JobReused, JobStarted
from hipart.store import Artifact, ArtifactStore
from hipart.tracking.runs import RunBook, RunRecord
from hipart.tracking.specs import (
    Subject,
    parent_spec,
    stage_outcome,
    stage_spec,
    trial_outcome,
    trial_spec,
)

TrialJobs = tuple[Trial, Mapping[str, StageJob]]


class ExperimentRuns:
    """A parent run, a run per trial, a run per stage job; every method may be repeated.

    ``reused`` are keys of jobs that were finished before this command.
    """

    def __init__(
        self,
        book: RunBook,
        store: ArtifactStore,
        subject: Subject,
        trials: Sequence[TrialJobs],
        reused: Set[str],
    ) -> None:
        self._reused = set(reused)
        self._book, self._store, self._subject = book, store, subject
        self._trials = list(trials)
        self._artifacts: dict[str, Artifact] = {}
        self._failed: dict[str, str] = {}
        self._begun: set[str] = set()
        self._parent = self._ensure_parent()
        book.set_status(self._parent, "RUNNING")

    def catch_up(self) -> None:
        """Mirror what the store holds, and give every trial its run."""
        for _, jobs in self._trials:
            self._mirror(jobs)
        for trial, jobs in self._trials:
            self._show(trial, jobs)

    def add(self, trial: Trial, jobs: Mapping[str, StageJob], reused: Set[str]) -> None:
        """One more trial."""
        self._reused |= reused
        self._trials.append((trial, jobs))
        self._ensure_parent()
        self._mirror(jobs)
        self._show(trial, jobs)

    def on(self, event: Event) -> None:
        """Bring the job's run, and those of the trials that need the job, up to date."""
        job = event.job
        match event:
            case JobStarted():
                self._artifacts.pop(job.key, None)
                self._begun.add(job.key)
                self._book.set_status(self._book.ensure(stage_spec(job)), "RUNNING")
            case JobFinished() | JobReused():
                self._mirror({job.stage: job})
            case JobFailed():
                self._failed[job.key] = event.error
                self._book.fail(self._book.ensure(stage_spec(job)), event.error)
            case _:
                return
        for trial, jobs in self._trials:
            if job.stage in jobs and jobs[job.stage].key == job.key:
                self._show(trial, jobs)

    def attach(self, files: Sequence[Path]) -> None:
        """Tables and figures, at the parent run."""
        self._book.attach(self._parent, files)

    def end(self, status: str) -> None:
        """End the parent with ``status``; whatever is still open is KILLED."""
        specs = [trial_spec(self._subject, *pair, self._parent.run_id) for pair in self._trials]
        for _, jobs in self._trials:
            specs += [stage_spec(job) for job in jobs.values() if job.key in self._begun]
        for spec in specs:
            record = self._book.ensure(spec)
            if record.status in ("RUNNING", "SCHEDULED"):
                self._book.set_status(record, "KILLED")
        self._book.set_status(self._parent, status)

    def _ensure_parent(self) -> RunRecord:
        return self._book.ensure(parent_spec(self._subject, [trial for trial, _ in self._trials]))

    def _mirror(self, jobs: Mapping[str, StageJob]) -> None:
        for job in jobs.values():
            known = job.key in self._artifacts
            artifact = None if known else self._store.find(job.stage, job.key)
            if artifact is not None:
                self._book.complete(stage_spec(job), stage_outcome(artifact))
                self._artifacts[job.key] = artifact
                self._failed.pop(job.key, None)

    def _show(self, trial: Trial, jobs: Mapping[str, StageJob]) -> None:
        """Give the trial's run the status that its jobs imply."""
        keys = [job.key for job in jobs.values()]
        done = [self._artifacts[key] for key in keys if key in self._artifacts]
        spec = trial_spec(self._subject, trial, jobs, self._parent.run_id)
        reused = [stage for stage, job in jobs.items() if job.key in self._reused]
        record = self._book.ensure(spec, reused=", ".join(reused) or "none")
        errors = [self._failed[key] for key in keys if key in self._failed]
        if len(done) == len(keys):
            self._book.complete(spec, trial_outcome(done))
        elif errors:
            self._book.fail(record, errors[0])
        else:
            begun = not self._begun.isdisjoint(keys)
            self._book.set_status(record, "RUNNING" if begun else "SCHEDULED")
