"""Whether a trial goes on after a rung, judged beside all that ever came to that rung."""

from collections.abc import Sequence
from statistics import median

from hipart.experiment.search import Proxy, Stopping

#: Trials at a rung before the median of them means anything.
LEAST = 4


def goes_on(stopping: Stopping, value: float, others: Sequence[float], maximise: bool) -> bool:
    """Whether a trial with this value at a rung goes on; ``others`` came to the rung before.

    asha (Li et al. 2020, the stopping form): it is among the best 1/``reduction`` of all there, or
    the best one. median (Golovin et al. 2017): it is no worse than the others' median.
    """
    sign = -1.0 if maximise else 1.0
    mine, theirs = sign * value, sorted(sign * one for one in others)
    if stopping.kind == "median":
        return len(theirs) < LEAST or mine <= median(theirs)
    places = max(1, (len(theirs) + 1) // stopping.reduction)
    return sum(one < mine for one in theirs) < places


def tokenizer_is_worth_it(
    proxy: Proxy, value: float, others: Sequence[float], maximise: bool
) -> bool:
    """Whether a tokenizer is among the share of the best that ``proxy`` keeps."""
    if len(others) < proxy.startup:
        return True
    sign = -1.0 if maximise else 1.0
    better = sum(sign * one < sign * value for one in others)
    return better < max(1.0, proxy.keep * (len(others) + 1))
