"""YAML 1.2 as plain data, with the line of everything in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.constructor import DuplicateKeyError
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hipart.experiment.errors import ExperimentError, Place, Problem, shown

#: No file that is right is as deep; an alias may contain itself, and is so without end.
_DEEPEST = 20
#: Texts, and ``<<``, which takes over what is in another mapping.
_KEYS = ("tag:yaml.org,2002:str", "tag:yaml.org,2002:merge")


@dataclass(frozen=True)
class Document:
    """A file's data, and the line at which each place stands."""

    path: Path
    data: dict[str, Any]
    lines: dict[Place, int]

    def error(self, problems: Iterable[Problem]) -> ExperimentError:
        """The error that names this file and its lines."""
        return ExperimentError(problems, self.path, self.lines)


def read(path: Path) -> Document:
    """Read a file that holds one mapping; duplicate keys are refused."""
    try:
        text = path.read_text(encoding="utf-8")
    except (ValueError, OSError) as error:
        raise ExperimentError([Problem((), f"cannot be read as YAML: {error}")], path) from None
    return _parsed(path, text)


@lru_cache(maxsize=256)
def _parsed(path: Path, text: str) -> Document:
    """Parsing is what costs; commands over all experiments read a file many times."""
    lines: dict[Place, int] = {}
    data: Any = None
    try:
        yaml = YAML(typ="safe")
        node = yaml.compose(text)
        if node is not None:
            _index(node, (), lines)
            data = yaml.constructor.construct_document(node)
    except MarkedYAMLError as error:
        raise _refused(path, error) from None
    except ExperimentError as error:
        raise ExperimentError(error.problems, path, lines) from None
    except RecursionError:
        raise ExperimentError([_too_deep(())], path) from None
    except (YAMLError, ValueError) as error:
        raise ExperimentError([Problem((), f"cannot be read as YAML: {error}")], path) from None
    if not isinstance(data, dict):
        problem = Problem((), "must hold a mapping of keys to values", shown(data))
        raise ExperimentError([problem], path)
    return Document(path, data, lines)


def _refused(path: Path, error: MarkedYAMLError) -> ExperimentError:
    line = error.problem_mark.line + 1 if error.problem_mark else 1
    place = f"line {line}"
    if isinstance(error, DuplicateKeyError):
        rule = str(error.problem).splitlines()[0]
        problem = Problem((place,), rule, remedy="keep one of the two")
    else:
        problem = Problem((place,), f"is not YAML: {error.problem}", remedy=error.context or "")
    return ExperimentError([problem], path, {(place,): line})


def _too_deep(place: Place) -> Problem:
    rule = f"is nested more than {_DEEPEST} deep"
    return Problem(place, rule, remedy="an anchor must not contain its own alias")


def _index(node: Node, place: Place, lines: dict[Place, int]) -> None:
    """Items of a list are found by index and, where they have one, by name or value."""
    lines.setdefault(place, node.start_mark.line + 1)
    if len(place) > _DEEPEST:
        raise ExperimentError([_too_deep(place[:1])])
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.tag not in _KEYS:
                plain = isinstance(key, ScalarNode)
                here = (*place, key.value) if plain else place
                lines[here] = key.start_mark.line + 1
                got = key.value if plain else "a list or a mapping"
                raise ExperimentError([Problem(here, "has a key that is no text", got)])
            here = (*place, str(key.value))
            lines.setdefault(here, key.start_mark.line + 1)
            _index(value, here, lines)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            for alias in (index, _name(item)):
                if alias is not None:
                    _index(item, (*place, alias), lines)


def _name(node: Node) -> str | None:
    if isinstance(node, ScalarNode):
        return str(node.value)
    if isinstance(node, MappingNode):
        pairs = [(key, val) for key, val in node.value if isinstance(key, ScalarNode)]
        scalars = {key.value: val.value for key, val in pairs if isinstance(val, ScalarNode)}
        return scalars.get("name", scalars.get("value"))
    return None
