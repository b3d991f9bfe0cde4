"""Errors of 2D joints as they were measured on Human3.6M: the profile ``h36m`` of the detector.

Three things were measured by others, and are quoted here:

* ``MEASURED``: mean and spread of a joint's error, and the share of its detections which are
  inliers, that is, follow them. Chang, Moon, Lee, AbsPoseLifter (arXiv 1910.12029), of the
  detections of Human3.6M; the numbers are in Pose2Mesh's repository (data/Human36M/noise_stats.py,
  commit f68f49f), which draws training poses from them. Their pixels are those of an image of
  256 x 256 around the person: errors grow with the person.
* ``KINDS``: how outliers divide into joints taken for their mirror image and joints missed. Moon,
  Chang, Lee, PoseFix (CVPR 2019), after Ronchi, Perona (ICCV 2017), of detections of COCO, for
  people of whom most joints are seen. The measured shares of outliers stay what they are.
* ``SIGMA``: how far off a miss is: where the similarity of COCO's keypoints is between 0.5 and 0.1.
  Its standard deviations are those of COCO's evaluation.

Which joints are missed is told by the body itself: those behind another of its bones, of which
``RADIUS_MM`` says how thick the packaged body is around them.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from statistics import NormalDist
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from hipart.data.truth import Truth
from hipart.skeleton import JOINTS, NUM_JOINTS, OTHER_SIDE, PARENTS

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Indices = NDArray[np.intp]
Value = TypeVar("Value")

#: Side of the image whose pixels ``MEASURED`` is in.
MEASURED_SIDE_PX = 256.0


class Measured(NamedTuple):
    """Errors of a joint: ``mean`` and ``spread`` (x, y), px of 256; ``inliers``, their share."""

    mean: tuple[float, float]
    spread: tuple[float, float]
    inliers: float


MEASURED: dict[str, Measured] = {
    "Hip": Measured((-0.06, -2.37), (1.33, 2.13), 1.00),
    "RHip": Measured((-0.83, -2.07), (3.41, 2.69), 1.00),
    "RKnee": Measured((-0.04, -1.01), (1.74, 2.20), 0.95),
    "RFoot": Measured((0.52, -3.40), (1.39, 2.14), 0.93),
    "LHip": Measured((0.78, -2.79), (3.26, 2.28), 1.00),
    "LKnee": Measured((0.42, -0.15), (1.53, 1.99), 0.94),
    "LFoot": Measured((-0.15, -3.78), (1.39, 2.39), 0.93),
    "Spine": Measured((-0.05, 0.10), (1.36, 1.74), 0.99),
    "Thorax": Measured((0.14, -2.56), (1.18, 1.15), 0.99),
    "Neck": Measured((0.13, -0.26), (0.78, 0.59), 0.98),
    "Head": Measured((0.09, 0.49), (1.35, 0.87), 0.99),
    "LShoulder": Measured((-0.19, 0.31), (2.51, 1.48), 0.99),
    "LElbow": Measured((0.11, -0.60), (1.79, 1.76), 0.95),
    "LWrist": Measured((-0.02, 0.88), (2.02, 2.10), 0.91),
    "RShoulder": Measured((0.52, -0.12), (2.23, 1.73), 0.99),
    "RElbow": Measured((0.06, -0.44), (1.93, 1.63), 0.95),
    "RWrist": Measured((0.05, 0.16), (2.02, 2.24), 0.90),
}
#: Chances of a mirrored and of a missed joint; those in the middle of the body have no mirror.
KINDS: dict[str, tuple[float, float]] = {
    "Knee": (0.06, 0.10),
    "Foot": (0.06, 0.05),
    "Shoulder": (0.03, 0.05),
    "Elbow": (0.03, 0.10),
    "Wrist": (0.03, 0.10),
}
#: Standard deviations of COCO's keypoints; of joints that it has not, those of the next it has.
SIGMA: dict[str, float] = {
    "Hip": 0.107,
    "Knee": 0.087,
    "Foot": 0.089,
    "Spine": 0.107,
    "Thorax": 0.079,
    "Neck": 0.026,
    "Head": 0.035,
    "Shoulder": 0.079,
    "Elbow": 0.072,
    "Wrist": 0.062,
}
#: Similarity between which a miss lies.
MISSED_BETWEEN = (0.5, 0.1)
#: Median distance of the packaged reference body's skin from the bone that ends at a joint.
RADIUS_MM: dict[str, float] = {
    "Hip": 88.0,
    "Knee": 69.0,
    "Foot": 51.0,
    "Spine": 95.0,
    "Thorax": 114.0,
    "Neck": 51.0,
    "Head": 60.0,
    "Shoulder": 50.0,
    "Elbow": 41.0,
    "Wrist": 33.0,
}
#: Share of the packaged corpus's training frames, as drawn by default, in which a joint is behind
#: another bone.
BEHIND: dict[str, float] = {
    "Hip": 0.48,
    "RHip": 0.24,
    "RKnee": 0.093,
    "RFoot": 0.067,
    "LHip": 0.24,
    "LKnee": 0.102,
    "LFoot": 0.067,
    "Spine": 0.118,
    "Thorax": 0.081,
    "Neck": 0.09,
    "Head": 0.027,
    "LShoulder": 0.285,
    "LElbow": 0.165,
    "LWrist": 0.141,
    "RShoulder": 0.27,
    "RElbow": 0.191,
    "RWrist": 0.171,
}

#: Joints that are mirrored together, arms or legs, as far as their chances go.
PAIRS = tuple(0 if "Knee" in joint or "Foot" in joint else 1 for joint in JOINTS)
ROWS_AT_ONCE = 1 << 12
#: Normal numbers that a frame takes: noise, missing and direction of a miss of each joint; pairs.
DRAWS = 5 * NUM_JOINTS + 2


def simulate(
    truth: Truth, correlation: float, rng: np.random.Generator
) -> Iterator[tuple[Floats, Mask]]:
    """Detections (n, 17, 2) px, and which are outliers (n, 17), of runs of rows one after another.

    ``correlation`` is that of a frame's errors with those of the frame before it.
    """
    last = np.zeros(DRAWS, np.float32)
    for start in range(0, len(truth), ROWS_AT_ONCE):
        part = truth.rows(slice(start, start + ROWS_AT_ONCE))
        draws = rng.standard_normal((len(part), DRAWS), np.float32)
        if correlation and part.follows.any():
            correlate(draws, part.follows, correlation, last)
        last = draws[-1]
        yield _detected(part, draws)


class Errors(NamedTuple):
    """Of each joint: mean and spread (17, 2) of inliers' errors, px of 256; % outliers (17,)."""

    mean: Floats
    spread: Floats
    outliers: Floats


def errors_of(truth: Truth, detected: Floats, outliers: Mask) -> Errors:
    """The errors of detections (N, 17, 2) px of which some (N, 17) are outliers."""
    scale = np.ptp(truth.exact_2d, axis=1).max(axis=1) / MEASURED_SIDE_PX
    error = (detected - truth.exact_2d) / scale[:, None, None]
    kept = np.ma.masked_array(error, np.broadcast_to(outliers[..., None], error.shape))
    return Errors(
        kept.mean(axis=0).filled(np.nan),
        kept.std(axis=0).filled(np.nan),
        100 * outliers.mean(axis=0),
    )


def measured_errors() -> Errors:
    """What was measured on Human3.6M, in the same form."""
    found = [MEASURED[joint] for joint in JOINTS]
    mean, spread, inliers = (np.array(column, np.float32) for column in zip(*found, strict=True))
    return Errors(mean, spread, 100 * (1 - inliers))


def correlate(draws: Floats, follows: Mask, correlation: float, last: Floats) -> None:
    """Make rows of independent normal draws (n, D) autoregressive along runs of frames, in place.

    A row that ``follows`` (n,) takes ``correlation`` of the one before, the first that of ``last``;
    spread and mean of every row stay those of a standard normal.
    """
    number = np.arange(len(draws))
    # How far into its run a row is; a run that began earlier has its first row before this one.
    place = number - np.maximum.accumulate(np.where(follows, -1, number))
    before, fresh = np.float32(correlation), np.float32(np.sqrt(1 - correlation**2))
    if follows[0]:
        draws[0] = before * last + fresh * draws[0]
    order = np.argsort(place, kind="stable")
    bounds = np.searchsorted(place[order], np.arange(1, place.max() + 2))
    for low, high in zip(bounds[:-1], bounds[1:], strict=True):
        rows = order[low:high]
        rows = rows[follows[rows] & (rows > 0)]
        draws[rows] = before * draws[rows - 1] + fresh * draws[rows]


def behind(truth: Truth, row: Indices, joint: Indices) -> Mask:
    """Whether these joints (M,) of these rows are behind a bone of the same body.

    A bone hides what is within its radius of it in the image and more than that further away; it
    does not hide its own ends. Distances in the image are taken at the hip's depth.
    """
    size_px = truth.exact_2d.std(axis=1).mean(axis=1)
    size_mm = truth.target_3d[..., :2].std(axis=1).mean(axis=1)
    flat = truth.exact_2d * (size_mm / np.maximum(size_px, 1e-6))[:, None, None]
    x, y, depth = (
        np.ascontiguousarray(array.T)
        for array in (*np.moveaxis(flat, 2, 0), truth.target_3d[..., 2])
    )
    here = x[joint, row], y[joint, row], depth[joint, row]
    hidden = np.zeros(len(row), bool)
    for end, start in enumerate(PARENTS):
        if start < 0:
            continue
        radius = np.float32(_of(RADIUS_MM, JOINTS[end]))
        bone = [(array[end] - array[start])[row] for array in (x, y, depth)]
        away = [one - array[start, row] for one, array in zip(here, (x, y, depth), strict=True)]
        length = np.maximum(bone[0] ** 2 + bone[1] ** 2, 1e-6)
        along = ((away[0] * bone[0] + away[1] * bone[1]) / length).clip(0, 1)
        away = [one - along * step for one, step in zip(away, bone, strict=True)]
        near = away[0] ** 2 + away[1] ** 2 < radius**2
        hidden |= near & (away[2] > radius) & (joint != start) & (joint != end)
    return hidden


class Chances(NamedTuple):
    """Of each joint (17,): what a normal draw is below where the joint is mirrored or missed."""

    mirrored: Floats
    missed_behind: Floats
    missed_in_sight: Floats


@lru_cache(maxsize=1)
def chances() -> Chances:
    """Thresholds that give each joint its share of outliers.

    Joints are missed where they are behind others, and in sight only as far as there are more
    misses than joints behind others.
    """
    rows = []
    for joint in JOINTS:
        outliers = 1 - MEASURED[joint].inliers
        mirrors, misses = _of(KINDS, joint) if joint[1:] in KINDS else (0.0, 1.0)
        mirrored = outliers * mirrors / (mirrors + misses)
        missed = (outliers - mirrored) / (1 - mirrored)
        share = BEHIND[joint]
        hidden = min(1.0, missed / share) if share else 0.0
        rows.append((mirrored, hidden, max(0.0, missed - share) / (1 - share)))
    below = [[_quantile(chance) for chance in row] for row in rows]
    return Chances(*np.array(below, np.float32).T)


@lru_cache(maxsize=1)
def misses() -> Floats:
    """Least and most distance of a miss (2, 17), as a share of the root of the box's area."""
    sigma = np.array([_of(SIGMA, joint) for joint in JOINTS])
    return np.array(
        [np.sqrt(-2 * (2 * sigma) ** 2 * np.log(similarity)) for similarity in MISSED_BETWEEN],
        np.float32,
    )


def _detected(truth: Truth, draws: Floats) -> tuple[Floats, Mask]:
    exact = truth.exact_2d
    box = np.ptp(exact, axis=1)
    scale = (box.max(axis=1) / MEASURED_SIDE_PX)[:, None, None]
    noise, way, missing, pairs = np.split(
        draws, [2 * NUM_JOINTS, 4 * NUM_JOINTS, 5 * NUM_JOINTS], axis=1
    )
    means = np.array([MEASURED[joint].mean for joint in JOINTS], np.float32)
    spreads = np.array([MEASURED[joint].spread for joint in JOINTS], np.float32)
    error = scale * (means + spreads * noise.reshape(exact.shape))

    below = chances()
    mirrored = pairs[:, PAIRS] < below.mirrored
    missed = (missing < below.missed_in_sight) & ~mirrored
    row, joint = np.nonzero((missing < below.missed_behind) & ~mirrored & ~missed)
    missed[row, joint] = behind(truth, row, joint)
    # The length of a vector of two normal draws tells a uniform number, whatever its direction.
    way = way.reshape(exact.shape)
    length = np.linalg.norm(way, axis=2)
    least, most = misses()[:, None] * np.sqrt(box.prod(axis=1))[:, None]
    distance = least + np.exp(-(length**2) / 2) * (most - least)
    off = way * (distance / np.maximum(length, 1e-6))[..., None]

    detected = exact + error
    other = list(OTHER_SIDE)
    detected = np.where(mirrored[..., None], detected[:, other], detected)
    detected = np.where(missed[..., None], exact + off, detected)
    return detected.astype(np.float32), mirrored | missed


def _of(table: Mapping[str, Value], joint: str) -> Value:
    """What a table says of a joint, or of joints of either side."""
    return table[joint] if joint in table else table[joint[1:]]


def _quantile(chance: float) -> float:
    return NormalDist().inv_cdf(chance) if 0 < chance < 1 else np.inf if chance else -np.inf
