"""What the form alone cannot say: names that must exist, and things that contradict each other."""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator

from hipart.experiment.errors import ExperimentError, Place, Problem, shown, unknown
from hipart.experiment.form import SEEDED, AtScale, Written
from hipart.experiment.levels import Changes, Combination, Factor, Level, levels_called
from hipart.experiment.metrics import metric_problems
from hipart.experiment.paths import all_paths, flat, unknown_path
from hipart.experiment.scales import SCALES
from hipart.pipeline import PIPELINE


def problems(written: Written) -> list[Problem]:
    """Everything that is wrong with a file whose form is right, arms aside."""
    return [problem for check in _CHECKS for problem in check(written)]


#: What each design is made of, and what has no meaning in it.
_LAYOUTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "one_at_a_time": ("factors", ("combinations",)),
    "factorial": ("factors", ()),
    "arms": ("arms", ("factors", "combinations")),
}


def _layout(written: Written) -> Iterator[Problem]:
    # A design of factors may have arms beside it, as controls.
    wanted, unwanted = _LAYOUTS[written.design]
    if not getattr(written, wanted):
        yield Problem((wanted,), f"is required by design {written.design} and must not be empty")
    for key in unwanted:
        if getattr(written, key):
            yield Problem((key,), f"has no meaning in design {written.design}: use {wanted}")
    yield from _twice(("factors",), "factor", [factor.name for factor in written.factors])


def _combinations(written: Written) -> Iterator[Problem]:
    """Each names one level of each of its factors, and another cell than the others."""
    names = [level.name for factor in written.factors for level in factor.levels]
    cells: dict[frozenset[tuple[str, str]], int] = {}
    for index, combination in enumerate(written.combinations):
        place: Place = ("combinations", index, "levels")
        meant = {name: levels_called(name, written.factors) for name in combination.levels}
        for name, levels in meant.items():
            if not levels:
                yield unknown(place, "level", name, dict.fromkeys(names))
            elif len(levels) > 1:
                rule = "is a level of more than one factor"
                allowed = ", ".join(f"{factor}={level}" for factor, level in levels)
                yield Problem(place, rule, shown(name), allowed)
        if any(len(levels) != 1 for levels in meant.values()):
            continue
        cell = frozenset(levels[0] for levels in meant.values())
        yield from _twice(place, "factor", [levels[0][0] for levels in meant.values()])
        if cells.setdefault(cell, index) != index:
            rule = f"is the same cell as combinations[{cells[cell]}]"
            yield Problem(place, rule, shown(list(combination.levels)), remedy="keep one")


def _paths(written: Written) -> Iterator[Problem]:
    for place, changes in _all_changes(written):
        try:
            leaves = flat(changes)
        except ExperimentError as error:
            yield from (problem.within(*place) for problem in error.problems)
            continue
        for path in leaves:
            yield from seeded_elsewhere((*place, path), path, written.reseed)
    for index, factor in enumerate(written.factors):
        if factor.path is None:
            continue
        place = ("factors", index, "path")
        if factor.path not in all_paths():
            yield unknown_path(place, factor.path)
        yield from seeded_elsewhere(place, factor.path, written.reseed)


def _all_changes(written: Written) -> Iterator[tuple[Place, Changes]]:
    """Every mapping of paths in the file, and where it stands."""
    yield ("base",), written.base
    for scale, overlay in written.scales.items():
        yield ("scales", scale, "base"), overlay.base
        yield from _sets(("scales", scale, "arms"), overlay.arms)
        for name, changes in overlay.sets.items():
            yield ("scales", scale, "sets", name), changes
    for index, factor in enumerate(written.factors):
        if factor.path is None:
            yield from _sets(("factors", index, "levels"), factor.levels)
    yield from _sets(("arms",), written.arms)


def _sets(place: Place, levels: Iterable[Level]) -> Iterator[tuple[Place, Changes]]:
    for index, level in enumerate(levels):
        yield (*place, index, "set"), level.set


def seeded_elsewhere(place: Place, path: str, reseed: Iterable[str]) -> Iterator[Problem]:
    """The problem of a seed that is set, though ``seeds`` set it."""
    if path.endswith(".seed") and path.removesuffix(".seed") in reseed:
        yield Problem(place, "is set by `seeds`, because `reseed` names it", remedy="leave it out")


def _seeds(written: Written) -> Iterator[Problem]:
    yield from _twice(("seeds",), "seed", written.seeds)
    yield from _twice(("reseed",), "stage", written.reseed)
    for index, stage in enumerate(written.reseed):
        if stage not in SEEDED:
            what = "seed: this stage has none" if stage in PIPELINE else "stage"
            yield unknown(("reseed", index), what, stage, SEEDED)
    if not written.reseed and len(written.seeds) > 1:
        rule = "must name the stages that the seeds reach, or all trials of an arm are equal"
        yield Problem(("reseed",), rule, "[]", ", ".join(SEEDED))


def _metrics(written: Written) -> Iterator[Problem]:
    yield from metric_problems(("metric",), written.metric)
    for index, choice in enumerate(written.also):
        yield from metric_problems(("also", index), choice)
    for index, claim in enumerate(written.claims):
        if claim.metric is not None:
            yield from metric_problems(("claims", index, "metric"), claim.metric)
        if claim.better == claim.worse:
            rule, remedy = "compares an arm with itself", "name another arm"
            yield Problem(("claims", index, "worse"), rule, shown(claim.worse), remedy=remedy)
    names = [f"{choice.stage}.{choice.name}" for choice in (written.metric, *written.also)]
    yield from _twice(("also",), "metric", names)


def _published(written: Written) -> Iterator[Problem]:
    stage = written.metric.stage
    metrics = PIPELINE[stage].metrics if stage in PIPELINE else ()
    units = {metric.name: metric.unit for metric in metrics}
    stated: list[tuple[Place, Level | Written | Combination]] = [((), written)]
    stated += [(("arms", arm.name), arm) for arm in written.arms]
    stated += [
        (("scales", scale, "arms", arm.name), arm)
        for scale, overlay in written.scales.items()
        for arm in overlay.arms
    ]
    stated += [(("combinations", at), one) for at, one in enumerate(written.combinations)]
    for factor in written.factors:
        stated += [(("factors", factor.name, "levels", one.name), one) for one in factor.levels]
    for place, one in stated:
        if one.published is None or not units:
            continue
        name = one.published.metric_beside(written.metric)
        if name in units and one.published.unit != units[name]:
            rule, remedy = f"must be the unit of the metric {name}", "name its own `metric`"
            got, here = shown(one.published.unit), (*place, "published", "unit")
            yield Problem(here, rule, got, units[name], remedy)
        elif one.published.metric and name not in units:
            yield unknown((*place, "published", "metric"), f"metric of stage {stage}", name, units)


def _paper_layout(written: Written) -> Iterator[Problem]:
    layout, names = written.paper_layout, [factor.name for factor in written.factors]
    if layout.columns is not None and layout.columns not in names:
        yield unknown(("paper_layout", "columns"), "factor", layout.columns, names)
    elif layout.columns is not None and (layout.actions or written.design != "factorial"):
        rule = "takes a factor of a factorial design, and no `actions` beside it"
        yield Problem(("paper_layout", "columns"), rule, shown(layout.columns))


def _scales(written: Written) -> Iterator[Problem]:
    factors = {factor.name: factor for factor in written.factors}
    for scale, overlay in written.scales.items():
        place = ("scales", scale)
        if scale not in SCALES:
            yield unknown(place, "scale", scale, SCALES)
        yield from _twice((*place, "seeds"), "seed", overlay.seeds or ())
        named = [*written.arms, *(one for f in factors.values() if not f.path for one in f.levels)]
        for name in overlay.sets:
            if name not in (names := [level.name for level in named]):
                yield unknown((*place, "sets", name), "level or arm", name, names)
        yield from _names(place, written, overlay)
        for name, levels in overlay.levels.items():
            here = (*place, "levels", name)
            if name not in factors:
                yield unknown(here, "factor", name, factors)
            else:
                yield from _kept(here, factors[name], levels)


def _names(place: Place, written: Written, overlay: AtScale) -> Iterator[Problem]:
    """What is called otherwise must be there as written, and stay apart from its siblings."""
    levels = [level for factor in written.factors for level in factor.levels]
    bases = [factor.base for factor in written.factors if factor.base]
    names = [*bases, *(level.name for level in (*levels, *written.arms))]
    for name in overlay.names:
        if name not in names:
            yield unknown((*place, "names", name), "base, level or arm", name, dict.fromkeys(names))
    for factor in written.factors:
        beside = {overlay.names.get(level.name, level.name) for level in factor.levels}
        base = overlay.names.get(factor.base or "")
        if base in beside:
            rule = f"is the name of a level of {factor.name!r}"
            yield Problem((*place, "names", factor.base or ""), rule, shown(base))
    texts = [claim.says for claim in written.claims]
    for text in overlay.says:
        if text not in texts:
            yield unknown((*place, "says", text), "claim", text, texts)


def _kept(place: Place, factor: Factor, levels: list[object]) -> Iterator[Problem]:
    names = [level.name for level in factor.levels]
    for index, level in enumerate(levels if factor.path is None else ()):
        if level not in names:
            yield unknown((*place, index), f"level of {factor.name!r}", level, names)


def _twice(place: Place, what: str, values: Iterable[Hashable]) -> Iterator[Problem]:
    for value, times in Counter(values).items():
        if times > 1:
            yield Problem(place, f"{what} {value} stands here {times} times", remedy="keep one")


_CHECKS: tuple[Callable[[Written], Iterator[Problem]], ...] = (
    _layout,
    _combinations,
    _paths,
    _seeds,
    _metrics,
    _published,
    _paper_layout,
    _scales,
)
