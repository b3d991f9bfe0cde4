"""Main effects and interactions of a factorial design, from its cells and seeds."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from operator import itemgetter

import polars as pl

from hipart.experiment.design import Arm
from hipart.report.model import Effect
from hipart.report.statistics import holm, one_sample

#: A cell of the design: a level, or None for the base, of every factor in turn.
Cell = tuple[str | None, ...]


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
    named = {name: weights for name, weights in _contrasts(factors, levels, every)}
    values = {
        name: [sum(weight * cells[cell] for cell, weight in weights.items()) for cells in seeds]
        for name, weights in named.items()
    }
    tests = {name: one_sample(differences) for name, differences in values.items()}
    corrected = holm([test.p if test else None for test in tests.values()])
    return tuple(
        Effect(name, len(seeds), test.mean, test.low, test.high, test.p, p_holm)
        for (name, test), p_holm in zip(tests.items(), corrected, strict=True)
        if test is not None
    )


def _complete_seeds(
    frame: pl.DataFrame, metric: str, cell_of: Mapping[str, Cell], every: Sequence[Cell]
) -> list[dict[Cell, float]]:
    """The value of every cell, for each seed that has them all; equal artifacts count once."""
    found: dict[tuple[tuple[str, ...]], dict[Cell, float]] = {}
    key = f"key/{metric.split('/', maxsplit=1)[0]}"
    for part in frame.filter(pl.col(metric).is_finite()).partition_by("seed", maintain_order=True):
        rows = [row for row in part.iter_rows(named=True) if row["arm"] in cell_of]
        cells = {cell_of[row["arm"]]: float(row[metric]) for row in rows}
        if len(cells) == len(every):
            artifacts = tuple(str(row[key] if key in row else row["seed"]) for row in rows)
            found.setdefault((artifacts,), cells)
    return list(found.values())


def _contrasts(
    factors: Sequence[str], levels: Mapping[str, Sequence[str]], every: Sequence[Cell]
) -> Iterator[tuple[str, dict[Cell, float]]]:
    """Names, and the weights of the cells whose sum is the effect."""
    for place, factor in enumerate(factors):
        cells = _by_standing(every, (place,))
        for level in levels[factor]:
            yield f"{factor}={level}", _weights(cells, (level,))
    for (one, first), (two, second) in combinations(enumerate(factors), 2):
        cells = _by_standing(every, (one, two))
        for level, other in product(levels[first], levels[second]):
            yield f"{first}={level} x {second}={other}", _weights(cells, (level, other))


#: Cells with their places in the design, by where they stand in some factors.
_Cells = dict[Cell, list[tuple[int, Cell]]]


def _by_standing(every: Sequence[Cell], factors: Sequence[int]) -> _Cells:
    found: _Cells = {}
    for place, cell in enumerate(every):
        found.setdefault(tuple(cell[factor] for factor in factors), []).append((place, cell))
    return found


def _weights(cells: _Cells, levels: Sequence[str]) -> dict[Cell, float]:
    """The cells at these levels or at the base, in the order of the design.

    Each standing off the base turns the sign once less; weights are divided by how often each
    sign stands there for one contrast.
    """
    signed: list[tuple[int, Cell, float]] = []
    for standing in product(*((level, None) for level in levels)):
        sign = (-1.0) ** standing.count(None)
        signed += [(place, cell, sign) for place, cell in cells[standing]]
    contrasts = len(signed) / 2 ** len(levels)
    return {cell: sign / contrasts for _, cell, sign in sorted(signed, key=itemgetter(0))}
