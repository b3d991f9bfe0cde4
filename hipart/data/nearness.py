"""How far test poses are from what was trained on."""

import numpy as np
from numpy.typing import NDArray

from hipart.data.samples import Samples
from hipart.skeleton import JOINTS

Floats = NDArray[np.float32]

#: At most so many poses of either side are compared, drawn with a fixed seed.
MOST_TESTED, MOST_TRAINED = 2_000, 20_000
ROWS_AT_ONCE = 256
_LEFT, _RIGHT = JOINTS.index("LHip"), JOINTS.index("RHip")


def nearest_training_mm(train: Samples, test: Samples) -> Floats:
    """Distance (M,) of test poses to the nearest training pose: root mean square over joints, mm.

    Poses are compared relative to the hip and facing the same way: each is turned about the
    camera's vertical until the line of its hips lies along x.
    """
    chance = np.random.default_rng(0)
    trained, tested = (
        facing(samples.target_3d[_some(len(samples), most, chance)]).reshape(-1, 3 * len(JOINTS))
        for samples, most in ((train, MOST_TRAINED), (test, MOST_TESTED))
    )
    of_trained = (trained**2).sum(axis=1)
    found = []
    for start in range(0, len(tested), ROWS_AT_ONCE):
        rows = tested[start : start + ROWS_AT_ONCE]
        nearest = (of_trained - 2 * rows @ trained.T).min(axis=1) + (rows**2).sum(axis=1)
        found.append(np.sqrt(np.maximum(nearest, 0) / len(JOINTS)))
    return np.concatenate(found)


def facing(poses: Floats) -> Floats:
    """Poses (N, 17, 3) turned about y until the line from right to left hip lies along x."""
    line = poses[:, _LEFT] - poses[:, _RIGHT]
    angle = np.arctan2(line[:, 2], line[:, 0])
    cos, sin = np.cos(angle)[:, None], np.sin(angle)[:, None]
    x, y, z = np.moveaxis(poses, 2, 0)
    return np.stack([cos * x + sin * z, y, cos * z - sin * x], axis=2).astype(np.float32)


def _some(count: int, most: int, chance: np.random.Generator) -> NDArray[np.intp]:
    return np.sort(chance.permutation(count)[:most])
