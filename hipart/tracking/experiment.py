"""The runs of one experiment: which there are, and the status that its jobs give them."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

from hipart.experiment.design import Trial
from hipart.jobs import StageJob, TrialJobs
from hipart.store import Artifact, ArtifactStore
from hipart.tracking.messages import Drawn, Happened
from hipart.tracking.notes import STAGES_NOTE, experiment_note, logged_table, parent_note
from hipart.tracking.records import LOGGED_TAG, NOTE_TAG, RunRecord, RunSpec
from hipart.tracking.runs import RunBook
from hipart.tracking.specs import (
    STAGES,
    Subject,
    data_of,
    parent_spec,
    stage_outcome,
    stage_spec,
    trial_outcome,
    trial_spec,
)

#: The table once more, in the form that MLflow's pages sort and filter.
ARMS_TABLE = "arms.json"


class ExperimentRuns:
    """A parent run, a run per trial, a run per stage job; every method may be repeated.

    ``reused`` are keys of jobs that were finished before this command.
    """

    def __init__(
        self,
        book: RunBook,
        store: ArtifactStore,
        subject: Subject,
        trials: Sequence[tuple[Trial, TrialJobs]],
        reused: Set[str],
    ) -> None:
        self._reused = set(reused)
        self._book, self._store, self._subject = book, store, subject
        self._trials = list(trials)
        self._specs: dict[int, RunSpec] = {}
        self._trials_of: defaultdict[str, list[int]] = defaultdict(list)
        #: Trials of a search by arm and seed; what stopped ones were judged by, and why they were.
        self._drawn: dict[tuple[str, int], int] = {}
        self._stopped: dict[int, tuple[TrialJobs, str]] = {}
        for number, (_, jobs) in enumerate(self._trials):
            self._learn(number, jobs)
        self._artifacts: dict[str, Artifact] = {}
        self._failed: dict[str, str] = {}
        self._begun: set[str] = set()
        book.describe(subject.ablation.name, experiment_note(subject.ablation))
        book.describe(STAGES, STAGES_NOTE)
        self._parent = self._ensure_parent()
        book.set_status(self._parent, "RUNNING")

    def catch_up(self) -> None:
        """Mirror what the store holds, and give every trial its run, whatever is known of them."""
        self._parent = self._ensure_parent()
        self._specs.clear()
        self._artifacts.clear()
        for _, jobs in self._trials:
            self._mirror(jobs)
        for reached, _ in self._stopped.values():
            self._mirror(reached)
        for number in range(len(self._trials)):
            self._show(number)

    def add(self, drawn: Drawn) -> None:
        """A trial of a search, or what became of it."""
        trial = drawn.trial
        name = trial.arm.name, trial.seed
        if name not in self._drawn:
            self._drawn[name] = len(self._trials)
            self._reused |= drawn.reused
            self._trials.append((trial, drawn.jobs))
            self._learn(self._drawn[name], drawn.jobs)
            self._ensure_parent()
        number = self._drawn[name]
        if drawn.stopped:
            self._stopped[number] = drawn.reached, drawn.stopped
        new = {stage: job for stage, job in drawn.reached.items() if job not in drawn.jobs.values()}
        self._learn(number, new)
        self._mirror({**drawn.jobs})
        self._mirror(drawn.reached)
        self._show(number)

    def take_in(self, happened: Sequence[Happened], jobs: Mapping[str, StageJob]) -> None:
        """Bring the runs of these jobs, and those of the trials that need them, up to date.

        Of a job to which several things happened only the last is shown.
        """
        last = {one.key: one for one in happened if one.key in self._trials_of}
        touched: dict[int, None] = {}
        for key, one in last.items():
            job = jobs[key]
            if one.kind != "reused":
                self._begun.add(key)
            match one.kind:
                case "started":
                    self._artifacts.pop(key, None)
                    self._book.set_status(self._book.ensure(self._stage_spec(job)), "RUNNING")
                case "finished":
                    self._artifacts.pop(key, None)  # it may have been trained anew
                    self._mirror({job.stage: job})
                case "reused":
                    self._mirror({job.stage: job})
                case "failed":
                    self._failed[key] = one.error
                    self._book.fail(self._book.ensure(self._stage_spec(job)), one.error)
            touched |= dict.fromkeys(self._trials_of[key])
        for number in touched:
            self._show(number)

    def attach(self, files: Sequence[Path]) -> None:
        """Tables and figures, at the parent run, whose description has the table, too."""
        tables = {file.name: file for file in files if file.suffix in (".csv", ".md")}
        texts: dict[str, str] = {}
        tags: dict[str, str] = {}
        if "table.csv" in tables:
            texts[ARMS_TABLE] = logged_table(tables["table.csv"].read_text(encoding="utf-8"))
            tags[LOGGED_TAG] = json.dumps([{"path": ARMS_TABLE, "type": "table"}])
        if "table.md" in tables:
            table = tables["table.md"].read_text(encoding="utf-8")
            tags[NOTE_TAG] = parent_note(self._subject.ablation, self._all_trials(), table)
        self._book.attach(self._parent, files, texts)
        if self._trials:
            self._book.take(self._parent, data_of(self._subject, self._trials[0][0]))
        spec = self._parent_spec()
        self._book.ensure(replace(spec, tags={**spec.tags, **tags}))

    def end(self, status: str) -> None:
        """End the parent with ``status``; whatever is still open is KILLED."""
        specs = [self._spec(number) for number in range(len(self._trials))]
        for _, jobs in self._trials:
            specs += [self._stage_spec(job) for job in jobs.values() if job.key in self._begun]
        for spec in specs:
            record = self._book.ensure(spec)
            if record.status in ("RUNNING", "SCHEDULED"):
                self._book.set_status(record, "KILLED")
        self._book.set_status(self._parent, status)

    def _ensure_parent(self) -> RunRecord:
        note = parent_note(self._subject.ablation, self._all_trials())
        return self._book.ensure(self._parent_spec(), {NOTE_TAG: note})

    def _parent_spec(self) -> RunSpec:
        return parent_spec(self._subject, self._all_trials())

    def _all_trials(self) -> list[Trial]:
        return [trial for trial, _ in self._trials]

    def _stage_spec(self, job: StageJob) -> RunSpec:
        users = [self._trials[number][0] for number in self._trials_of[job.key]]
        return stage_spec(job, self._subject.ablation.name, users)

    def _mirror(self, jobs: Mapping[str, StageJob]) -> None:
        for job in jobs.values():
            known = job.key in self._artifacts
            artifact = None if known else self._store.find(job.stage, job.key)
            if artifact is not None:
                self._book.complete(self._stage_spec(job), stage_outcome(artifact))
                self._artifacts[job.key] = artifact
                self._failed.pop(job.key, None)

    def _learn(self, number: int, jobs: Mapping[str, StageJob]) -> None:
        for job in jobs.values():
            self._trials_of[job.key].append(number)

    def _spec(self, number: int) -> RunSpec:
        if number not in self._specs:
            pair = self._trials[number]
            self._specs[number] = trial_spec(self._subject, *pair, self._parent.run_id)
        return self._specs[number]

    def _show(self, number: int) -> None:
        """Give the trial's run the status that its jobs imply.

        As in tables it is finished with its final jobs. Where another stage was lost since, a run
        that is finished keeps the numbers which it has of all stages.
        """
        _, jobs = self._trials[number]
        judged_by, why = self._stopped.get(number, (jobs, ""))
        keys = [job.key for job in judged_by.values()]
        done = {
            name: self._artifacts[job.key]
            for name, job in judged_by.items()
            if job.key in self._artifacts
        }
        spec = self._spec(number)
        reused = [stage for stage, job in jobs.items() if job.key in self._reused]
        born = {"reused": ", ".join(reused) or "none"}
        errors = [self._failed[key] for key in keys if key in self._failed]
        if all(job.key in self._artifacts for job in judged_by.final):
            whole = len(done) == len(keys)
            if whole or self._book.ensure(spec, born).status != "FINISHED":
                trial = self._trials[number][0]
                self._book.complete(spec, trial_outcome(self._subject, trial, done, why), born)
        elif errors:
            self._book.fail(self._book.ensure(spec, born), errors[0])
        else:
            begun = not self._begun.isdisjoint(keys)
            status = "RUNNING" if begun else "SCHEDULED"
            self._book.set_status(self._book.ensure(spec, born), status)
