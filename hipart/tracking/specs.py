"""What a trial, a stage job and an experiment look like in MLflow: names, params, tags, metrics.

An identity holds everything that makes a run another run, and nothing else: the same command
finds the same parent, a changed config is another trial, and a stage job is its key.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hipart.experiment.design import Trial
from hipart.experiment.form import Ablation
from hipart.experiment.metrics import MetricChoice
from hipart.jobs import StageJob, canonical_json
from hipart.store import Artifact
from hipart.tracking.datasets import DataUsed, splits_used
from hipart.tracking.notes import told, trial_name, trial_note
from hipart.tracking.records import NOTE_TAG, PARENT_TAG, TAG_LENGTH, Outcome, Point, RunSpec
from hipart.tracking.runs import now_ms

STAGES = "stages"
#: How many trials that use a stage job are named in its run's tags.
MOST_NAMED = 20
SOURCE_TAG, SOURCE_TYPE_TAG, GIT_TAG = (
    "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit"
)  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """What is mirrored: an ablation on its data."""

    ablation: Ablation
    data_fingerprint: str

    @property
    def head(self) -> dict[str, str]:
        """Where every trial of it belongs, as tags."""
        return {
            "experiment": self.ablation.name,
            "scale": str(self.ablation.scale),
            "preset": str(self.ablation.preset),
            "data": self.data_fingerprint,
        }

    @property
    def source(self) -> dict[str, str]:
        """What made its runs, where MLflow looks for it."""
        ablation = self.ablation
        command = f"hipart-search run {ablation.name} --scale {ablation.scale}"
        return {SOURCE_TAG: command, SOURCE_TYPE_TAG: "LOCAL"}

    @property
    def columns(self) -> tuple[MetricChoice, ...]:
        """The metrics of its table, the one that is compared first."""
        return (self.ablation.metric, *self.ablation.also)


def parent_spec(subject: Subject, trials: Sequence[Trial]) -> RunSpec:
    """The run that holds an experiment's trials, its tables and its figures."""
    ablation = subject.ablation
    return RunSpec(
        experiment=ablation.name,
        identity=_identity("parent", *subject.head.values()),
        name=f"{ablation.name} · {ablation.scale}",
        tags={
            **subject.head,
            **subject.source,
            "kind": "experiment",
            "trials": str(len(trials)),
        },
    )


def trial_spec(
    subject: Subject, trial: Trial, jobs: Mapping[str, StageJob], parent_run_id: str
) -> RunSpec:
    """The run of an arm with a seed, beneath its experiment's."""
    arm = trial.arm
    place = {
        "arm": arm.name,
        "factor": str(arm.factor or "base"),
        "level": str(arm.level or "base"),
        "seed": str(trial.seed),
    }
    last = list(jobs.values())[-1]
    # What follows from the seed is left out: it would come first wherever trials are compared.
    seeded = {f"{stage}.seed" for stage in subject.ablation.reseed}
    settings = dict(_dotted(trial.config.model_dump(mode="json")))
    return RunSpec(
        experiment=subject.ablation.name,
        identity=_identity("trial", *subject.head.values(), arm.name, trial.seed, last.key),
        name=trial_name(trial),
        tags={
            **subject.head,
            **subject.source,
            **place,
            "kind": "trial",
            "changes": canonical_json(arm.changes)[:TAG_LENGTH],
            NOTE_TAG: trial_note(subject.ablation, trial, jobs),
            **{f"{stage}_key": job.key for stage, job in jobs.items()},
            PARENT_TAG: parent_run_id,
        },
        params={
            "arm": arm.name,
            "seed": str(trial.seed),
            **{name: value for name, value in settings.items() if name not in seeded},
        },
    )


def stage_spec(job: StageJob, experiment: str = "", users: Sequence[Trial] = ()) -> RunSpec:
    """The run of a stage job, for every trial and experiment that needs it.

    ``users`` are the trials of ``experiment`` that need it. It keeps the name that its first ones
    give it; each experiment has a tag of its own for them.
    """
    names = [trial_name(trial) for trial in users]
    called = f" · {told(names, 1)}" if names else ""
    used_by = {f"used_by.{tag_name(experiment)}": told(names, MOST_NAMED)} if names else {}
    return RunSpec(
        experiment=STAGES,
        identity=f"job:{job.stage}:{job.key}",
        name=f"{job.stage} {job.key[:8]}{called}",
        tags={
            **used_by,
            "kind": "stage",
            "stage": job.stage,
            "key": job.key,
            "data": str(job.identity["data"]),
            **{f"{stage}_key": key for stage, key in job.needs.items()},
        },
        params=dict(_dotted(job.identity)),
    )


def stage_outcome(artifact: Artifact) -> Outcome:
    """How a finished job ended: its history, its final numbers, who computed them and when."""
    provenance = artifact.provenance
    began, ended = _span(artifact)

    def points() -> Iterator[Point]:
        yield from _history(artifact)
        yield from _final(artifact)
        yield _seconds([artifact])

    return Outcome(
        stamp=_stamp(artifact),
        started_ms=began,
        ended_ms=ended,
        tags=_git(artifact)
        | {
            name: str(provenance.get(name))
            for name in ("commit", "dirty", "host", "device", "seconds", "array")
        },
        points=points,
    )


def trial_outcome(
    subject: Subject, trial: Trial, done: Mapping[str, Artifact], stopped: str = ""
) -> Outcome:
    """How a finished trial ended: the final numbers of all its stages; or why it was stopped.

    ``done`` are the artifacts by the names of their jobs in the trial. Variants of a stage's job
    add their seconds, and no numbers of their own.
    The columns of the table are there under their plain names, too, so that they come first
    wherever runs are compared.
    """

    def points() -> Iterator[Point]:
        held = {name: artifact for name, artifact in done.items() if name == artifact.stage}
        plain = {}
        for column in subject.columns:
            value = held[column.stage].metrics.get(column.name) if column.stage in held else None
            if value is not None and column.name not in plain:
                at = _span(held[column.stage])[1]
                plain[column.name] = Point(column.name, value, at)
        yield from plain.values()
        for artifact in held.values():
            yield from _final(artifact)
        yield _seconds(artifacts)

    artifacts = list(done.values())
    last = artifacts[-1]
    return Outcome(
        stamp=_identity("of", *map(_stamp, artifacts)),
        started_ms=now_ms(),
        ended_ms=now_ms(),
        tags={
            **_git(last),
            "commit": str(last.provenance.get("commit")),
            **({"stopped": stopped} if stopped else {}),
        },
        points=points,
        data=data_of(subject, trial),
    )


def data_of(subject: Subject, trial: Trial) -> tuple[DataUsed, ...]:
    """The splits that a trial learns from and is measured on."""
    config = trial.config
    return splits_used(config.data, subject.data_fingerprint, config.evaluation.split)


def tag_name(text: str) -> str:
    """Text as MLflow takes it in the name of a tag."""
    return re.sub(r"[^\w\-. /]", "_", text)


def _git(artifact: Artifact) -> dict[str, str]:
    """The commit, where MLflow looks for it."""
    commit = artifact.provenance.get("commit")
    return {GIT_TAG: commit} if commit else {}


def _seconds(artifacts: Sequence[Artifact]) -> Point:
    """What was computed for this, whenever that was."""
    seconds = sum(float(artifact.provenance["seconds"]) for artifact in artifacts)
    return Point("seconds", seconds, max(_span(artifact)[1] for artifact in artifacts))


def _identity(kind: str, *parts: object) -> str:
    text = canonical_json([str(part) for part in parts])
    return f"{kind}:{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _dotted(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", str(value)


def _stamp(artifact: Artifact) -> str:
    return f"{artifact.provenance['started_at']} {artifact.provenance['seconds']}"


def _span(artifact: Artifact) -> tuple[int, int]:
    """When the job began and ended, in milliseconds."""
    provenance = artifact.provenance
    began = datetime.fromisoformat(provenance["started_at"]).timestamp()
    seconds = provenance.get("array_seconds", provenance["seconds"])
    return round(began * 1000), round((began + seconds) * 1000)


def _final(artifact: Artifact) -> Iterator[Point]:
    for name, value in artifact.metrics.items():
        yield Point(f"{artifact.stage}/{name}", value, _span(artifact)[1])


def _history(artifact: Artifact) -> Iterator[Point]:
    """Every history row, at a time between the job's begin and end that its step implies."""
    file = artifact.file("history.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    began, ended = _span(artifact)
    total = max((row["step"] for row in rows), default=0) or 1
    for row in rows:
        at = began + round((ended - began) * row["step"] / total)
        for name, value in row.items():
            if name != "step":
                yield Point(name, float(value), at, row["step"])
