"""One thing that is searched over: a range of numbers, or levels, and where it exists."""

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from hipart.config import Section
from hipart.experiment.errors import shown
from hipart.experiment.levels import Level, named_level
from hipart.experiment.paths import flat
from hipart.experiment.scales import section_of
from hipart.experiment.texts import Name, Text

#: A drawn value: a number of a range, or the name of a level.
Value = int | float | str
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
        if self.kind == "int":
            return min(high, max(low, round(value)))
        return float(min(max(value, low), high))  # a logarithm's end may be a rounding off

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
