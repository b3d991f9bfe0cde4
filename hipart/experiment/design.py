"""Arms and trials of an ablation: which changes of the base are tried, and with which seeds."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, product
from typing import Any, NamedTuple

from hipart.config import PipelineConfig, Section
from hipart.experiment.errors import ExperimentError, Place, Problem, shown
from hipart.experiment.form import Ablation, changed_at
from hipart.experiment.levels import Changes, Factor, Level
from hipart.experiment.metrics import Published
from hipart.experiment.paths import Changer, flat, moved, with_changes
from hipart.pipeline import FINAL_STAGE

BASE = "base"


class Standing:
    """Something that stands off the base in some factors."""

    #: Level by name of the factor, for every factor in which it is off the base.
    levels: tuple[tuple[str, str], ...]

    @property
    def factor(self) -> str | None:
        """The factors in which it is off the base, in words; None for the base and for arms."""
        return ", ".join(factor for factor, _ in self.levels) or None

    @property
    def level(self) -> str | None:
        """Its levels in those factors."""
        return ", ".join(level for _, level in self.levels) or None


@dataclass(frozen=True)
class Arm(Standing):
    """A setting that is compared: the base with some changes."""

    name: str
    changes: dict[str, Any] = field(hash=False)
    published: Published | None
    config: PipelineConfig
    levels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Trial:
    """An arm with a seed."""

    arm: Arm
    seed: int
    config: PipelineConfig
    #: Stages whose results are wanted for themselves.
    targets: tuple[str, ...] = (FINAL_STAGE,)


class _Proposal(NamedTuple):
    """An arm as written. One that ``may_be_base`` is the base arm where it changes nothing."""

    place: Place
    name: str
    changes: Changes
    published: Published | None
    may_be_base: bool
    levels: tuple[tuple[str, str], ...] = ()


#: A factor with one of its levels, and whether that moves the base; None stays at the base.
_Choice = tuple[Factor, Level, bool] | None


def arms(ablation: Ablation) -> list[Arm]:
    """The arms, the base arm first. Raises ExperimentError with every level that is refused."""
    return list(_arms(ablation))


def proposed(ablation: Ablation) -> list[str]:
    """The names of the arms as the design makes them, also of those that turn out the base."""
    return [proposal.name for proposal in _DESIGNS[ablation.design](ablation)]


@lru_cache(maxsize=64)
def _arms(ablation: Ablation) -> tuple[Arm, ...]:
    found = _Found(ablation)
    changer = Changer()
    problems: list[Problem] = []
    for proposal in _DESIGNS[ablation.design](ablation):
        try:
            config = changed_at(proposal.place, ablation.base_config, proposal.changes, changer)
            found.add(proposal, config)
        except ExperimentError as error:
            problems += error.problems
    problems = problems or found.idle(ablation)
    if problems:
        raise ExperimentError(_as_written(ablation, problem) for problem in problems)
    return tuple(found.arms)


def trials(ablation: Ablation) -> list[Trial]:
    """Every arm with every seed, all arms of a seed before the next seed."""
    tried, seeded = arms(ablation), _Seeded()
    targets = [ablation.targets_of(arm.config) for arm in tried]
    made: list[Trial] = []
    for seed in ablation.seeds:
        with_changes(tried[0].config, {f"{stage}.seed": seed for stage in ablation.reseed})
        for arm, wanted in zip(tried, targets, strict=True):
            config = seeded.config(arm.config, ablation.reseed, seed)
            made.append(Trial(arm, seed, config, wanted))
    return made


class _Seeded:
    """Configs with other seeds: a section with a seed is made once for all arms that have it."""

    def __init__(self) -> None:
        self._made: dict[tuple[int, int], tuple[Section, Section]] = {}

    def config(self, config: PipelineConfig, stages: Iterable[str], seed: int) -> PipelineConfig:
        """A config with this seed, which is known to be one, in these stages."""
        return config.model_copy(
            update={stage: self._section(getattr(config, stage), seed) for stage in stages}
        )

    def _section(self, section: Section, seed: int) -> Section:
        known = id(section), seed
        made = self._made.get(known)
        if made is None:  # the section itself is kept, so that its id stays its own
            made = self._made[known] = section, section.model_copy(update={"seed": seed})
        return made[1]


class _Found:
    """The arms so far, base first, and where among them a name and a config stand."""

    def __init__(self, ablation: Ablation) -> None:
        base = Arm(BASE, {}, ablation.published, ablation.base_config)
        self.arms = [base]
        self._at_base: set[Place] = set()
        self._by_name = {base.name: 0}
        self._by_config = {base.config: 0}

    def add(self, proposal: _Proposal, config: PipelineConfig) -> None:
        """Another arm, or the base, which is a level of each factor at most once.

        ExperimentError for one that is there already.
        """
        base = self.arms[0]
        if proposal.may_be_base and config == base.config:
            factor = proposal.place[:2]
            if factor in self._at_base:
                rule, got = "is the base's, as another level is", shown(proposal.changes)
                raise ExperimentError([Problem(proposal.place, rule, got, remedy="keep one")])
            self._at_base.add(factor)
            self.arms[0] = replace(base, published=base.published or proposal.published)
            return
        self._refuse_twice(proposal, config)
        name, place = proposal.name, len(self.arms)
        self._by_name[name] = self._by_config[config] = place
        changes = flat(proposal.changes)
        self.arms.append(Arm(name, changes, proposal.published, config, proposal.levels))

    def idle(self, ablation: Ablation) -> list[Problem]:
        """The problems of factors in which every arm stands at the base.

        Crossed with another, a level of the base may hold its value where the other would move it.
        """
        varied = {name for arm in self.arms for name, _ in arm.levels}
        if varied and ablation.design == "factorial":
            return []
        rule = "are the base's alone, so that the factor compares nothing"
        remedy = "give it another level, or rest it at this scale with []"
        return [
            Problem(("factors", one.name, "levels"), rule, remedy=remedy)
            for one in ablation.factors
            if one.name not in varied
        ]

    def _refuse_twice(self, proposal: _Proposal, config: PipelineConfig) -> None:
        """Of an arm of this name and one of this config, the first speaks, by its name."""
        name = proposal.name
        named, equal = self._by_name.get(name), self._by_config.get(config)
        if named is not None and (equal is None or named <= equal):
            arm = self.arms[named]
            changes = shown(arm.changes) if arm.changes else "the base"
            rule = f"arm {name!r} has the name of another arm: {changes}"
            remedy = "give every arm a name of its own"
        elif equal is not None:
            arm = self.arms[equal]
            nothing = "changes nothing, it" if arm.name == BASE else ""
            rule = f"arm {name!r} {nothing} is the same as arm {arm.name!r}".replace("  ", " ")
            remedy = "change another value or leave it out"
        else:
            return
        got = shown(proposal.changes)
        raise ExperimentError([Problem(proposal.place, rule, got, remedy=remedy)])


def _one_at_a_time(ablation: Ablation) -> Iterator[_Proposal]:
    for factor in ablation.factors:
        plain = factor.path is not None
        for level in factor.levels:
            yield _Proposal(
                place=("factors", factor.name, "levels", level.name, *(() if plain else ("set",))),
                name=f"{factor.name}={level.name}",
                changes=level.set,
                published=level.published,
                may_be_base=plain,
                levels=((factor.name, level.name),),
            )
    yield from _written_out(ablation)  # controls


def _factorial(ablation: Ablation) -> Iterator[_Proposal]:
    """Every combination. A factor with named levels also stands at the base."""
    base = ablation.base_config
    cells = [(one.cell(ablation.factors), one) for one in ablation.combinations]
    choices: list[list[_Choice]] = []
    for factor in ablation.factors:
        at_base: list[_Choice] = [] if factor.path else [None]
        named = factor.path is None
        off = [(factor, one, named or moved(base, one.set)) for one in factor.levels]
        choices.append([*at_base, *off])
    idle = {
        (factor.name, level.name)
        for factor, level, moves in filter(None, chain.from_iterable(choices))
        if not moves
    }
    # One of which a level rests at this scale is no cell of the design. Arms are called by those
    # of their levels that move the base.
    cells.sort(key=lambda one: len(one[0]))  # Of two that are one here, that which says more.
    combined = {cell - idle: one.published for cell, one in cells if len(cell) == len(one.levels)}
    elsewhere = _moved_by_scale(ablation)
    for combination in product(*choices):
        there = [choice for choice in combination if choice is not None]
        chosen = [(factor, level) for factor, level, _ in there]
        away = [(factor, level) for factor, level, moves in there if moves]
        stated = [
            level.published
            for factor, level in (away or chosen)
            if level.published and elsewhere <= {factor.name}
        ]
        levels = tuple((factor.name, level.name) for factor, level in away)
        name = ", ".join(f"{factor}={level}" for factor, level in levels)
        of_cell = combined.get(frozenset(levels))
        yield _Proposal(
            place=("factors", name),
            name=name,
            changes={path: value for _, level in chosen for path, value in level.set.items()},
            published=of_cell or (stated[0] if stated and len(away) <= 1 else None),
            may_be_base=all(factor.path for factor, _ in away),
            levels=levels,
        )
    yield from _written_out(ablation)  # controls


def _moved_by_scale(ablation: Ablation) -> set[str]:
    """Factors of values, not of named levels, whose base the file moves at this scale."""
    changed = flat(ablation.at_scale.base)
    return {factor.name for factor in ablation.factors if factor.path in changed}


def _written_out(ablation: Ablation) -> Iterator[_Proposal]:
    for arm in ablation.arms:
        yield _Proposal(
            (*place_of(ablation, arm), "set"),
            arm.name,
            arm.set,
            arm.published,
            may_be_base=False,
        )


def place_of(ablation: Ablation, arm: Level) -> Place:
    """Where an arm that is written out stands in the file."""
    alone = arm in ablation.at_scale.arms
    return (*(ablation.place_at_scale if alone else ()), "arms", arm.name)


def _as_written(ablation: Ablation, problem: Problem) -> Problem:
    """A problem of a level or an arm, at its place in what the file says of the scale if it is."""
    here, place = ablation.at_scale, problem.place
    match place:
        case ("factors", factor, "levels", *rest) if factor in here.levels and "set" not in rest:
            place = (*ablation.place_at_scale, "levels", factor, *rest)
        case ("factors", _, "levels", name, "set", path) | ("arms", name, "set", path) if (
            path in flat(here.sets.get(str(name), {}))
        ):
            place = (*ablation.place_at_scale, "sets", name, path)
    return replace(problem, place=place)


_DESIGNS: dict[str, Callable[[Ablation], Iterator[_Proposal]]] = {
    "one_at_a_time": _one_at_a_time,
    "factorial": _factorial,
    "arms": _written_out,
}
