"""What a trial, a stage job and an experiment look like in MLflow: names, params, tags, metrics.

An identity holds everything that makes a run another run, and nothing else: the same command
finds the same parent, a changed config is another trial, and a stage job is its key.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hipart.experiment.design import Trial
from hipart.experiment.form import Ablation
from hipart.jobs import StageJob, canonical_json
from hipart.store import Artifact
from hipart.tracking.runs import NOTE_TAG, PARENT_TAG, Outcome, Point, RunSpec, now_ms

STAGES = "stages"


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


def parent_spec(subject: Subject, trials: Sequence[Trial]) -> RunSpec:
    """The run that holds an experiment's trials, its tables and its figures."""
    ablation = subject.ablation
    return RunSpec(
        experiment=ablation.name,
        identity=_identity("parent", *subject.head.values()),
        name=f"{ablation.name} · {ablation.scale}",
        tags={**subject.head, "trials": str(len(trials)), NOTE_TAG: _note(ablation, trials)},
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
    own = {**place, "scale": subject.head["scale"], "preset": subject.head["preset"]}
    last = list(jobs.values())[-1]
    return RunSpec(
        experiment=subject.ablation.name,
        identity=_identity("trial", *subject.head.values(), arm.name, trial.seed, last.key),
        name=f"{arm.name} · seed {trial.seed}",
        tags={
            **subject.head,
            **place,
            **{f"{stage}_key": job.key for stage, job in jobs.items()},
            PARENT_TAG: parent_run_id,
        },
        params={
            **own,
            "changes": canonical_json(arm.changes),
            **dict(_dotted(trial.config.model_dump(mode="json"))),
        },
    )


def stage_spec(job: StageJob) -> RunSpec:
    """The run of a stage job, for every trial and experiment that needs it."""
    return RunSpec(
        experiment=STAGES,
        identity=f"job:{job.stage}:{job.key}",
        name=f"{job.stage} {job.key[:8]}",
        tags={
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

    return Outcome(
        stamp=_stamp(artifact),
        started_ms=began,
        ended_ms=ended,
        tags={
            name: str(provenance.get(name))
            for name in ("commit", "dirty", "host", "device", "seconds", "array")
        },
        points=points,
    )


def trial_outcome(artifacts: Sequence[Artifact], stopped: str = "") -> Outcome:
    """How a finished trial ended: the final numbers of all its stages; or why it was stopped."""
    return Outcome(
        stamp=_identity("of", *map(_stamp, artifacts)),
        started_ms=now_ms(),
        ended_ms=now_ms(),
        tags={
            "commit": str(artifacts[-1].provenance.get("commit")),
            **({"stopped": stopped} if stopped else {}),
        },
        points=lambda: (point for artifact in artifacts for point in _final(artifact)),
    )


def _note(ablation: Ablation, trials: Sequence[Trial]) -> str:
    source, metric = ablation.source, ablation.metric
    arms = len({trial.arm.name for trial in trials})
    return (
        f"**{ablation.title}**{f' ({source.paper}, {source.place})' if source else ''}\n\n"
        f"{len(trials)} trials of {arms} arms, compared by `{metric.stage}/{metric.name}`. Each "
        f"child run is a trial; the runs of its stages are in the experiment `{STAGES}`, under "
        "the keys in its tags.\n\nTo continue, or to bring this page up to date, give the same "
        f"command again: `hipart-search run {ablation.name} --scale {ablation.scale} --preset "
        f"{ablation.preset}`. Finished jobs are taken from the store."
    )


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
