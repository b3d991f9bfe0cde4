"""How far a difference between two arms holds beyond the test clips it was measured on.

Seeds tell how a result moves when training is repeated; where they are few, that says little. The
same samples under both arms tell how it moves with other test data. Frames of a clip are alike, so
whole clips are drawn (clustered bootstrap; Cameron, Gelbach and Miller 2008), not frames.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hipart.report.statistics import student
from hipart.results import SampleErrors

Values = NDArray[np.float64]
Labels = NDArray[np.int64]

DRAWS = 1000
SEED = 0
#: With fewer clips than this a bootstrap over them says nothing.
FEWEST_CLIPS = 5


@dataclass(frozen=True)
class OverClips:
    """A difference to the base with its interval over test clips, trained models held fixed."""

    clips: int
    delta: float
    low: float
    high: float
    p: float


def over_clips(arm: Sequence[SampleErrors], base: Sequence[SampleErrors]) -> OverClips | None:
    """The mean difference over common seeds; None where the test samples are not the same."""
    pairs = _pairs(arm, base)
    if not pairs:
        return None
    action, clip = pairs[0][0].action, pairs[0][0].clip
    for one in (one for pair in pairs for one in pair):
        if not (np.array_equal(one.action, action) and np.array_equal(one.clip, clip)):
            return None
    difference = np.mean([mine.error - theirs.error for mine, theirs in pairs], axis=0)
    return clustered(difference, action, clip)


def clustered(difference: Values, action: Labels, clip: Labels) -> OverClips | None:
    """Mean over actions of per-sample differences (N,), with the spread that drawing clips gives.

    The interval is the estimate plus and minus Student's quantile at one degree of freedom less
    than there are clips, times the bootstrap's standard error: with the few clips of a corpus the
    percentiles of a bootstrap are too narrow. None with fewer than five clips, or without spread.
    """
    clips, of_clip = np.unique(clip, return_inverse=True)
    actions, of_action = np.unique(action, return_inverse=True)
    count = len(clips)
    if count < FEWEST_CLIPS:
        return None
    sums, sizes = np.zeros((2, count, len(actions)))
    np.add.at(sums, (of_clip, of_action), difference)
    np.add.at(sizes, (of_clip, of_action), 1)
    chance = np.random.default_rng(SEED)
    times = chance.multinomial(count, np.full(count, 1 / count), DRAWS).astype(float)
    with np.errstate(invalid="ignore"):
        draws = np.nanmean((times @ sums) / (times @ sizes), axis=1)
    delta = float((sums.sum(0) / sizes.sum(0)).mean())
    error = float(draws.std(ddof=1)) * (count / (count - 1)) ** 0.5
    if not error > 0:
        return None
    found = student(delta, error, count - 1)
    assert found.low is not None and found.high is not None and found.p is not None
    return OverClips(count, delta, found.low, found.high, found.p)


def _pairs(
    arm: Iterable[SampleErrors], base: Iterable[SampleErrors]
) -> list[tuple[SampleErrors, SampleErrors]]:
    """Trials of one seed, every pair of artifacts once."""
    theirs = {one.seed: one for one in base}
    found = {
        (mine.artifact, theirs[mine.seed].artifact): (mine, theirs[mine.seed])
        for mine in arm
        if mine.seed in theirs
    }
    return list(found.values())
