"""What things are called at one scale: names that are true there, and claims that follow them.

A published value belongs to what the file calls it. What has another name at a scale has none, and
neither has what stands at a base of another name.
"""

from hipart.experiment.design import proposed
from hipart.experiment.form import Ablation, Claim
from hipart.experiment.levels import Combination, Factor, Level


def renamed(ablation: Ablation) -> Ablation:
    """The same ablation by the names of its scale."""
    names, says = ablation.at_scale.names, ablation.at_scale.says
    if not names and not says:
        return ablation
    moved = {factor.name for factor in ablation.factors if factor.base in names}
    called = ablation.model_copy(
        update={
            "factors": tuple(_factor(factor, names, moved) for factor in ablation.factors),
            "arms": tuple(_level(arm, names, kept=not moved) for arm in ablation.arms),
            "combinations": _combinations(ablation, names, moved),
            "published": None if moved else ablation.published,
        }
    )
    arms = dict(zip(proposed(ablation), proposed(called), strict=True))
    claims = tuple(_claim(claim, arms, says) for claim in ablation.claims)
    return called.model_copy(update={"claims": claims})


def _factor(factor: Factor, names: dict[str, str], moved: set[str]) -> Factor:
    # A plain value may be the base's own.
    elsewhere = moved if factor.path else moved - {factor.name}
    levels = tuple(_level(level, names, kept=not elsewhere) for level in factor.levels)
    base = names.get(factor.base, factor.base) if factor.base else None
    return factor.model_copy(update={"base": base, "levels": levels})


def _level(level: Level, names: dict[str, str], *, kept: bool) -> Level:
    """A level or an arm by its name here, its published value ``kept`` if the name is."""
    kept = kept and level.name not in names
    return level.model_copy(
        update={
            "name": names.get(level.name, level.name),
            "published": level.published if kept else None,
        }
    )


def _combinations(
    ablation: Ablation, names: dict[str, str], moved: set[str]
) -> tuple[Combination, ...]:
    """Those that have every name as written and stand at no base of another name."""
    cells = [(one, dict(one.cell(ablation.factors))) for one in ablation.combinations]
    return tuple(
        one for one, cell in cells if not names.keys() & set(cell.values()) and moved <= cell.keys()
    )


def _claim(claim: Claim, arms: dict[str, str], says: dict[str, str]) -> Claim:
    return claim.model_copy(
        update={
            "says": says.get(claim.says, claim.says),
            "better": arms.get(claim.better, claim.better),
            "worse": arms.get(claim.worse, claim.worse),
        }
    )
