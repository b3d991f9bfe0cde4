"""SMPL bodies beside the markers they were fitted to."""

import numpy as np
from numpy.typing import NDArray

from hipart.data.h36m.annotations import Annotated
from hipart.data.smpl import SmplPoints

#: How far a body's joints may lie from the markers on average, once their means agree (P2M
#: ``dataset.py:37``).
MOST_FIT_MM = 25.0
BODIES_AT_ONCE = 256


def fit_mm(joints: SmplPoints, bodies: Annotated) -> NDArray[np.float64]:
    """How far bodies' regressed joints lie from the markers (T,), mean over joints, millimetres.

    The means of both are put on each other before, as Pose2Mesh does.
    """
    if not len(bodies):
        return np.zeros(0)
    apart = 1000 * posed(joints, bodies) - bodies.joints
    apart -= apart.mean(axis=1, keepdims=True)
    found: NDArray[np.float64] = np.linalg.norm(apart, axis=-1).mean(axis=1)
    return found


def posed(points: SmplPoints, bodies: Annotated) -> NDArray[np.float64]:
    """Points (T, P, 3) of bodies about their origins, metres."""
    made = [
        points.points(bodies.pose[rows], bodies.shape[rows])
        for start in range(0, len(bodies), BODIES_AT_ONCE)
        if (rows := slice(start, start + BODIES_AT_ONCE))
    ]
    return np.concatenate(made)
