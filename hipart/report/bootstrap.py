"""How far a difference between two arms holds beyond the test clips it was measured on.

Seeds tell how a result moves when training is repeated; where they are few, that says little. The
same samples under both arms tell how it moves with other test data. Frames of a clip are alike, so
whole clips are drawn (clustered bootstrap; Cameron, Gelbach and Miller 2008), not frames.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hipart.report.statistics import student
from hipart.results import SampleErrors

Values = NDArray[np.float64]
Labels = NDArray[np.int64]

DRAWS = 1000
SEED = 0
#: Rows that are multiplied at once: so few that no second thread is started, which would wait for
#: a busy core longer than the product takes; a multiple of 8, so that it rounds the same.
PIECE = 128
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
        if not (_equal(one.action, action) and _equal(one.clip, clip)):
            return None
    difference = np.mean([mine.error - theirs.error for mine, theirs in pairs], axis=0)
    return clustered(difference, action, clip)


def clustered(difference: Values, action: Labels, clip: Labels) -> OverClips | None:
    """Mean over actions of per-sample differences (N,), with the spread that drawing clips gives.

    The interval is the estimate plus and minus Student's quantile at one degree of freedom less
    than there are clips, times the bootstrap's standard error: with the few clips of a corpus the
    percentiles of a bootstrap are too narrow. None with fewer than five clips, or without spread.
    """
    drawn = _draws(*(np.asarray(labels, np.int64).tobytes() for labels in (action, clip)))
    if drawn is None:
        return None
    count = drawn.clips
    sums = np.bincount(drawn.cell, difference, drawn.sizes.size).reshape(drawn.sizes.shape)
    # The mean over those actions that a draw has; one that it does not have adds a zero.
    drawn_sums = np.concatenate([some @ sums for some in drawn.times])
    draws = (drawn_sums / drawn.drawn_sizes).sum(axis=1) / drawn.present
    delta = float((sums.sum(0) / drawn.sizes.sum(0)).mean())
    error = float(draws.std(ddof=1)) * (count / (count - 1)) ** 0.5
    if not error > 0:
        return None
    found = student(delta, error, count - 1)
    assert found.low is not None and found.high is not None and found.p is not None
    return OverClips(count, delta, found.low, found.high, found.p)


@dataclass(frozen=True)
class _Draws:
    """How often each clip is drawn, and how many samples of each action then are there.

    It follows from the labels of the samples, which the arms of a table have in common.
    """

    clips: int
    cell: Labels
    """(N,), a sample's clip and action as one number."""
    sizes: Values
    """(clips, actions), how many samples."""
    times: tuple[Values, ...]
    """(draws, clips), in pieces."""
    drawn_sizes: Values
    """(draws, actions), how many samples; one where there is none."""
    present: Labels
    """(draws,), how many actions have."""


@lru_cache(maxsize=16)
def _draws(action: bytes, clip: bytes) -> _Draws | None:
    """The draws for these labels; None with too few clips."""
    clips, of_clip = np.unique(np.frombuffer(clip, np.int64), return_inverse=True)
    actions, of_action = np.unique(np.frombuffer(action, np.int64), return_inverse=True)
    count = len(clips)
    if count < FEWEST_CLIPS:
        return None
    cell = of_clip * len(actions) + of_action
    sizes = np.bincount(cell, minlength=count * len(actions)).reshape(count, -1).astype(float)
    chance = np.random.default_rng(SEED)
    times = chance.multinomial(count, np.full(count, 1 / count), DRAWS).astype(float)
    drawn_sizes = times @ sizes
    present = (drawn_sizes > 0).sum(axis=1)
    pieces = tuple(times[start : start + PIECE] for start in range(0, DRAWS, PIECE))
    return _Draws(count, cell, sizes, pieces, np.maximum(drawn_sizes, 1), present)


def _equal(one: Labels, other: Labels) -> bool:
    return one is other or np.array_equal(one, other)


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
