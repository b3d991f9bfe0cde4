"""Human3.6M's 17 joints of SMPL's vertices, by the regressor that Pose2Mesh published."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hipart.data.smpl import VERTICES
from hipart.skeleton import NUM_JOINTS

REGRESSOR = "J_regressor_h36m_correct.npy"
WHERE_FROM = f"{REGRESSOR} comes with Pose2Mesh's repository"
#: What a joint's weights may sum to beside 1.
ROUNDING = 0.01


def read_regressor(path: Path) -> NDArray[np.float64]:
    """Weights (17, 6890) of the vertices. ValueError names the file and what is wrong with it."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); {WHERE_FROM}") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        raise ValueError(f"{path}: must be one array of numbers; {WHERE_FROM}")
    if found.shape != (NUM_JOINTS, VERTICES):
        raise ValueError(f"{path}: must have shape {(NUM_JOINTS, VERTICES)}, found {found.shape}")
    found = np.asarray(found, np.float64)
    sums = found.sum(axis=1)
    if not (np.abs(sums - 1) <= ROUNDING).all():
        raise ValueError(
            f"{path}: each joint's weights must add up to 1, found {np.round(sums, 3).tolist()}"
        )
    return found
