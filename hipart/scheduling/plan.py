"""What a run will do and cost, before it starts. Reads the store; imports no torch."""

import json
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from math import isfinite
from typing import Any

import numpy as np

from hipart.config import Section
from hipart.identity import settings_of
from hipart.jobs import StageJob, TrialJobs
from hipart.pipeline import PIPELINE
from hipart.store import Artifact, ArtifactStore, StoreError

#: Settings that do not decide how long a step takes: seeds, rates and how these fall.
IRRELEVANT = {
    "seed", "learning_rate", "weight_decay", "dropout", "warmup_steps",
    "decay", "decay_epochs", "decay_steps",
}  # fmt: skip


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
    #: Where the estimate comes from, in words.
    source: str = ""

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


def make_plan(trials: Sequence[TrialJobs], store: ArtifactStore) -> Plan:
    """Count the jobs of all trials, as asked and as distinct, and estimate those to train."""
    seen = {job.key: job for jobs in trials for job in jobs.values()}
    done = store.held(seen.values())
    asked = Counter(job.stage for jobs in trials for job in jobs.values())
    distinct = Counter(job.stage for job in seen.values())
    ready = Counter(artifact.stage for artifact in done.values())
    stages = {name: StagePlan(asked[name], distinct[name], ready[name]) for name in PIPELINE}
    plan = Plan(stages=stages)
    needed = _needed(trials, done)
    plan.to_train = [job for key, job in seen.items() if key in needed]
    if plan.to_train:
        _estimate(plan, store)
    return plan


def _needed(trials: Sequence[TrialJobs], done: Container[str]) -> set[str]:
    """Keys that must be trained so that every trial's final jobs can be."""
    needed: set[str] = set()
    for jobs in trials:
        open_jobs = jobs.final
        while open_jobs:
            job = open_jobs.pop()
            if job.key not in done and job.key not in needed:
                needed.add(job.key)
                open_jobs += jobs.above(job)
    return needed


def _estimate(plan: Plan, store: ArtifactStore) -> None:
    estimates = Estimates.of(store)
    for job in plan.to_train:
        stage = plan.stages[job.stage]
        stage.to_train += 1
        seconds = estimates.seconds(job)
        stage.seconds = (
            None if seconds is None or stage.seconds is None else stage.seconds + seconds
        )
    plan.source = estimates.source


def measurements(store: ArtifactStore) -> list[Measurement]:
    """What finished jobs took, as far as their artifacts can be read."""
    found = (_measured(artifact) for artifact in store.artifacts())
    return [one for one in found if one is not None]


def _measured(artifact: Artifact) -> Measurement | None:
    """What a job took; None of one that does not say so, or that says nothing of its like.

    A job that continued another trained a part of its epochs alone.
    """
    try:
        config, provenance = artifact.identity["config"], artifact.provenance
        seconds = float(provenance["seconds"])
        samples = _samples(artifact.stage, _flat(config))
    except (StoreError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
        return None  # damaged: whoever asks for it finds out and says so
    if "continued" in provenance or not (isfinite(seconds) and isfinite(samples)):
        return None
    return Measurement(artifact.stage, config, seconds)


class Estimates:
    """Median of the most alike measured jobs, scaled by samples processed; None if none is alike.

    Of equally alike ones those count that processed the most similar numbers of samples.

    Alike: at most a third of the settings that decide a step's cost differ. ``shipped`` are those
    of another machine, which are asked where they are more alike than any of one's own.
    """

    def __init__(
        self, measurements: Sequence[Measurement], shipped: Sequence[Measurement] = ()
    ) -> None:
        self._own = len(measurements)
        self._tables = [_tables(measurements), _tables(shipped)]
        self._used_own = self._used_shipped = False
        self._of_settings: dict[tuple[object, ...], float | None] = {}
        self._of_sections: dict[tuple[object, ...], float | None] = {}
        self._of_section: dict[int, tuple[Section, int]] = {}
        self._numbers: dict[tuple[Any, ...], int] = {}

    @classmethod
    def of(cls, store: ArtifactStore) -> "Estimates":
        """From what the store has, and from what comes with the package."""
        return cls(measurements(store), _shipped_measurements())

    @property
    def source(self) -> str:
        """Where the estimates so far come from, in words."""
        own = f"{self._own} finished jobs in this store"
        shipped = "timings of one core of another machine that come with the package"
        used = [own] * self._used_own + [shipped] * self._used_shipped
        return " and ".join(used or [own])

    def seconds(self, job: StageJob) -> float | None:
        """The estimate for a job; it is made once for all that only differ in other settings."""
        read = {name: job.sections[name] for name in job.reads}
        known = (job.stage, *map(id, read.values()))
        if known not in self._of_sections:
            self._of_sections[known] = self._seconds(job.stage, read)
        return self._of_sections[known]

    def _seconds(self, stage: str, read: Mapping[str, Section]) -> float | None:
        alike = (stage, *map(self._number, read.values()))
        if alike not in self._of_settings:
            mine: dict[str, Any] = {}
            for name, section in read.items():
                mine |= _flat(settings_of(name, section), f"{name}.")
            self._of_settings[alike] = self._nearest(stage, mine)
        return self._of_settings[alike]

    def _nearest(self, stage: str, mine: Mapping[str, Any]) -> float | None:
        own, shipped = (
            tables[stage].nearest(mine) if stage in tables else None for tables in self._tables
        )
        if shipped is None or (own is not None and own[0] <= shipped[0]):
            self._used_own |= own is not None
            return own and own[1]
        self._used_shipped = True
        return shipped[1]

    def _number(self, section: Section) -> int:
        """One number for all sections that cost the same. Kept, each has an ``id`` of its own."""
        if id(section) not in self._of_section:
            values = [value for name, value in vars(section).items() if name not in IRRELEVANT]
            number = self._numbers.setdefault((type(section), *values), len(self._numbers))
            self._of_section[id(section)] = section, number
        return self._of_section[id(section)][1]


def _tables(measurements: Iterable[Measurement]) -> dict[str, "_Settings"]:
    """The settings of measured jobs by stage."""
    measured: dict[str, list[Measurement]] = {}
    for one in measurements:
        measured.setdefault(one.stage, []).append(one)
    return {stage: _Settings(stage, some) for stage, some in measured.items()}


class _Settings:
    """The settings of all measured jobs of a stage, a row of numbers for each."""

    def __init__(self, stage: str, measured: Sequence[Measurement]) -> None:
        self.stage = stage
        settings = [_flat(one.config) for one in measured]
        self.seconds = np.array([one.seconds for one in measured])
        self.samples = np.array([max(1.0, _samples(stage, one)) for one in settings])
        names = {name for one in settings for name in _of_a_step(stage, one)}
        self.numbers: dict[str, dict[str, int]] = {name: {} for name in names}
        self.rows = np.array([self._row(one, learn=True) for one in settings], dtype=np.int32)

    def nearest(self, mine: Mapping[str, Any]) -> tuple[int, float] | None:
        """The scaled median of the rows nearest to these settings, if they are near.

        Before it, how many settings are others there.
        """
        compared = _of_a_step(self.stage, mine)
        unheard_of = sum(mine[name] is not None for name in compared - self.numbers.keys())
        differing = (self.rows != self._row(mine)).sum(axis=1) + unheard_of
        closest = differing.min()
        if closest > len(compared) / 3:
            return None
        samples = max(1.0, _samples(self.stage, mine))
        alike = np.flatnonzero(differing == closest)
        scales = samples / self.samples[alike]
        off = np.abs(np.log(scales))
        of_length = np.isclose(off, off.min())  # what is scaled least is known best
        return int(closest), float(np.median((self.seconds[alike] * scales)[of_length]))

    def _row(self, settings: Mapping[str, Any], learn: bool = False) -> list[int]:
        """A number for each value, equal for equal ones; one that was never learnt has -1."""
        row = []
        for name, known in self.numbers.items():
            value = repr(settings.get(name))
            row.append(known.setdefault(value, len(known)) if learn else known.get(value, -1))
        return row


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        elif name not in IRRELEVANT:
            flat[f"{prefix}{name}"] = value
    return flat


def _of_a_step(stage: str, flat: Mapping[str, Any]) -> set[str]:
    """The names of those settings that do more than say how many samples there are."""
    lengths = {f"{stage}.epochs", f"{stage}.steps"}
    if lengths & flat.keys():
        counted = {*lengths, "data.train_samples", "prior.fold"}
    else:
        counted = {"data.train_samples", "data.test_samples", "data.validation_samples"}
    return flat.keys() - counted


def _samples(stage: str, flat: Mapping[str, Any]) -> float:
    """Samples that a job processes: train passes for a model, all splits otherwise."""
    train = flat.get("data.train_samples") or 50_000
    test = flat.get("data.test_samples") or 25_000
    held_out = flat.get("data.validation_samples") or 0
    if stage == "prior" and flat.get("prior.fold"):
        folds = flat["prior.fold"][1]
        train *= (folds - 1) / folds
    epochs, steps = flat.get(f"{stage}.epochs"), flat.get(f"{stage}.steps")
    if steps:
        return float(steps * flat[f"{stage}.batch_size"])
    return float(train * epochs if epochs else train + test + held_out)


def _shipped_measurements() -> list[Measurement]:
    """Seconds of the laptop scale's jobs on one core of a named machine, for a first plan."""
    file = files("hipart.scheduling") / "measured.json"
    if not file.is_file():
        return []
    return [Measurement(**row) for row in json.loads(file.read_text())["jobs"]]
