"""Dotted paths into ``PipelineConfig``: which there are, and a config with some of them changed.

A mapping given for a section is short for the dotted paths beneath it: what it does not name
stays as it is.
"""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationError

from hipart.config import PipelineConfig, Section
from hipart.experiment.errors import ExperimentError, Place, Problem, did_you_mean, shown, unknown
from hipart.experiment.explain import problems_of
from hipart.skeleton import ORDERS

#: Settings whose values are names kept in a table elsewhere.
_NAMED_VALUES = {"prior.order": ("order", ORDERS)}

_Role = Literal["section", "kind", "value"]


def with_changes(config: PipelineConfig, changes: Mapping[str, Any]) -> PipelineConfig:
    """The config with ``changes`` (dotted path -> value), checked whole.

    Changing a discriminating ``kind`` first resets its siblings to that kind's defaults.
    Raises ExperimentError with all problems, their places being paths.
    """
    return Changer().changed(config, flat(changes))


class Changer:
    """Changes configs by the thousand: a change of one section, asked for again, is made once.

    What is known of a section goes by its ``id``: all are kept here, so none is used twice.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[int, str], tuple[Section, Section]] = {}

    def changed(self, config: PipelineConfig, leaves: Mapping[str, Any]) -> PipelineConfig:
        """``with_changes`` of changes that are ``flat``."""
        by_section: dict[str, dict[str, Any]] = {}
        for path, value in leaves.items():
            by_section.setdefault(path.partition(".")[0], {})[path] = value
        sections = {name: getattr(config, name) for name in PipelineConfig.model_fields}
        try:
            for name, own in by_section.items():
                sections[name] = self._section(name, sections[name], own)
            return PipelineConfig(**sections)
        except ValidationError:
            raise ExperimentError(_problems(config, leaves)) from None

    def _section(self, name: str, section: Section, leaves: Mapping[str, Any]) -> Section:
        # Texts, because 1, 1.0 and true are equal as values.
        known = id(section), repr(leaves)
        if known not in self._made:
            values = section.model_dump()
            _put_all({name: values}, leaves)
            self._made[known] = section, type(section).model_validate(values)
        return self._made[known][1]


def _problems(config: PipelineConfig, leaves: Mapping[str, Any]) -> list[Problem]:
    """Everything that is wrong with changes that are refused."""
    wrong = [
        unknown((path,), what, leaves[path], names)
        for path, (what, names) in _NAMED_VALUES.items()
        if isinstance(leaves.get(path), str) and leaves[path] not in names
    ]
    values = config.model_dump()
    _put_all(values, leaves)
    try:
        PipelineConfig.model_validate(values)
    except ValidationError as error:
        found = [_at_path(problem, leaves) for problem in problems_of(error, PipelineConfig)]
        known = {place for problem in wrong for place in problem.place}
        wrong += [problem for problem in found if problem.place[0] not in known]
    return wrong


def moved(config: PipelineConfig, changes: Mapping[str, Any]) -> bool:
    """Whether the changes would change anything."""
    values = config.model_dump()
    return any(value_at(values, path) != (value,) for path, value in flat(changes).items())


def all_paths() -> list[str]:
    """Every path that can be changed, sections before what is in them."""
    return list(_tree())


def unknown_path(place: Place, path: str) -> Problem:
    """The problem of a path that is none; all that are would be too many to list."""
    return Problem(place, "unknown path", shown(path), remedy=did_you_mean(path, _tree()))


def flat(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes with every section written out as paths to single values."""
    leaves: dict[str, Any] = {}
    wrong: list[Problem] = []
    for item in _flat(changes):
        if isinstance(item, Problem):
            wrong.append(item)
        elif item[0] in leaves:
            wrong.append(Problem((item[0],), "is given twice", shown(item[1])))
        else:
            leaves[item[0]] = item[1]
    if wrong:
        raise ExperimentError(wrong)
    return leaves


def _flat(changes: Mapping[str, Any]) -> Iterator[tuple[str, Any] | Problem]:
    for path, value in changes.items():
        role = _tree().get(path)
        if role is None:
            yield unknown_path((path,), path)
        elif role != "section":
            yield path, value
        elif isinstance(value, Mapping):
            yield from _flat({f"{path}.{name}": inner for name, inner in value.items()})
        else:
            inside = [name.removeprefix(f"{path}.") for name in _tree() if name.startswith(path)]
            allowed = f"a mapping of {', '.join(name for name in inside[1:] if '.' not in name)}"
            yield Problem((path,), "is a section", shown(value), allowed)


@cache
def _tree() -> dict[str, _Role]:
    return dict(_walk(PipelineConfig, ""))


def _walk(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, _Role]]:
    for name, field in model.model_fields.items():
        path = f"{prefix}{name}"
        sections = [
            part
            for part in (field.annotation, *get_args(field.annotation))
            if isinstance(part, type) and issubclass(part, BaseModel)
        ]
        yield path, "section" if sections else "value"
        for section in sections:
            yield from _walk(section, f"{path}.")
        if isinstance(field.discriminator, str):
            yield f"{path}.{field.discriminator}", "kind"  # the last word on this path


def _put_all(values: dict[str, Any], leaves: Mapping[str, Any]) -> None:
    for path in sorted(leaves, key=lambda path: _tree()[path] != "kind"):
        _put(values, path, leaves[path])
    for name, inside in values.items():
        given = {path.removeprefix(f"{name}.") for path in leaves if path.startswith(f"{name}.")}
        section = PipelineConfig.model_fields[name].annotation
        assert isinstance(section, type) and issubclass(section, Section)
        _unset_alternatives(section, inside, given)


def _put(values: dict[str, Any], path: str, value: Any) -> None:
    *parents, name = path.split(".")
    section = values
    for parent in parents:
        section = section[parent]
    if _tree()[path] == "kind" and section[name] != value:
        section.clear()
    section[name] = value


def _unset_alternatives(section: type[Section], values: dict[str, Any], given: set[str]) -> None:
    """Where a change gives one setting of a pair, the other one that stood there is unset."""
    for pair in section.ALTERNATIVES:
        for name, other in (pair, pair[::-1]):
            if name in given and values[name] is not None and other not in given:
                values[other] = None


def value_at(values: Any, path: str) -> tuple[Any, ...]:
    """The value in a tuple of one, or nothing where this kind of section has no such setting."""
    for part in path.split("."):
        if part not in values:
            return ()
        values = values[part]
    return (values,)


def _at_path(problem: Problem, leaves: Mapping[str, Any]) -> Problem:
    """The problem at a dotted path; one of a whole section at the change that it speaks of."""
    path = ".".join(map(str, problem.place))
    if _tree().get(path) == "section":
        words = problem.rule.split()
        inside = [leaf for leaf in leaves if leaf.startswith(f"{path}.")]
        path = next((leaf for leaf in inside if leaf.rsplit(".", 1)[-1] in words), path)
    return Problem((path,), problem.rule, problem.got, problem.allowed, problem.remedy)
