"""A search at a scale: the file with what it states for that scale, checked around its base."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hipart.config import PipelineConfig
from hipart.experiment.dimension import Dimension, at_scale
from hipart.experiment.errors import ExperimentError, Problem, shown, unknown
from hipart.experiment.form import changed_at, overlaid
from hipart.experiment.metrics import with_goal
from hipart.experiment.paths import with_changes
from hipart.experiment.scales import SCALES, section_of
from hipart.experiment.search import VALIDATION_SAMPLES, Search, SearchAtScale, WrittenSearch
from hipart.experiment.search_checks import repeated
from hipart.experiment.space_checks import overruled, problems, problems_around
from hipart.pipeline import FINAL_STAGE


def search_at_scale(
    written: WrittenSearch, path: Path, around: tuple[str, str, str], used: Sequence[Dimension]
) -> Search:
    """The search that a checked file describes at one scale.

    ``around`` names preset, scale and corpus; ``used`` are the dimensions of the files that it
    uses. Raises ExperimentError.
    """
    preset, scale, _ = around
    here = section_of(written.scales, scale) or SearchAtScale()
    dimensions = _dimensions(written, here, scale, used)
    base = _base(written, here, around)
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


def _base(
    written: WrittenSearch, here: SearchAtScale, around: tuple[str, str, str]
) -> PipelineConfig:
    """The base at a scale, with samples held out to choose by, measured on these alone."""
    config = changed_at(("base",), overlaid(*around), written.base)
    config = changed_at(("scales", around[1], "base"), config, here.base)
    held_out = config.data.validation_samples or config.data.test_samples or VALIDATION_SAMPLES
    chosen_by = {"data.validation_samples": held_out, "evaluation.split": "validation"}
    return with_changes(config, chosen_by)


def _dimensions(
    written: WrittenSearch, here: SearchAtScale, scale: str, used: Sequence[Dimension]
) -> tuple[Dimension, ...]:
    own = {one.name: one for one in written.space}
    found = list(repeated(("space",), "dimension", [one.name for one in written.space]))
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
    here = section_of(written.scales, scale)
    if here is not None and key in here.space.get(name, {}):
        return problem.within("scales", scale, "space")
    own = {one.name: one for one in written.space}
    if name not in own:
        return problem.within("use")
    scaled = ("scales", scale) if key in (section_of(own[name].scales, scale) or {}) else ()
    return replace(problem, place=("space", name, *scaled, *rest))


def _depending(dimension: Dimension, kept: Mapping[str, Dimension]) -> Dimension | None:
    """The dimension with the conditions that can still be met; None where one cannot be."""
    when = {
        name: tuple(level for level in levels if name in kept and level in kept[name].names)
        for name, levels in dimension.when.items()
    }
    return dimension.model_copy(update={"when": when}) if all(when.values()) else None


def _unsearchable(search: Search) -> Iterator[Problem]:
    """Dimensions of what every trial has to have in common."""
    for dimension in search.dimensions:
        for path in sorted(dimension.paths):
            if path.endswith(".seed") and path.removesuffix(".seed") in search.reseed:
                rule = f"{path} is set by `seeds`, because `reseed` names it"
                yield Problem((dimension.name,), rule, remedy="leave the dimension out")
            if path.startswith(("data.", "evaluation.split")):
                rule = f"{path} decides what results are measured on, and cannot be searched over"
                yield Problem((dimension.name,), rule, remedy="leave the dimension out")


def _contradictions(search: Search) -> Iterator[Problem]:
    searched = {path for one in search.dimensions for path in one.paths}
    final = [one.stage == FINAL_STAGE for one in search.objectives]
    for name, field in PipelineConfig.model_fields.items():
        for pair in getattr(field.annotation, "ALTERNATIVES", ()):
            both = [f"{name}.{one}" for one in pair if f"{name}.{one}" in searched]
            if len(both) > 1:
                rule = f"is over {both[0]} and {both[1]}, of which a trial has one"
                yield Problem(("space",), rule, remedy="leave one of the dimensions out")
    if search.stopping is not None:
        for path in sorted({"lifter.epochs", "lifter.steps"} & searched):
            rule = f"needs one length of training for all trials, and {path} is searched over"
            yield Problem(("stopping",), rule)
        if search.several or not all(final):
            rule = f"judges by one objective of stage {FINAL_STAGE}"
            yield Problem(("stopping",), rule, remedy="leave it out")
        if search.stopping.first_epochs >= search.base_config.lifter.counted_epochs:
            allowed = (
                f"below {search.base_config.lifter.counted_epochs:g}, the epochs of the lifter"
            )
            got = shown(search.stopping.first_epochs)
            yield Problem(("stopping", "first_epochs"), "is out of range", got, allowed)
    if search.sampler.kind == "grid" and search.space.points() is None:
        endless = [one.name for one in search.dimensions if one.values() is None]
        rule = f"a grid needs values that can be counted, and {', '.join(endless)} has none"
        yield Problem(("sampler", "kind"), rule, remedy="give it a step or levels")
