"""A point of the space as stage jobs: whole, up to a rung, or no further than the tokenizer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Protocol

from hipart.config import PipelineConfig
from hipart.experiment.metrics import MetricChoice
from hipart.experiment.paths import Changer, with_changes
from hipart.experiment.search import Search
from hipart.experiment.space import Point
from hipart.jobs import Jobs, TrialJobs
from hipart.pipeline import FINAL_STAGE

#: The jobs of a trial with one seed.
Chain = TrialJobs


class Measured(Protocol):
    """What is asked of a finished artifact."""

    @property
    def metrics(self) -> Mapping[str, float]:
        """Final numbers by name."""
        ...


class Finished(Protocol):
    """What is asked of a store."""

    def find(self, stage: str, key: str) -> Measured | None:
        """The artifact of a job, or None if it is not finished."""
        ...


@dataclass(frozen=True)
class Candidate:
    """A point, its configuration, and the jobs that measure it in full, a chain for each seed."""

    point: Point
    config: PipelineConfig
    chains: tuple[Chain, ...]


class Candidates:
    """Makes candidates of one search on one corpus; what many of them share is made once."""

    def __init__(self, search: Search, data_fingerprint: str) -> None:
        self._search = search
        self._jobs = Jobs(data_fingerprint)
        self._changer = Changer()
        with_changes(search.base_config, {f"{name}.seed": 0 for name in search.reseed})

    @cached_property
    def base(self) -> Candidate:
        """What is searched around, which need not lie in the space: then it has no point."""
        config = self._search.base_config
        point = self._search.space.point_of(config) or {}
        return Candidate(point, config, self.chains(config, self._search.targets_of(config)))

    @property
    def controls(self) -> tuple[Chain, ...]:
        """The jobs of a base that no trial is: they are done beside the trials."""
        return () if self.base.point else self.base.chains

    def of(self, point: Point) -> Candidate:
        """Raises ExperimentError where the config forbids the point."""
        config = self._search.space.config(point, self._changer)
        return Candidate(point, config, self.chains(config, self._search.targets_of(config)))

    def chains(self, config: PipelineConfig, targets: Iterable[str]) -> tuple[Chain, ...]:
        """What these stages need, for every seed."""
        return tuple(
            self._jobs.of(self.seeded(config, seed), targets) for seed in self._search.seeds
        )

    def seeded(self, config: PipelineConfig, seed: int) -> PipelineConfig:
        """The configuration with a seed in the stages that seeds reach."""
        return self._changer.changed(
            config, {f"{stage}.seed": seed for stage in self._search.reseed}
        )

    def up_to(self, candidate: Candidate, rung: int) -> tuple[Chain, ...]:
        """The jobs with as much of the lifter's training as a rung has.

        It goes on where the lifter of the rung before ended, and lets the next one do so.
        """
        rungs = self._search.rungs
        last = rung == len(rungs) - 1
        chains = candidate.chains if last else self._of_length(candidate, rungs[rung])
        if len(rungs) == 1:
            return chains
        before = self._of_length(candidate, rungs[rung - 1]) if rung else chains
        return tuple(
            chain.changed(
                "lifter",
                continues=earlier["lifter"].key if rung else None,
                resumable=not last,
            )
            for chain, earlier in zip(chains, before, strict=True)
        )

    def _of_length(self, candidate: Candidate, length: int) -> tuple[Chain, ...]:
        unit, _ = candidate.config.lifter.length
        config = self._changer.changed(candidate.config, {f"lifter.{unit}": length})
        return self.chains(config, (FINAL_STAGE,))

    def on_test(self, candidate: Candidate) -> tuple[Chain, ...]:
        """The jobs that measure the trained models of a candidate on the test split."""
        config = self._changer.changed(candidate.config, {"evaluation.split": "test"})
        return self.chains(config, (FINAL_STAGE,))


def mean_over_seeds(store: Finished, chains: Sequence[Chain], metric: MetricChoice) -> float | None:
    """A metric's mean over the seeds; None unless it is there for every one of them."""
    found = []
    for chain in chains:
        job = chain[metric.stage]
        artifact = store.find(job.stage, job.key)
        if artifact is None or metric.name not in artifact.metrics:
            return None
        found.append(artifact.metrics[metric.name])
    return fmean(found)
