"""What is wrong with dimensions: by themselves, with each other, and around a base."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from operator import itemgetter
from typing import Any

from pydantic import ValidationError

from hipart.config import PipelineConfig
from hipart.experiment.dimension import MOST_VALUES, Dimension, at_scale
from hipart.experiment.errors import ExperimentError, Place, Problem, shown, unknown
from hipart.experiment.explain import problems_of
from hipart.experiment.form import changed_at
from hipart.experiment.paths import Changer, all_paths, flat, unknown_path, value_at
from hipart.experiment.scales import SCALES
from hipart.experiment.space import Space


def problems(dimensions: Sequence[Dimension]) -> Iterator[Problem]:
    """What is wrong with dimensions by themselves and with each other, before any base is known."""
    seen: dict[str, Dimension] = {}
    for dimension in dimensions:
        place: Place = (dimension.name,)
        yield from _form(place, dimension)
        yield from _scales(place, dimension)
        for name, levels in dimension.when.items():
            here = (*place, "when", name)
            if name not in seen:
                what = "dimension to depend on: it must stand before this one"
                yield unknown(here, what, name, seen)
            elif seen[name].levels is None:
                rule = "only a dimension with levels can be depended on"
                yield Problem(here, rule, shown(name))
            else:
                names = seen[name].names
                yield from (
                    unknown(here, f"level of {name!r}", level, names)
                    for level in levels
                    if level not in names
                )
        if dimension.name in seen:
            yield Problem(place, f"two dimensions are called {dimension.name!r}")
        seen[dimension.name] = dimension


def _form(place: Place, dimension: Dimension) -> Iterator[Problem]:
    if (dimension.range is None) == (dimension.levels is None):
        yield Problem(place, "must have a `range` or `levels`, and not both")
        return
    if dimension.levels is not None:
        yield from _levels(place, dimension)
        return
    assert dimension.range is not None
    low, high = dimension.range
    here = (*place, "range")
    if dimension.path is None:
        yield Problem((*place, "path"), "is required by a range")
    elif dimension.path not in all_paths():
        yield unknown_path((*place, "path"), dimension.path)
    elif inside := [one for one in all_paths() if one.startswith(f"{dimension.path}.")]:
        rule = "is a section, and a range is of one number"
        yield Problem((*place, "path"), rule, shown(dimension.path), ", ".join(inside))
    if not low < high:
        yield Problem(
            here, "is empty: the first number must be below the second", shown([low, high])
        )
        return
    if dimension.log and low <= 0:
        rule = "has no logarithm: with `log` both numbers must be above 0"
        yield Problem(here, rule, shown([low, high]))
    elif _too_wide(dimension):
        what = "with `log` the second over the first" if dimension.log else "their distance"
        rule, remedy = f"is too wide: {what} is beyond all numbers", "bring its ends nearer"
        yield Problem(here, rule, shown([low, high]), remedy=remedy)
        return
    if dimension.step is not None and dimension.log:
        yield Problem((*place, "step"), "has no meaning with `log`", remedy="leave one out")
    elif dimension.step is not None and not 0 < dimension.step <= high - low:
        allowed = f"above 0, at most {high - low:g}"
        yield Problem((*place, "step"), "is out of range", shown(dimension.step), allowed)
    elif (count := dimension.count()) is not None and count > MOST_VALUES:
        rule = f"makes more than {MOST_VALUES:,} values"
        yield Problem(here, rule, shown([low, high]), remedy="give it a larger `step`")


def _too_wide(dimension: Dimension) -> bool:
    """Whether what lies between the ends is beyond all numbers, and no steps of it are counted."""
    assert dimension.range is not None
    low, high = map(float, dimension.range)
    if dimension.log:
        return math.isinf(high / low)
    return math.isinf(high - low) and (dimension.step is None or dimension.kind == "int")


def _scales(place: Place, dimension: Dimension) -> Iterator[Problem]:
    for scale, changes in dimension.scales.items():
        here = (*place, "scales", scale)
        if scale not in SCALES:
            yield unknown(here, "scale", scale, SCALES)
        else:
            yield from overruled(here, dimension.model_copy(update={"scales": {}}), changes)


def overruled(place: Place, dimension: Dimension, changes: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong with what is different of a dimension at a scale."""
    names = [name for name in Dimension.model_fields if name not in ("name", "scales")]
    wrong = [name for name in changes if name not in names]
    yield from (unknown((*place, name), "name", name, names) for name in wrong)
    if wrong:
        return
    try:
        changed = at_scale(dimension, "", {dimension.name: changes})
    except ValidationError as error:
        yield from (one.within(*place) for one in problems_of(error, Dimension))
        return
    before = {replace(one, place=()) for one in _form((), dimension)}
    yield from (one for one in _form(place, changed) if replace(one, place=()) not in before)


def _levels(place: Place, dimension: Dimension) -> Iterator[Problem]:
    for name in {name for name in dimension.names if dimension.names.count(name) > 1}:
        yield Problem((*place, "levels"), f"level {name!r} stands here twice", remedy="keep one")
    sets: dict[str, str] = {}
    for level in dimension.levels or ():
        same = sets.setdefault(repr(_meant(level.set)), level.name)
        if same != level.name:
            rule = f"level {level.name!r} is the same as level {same!r}"
            yield Problem((*place, "levels", level.name), rule, remedy="keep one")
    if dimension.log or dimension.step is not None:
        yield Problem(place, "levels have no `log` and no `step`", remedy="leave them out")
    for level in dimension.levels or ():
        try:
            flat(level.set)
        except ExperimentError as error:
            yield from (one.within(*place, "levels", level.name) for one in error.problems)


def _meant(value: Any) -> Any:
    """A value as it compares with others: 0.0 is the 0 that a setting may have; true is no 1."""
    if isinstance(value, Mapping):
        return sorted(
            ((str(name), _meant(inner)) for name, inner in value.items()), key=itemgetter(0)
        )
    if isinstance(value, list | tuple):
        return [_meant(inner) for inner in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def problems_around(space: Space) -> Iterator[Problem]:
    """What is wrong with dimensions around a base: values that the config refuses, and changes
    of one path by two dimensions of which neither depends on the other."""
    changer = Changer()
    for number, dimension in enumerate(space.dimensions):
        kind = "levels" if dimension.levels else "range"
        said: set[Problem] = set()  # what both ends of a range have in common is said once
        for around in _around(space, dimension):
            if _refused(space.base, around, changer):
                continue  # said already, of the level that this dimension depends on
            for value in dimension.names or (dimension.at(0.0), dimension.at(1.0)):
                place: Place = (dimension.name, kind, str(value))
                changes = around | dimension.changes(value)
                try:
                    config = changed_at(place, space.base, changes, changer)
                except ExperimentError as error:
                    plain = {one: replace(one, place=()) for one in error.problems}
                    yield from (one for one in error.problems if plain[one] not in said)
                    said |= set(plain.values()) if kind == "range" else set()
                    continue
                if dimension.kind == "int" and isinstance(
                    value_at(config.model_dump(), str(dimension.path))[0], float
                ):
                    rule = f"has whole numbers only, and {dimension.path} takes any number"
                    numbers = ", ".join(str(float(one)) for one in dimension.range or ())
                    yield Problem((dimension.name, kind), rule, remedy=f"write [{numbers}]")
        yield from _twice(space.dimensions[:number], dimension)


def _refused(base: PipelineConfig, changes: dict[str, Any], changer: Changer) -> bool:
    try:
        changed_at((), base, changes, changer)
    except ExperimentError:
        return True
    return False


def _around(space: Space, dimension: Dimension) -> Iterator[dict[str, Any]]:
    """What the levels change at which a dimension exists, in every combination."""
    for levels in product(*dimension.when.values()):
        changes: dict[str, Any] = {}
        for name, level in zip(dimension.when, levels, strict=True):
            for outer in islice(_around(space, space[name]), 1):
                changes |= outer
            changes |= space[name].changes(level)
        yield changes


def _twice(earlier: Sequence[Dimension], dimension: Dimension) -> Iterator[Problem]:
    mine = dimension.paths
    for other in earlier:
        both = mine & other.paths
        if both and other.name not in dimension.when and not _apart(dimension, other):
            rule = f"{', '.join(sorted(both))} is changed by {other.name!r}, too"
            remedy = f"let it depend on {other.name!r} with `when`, or leave one out"
            yield Problem((dimension.name,), rule, remedy=remedy)


def _apart(one: Dimension, other: Dimension) -> bool:
    """Whether two dimensions never exist together."""
    return any(
        not set(one.when[name]) & set(other.when[name]) for name in one.when.keys() & other.when
    )
