"""Arms and trials of an ablation: which changes of the base are tried, and with which seeds."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any, NamedTuple

from hipart.config import PipelineConfig
from hipart.experiment.errors import ExperimentError, Place, Problem, shown
from hipart.experiment.form import Ablation, Changes, Factor, Level, Published, changed_at
from hipart.experiment.paths import flat, moved, with_changes
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


def arms(ablation: Ablation) -> list[Arm]:
    """The arms, the base arm first. Raises ExperimentError with every level that is refused."""
    base = Arm(BASE, {}, ablation.published, ablation.base_config)
    found = [base]
    problems: list[Problem] = []
    for proposal in _DESIGNS[ablation.design](ablation):
        try:
            config = changed_at(proposal.place, base.config, proposal.changes)
            if proposal.may_be_base and config == base.config:
                found[0] = replace(base, published=found[0].published or proposal.published)
            else:
                found.append(_arm(proposal, config, found))
        except ExperimentError as error:
            problems += error.problems
    if problems:
        raise ExperimentError(problems)
    return found


def trials(ablation: Ablation) -> list[Trial]:
    """Every arm with every seed, all arms of a seed before the next seed."""
    return [
        Trial(
            arm,
            seed,
            with_changes(arm.config, {f"{stage}.seed": seed for stage in ablation.reseed}),
            ablation.targets,
        )
        for seed in ablation.seeds
        for arm in arms(ablation)
    ]


def _arm(proposal: _Proposal, config: PipelineConfig, found: list[Arm]) -> Arm:
    name = proposal.name
    for arm in found:
        if arm.name == name:
            rule = f"arm {name!r} has the name of another arm: {arm.changes or 'the base'}"
            remedy = "give every arm a name of its own"
        elif arm.config == config:
            nothing = "changes nothing, it" if arm.name == BASE else ""
            rule = f"arm {name!r} {nothing} is the same as arm {arm.name!r}".replace("  ", " ")
            remedy = "change another value or leave it out"
        else:
            continue
        got = shown(proposal.changes)
        raise ExperimentError([Problem(proposal.place, rule, got, remedy=remedy)])
    changes = flat(proposal.changes)
    return Arm(name, changes, proposal.published, config, proposal.levels)


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


def _factorial(ablation: Ablation) -> Iterator[_Proposal]:
    """Every combination. A factor with named levels also stands at the base."""
    base = ablation.base_config
    combined = {frozenset(one.levels): one.published for one in ablation.combinations}
    choices: list[list[tuple[Factor, Level | None]]] = []
    for factor in ablation.factors:
        at_base = [] if factor.path else [(factor, None)]
        choices.append([*at_base, *((factor, level) for level in factor.levels)])
    for combination in product(*choices):
        chosen = [(factor, level) for factor, level in combination if level is not None]
        away = [pair for pair in chosen if pair[0].path is None or moved(base, pair[1].set)]
        stated = [level.published for _, level in (away or chosen) if level.published]
        names = [level.name for _, level in away]
        name = ", ".join(f"{factor.name}={level.name}" for factor, level in away)
        yield _Proposal(
            place=("factors", name),
            name=name,
            changes={path: value for _, level in chosen for path, value in level.set.items()},
            published=stated[0] if stated and len(away) <= 1 else combined.get(frozenset(names)),
            may_be_base=all(factor.path for factor, _ in away),
            levels=tuple((factor.name, level.name) for factor, level in away),
        )
    yield from _written_out(ablation)  # controls


def _written_out(ablation: Ablation) -> Iterator[_Proposal]:
    for arm in ablation.arms:
        yield _Proposal(
            ("arms", arm.name, "set"),
            arm.name,
            arm.set,
            arm.published,
            may_be_base=False,
        )


_DESIGNS: dict[str, Callable[[Ablation], Iterator[_Proposal]]] = {
    "one_at_a_time": _one_at_a_time,
    "factorial": _factorial,
    "arms": _written_out,
}
