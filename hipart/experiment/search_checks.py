"""What the form of a search file alone cannot say: names that must exist, contradictions."""

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any

from hipart.experiment.checks import seeded_elsewhere
from hipart.experiment.errors import ExperimentError, Problem, unknown
from hipart.experiment.form import SEEDED
from hipart.experiment.metrics import metric_problems
from hipart.experiment.paths import flat
from hipart.experiment.scales import SCALES
from hipart.experiment.search import COUNTED, MEASURED, Constraint, WrittenSearch, together
from hipart.pipeline import PIPELINE


def search_problems(written: WrittenSearch) -> Iterator[Problem]:
    """What is wrong with a file whose form is right, its dimensions aside."""
    for index, choice in enumerate(written.objectives):
        yield from metric_problems(("objectives", index), choice)
    for index, choice in enumerate(written.also):
        yield from metric_problems(("also", index), choice)
    for index, bound in enumerate(written.constraints):
        yield from _bound(index, bound)
        yield from _contradicted(index, written.constraints)
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
    yield from repeated(("objectives",), "metric", metrics)
    yield from repeated(("reseed",), "stage", written.reseed)
    yield from repeated(("seeds",), "seed", written.seeds)
    for scale, one in written.scales.items():
        yield from repeated(("scales", scale, "seeds"), "seed", one.seeds or ())


def repeated(place: tuple[str, ...], what: str, values: Sequence[Hashable]) -> Iterator[Problem]:
    """A problem for each value that stands there more than once."""
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
            yield from seeded_elsewhere((*place, path), path, written.reseed)
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
    elif not bound.possible or (bound.at_most is not None and bound.at_most <= 0):
        yield Problem(place, "can never hold", bound.said)


def _contradicted(index: int, bounds: Sequence[Constraint]) -> Iterator[Problem]:
    """The problem of a bound that can hold, as can those before it on its metric, but not all."""
    before = [one for one in bounds[:index] if one.metric == bounds[index].metric]
    both = together([*before, bounds[index]])
    if before and together(before).possible and bounds[index].possible and not both.possible:
        rule = "can never hold beside what is bounded before it"
        yield Problem(("constraints", index), rule, both.said)
