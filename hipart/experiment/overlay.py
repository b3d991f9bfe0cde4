"""An experiment at a scale: the file with the seeds and levels that it states for that scale."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hipart.experiment.errors import ExperimentError
from hipart.experiment.explain import problems_of
from hipart.experiment.form import Ablation, Written
from hipart.experiment.levels import Changes, Factor, Level
from hipart.experiment.metrics import with_goal
from hipart.experiment.names import renamed
from hipart.experiment.scales import section_name, section_of


def at_scale(written: Written, path: Path, around: tuple[str, str, str]) -> Ablation:
    """The ablation that a checked file describes, every goal filled in, by the scale's own names.

    ``around`` names preset, scale and corpus.
    """
    ablation = renamed(as_written(written, path, around))
    return ablation.model_copy(update={"arms": (*ablation.arms, *ablation.at_scale.arms)})


def as_written(written: Written, path: Path, around: tuple[str, str, str]) -> Ablation:
    """The same by the names of the file, without the arms of this scale alone."""
    preset, scale, corpus = around
    values = {name: getattr(written, name) for name in Written.model_fields}
    values |= {
        "name": path.stem,
        "path": path,
        "scale": scale,
        "preset": preset,
        "corpus": corpus,
        "metric": with_goal(written.metric),
        "also": tuple(with_goal(choice) for choice in written.also),
        "claims": tuple(
            claim.model_copy(update={"metric": with_goal(claim.metric or written.metric)})
            for claim in written.claims
        ),
    }
    # Of which factor a level is the file says as a whole: a scale may have other ones.
    values["combinations"] = tuple(one.in_full(written.factors) for one in written.combinations)
    here = section_of(written.scales, scale)
    if here is not None:
        section = section_name(written.scales, scale)
        factors = [_factor(factor, here.levels, section) for factor in written.factors]
        values["factors"] = tuple(
            factor.model_copy(update={"levels": _with_sets(factor.levels, here.sets)})
            for factor in factors
            if factor
        )
        values["arms"] = _with_sets(written.arms, here.sets)
        values["seeds"] = here.seeds or written.seeds
    return Ablation(**values)


def _with_sets(levels: tuple[Level, ...], sets: dict[str, Changes]) -> tuple[Level, ...]:
    return tuple(
        level.model_copy(update={"set": level.set | sets.get(level.name, {})}) for level in levels
    )


def _factor(factor: Factor, replacements: dict[str, list[Any]], section: str) -> Factor | None:
    """The factor with the levels of this scale; None where it rests."""
    levels = replacements.get(factor.name)
    if levels is None:
        return factor
    if not levels:
        return None
    if factor.path is None:
        kept = tuple(level for level in factor.levels if level.name in levels)
        return factor.model_copy(update={"levels": kept})
    values = {
        "name": factor.name,
        "path": factor.path,
        "base": factor.base,
        "levels": levels,
    }
    try:
        return Factor.model_validate(values)
    except ValidationError as error:
        found = problems_of(error, Factor)
        place = ("scales", section, "levels", factor.name)
        raise ExperimentError(problem.within(*place) for problem in found) from None
