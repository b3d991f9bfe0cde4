"""Drawn numbers: few digits, and enough of them."""

import random

import pytest

from hipart.config import PipelineConfig
from hipart.experiment.dimension import Dimension
from hipart.experiment.space import Space
from hipart.search.drawing import at_random

ORDINARY = [
    ([2.0e-4, 1.0e-2], True),
    ([1.0e-4, 5.0e-3], True),
    ([3.0e-3, 0.3], True),
    ([0.0, 0.4], False),
    ([0, 0.5], False),
    ([0.1, 0.9], False),
    ([0.9, 1.0], False),
    ([0.9, 0.99], False),
    ([1.1, 1.2], False),
    ([1.0, 1.1], False),
    ([-0.5, 0.25], False),
    ([95.0, 105.5], False),
]
NARROW = [
    [0.9990, 0.9999],
    [0.99, 0.999],
    [-0.9999, -0.9990],
    [100.0, 101.0],
    [1.0e-3, 1.0001e-3],
    [0.5, 0.5 + 1e-9],
]


def _drawn(
    given: list[float], log: bool = False, count: int = 2000
) -> tuple[Dimension, list[float]]:
    form = {"name": "x", "path": "lifter.decay", "range": given, "log": log}
    space = Space(PipelineConfig(), (Dimension.model_validate(form),))
    luck = random.Random(5)
    return space["x"], [float(at_random(space, luck)["x"]) for _ in range(count)]


@pytest.mark.parametrize(("given", "log"), ORDINARY, ids=str)
def test_what_is_drawn_of_an_ordinary_range_has_four_digits(given: list[float], log: bool) -> None:
    """A study that goes on draws what it would have drawn."""
    dimension, drawn = _drawn(given, log)
    luck = random.Random(5)
    rounded = [float(f"{dimension.at(luck.random()):.4g}") for _ in drawn]
    assert drawn == [min(given[1], max(given[0], one)) for one in rounded]


@pytest.mark.parametrize("given", NARROW, ids=str)
def test_a_narrow_range_is_drawn_with_the_digits_of_its_extent(given: list[float]) -> None:
    low, high = given
    dimension, drawn = _drawn(given)
    assert all(low <= one <= high for one in drawn)
    assert len(set(drawn)) > 500
    luck = random.Random(5)
    off = [abs(one - float(dimension.at(luck.random()))) for one in drawn]
    assert max(off) <= (high - low) / 200


@pytest.mark.parametrize("given", [[-1e308, 0.5e308], [5e-324, 1e-320], [1.0, 1.0 + 2**-52]])
def test_extreme_ranges_are_drawn_within_themselves(given: list[float]) -> None:
    _, drawn = _drawn(given, count=200)
    assert all(given[0] <= one <= given[1] for one in drawn)
