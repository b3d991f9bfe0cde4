"""What an experiment varies: levels and factors, and the cells of a factorial design."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from hipart.config import Section
from hipart.experiment.errors import shown
from hipart.experiment.metrics import Published
from hipart.experiment.texts import Name, Text

#: Dotted path -> value.
Changes = dict[str, Any]


class Level(Section):
    """A named set of changes: a level of a factor, or an arm written out."""

    name: Name
    set: Annotated[Changes, Field(min_length=1)]
    published: Published | None = None


def _without_equals(name: str) -> str:
    if "=" in name:
        raise ValueError(f"has an equals sign, which stands before a level: {shown(name)}")
    return name


FactorName = Annotated[Name, AfterValidator(_without_equals)]


class Factor(Section):
    """Something that is varied: the values of one path, or levels with names."""

    name: FactorName
    path: Text | None = None
    #: What the base is called in this factor; without it the base's value, or "base".
    base: Name | None = None
    levels: Annotated[tuple[Level, ...], Field(strict=False, min_length=1)]

    @field_validator("levels", mode="before")
    @classmethod
    def _plain_values(cls, levels: Any, info: ValidationInfo) -> Any:
        if not isinstance(levels, list):
            return levels
        path = info.data.get("path", "")  # None: not given; missing: refused already
        return [named_level(path, level) for level in levels]


def named_level(path: str | None, level: Any) -> Any:
    """A level as a mapping with ``name`` and ``set``; a plain value is one of its path."""
    with_set = isinstance(level, Mapping) and "set" in level
    if path is None:
        if not isinstance(level, Mapping):
            raise ValueError(
                f"level {shown(level)} is a plain value, and there is no path; give these levels "
                "a `path`, or each a `name` and a `set`"
            )
        return level
    if with_set:
        raise ValueError(
            "a factor has a `path` and plain values, or levels with `name` and `set`, not both"
        )
    if not (isinstance(level, Mapping) and "value" in level):
        level = {"value": level}
    rest = {key: inner for key, inner in level.items() if key != "value"}
    return {"name": label(level["value"]), "set": {path: level["value"]}, **rest}


def label(value: Any) -> str:
    """A value as a short name."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={label(inner)}" for key, inner in value.items())
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


class Combination(Section):
    """A cell of a factorial design, by the names of its levels that are not the base's.

    ``FACTOR=LEVEL`` names a level that another factor has one of the same name of; in an ablation
    at a scale all are named so.
    """

    levels: Annotated[tuple[Text, ...], Field(strict=False, min_length=2)]
    published: Published

    def in_full(self, factors: Iterable[Factor]) -> Self:
        """The same with every level as ``FACTOR=LEVEL``."""
        meant = [one for name in self.levels for one in levels_called(name, factors)]
        return self.model_copy(update={"levels": tuple(map("=".join, meant))})

    def cell(self, factors: Iterable[Factor]) -> frozenset[tuple[str, str]]:
        """Of an ablation at a scale: its factors with their levels, as far as these are there."""
        there = {(factor.name, level.name) for factor in factors for level in factor.levels}
        named = (name.partition("=") for name in self.levels)
        return frozenset(there & {(factor, level) for factor, _, level in named})


def levels_called(name: str, factors: Iterable[Factor]) -> list[tuple[str, str]]:
    """The levels, each with its factor, that a name in a combination may mean."""
    return [
        (factor.name, level.name)
        for factor in factors
        for level in factor.levels
        if name in (level.name, f"{factor.name}={level.name}")
    ]
