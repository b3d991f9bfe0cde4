"""In which order jobs start, on a clock that only turns when something ends."""

import random
from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush
from itertools import product
from pathlib import Path
from statistics import fmean

import pytest

from hipart.config import PipelineConfig
from hipart.experiment.paths import with_changes
from hipart.jobs import StageJob, TrialJobs, jobs
from hipart.pipeline import FINAL_STAGE
from hipart.scheduling.events import Event, JobFinished
from hipart.scheduling.graph import StageGraph
from hipart.store import ArtifactStore

BASE = PipelineConfig()
Trials = list[TrialJobs]
Seconds = Callable[[StageJob], float]
Estimate = Callable[[StageJob], float | None]


class Clock:
    """An executor whose jobs take the seconds they are said to take."""

    def __init__(self, slots: int, seconds: Seconds) -> None:
        self.slots, self._seconds = slots, seconds
        self.now = 0.0
        self.rows: list[float] = []
        self._open: list[tuple[float, int, StageJob]] = []
        self._given = 0

    def start(self, jobs: Sequence[StageJob]) -> None:
        for job in jobs:
            self._given += 1
            heappush(self._open, (self.now + self._seconds(job), self._given, job))
        assert len(self._open) <= self.slots

    def poll(self, timeout_s: float) -> list[Event]:
        self.now, _, job = heappop(self._open)
        if job.stage == FINAL_STAGE:
            self.rows.append(self.now)
        return [JobFinished(job, {}, 1.0)]

    def close(self) -> None:
        pass


def played(
    trials: Trials,
    seconds: Seconds,
    estimate: Estimate,
    folder: Path,
    slots: int,
    old: bool = False,
) -> tuple[float, float]:
    """The run's end over the ideal one, and the mean end of a row as a share of the run."""
    clock = Clock(slots, seconds)
    graph = StageGraph(ArtifactStore(folder / "none"), clock, lambda _: None, estimate)
    if old:  # rows first, whatever is urgent
        graph._ready._slots = 1
    for trial in trials:
        graph.ensure(trial)
    graph.run()
    return clock.now / ideal(trials, seconds, slots), fmean(clock.rows) / clock.now


def ideal(trials: Trials, seconds: Seconds, slots: int) -> float:
    """No order can end sooner: all work over the slots, or the longest chain."""
    chains: dict[str, float] = {}
    for trial in trials:
        for job in trial.values():
            before = [chains[key] for key in job.needs.values()]
            chains[job.key] = seconds(job) + max(before, default=0.0)
    distinct = {job.key: job for trial in trials for job in trial.values()}
    return max(sum(map(seconds, distinct.values())) / slots, *chains.values())


def some_trials(rng: random.Random) -> Trials:
    """A grid with holes: tokenizers, priors, lifters, with and without dense levels."""
    settings = product(*(range(rng.randint(1, 4)) for _ in range(3)), ["generated", "none"])
    chosen = [one for one in settings if rng.random() < 0.6] or [(0, 0, 0, "none")]
    return [
        jobs(
            with_changes(
                BASE,
                {
                    "tokenizer.seed": tokenizer,
                    "prior.seed": prior,
                    "lifter.seed": lifter,
                    "lifter.dense_input": dense,
                },
            ),
            "d",
        )
        for tokenizer, prior, lifter, dense in chosen
    ]


def some_seconds(rng: random.Random) -> Seconds:
    """Stages of different lengths, jobs of a stage within a factor of four."""
    stages: dict[str, float] = {}
    known: dict[str, float] = {}

    def seconds(job: StageJob) -> float:
        typical = stages.setdefault(job.stage, rng.uniform(0.5, 10))
        return known.setdefault(job.key, typical * rng.choice([0.5, 1, 1, 1, 2]))

    return seconds


def unknown(_: StageJob) -> None:
    return None


def off_by(seconds: Seconds, factors: Mapping[str, float]) -> Seconds:
    return lambda job: seconds(job) * factors[job.key]


@pytest.mark.parametrize("slots", [2, 4])
def test_urgent_chains_first_ends_sooner_than_rows_first(tmp_path: Path, slots: int) -> None:
    new, old, guessed = [], [], []
    for number in range(40):
        rng = random.Random(number)
        trials, seconds = some_trials(rng), some_seconds(rng)
        wrong = {job.key: rng.choice([0.4, 0.7, 1, 1.5, 2.5]) for t in trials for job in t.values()}
        new.append(played(trials, seconds, seconds, tmp_path, slots))
        old.append(played(trials, seconds, seconds, tmp_path, slots, old=True))
        guessed.append(played(trials, seconds, off_by(seconds, wrong), tmp_path, slots))
    ends = [fmean(end for end, _ in some) for some in (new, guessed, old)]
    assert ends == sorted(ends)
    assert ends[0] < 1.03 < ends[2]


def grid(lifters: Mapping[str, float]) -> tuple[Trials, Seconds]:
    """The 24 trials of the benchmark: four orders, three lifters, two learning rates."""
    trials: Trials = []
    for order, kind, rate in product(range(4), lifters, (1e-3, 5e-4)):
        changes = {
            "prior.seed": order,
            "lifter.model.kind": kind,
            "lifter.learning_rate": rate,
        }
        trials.append(jobs(with_changes(BASE, changes), "d"))
    stages = {"tokenizer": 6.0, "prior": 5.0, "densify": 4.0, "evaluate": 1.5}
    return trials, lambda job: stages.get(job.stage) or lifters[job.config.lifter.model.kind]


@pytest.mark.parametrize("known", [True, False])
def test_the_grid_is_near_its_ideal_and_shows_rows_early(tmp_path: Path, known: bool) -> None:
    trials, seconds = grid({"mlp": 3.0, "transformer": 8.0, "diffusion": 12.0})
    end, row = played(trials, seconds, seconds if known else unknown, tmp_path, slots=2)
    assert end < 1.05
    assert row < 0.7


def test_rows_come_one_after_another_where_no_order_ends_sooner(tmp_path: Path) -> None:
    trials, seconds = grid({"mlp": 3.0, "transformer": 8.0, "diffusion": 12.0})
    new = played(trials, seconds, seconds, tmp_path, slots=1)
    assert new == played(trials, seconds, seconds, tmp_path, slots=1, old=True)
    assert new[0] == pytest.approx(1.0)
