"""The form of a search file: a space, what is looked for in it, and what it may cost."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from hipart.config import PipelineConfig, PositiveInt, Section, Seed
from hipart.experiment.errors import ExperimentError, Problem, shown, unknown
from hipart.experiment.form import SEEDED, Changes, MetricChoice, Source, Text, changed_at
from hipart.experiment.metrics import metric_problems, with_goal
from hipart.experiment.paths import flat, with_changes
from hipart.experiment.scales import PRESETS, SCALES
from hipart.experiment.space import (
    Dimension,
    Space,
    at_scale,
    overruled,
    problems,
    problems_around,
)
from hipart.pipeline import FINAL_STAGE, PIPELINE, SIDE_STAGES

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

    def holds(self, value: float) -> bool:
        """Whether a value is within the bound."""
        low = -float("inf") if self.at_least is None else self.at_least
        high = float("inf") if self.at_most is None else self.at_most
        return low <= value <= high


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

    @property
    def targets(self) -> tuple[str, ...]:
        """Stages that a trial has to reach: those of its objectives, and side stages beside."""
        wanted = {one.stage for one in self.objectives}
        wanted |= {one.stage for one in self.also if one.stage in SIDE_STAGES}
        return tuple(stage for stage in PIPELINE if stage in wanted)

    @property
    def several(self) -> bool:
        """Whether there is more than one objective."""
        return len(self.objectives) > 1

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs of the lifter after which a trial is judged, the last one being all of them."""
        everything = self.base_config.lifter.epochs
        if self.stopping is None:
            return (everything,)
        rungs, share = [everything], self.stopping.reduction
        while everything // share >= self.stopping.first_epochs:
            rungs.append(everything // share)
            share *= self.stopping.reduction
        return tuple(reversed(rungs))


def search_at_scale(
    written: WrittenSearch, path: Path, scale: str, preset: str, used: Sequence[Dimension]
) -> Search:
    """The search that a checked file describes at one scale.

    ``used`` are the dimensions of the files that it uses. Raises ExperimentError.
    """
    here = written.scales.get(scale, SearchAtScale())
    dimensions = _dimensions(written, here, scale, used)
    base = _base(written, here, scale, preset)
    search = Search(
        name=path.stem,
        path=path,
        scale=scale,
        preset=preset,
        title=written.title,
        source=written.source,
        base_config=base,
        dimensions=dimensions,
        objectives=tuple(map(with_goal, written.objectives)),
        also=tuple(map(with_goal, written.also)),
        sampler=written.sampler,
        stopping=here.stopping or written.stopping,
        proxy=written.proxy,
        constraints=written.constraints,
        budget=here.budget or written.budget,
        seeds=here.seeds or written.seeds,
        reseed=written.reseed,
        notes=written.notes,
    )
    found = [_written_at(one, written, scale) for one in problems_around(search.space)]
    found += [_written_at(one, written, scale) for one in _unsearchable(search)]
    found += _contradictions(search)
    if found:
        raise ExperimentError(found)
    return search


def _base(written: WrittenSearch, here: SearchAtScale, scale: str, preset: str) -> PipelineConfig:
    """The base at a scale, with samples held out to choose by, measured on these alone."""
    config = with_changes(PipelineConfig(), PRESETS[preset])
    config = with_changes(config, SCALES[scale])
    config = changed_at(("base",), config, written.base)
    config = changed_at(("scales", scale, "base"), config, here.base)
    held_out = config.data.validation_samples or config.data.test_samples or VALIDATION_SAMPLES
    chosen_by = {"data.validation_samples": held_out, "evaluation.split": "validation"}
    return with_changes(config, chosen_by)


def _dimensions(
    written: WrittenSearch, here: SearchAtScale, scale: str, used: Sequence[Dimension]
) -> tuple[Dimension, ...]:
    own = {one.name: one for one in written.space}
    found = list(_repeated(("space",), "dimension", [one.name for one in written.space]))
    all_of_them = [own.pop(one.name, one) for one in used] + list(own.values())
    names = [one.name for one in all_of_them]
    found += [
        unknown(("rest", index), "dimension", name, names)
        for index, name in enumerate(written.rest)
        if name not in names
    ]
    found += [problem.within("space") for problem in problems(all_of_them)]
    for one_scale, overlay in written.scales.items():
        found += _overruled(one_scale, overlay, all_of_them)
    if found:
        raise ExperimentError(found)
    resting = {*written.rest, *here.rest}
    kept: dict[str, Dimension] = {}
    for one in all_of_them:
        scaled = _depending(at_scale(one, scale, here.space), kept)
        if one.name not in resting and scaled is not None:
            kept[one.name] = scaled
    if not kept:
        remedy = "give it a dimension, or `use` a file"
        raise ExperimentError([Problem(("space",), "is empty", remedy=remedy)])
    return tuple(kept.values())


def _overruled(
    scale: str, overlay: SearchAtScale, dimensions: Sequence[Dimension]
) -> Iterator[Problem]:
    """What is wrong with what a scale says of dimensions."""
    place, named = ("scales", scale), {one.name: one for one in dimensions}
    for name in overlay.rest:
        if name not in named:
            yield unknown((*place, "rest", name), "dimension", name, named)
    for name, changes in overlay.space.items():
        here = (*place, "space", name)
        if name not in named:
            yield unknown(here, "dimension", name, named)
        elif scale in SCALES:
            yield from overruled(here, at_scale(named[name], scale, {}), changes)


def _written_at(problem: Problem, written: WrittenSearch, scale: str) -> Problem:
    """The problem of a dimension where the file has what it is about."""
    name, *rest = map(str, problem.place)
    key = rest[0] if rest else ""
    if scale in written.scales and key in written.scales[scale].space.get(name, {}):
        return problem.within("scales", scale, "space")
    own = {one.name: one for one in written.space}
    if name not in own:
        return problem.within("use")
    scaled = ("scales", scale) if key in own[name].scales.get(scale, {}) else ()
    return replace(problem, place=("space", name, *scaled, *rest))


def _depending(dimension: Dimension, kept: Mapping[str, Dimension]) -> Dimension | None:
    """The dimension with the conditions that can still be met; None where one cannot be."""
    when = {
        name: tuple(level for level in levels if name in kept and level in kept[name].names)
        for name, levels in dimension.when.items()
    }
    return dimension.model_copy(update={"when": when}) if all(when.values()) else None


def search_problems(written: WrittenSearch) -> Iterator[Problem]:
    """What is wrong with a file whose form is right, its dimensions aside."""
    for index, choice in enumerate(written.objectives):
        yield from metric_problems(("objectives", index), choice)
    for index, choice in enumerate(written.also):
        yield from metric_problems(("also", index), choice)
    for index, bound in enumerate(written.constraints):
        yield from _bound(index, bound)
    if written.proxy is not None:
        names = [metric.name for metric in PIPELINE["tokenizer"].metrics]
        if written.proxy.metric not in names:
            what = "metric of stage tokenizer"
            yield unknown(("proxy", "metric"), what, written.proxy.metric, names)
    for index, stage in enumerate(written.reseed):
        if stage not in SEEDED:
            yield unknown(("reseed", index), "stage", stage, SEEDED)
    for scale in written.scales:
        if scale not in SCALES:
            yield unknown(("scales", scale), "scale", scale, SCALES)
    yield from _base_paths(written)
    metrics = [f"{one.stage}.{one.name}" for one in (*written.objectives, *written.also)]
    yield from _repeated(("objectives",), "metric", metrics)
    yield from _repeated(("reseed",), "stage", written.reseed)
    yield from _repeated(("seeds",), "seed", written.seeds)
    for scale, one in written.scales.items():
        yield from _repeated(("scales", scale, "seeds"), "seed", one.seeds or ())


def _repeated(place: tuple[str, ...], what: str, values: Sequence[Hashable]) -> Iterator[Problem]:
    for value in dict.fromkeys(one for one in values if values.count(one) > 1):
        here = (*place, value) if isinstance(value, str) else place
        yield Problem(here, f"{what} {value} stands here twice", remedy="keep one")


def _base_paths(written: WrittenSearch) -> Iterator[Problem]:
    places: list[tuple[tuple[str, ...], Mapping[str, Any]]] = [(("base",), written.base)]
    places += [(("scales", scale, "base"), one.base) for scale, one in written.scales.items()]
    for place, changes in places:
        try:
            leaves = flat(changes)
        except ExperimentError as error:
            yield from (problem.within(*place) for problem in error.problems)
            continue
        for path in leaves:
            if path.endswith(".seed") and path.removesuffix(".seed") in written.reseed:
                rule = "is set by `seeds`, because `reseed` names it"
                yield Problem((*place, path), rule, remedy="leave it out")
        if "evaluation.split" in leaves:
            rule = "is validation while a search chooses; its winners are measured on test"
            yield Problem((*place, "evaluation.split"), rule, remedy="leave it out")


def _bound(index: int, bound: Constraint) -> Iterator[Problem]:
    names = (*COUNTED, *MEASURED)
    place = ("constraints", index)
    if bound.metric not in names:
        what = "name of something known before training"
        yield unknown((*place, "metric"), what, bound.metric, names)
    if bound.at_most is None and bound.at_least is None:
        yield Problem(place, "bounds nothing", remedy="give it at_most or at_least")
    elif bound.at_most is not None and (bound.at_most <= 0 or not bound.holds(bound.at_most)):
        yield Problem(place, "can never hold", bound.said)


def _unsearchable(search: Search) -> Iterator[Problem]:
    """Dimensions of what every trial has to have in common."""
    for dimension in search.dimensions:
        for path in sorted(_paths(dimension)):
            if path.endswith(".seed") and path.removesuffix(".seed") in search.reseed:
                rule = f"{path} is set by `seeds`, because `reseed` names it"
                yield Problem((dimension.name,), rule, remedy="leave the dimension out")
            if path.startswith(("data.", "evaluation.split")):
                rule = f"{path} decides what results are measured on, and cannot be searched over"
                yield Problem((dimension.name,), rule, remedy="leave the dimension out")


def _contradictions(search: Search) -> Iterator[Problem]:
    searched = {path for one in search.dimensions for path in _paths(one)}
    final = [one.stage == FINAL_STAGE for one in search.objectives]
    if search.stopping is not None:
        if "lifter.epochs" in searched:
            rule = "needs one number of epochs for all trials, and lifter.epochs is searched over"
            yield Problem(("stopping",), rule)
        if search.several or not all(final):
            rule = f"judges by one objective of stage {FINAL_STAGE}"
            yield Problem(("stopping",), rule, remedy="leave it out")
        if search.stopping.first_epochs >= search.base_config.lifter.epochs:
            allowed = f"below {search.base_config.lifter.epochs}, the epochs of the lifter"
            got = shown(search.stopping.first_epochs)
            yield Problem(("stopping", "first_epochs"), "is out of range", got, allowed)
    if search.sampler.kind == "grid" and search.space.points() is None:
        endless = [one.name for one in search.dimensions if one.values() is None]
        rule = f"a grid needs values that can be counted, and {', '.join(endless)} has none"
        yield Problem(("sampler", "kind"), rule, remedy="give it a step or levels")


def _paths(dimension: Dimension) -> set[str]:
    levels = dimension.levels or ()
    return {str(dimension.path)} | {path for level in levels for path in flat(level.set)}
