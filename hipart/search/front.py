"""Trade-offs: which values nothing beats in every objective, and how much space they dominate."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = Sequence[Sequence[float]]


def front(values: Values, maximise: Sequence[bool]) -> list[int]:
    """Places of the non-dominated among ``values`` (trials, objectives), in order.

    Equal ones do not dominate each other: both are there.
    """
    costs = _costs(values, maximise)
    return [
        place
        for place, mine in enumerate(costs)
        if not ((costs <= mine).all(axis=1) & (costs < mine).any(axis=1)).any()
    ]


def worst(values: Values, maximise: Sequence[bool]) -> list[float]:
    """The worst value of each objective: what a hypervolume is measured from."""
    signs = np.where(maximise, -1.0, 1.0)
    return list(signs * _costs(values, maximise).max(axis=0))


def hypervolume(values: Values, reference: Sequence[float], maximise: Sequence[bool]) -> float:
    """The volume that is dominated by ``values`` and better than ``reference`` in everything."""
    costs = _costs(values, maximise)
    (bound,) = _costs([reference], maximise)
    inside = costs[(costs < bound).all(axis=1)]
    return _volume(inside, bound)


def _volume(costs: NDArray[np.float64], bound: NDArray[np.float64]) -> float:
    """By slices along the last objective."""
    if not len(costs):
        return 0.0
    if costs.shape[1] == 1:
        return float(bound[0] - costs.min())
    costs = costs[costs[:, -1].argsort()]
    ends = [*costs[1:, -1], bound[-1]]
    return sum(
        float(end - one[-1]) * _volume(costs[: place + 1, :-1], bound[:-1])
        for place, (one, end) in enumerate(zip(costs, ends, strict=True))
        if end > one[-1]
    )


def _costs(values: Values, maximise: Sequence[bool]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64) * np.where(maximise, -1.0, 1.0)
