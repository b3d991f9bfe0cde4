"""The form of a search file: a space, what is looked for in it, and what it may cost."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hipart.config import PAPER_LIFTER_EPOCH, PipelineConfig, PositiveInt, Section, Seed
from hipart.experiment.dimension import Dimension
from hipart.experiment.form import SEEDED, Source, reported_stages
from hipart.experiment.levels import Changes
from hipart.experiment.metrics import MetricChoice
from hipart.experiment.space import Space
from hipart.experiment.texts import Text
from hipart.pipeline import PIPELINE

Positive = Annotated[float, Field(gt=0)]
SamplerKind = Literal["tpe", "random", "grid", "nsga2", "qmc"]
#: What is known of a configuration before anything is trained: parameters and memory are counted;
#: the rest is what stage ``profile`` measures on untrained models.
COUNTED = ("parameters_m", "total_parameters_m", "memory_gb")
MEASURED = tuple(
    metric.name for metric in PIPELINE["profile"].metrics if metric.name not in COUNTED
)
#: Samples held out for choosing where neither file nor scale says how many.
VALIDATION_SAMPLES = 4096


class Sampler(Section):
    """Who proposes configurations."""

    #: tpe, tree-structured Parzen estimators, also for several objectives; random; grid, every
    #: point in order; nsga2, a genetic algorithm; qmc, a Sobol sequence.
    kind: SamplerKind = "tpe"
    seed: Seed = 0
    #: Trials drawn at random before tpe trusts what it has seen.
    startup: PositiveInt = 10


class Stopping(Section):
    """When a trial's lifter is stopped early: judged on validation after few epochs, then more."""

    #: asha: at each rung the best 1/``reduction`` go on; median: who is better than the median.
    kind: Literal["asha", "median"] = "asha"
    #: The last rung has all epochs, each one before it 1/``reduction`` of them, down to so many.
    first_epochs: PositiveInt = 1
    reduction: Annotated[int, Field(ge=2, le=10)] = 3


class Proxy(Section):
    """Judges a trial by its tokenizer alone, before anything else of it is trained. A proxy: what
    reconstructs poorly usually, not always, lifts poorly."""

    metric: Text = "dense_reconstruction_px"
    #: Only tokenizers among this share of the best go on.
    keep: Annotated[float, Field(gt=0, lt=1)] = 0.5
    #: Tokenizers that are seen before any is refused.
    startup: PositiveInt = 4


class Constraint(Section):
    """A bound on something that is known before training."""

    metric: Text
    at_most: float | None = None
    at_least: float | None = None

    @property
    def said(self) -> str:
        """The bound in words."""
        bounds = (("at most", self.at_most), ("at least", self.at_least))
        told = " and ".join(f"{word} {bound:g}" for word, bound in bounds if bound is not None)
        return f"{self.metric} {told}"

    @property
    def kept(self) -> float:
        """A value within the bound."""
        bound = self.at_least if self.at_most is None else self.at_most
        assert bound is not None, "one that bounds nothing is refused"
        return bound

    @property
    def possible(self) -> bool:
        """Whether any value is within the bound."""
        return self.at_most is None or self.holds(self.at_most)

    def holds(self, value: float) -> bool:
        """Whether a value is within the bound."""
        low = -float("inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return low <= value <= high


def together(bounds: Sequence[Constraint]) -> Constraint:
    """All bounds on one metric as one."""
    most = min((one.at_most for one in bounds if one.at_most is not None), default=None)
    least = max((one.at_least for one in bounds if one.at_least is not None), default=None)
    return bounds[0].model_copy(update={"at_most": most, "at_least": least})


class Plateau(Section):
    """No better than before by ``improvement_pct`` over so many trials: enough."""

    trials: PositiveInt
    improvement_pct: Annotated[float, Field(ge=0, le=100)] = 0.5


class Budget(Section):
    """When a search ends: whichever comes first."""

    trials: PositiveInt | None = None
    minutes: Positive | None = None
    #: Hours of devices, or of cores where there are none, spent in stage jobs.
    device_hours: Positive | None = None
    plateau: Plateau | None = None

    @model_validator(mode="after")
    def _something(self) -> "Budget":
        if self.trials is None and self.minutes is None and self.device_hours is None:
            raise ValueError("is nothing; give it trials, minutes or device_hours")
        return self


class SearchAtScale(Section):
    """What is different at one scale: extents of dimensions in ``space``; who is left out."""

    base: Changes = {}
    seeds: Annotated[tuple[Seed, ...] | None, Field(strict=False, min_length=1)] = None
    space: dict[str, dict[str, Any]] = {}
    rest: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    budget: Budget | None = None
    stopping: Stopping | None = None


class WrittenSearch(Section):
    """A search file, key by key."""

    kind: Literal["search"]
    title: Text
    source: Source | None = None
    preset: str | None = None
    base: Changes = {}
    #: Files of ``search_spaces/`` whose dimensions come first.
    use: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    #: Own dimensions; one of a used file's name replaces that.
    space: Annotated[tuple[Dimension, ...], Field(strict=False)] = ()
    #: Dimensions of the used files that are left out.
    rest: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    objectives: Annotated[tuple[MetricChoice, ...], Field(strict=False, min_length=1)]
    also: Annotated[tuple[MetricChoice, ...], Field(strict=False)] = ()
    sampler: Sampler = Sampler()
    stopping: Stopping | None = None
    proxy: Proxy | None = None
    constraints: Annotated[tuple[Constraint, ...], Field(strict=False)] = ()
    budget: Budget
    seeds: Annotated[tuple[Seed, ...], Field(strict=False, min_length=1)] = (0,)
    reseed: Annotated[tuple[str, ...], Field(strict=False)] = tuple(
        name for name in SEEDED if name in PIPELINE
    )
    notes: Annotated[tuple[Text, ...], Field(strict=False)] = ()
    scales: dict[str, SearchAtScale] = {}


class SpaceFile(Section):
    """A file of ``search_spaces/``: dimensions that several searches use."""

    title: Text
    dimensions: Annotated[tuple[Dimension, ...], Field(strict=False, min_length=1)]


class Search(Section):
    """A search at a scale, checked in full."""

    name: str
    path: Path
    scale: str
    preset: str
    title: str
    source: Source | None
    base_config: PipelineConfig
    dimensions: tuple[Dimension, ...]
    objectives: tuple[MetricChoice, ...]
    also: tuple[MetricChoice, ...]
    sampler: Sampler
    stopping: Stopping | None
    proxy: Proxy | None
    constraints: tuple[Constraint, ...]
    budget: Budget
    seeds: tuple[Seed, ...]
    reseed: tuple[str, ...]
    notes: tuple[str, ...]

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @cached_property
    def space(self) -> Space:
        """What is drawn from."""
        return Space(self.base_config, self.dimensions)

    def targets_of(self, config: PipelineConfig) -> tuple[str, ...]:
        """The stages that a trial with this config is made for."""
        return reported_stages(config, self.objectives, self.also)

    @property
    def several(self) -> bool:
        """Whether there is more than one objective."""
        return len(self.objectives) > 1

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs, or steps, of the lifter after which a trial is judged; the last is all of it."""
        unit, everything = self.base_config.lifter.length
        if self.stopping is None:
            return (everything,)
        each = 1 if unit == "epochs" else PAPER_LIFTER_EPOCH
        rungs, share = [everything], self.stopping.reduction
        while everything // share >= self.stopping.first_epochs * each:
            rungs.append(everything // share)
            share *= self.stopping.reduction
        return tuple(reversed(rungs))
