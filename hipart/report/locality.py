"""Whether an order of parts can mean anything: only if a token moves its own part.

A prior that generates parts in an order says something of bodies as far as a token stands for its
part. Where changing one moves all other parts nearly as much, tables of orders compare names.
"""

from collections.abc import Sequence

from hipart.experiment.design import Arm
from hipart.report.model import Column, Row

#: Below this many times the shift of the others, a token does not stand for its part.
LOCAL = 2.0
_KEY = "probe/locality"


def told(columns: Sequence[Column], rows: Sequence[Row], tried: Sequence[Arm]) -> str:
    """What the least mean locality says of an ablation of orders; empty where there is nothing."""
    places = [place for place, column in enumerate(columns) if column.key == _KEY]
    if not places or not _varies_the_order(tried):
        return ""
    means = [mean for row in rows if (mean := row.cells[places[0]].mean) is not None]
    if not means or min(means) >= LOCAL:
        return ""
    return (
        f"Order means nothing here: a token moves its own part only {_times(min(means))} times as "
        f"much as the others (locality below {LOCAL:g})."
    )


def _times(mean: float) -> str:
    """Cut, not rounded: what is below the limit must not read as if it were there."""
    return f"{int(mean * 100) / 100:.2f}"


def _varies_the_order(tried: Sequence[Arm]) -> bool:
    return len({(arm.config.prior.order, arm.config.prior.within_part) for arm in tried}) > 1
