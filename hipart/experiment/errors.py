"""What is wrong with a file that a user wrote: where, which rule, what was given, what to write."""

import difflib
import json
import math
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Self

#: Where something stands in a file: keys of mappings, indices or names of list items.
Place = tuple[str | int, ...]

_LONGEST_VALUE = 100


@dataclass(frozen=True)
class Problem:
    """One broken rule. ``got``, ``allowed`` and ``remedy`` are texts for a person, or empty."""

    place: Place
    rule: str
    got: str = ""
    allowed: str = ""
    remedy: str = ""

    def within(self, *place: str | int) -> Self:
        """The same problem, seen from outside ``place``."""
        return replace(self, place=(*place, *self.place))

    def __str__(self) -> str:
        parts = [self.rule]
        if self.got:
            parts.append(f"got {self.got}")
        if self.allowed:
            parts.append(f"allowed {self.allowed}")
        if self.remedy:
            parts.append(self.remedy)
        return "; ".join(parts)


class ExperimentError(ValueError):
    """All problems that were found, one a line: ``FILE:LINE: at PLACE: RULE; got ...``."""

    def __init__(
        self,
        problems: Iterable[Problem],
        file: Path | None = None,
        lines: Mapping[Place, int] | None = None,
    ) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        self.file = file
        super().__init__("\n".join(_text(one, file, lines or {}) for one in self.problems))


def _text(problem: Problem, file: Path | None, lines: Mapping[Place, int]) -> str:
    parts = []
    if file is not None:
        line = line_of(problem.place, lines)
        parts.append(f"{file}:{line}" if line else f"{file}")
    if problem.place:
        parts.append(f"at {dotted(problem.place)}")
    return ": ".join([*parts, str(problem)])


def line_of(place: Place, lines: Mapping[Place, int]) -> int | None:
    """The line of the place, or of the nearest thing around it that has one."""
    for end in range(len(place), 0, -1):
        if place[:end] in lines:
            return lines[place[:end]]
    return None


def dotted(place: Place) -> str:
    """``factors[0].levels[2]``"""
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in place]
    return "".join(parts).removeprefix(".")


def shown(value: Any) -> str:
    """A value as YAML would have it on one line, so that "2" and 2 can be told apart."""
    text = _as_yaml(value)
    return text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + "..."


def _as_yaml(value: Any) -> str:
    if isinstance(value, Mapping):
        pairs = (f"{_as_yaml(key)}: {_as_yaml(inside)}" for key, inside in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list | tuple | Set):
        return f"[{', '.join(map(_as_yaml, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value).replace("nan", ".nan").replace("inf", ".inf")
    if isinstance(value, date):
        return str(value)
    return json.dumps(value, default=str, ensure_ascii=False)


def did_you_mean(word: object, candidates: Iterable[str]) -> str:
    """A question with the paths that end in ``word``, or the nearest right name; or nothing."""
    names, text = list(candidates), str(word)
    setting = text.rpartition(".")[2]
    near = [name for name in names if name.endswith(f".{setting}")]
    if "." in text and len(near) > 1:  # of many sections: none is nearer than a likely misspelling
        near = []
    near = near or difflib.get_close_matches(text, names, n=1, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else ""


def unknown(place: Place, what: str, word: object, candidates: Iterable[str]) -> Problem:
    """The problem of a name that is not among the right ones."""
    names = list(candidates)
    return Problem(
        place, f"unknown {what}", shown(word), ", ".join(names), did_you_mean(word, names)
    )
