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

from hipart.report.statistics import ROUNDING, student
from hipart.sample_errors import SampleErrors

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
    sums = np.bincount(drawn.cell, difference)
    delta, error = float(drawn.weights @ sums), float(np.linalg.norm(drawn.spread @ sums))
    if not error > ROUNDING * abs(delta):
        return None
    found = student(delta, error, drawn.clips - 1)
    assert found.low is not None and found.high is not None and found.p is not None
    return OverClips(drawn.clips, found.mean, found.low, found.high, found.p)


@dataclass(frozen=True)
class _Draws:
    """What drawing clips does to sums of differences, one for every cell: an action within a clip.

    What a draw estimates is linear in those sums, so all draws together are a matrix (draws,
    cells), and their standard deviation is the length of a vector. It follows from the labels of
    the samples, which the arms of a table have in common.
    """

    clips: int
    cell: Labels
    """(N,), a sample's cell."""
    weights: Values
    """(cells,), times the sums: the mean over actions of all samples."""
    spread: Values
    """(cells, cells), times the sums: a vector as long as the standard error."""


@lru_cache(maxsize=16)
def _draws(action: bytes, clip: bytes) -> _Draws | None:
    """The draws for these labels; None with too few clips."""
    clips, of_clip = np.unique(np.frombuffer(clip, np.int64), return_inverse=True)
    actions, of_action = np.unique(np.frombuffer(action, np.int64), return_inverse=True)
    count = len(clips)
    if count < FEWEST_CLIPS:
        return None
    cells, cell, sizes = np.unique(
        of_clip * len(actions) + of_action, return_inverse=True, return_counts=True
    )
    clip_of, action_of = np.divmod(cells, len(actions))
    chance = np.random.default_rng(SEED)
    times = chance.multinomial(count, np.full(count, 1 / count), DRAWS).astype(float)
    weights = _weights(np.ones((1, count)), clip_of, action_of, sizes)[0]
    draws = _weights(times, clip_of, action_of, sizes)
    # A factor of the draws' covariance: the same lengths from few rows.
    spread = np.linalg.qr(draws - draws.mean(0), mode="r") / (DRAWS - 1) ** 0.5
    return _Draws(count, cell, weights, spread * (count / (count - 1)) ** 0.5)


def _weights(times: Values, clip_of: Labels, action_of: Labels, sizes: Labels) -> Values:
    """(draws, cells): times the sums, the mean over those actions that a draw has.

    ``times`` (draws, clips) is how often each clip is drawn; cells have a clip, an action, a size.
    """
    drawn: Values = times[:, clip_of]
    of_action = np.eye(action_of.max() + 1)[action_of]
    drawn_sizes = (drawn * sizes) @ of_action
    present = (drawn_sizes > 0).sum(axis=1, keepdims=True)
    weights: Values = drawn / np.maximum(drawn_sizes, 1)[:, action_of] / present
    return weights


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
