"""What a run will do and cost, before it starts. Reads the store; imports no torch."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from statistics import median
from typing import Any

from hipart.pipeline import PIPELINE, StageJob, final_jobs
from hipart.store import ArtifactStore

#: Model fields that decide how long a step takes; learning rates and seeds do not.
IRRELEVANT = {"seed", "learning_rate", "weight_decay", "dropout", "warmup_steps", "decay"}


@dataclass
class StagePlan:
    """One stage's share of a plan."""

    asked: int = 0
    distinct: int = 0
    ready: int = 0
    to_train: int = 0
    seconds: float | None = 0.0


@dataclass
class Plan:
    """Counts and cost of a run. ``seconds`` is work; divide by the workers for the wait."""

    stages: dict[str, StagePlan] = field(default_factory=dict)
    to_train: list[StageJob] = field(default_factory=list)
    #: Measured jobs behind the estimate, and whether other machines measured all of them.
    measured: int = 0
    shipped: bool = False

    @property
    def seconds(self) -> float | None:
        """Estimated work, or None if some stage was never measured at a like size."""
        known = [stage.seconds for stage in self.stages.values()]
        return None if None in known else sum(s for s in known if s is not None)


@dataclass(frozen=True)
class Measurement:
    """How long a finished job took, and what it did."""

    stage: str
    config: Mapping[str, Any]
    seconds: float


def make_plan(trials: Sequence[Mapping[str, StageJob]], store: ArtifactStore) -> Plan:
    """Count the jobs of all trials, as asked and as distinct, and estimate those to train."""
    plan = Plan(stages={name: StagePlan() for name in PIPELINE})
    seen: dict[str, StageJob] = {}
    needed: set[str] = set()
    for jobs in trials:
        for name, job in jobs.items():
            plan.stages[name].asked += 1
            if job.key not in seen:
                seen[job.key] = job
                plan.stages[name].distinct += 1
                plan.stages[name].ready += job in store
        needed |= _needed(jobs, store)
    plan.to_train = [job for key, job in seen.items() if key in needed]
    _estimate(plan, store)
    return plan


def _needed(jobs: Mapping[str, StageJob], store: ArtifactStore) -> set[str]:
    """Keys that must be trained so that the trial's final job can be."""
    needed: set[str] = set()
    open_jobs = final_jobs(jobs)
    while open_jobs:
        job = open_jobs.pop()
        if job not in store:
            needed.add(job.key)
            open_jobs += [jobs[stage] for stage in job.needs]
    return needed


def _estimate(plan: Plan, store: ArtifactStore) -> None:
    known, plan.shipped = measurements(store)
    plan.measured = len(known)
    for job in plan.to_train:
        stage = plan.stages[job.stage]
        stage.to_train += 1
        seconds = estimate_seconds(job, known)
        stage.seconds = (
            None if seconds is None or stage.seconds is None else stage.seconds + seconds
        )


def measurements(store: ArtifactStore) -> tuple[list[Measurement], bool]:
    """What finished jobs took; for an empty store what was shipped, and True."""
    own = [
        Measurement(artifact.stage, artifact.identity["config"], artifact.provenance["seconds"])
        for artifact in store.artifacts()
    ]
    return (own, False) if own else (_shipped_measurements(), True)


def estimate_seconds(job: StageJob, measurements: Iterable[Measurement]) -> float | None:
    """Median of the most alike measured jobs, scaled by samples processed; None if none is alike.

    Alike: at most a third of the settings that decide a step's cost differ.
    """
    mine = _flat(job.identity["config"])
    near: list[tuple[int, float]] = []
    for other in measurements:
        if other.stage != job.stage:
            continue
        theirs = _flat(other.config)
        differing = sum(mine.get(name) != theirs.get(name) for name in mine | theirs)
        if differing <= len(mine) / 3:
            ratio = _samples(job.stage, mine) / max(1.0, _samples(job.stage, theirs))
            near.append((differing, other.seconds * ratio))
    if not near:
        return None
    closest = min(differing for differing, _ in near)
    return median(seconds for differing, seconds in near if differing == closest)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        elif name not in IRRELEVANT:
            flat[f"{prefix}{name}"] = value
    return flat


def _samples(stage: str, flat: Mapping[str, Any]) -> float:
    """Samples that a job processes: train passes for a model, both splits otherwise."""
    train = flat.get("data.train_samples") or 50_000
    test = flat.get("data.test_samples") or 25_000
    epochs = flat.get(f"{stage}.epochs")
    return float(train * epochs if epochs else train + test)


def _shipped_measurements() -> list[Measurement]:
    """Seconds of the laptop scale's jobs on one core of a named machine, for a first plan."""
    file = files("hipart.scheduling") / "measured.json"
    if not file.is_file():
        return []
    return [Measurement(**row) for row in json.loads(file.read_text())["jobs"]]
