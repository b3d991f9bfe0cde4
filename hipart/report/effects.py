"""Main effects and interactions of a factorial design, from its cells and seeds."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hipart.experiment.design import Arm
from hipart.report.model import Effect
from hipart.report.statistics import holm, one_sample

#: A cell of the design: a level, or None for the base, of every factor in turn.
Cell = tuple[str | None, ...]
Values = NDArray[np.float64]


def effects(
    factors: Sequence[str], tried: Sequence[Arm], frame: pl.DataFrame, metric: str
) -> tuple[Effect, ...]:
    """Every level's main effect, and every pair of levels' interaction, Holm-corrected together.

    A main effect is the level minus the base's level, as a mean over all levels of the other
    factors; an interaction is how much the effect of one level changes with the other. Both are
    computed within each seed that has all the cells, then tested over seeds. Empty unless all
    cells of two or more factors are there.
    """
    levels: dict[str, list[str]] = {factor: [] for factor in factors}
    for arm in tried:
        for factor, level in arm.levels:
            known = levels[factor]
            known += [level] if level not in known else []
    cell_of: dict[str, Cell] = {
        arm.name: tuple(dict(arm.levels).get(factor) for factor in factors)
        for arm in tried
        if arm.levels or arm is tried[0]
    }
    every = list(product(*([None, *levels[factor]] for factor in factors)))
    if len(factors) < 2 or set(every) != set(cell_of.values()) or metric not in frame.columns:
        return ()
    seeds = _complete_seeds(frame, metric, cell_of, every)
    shape = (len(seeds), *(1 + len(levels[factor]) for factor in factors))
    values = dict(_contrasts(levels, np.array(seeds).reshape(shape)))
    tests = {name: one_sample(differences.tolist()) for name, differences in values.items()}
    corrected = holm([test.p if test else None for test in tests.values()])
    return tuple(
        Effect(name, len(seeds), test.mean, test.low, test.high, test.p, p_holm)
        for (name, test), p_holm in zip(tests.items(), corrected, strict=True)
        if test is not None
    )


def _complete_seeds(
    frame: pl.DataFrame, metric: str, cell_of: Mapping[str, Cell], every: Sequence[Cell]
) -> list[list[float]]:
    """The value of every cell, for each seed that has them all; equal artifacts count once."""
    key = f"key/{metric.split('/', maxsplit=1)[0]}"
    finite = frame.filter(pl.col(metric).is_finite(), pl.col("arm").is_in(list(cell_of)))
    columns = "arm", metric, key if key in frame.columns else "seed"
    found: dict[tuple[str, ...], list[float]] = {}
    for part in finite.partition_by("seed", maintain_order=True):
        rows = part.select(columns).rows()
        cells = {cell_of[arm]: value for arm, value, _ in rows}
        if len(cells) == len(every):
            artifacts = tuple(str(artifact) for _, _, artifact in rows)
            found.setdefault(artifacts, [cells[cell] for cell in every])
    return list(found.values())


def _contrasts(levels: Mapping[str, Sequence[str]], values: Values) -> Iterator[tuple[str, Values]]:
    """Names and effects (seeds,) of values (seeds, standings in the first factor, ...), the base
    before the levels.
    """
    places = range(1, values.ndim)
    for place, (factor, own) in enumerate(levels.items(), 1):
        mean = values.mean(tuple(other for other in places if other != place))
        for at, level in enumerate(own, 1):
            yield f"{factor}={level}", mean[:, at] - mean[:, 0]
    for (one, (first, own)), (two, (second, others)) in combinations(
        enumerate(levels.items(), 1), 2
    ):
        mean = values.mean(tuple(other for other in places if other not in (one, two)))
        crossed = mean - mean[:, :1] - mean[:, :, :1] + mean[:, :1, :1]
        for (at, level), (to, other) in product(enumerate(own, 1), enumerate(others, 1)):
            yield f"{first}={level} x {second}={other}", crossed[:, at, to]
