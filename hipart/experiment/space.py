"""What a search draws from: dimensions, and the configurations that their values stand for.

A dimension is a range or a list of levels, as in an ablation. It may exist only where another one
stands at certain levels (``when``), as a lifter's own settings do. Values are numbers, and the
names of levels: what is drawn is the same text and the same number in every file and database.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from hipart.config import PipelineConfig, Section
from hipart.experiment.errors import shown
from hipart.experiment.form import changed_at
from hipart.experiment.levels import Level, named_level
from hipart.experiment.paths import Changer, flat, value_at
from hipart.experiment.scales import section_of
from hipart.experiment.texts import Name, Text

#: A drawn value: a number of a range, or the name of a level.
Value = int | float | str
#: One value for each dimension that exists, by its name.
Point = dict[str, Value]
Number = int | float

#: All values of a dimension are listed where it has steps.
MOST_VALUES = 100_000


class Dimension(Section):
    """One thing that is searched over: ``range`` of a path, or ``levels``."""

    name: Name
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

    @property
    def paths(self) -> set[str]:
        """All that its values may change."""
        if self.levels is None:
            return {str(self.path)}
        return {path for level in self.levels for path in flat(level.set)}

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

    def count(self) -> int | None:
        """How many values it has, at most one more than ``MOST_VALUES``.

        None where they cannot be counted, or need not be: no step can make a logarithm's fewer.
        """
        if self.levels is not None:
            return len(self.levels)
        assert self.range is not None
        if self.step is None and self.kind != "int":
            return None
        low, high = self.range
        count = int(min((high - low) / (self.step or 1), MOST_VALUES) + 1e-9) + 1
        return None if self.log and count > MOST_VALUES else count

    def values(self) -> list[Value] | None:
        """All of its values in order; None where they cannot be counted."""
        if self.levels is not None:
            return list(self.names)
        assert self.range is not None
        count, step = self.count(), self.step or 1
        if count is None:
            return None
        counted = [self.range[0] + number * step for number in range(count)]
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
    try:
        return number and math.isfinite(value)  # type: ignore[arg-type]
    except OverflowError:
        return False


def _quoted(value: object) -> bool:
    try:
        return isinstance(value, str) and math.isfinite(float(value))
    except (ValueError, OverflowError):
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
                overruled = {path for one in after for path in one.paths}
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
        if any(one.count() is None for one in self.dimensions):
            return None
        return self._count({}, 0)

    def _count(self, point: Point, number: int) -> int:
        """How many points there are from a dimension on, at the levels of those it depends on."""
        if number == len(self.dimensions):
            return 1
        dimension = self.dimensions[number]
        if not dimension.exists(point):
            return self._count(point, number + 1)
        if any(dimension.name in one.when for one in self.dimensions):
            levels = ({**point, dimension.name: level} for level in dimension.names)
            return sum(self._count(one, number + 1) for one in levels)
        return (dimension.count() or 0) * self._count(point, number + 1)


def _equal(found: tuple[Any, ...], value: Any) -> bool:
    plain = list(found[0]) if found and isinstance(found[0], tuple) else found[0] if found else None
    # A setting that takes any number has 0.0 where a file says 0; true is no 1.
    return bool(found) and isinstance(plain, bool) == isinstance(value, bool) and plain == value


def at_scale(
    dimension: Dimension, scale: str, overrules: Mapping[str, Mapping[str, Any]]
) -> Dimension:
    """The dimension as it and then the experiment have it at a scale."""
    values = {name: getattr(dimension, name) for name in Dimension.model_fields}
    for changes in (section_of(dimension.scales, scale) or {}, overrules.get(dimension.name, {})):
        if not changes:
            continue
        # A dimension has a range or levels: what comes later decides which.
        other = {"range": ("levels",), "levels": ("range", "step", "log")}
        for key in changes:
            for name in other.get(key, ()):
                values[name] = Dimension.model_fields[name].default
        values |= changes
    return Dimension.model_validate(values)
