"""What a search draws from: dimensions, and the configurations that their values stand for.

A dimension is a range or a list of levels, as in an ablation. It may exist only where another one
stands at certain levels (``when``), as a lifter's own settings do. Values are numbers, and the
names of levels: what is drawn is the same text and the same number in every file and database.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice, product
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, ValidationInfo, field_validator

from hipart.config import PipelineConfig, Section
from hipart.experiment.errors import ExperimentError, Place, Problem, shown, unknown
from hipart.experiment.explain import problems_of
from hipart.experiment.form import Level, Text, changed_at, named_level
from hipart.experiment.paths import Changer, all_paths, flat, unknown_path, value_at
from hipart.experiment.scales import SCALES

#: A drawn value: a number of a range, or the name of a level.
Value = int | float | str
#: One value for each dimension that exists, by its name.
Point = dict[str, Value]
Number = int | float


class Dimension(Section):
    """One thing that is searched over: ``range`` of a path, or ``levels``."""

    name: Text
    path: Text | None = None
    range: Annotated[tuple[Number, Number] | None, Field(strict=False)] = None
    log: bool = False
    step: Number | None = None
    levels: Annotated[tuple[Level, ...] | None, Field(strict=False, min_length=1)] = None
    #: Dimension -> its levels at which this one exists.
    when: dict[str, Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]] = {}
    #: Scale -> what is different there.
    scales: dict[str, Annotated[dict[str, Any], Field(min_length=1)]] = {}

    @field_validator("range", "step", mode="before")
    @classmethod
    def _numbers(cls, given: Any, info: ValidationInfo) -> Any:
        step = info.field_name == "step"
        numbers = list(given) if isinstance(given, list | tuple) and not step else [given]
        if given is None or (len(numbers) == 2 - step and all(map(_finite, numbers))):
            return given
        rule = "must be a number" if step else "must be two numbers, the lowest and the highest"
        quoted = "; write numbers without quotes" if any(map(_quoted, numbers)) else ""
        raise ValueError(f"{rule}; got {shown(given)}{quoted}")

    @field_validator("levels", mode="before")
    @classmethod
    def _plain_values(cls, levels: Any, info: ValidationInfo) -> Any:
        if not isinstance(levels, list):
            return levels
        return [named_level(info.data.get("path", ""), level) for level in levels]

    @field_validator("when", mode="before")
    @classmethod
    def _one_level(cls, when: Any) -> Any:
        if not isinstance(when, Mapping):
            return when
        return {name: [one] if isinstance(one, str) else one for name, one in when.items()}

    @property
    def kind(self) -> Literal["levels", "int", "float"]:
        """What its values are."""
        if self.levels is not None:
            return "levels"
        assert self.range is not None
        numbers = (*self.range, self.step or 0)
        return "int" if all(isinstance(one, int) for one in numbers) else "float"

    @property
    def names(self) -> list[str]:
        """The names of its levels."""
        return [level.name for level in self.levels or ()]

    def exists(self, point: Mapping[str, Value]) -> bool:
        """Whether it does at a point that holds all that it depends on."""
        return all(point.get(name) in levels for name, levels in self.when.items())

    def changes(self, value: Value) -> dict[str, Any]:
        """What a value changes: flat paths."""
        if self.levels is None:
            return {str(self.path): value}
        return flat(next(level.set for level in self.levels if level.name == value))

    def contains(self, value: object) -> bool:
        """Whether this is one of its values."""
        if self.levels is not None:
            return value in self.names
        assert self.range is not None
        low, high = self.range
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not low <= value <= high:
            return False
        steps = (value - low) / self.step if self.step else 0.0
        whole = math.isclose(steps, round(steps), abs_tol=1e-9)
        return whole and (self.kind == "float" or float(value).is_integer())

    def values(self) -> list[Value] | None:
        """All of its values in order; None where they cannot be counted."""
        if self.levels is not None:
            return list(self.names)
        assert self.range is not None
        low, high = self.range
        step = self.step or (1 if self.kind == "int" else None)
        if step is None:
            return None
        counted = [low + number * step for number in range(int((high - low) / step + 1e-9) + 1)]
        # 0.1 + 0.2 is the 0.3 that a file says.
        return [float(f"{one:.12g}") if self.kind == "float" else one for one in counted]

    def at(self, share: float) -> Value:
        """The value at a share of its extent (0 to 1), by its own scale."""
        counted = self.values() if not self.log else None
        if counted is not None:
            return counted[min(int(share * len(counted)), len(counted) - 1)]
        assert self.range is not None
        low, high = self.range
        value = low * (high / low) ** share if self.log else low + (high - low) * share
        return min(high, max(low, round(value))) if self.kind == "int" else value

    def share(self, value: Value) -> float:
        """Where a value stands in its extent, 0 to 1, by its own scale; of a level its place."""
        if isinstance(value, str):
            return self.names.index(value) / max(1, len(self.names) - 1)
        assert self.range is not None
        low, high = self.range
        if low == high:
            return 0.0
        if self.log:
            return math.log(value / low) / math.log(high / low)
        return (value - low) / (high - low)


def _finite(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)  # type: ignore[arg-type]


def _quoted(value: object) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except ValueError:
        return False


@dataclass(frozen=True, eq=False)
class Space:
    """Dimensions around a base, each after those it depends on."""

    base: PipelineConfig
    dimensions: tuple[Dimension, ...]

    def __getitem__(self, name: str) -> Dimension:
        return next(one for one in self.dimensions if one.name == name)

    def existing(self, point: Mapping[str, Value]) -> list[Dimension]:
        """The dimensions that exist at a point."""
        return [one for one in self.dimensions if one.exists(point)]

    def changes(self, point: Mapping[str, Value]) -> dict[str, Any]:
        """What a point changes in the base; a dimension overrules the one it depends on."""
        changes: dict[str, Any] = {}
        for dimension in self.existing(point):
            changes |= dimension.changes(point[dimension.name])
        return changes

    def config(self, point: Mapping[str, Value], changer: Changer | None = None) -> PipelineConfig:
        """The configuration of a point. Raises ExperimentError where the config forbids it."""
        return changed_at((), self.base, self.changes(point), changer)

    def contains(self, point: Mapping[str, Value]) -> bool:
        """Whether every value is one of its dimension's, and no dimension is missing or idle."""
        existing = self.existing(point)
        return {one.name for one in existing} == set(point) and all(
            one.contains(point[one.name]) for one in existing
        )

    def point_of(self, config: PipelineConfig) -> Point | None:
        """The point at which a configuration stands, as far as the dimensions tell; or None.

        Settings that no dimension changes are not looked at.
        """
        values = config.model_dump()
        point = self._standing(values)
        if len(point) < len(self.existing(point)):
            return None
        changes = self.changes(point).items()
        return point if all(_equal(value_at(values, path), one) for path, one in changes) else None

    def part_of(self, config: PipelineConfig) -> Point:
        """``point_of`` of the dimensions in which a configuration stands, without the others."""
        return self._standing(config.model_dump())

    def _standing(self, values: Mapping[str, Any]) -> Point:
        point: Point = {}
        for dimension in self.dimensions:
            found = self._value_in(dimension, values) if dimension.exists(point) else None
            if found is not None:
                point[dimension.name] = found
        return point

    def _value_in(self, dimension: Dimension, values: Mapping[str, Any]) -> Value | None:
        """Where a configuration, as nested mappings, stands in a dimension."""
        if dimension.levels is None:
            found = value_at(values, str(dimension.path))
            return found[0] if found and dimension.contains(found[0]) else None
        for level, marks in self._marks[dimension.name]:
            if all(_equal(value_at(values, path), value) for path, value in marks.items()):
                return level
        return None

    @cached_property
    def _marks(self) -> dict[str, list[tuple[str, dict[str, Any]]]]:
        """What the levels of a dimension are known by: what they set and no dimension that depends
        on them overrules. Those that set more come first, as they are the less likely."""
        found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for dimension in self.dimensions:
            found[dimension.name] = []
            for level in dimension.levels or ():
                after = [
                    one for one in self.dimensions if level.name in one.when.get(dimension.name, ())
                ]
                overruled = {path for one in after for path in _paths(one)}
                leaves = flat(level.set).items()
                marks = {path: value for path, value in leaves if path not in overruled}
                found[dimension.name].append((level.name, marks))
            found[dimension.name].sort(key=lambda level: -len(level[1]))
        return found

    def points(self) -> Iterator[Point] | None:
        """Every point in order, the last dimension changing fastest; None if they are uncounted."""
        if any(one.values() is None for one in self.dimensions):
            return None
        return self._points({}, 0)

    def _points(self, point: Point, number: int) -> Iterator[Point]:
        if number == len(self.dimensions):
            yield point
            return
        dimension = self.dimensions[number]
        if not dimension.exists(point):
            yield from self._points(point, number + 1)
            return
        for value in dimension.values() or ():
            yield from self._points({**point, dimension.name: value}, number + 1)

    @property
    def size(self) -> int | None:
        """How many points there are; None if that cannot be counted."""
        points = self.points()
        return None if points is None else sum(1 for _ in points)


def _equal(found: tuple[Any, ...], value: Any) -> bool:
    plain = list(found[0]) if found and isinstance(found[0], tuple) else found[0] if found else None
    # A setting that takes any number has 0.0 where a file says 0; true is no 1.
    return bool(found) and isinstance(plain, bool) == isinstance(value, bool) and plain == value


def at_scale(
    dimension: Dimension, scale: str, overrules: Mapping[str, Mapping[str, Any]]
) -> Dimension:
    """The dimension as it and then the experiment have it at a scale."""
    values = {name: getattr(dimension, name) for name in Dimension.model_fields}
    for changes in (dimension.scales.get(scale, {}), overrules.get(dimension.name, {})):
        if not changes:
            continue
        # A dimension has a range or levels: what comes later decides which.
        other = {"range": ("levels",), "levels": ("range", "step", "log")}
        for key in changes:
            for name in other.get(key, ()):
                values[name] = Dimension.model_fields[name].default
        values |= changes
    return Dimension.model_validate(values)


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
    if dimension.step is not None and dimension.log:
        yield Problem((*place, "step"), "has no meaning with `log`", remedy="leave one out")
    elif dimension.step is not None and not 0 < dimension.step <= high - low:
        allowed = f"above 0, at most {high - low:g}"
        yield Problem((*place, "step"), "is out of range", shown(dimension.step), allowed)


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
        same = sets.setdefault(repr(sorted(level.set.items())), level.name)
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
    mine = _paths(dimension)
    for other in earlier:
        both = mine & _paths(other)
        if both and other.name not in dimension.when and not _apart(dimension, other):
            rule = f"{', '.join(sorted(both))} is changed by {other.name!r}, too"
            remedy = f"let it depend on {other.name!r} with `when`, or leave one out"
            yield Problem((dimension.name,), rule, remedy=remedy)


def _apart(one: Dimension, other: Dimension) -> bool:
    """Whether two dimensions never exist together."""
    return any(
        not set(one.when[name]) & set(other.when[name]) for name in one.when.keys() & other.when
    )


def _paths(dimension: Dimension) -> set[str]:
    if dimension.levels is None:
        return {str(dimension.path)}
    return {path for level in dimension.levels for path in flat(level.set)}
