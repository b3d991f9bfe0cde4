"""How values of a space are drawn, by Optuna or at random, and what Optuna calls its dimensions."""

import math
import random

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from hipart.experiment.dimension import Dimension, Value
from hipart.experiment.space import Point, Space

#: Significant digits of a drawn number, so that it can be read and written down.
DIGITS = 4
#: A range within which these digits leave fewer steps is drawn with as many of its extent.
FEWEST_STEPS = 100


def suggested(trial: optuna.Trial, dimension: Dimension) -> Value:
    """The value that Optuna suggests for a dimension."""
    if dimension.levels is not None:
        return str(trial.suggest_categorical(dimension.name, dimension.names))
    assert dimension.range is not None
    low, high = dimension.range
    if dimension.kind == "int":
        step = int(dimension.step or 1)
        return trial.suggest_int(dimension.name, int(low), int(high), step=step, log=dimension.log)
    value = trial.suggest_float(dimension.name, low, high, step=dimension.step, log=dimension.log)
    return _readable(dimension, value)


def at_random(space: Space, source: random.Random) -> Point:
    """A point whose every dimension is drawn by itself."""
    point: Point = {}
    for dimension in space.dimensions:
        if dimension.exists(point):
            point[dimension.name] = _readable(dimension, dimension.at(source.random()))
    return point


def distribution(dimension: Dimension) -> BaseDistribution:
    """A dimension as Optuna writes it down."""
    if dimension.levels is not None:
        return CategoricalDistribution(dimension.names)
    assert dimension.range is not None
    low, high = dimension.range
    if dimension.kind == "int":
        step = int(dimension.step or 1)
        return IntDistribution(int(low), int(high), log=dimension.log, step=step)
    return FloatDistribution(float(low), float(high), log=dimension.log, step=dimension.step)


def _readable(dimension: Dimension, value: Value) -> Value:
    """A drawn number of few digits that is within its range; others as they are."""
    if dimension.kind != "float" or isinstance(value, str):
        return value
    assert dimension.range is not None
    low, high = dimension.range
    digits = 12 if dimension.step else _digits(low, high)
    return min(float(high), max(float(low), float(f"{value:.{digits}g}")))


def _digits(low: float, high: float) -> int:
    """How many significant digits tell the values of a range apart."""
    largest, extent = max(abs(low), abs(high)), high - low
    step = 10.0 ** (math.floor(math.log10(largest)) + 1 - DIGITS)
    if extent >= (FEWEST_STEPS - 1e-6) * step:  # 1.2 - 1.1 is less than 0.1
        return DIGITS
    return DIGITS + math.floor(math.log10(largest / extent))
