"""What a search draws from: dimensions, and the configurations that their values stand for.

A dimension is a range or a list of levels, as in an ablation. It may exist only where another one
stands at certain levels (``when``), as a lifter's own settings do. Values are numbers, and the
names of levels: what is drawn is the same text and the same number in every file and database.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hipart.config import PipelineConfig
from hipart.experiment.dimension import Dimension, Value
from hipart.experiment.form import changed_at
from hipart.experiment.paths import Changer, flat, value_at

#: One value for each dimension that exists, by its name.
Point = dict[str, Value]


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
        # Of every set of dimensions to come that cannot exist any more: the ways that lead to it.
        ways = Counter({frozenset[str](): 1})
        for dimension in self._dependents_next():
            after = self._after(dimension)
            idle = {frozenset(one.name for one in after): 1}
            leads = _leads(dimension, after)
            onward: Counter[frozenset[str]] = Counter()
            for gone, times in ways.items():
                for more, values in (idle if dimension.name in gone else leads).items():
                    onward[gone - {dimension.name} | more] += times * values
            ways = onward
        return ways.total()

    def _after(self, dimension: Dimension) -> list[Dimension]:
        """The dimensions that depend on this one."""
        return [one for one in self.dimensions if dimension.name in one.when]

    def _dependents_next(self) -> Iterator[Dimension]:
        """The dimensions, each as soon as all that it depends on were there: then few are open."""
        seen: set[str] = set()
        ready = [one for one in reversed(self.dimensions) if not one.when]
        while ready:
            dimension = ready.pop()
            seen.add(dimension.name)
            yield dimension
            after = reversed(self._after(dimension))
            ready += [one for one in after if one.when.keys() <= seen]


def _leads(dimension: Dimension, after: Sequence[Dimension]) -> Counter[frozenset[str]]:
    """How many values of a dimension leave which of those ``after`` it idle."""
    if not after:
        return Counter({frozenset(): dimension.count() or 0})
    return Counter(
        frozenset(one.name for one in after if level not in one.when[dimension.name])
        for level in dimension.names
    )


def _equal(found: tuple[Any, ...], value: Any) -> bool:
    plain = list(found[0]) if found and isinstance(found[0], tuple) else found[0] if found else None
    # A setting that takes any number has 0.0 where a file says 0; true is no 1.
    return bool(found) and isinstance(plain, bool) == isinstance(value, bool) and plain == value
