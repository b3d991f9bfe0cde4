"""What a camera sees of Human3.6M's joints and bodies, in the one image size of a corpus."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.h36m.cameras import LensCamera
from hipart.skeleton import LEVELS, OTHER_SIDE

#: A corpus has one image size. Two cameras' images have 1000 rows: theirs are shifted by a row, so
#: that x/w*2 - [1, h/w] gives what it gives for their own size.
IMAGE_SIZE = (1000, 1002)


def before(
    camera: LensCamera, joints: Any, points: Any, detected: NDArray[np.float32]
) -> tuple[Any, ...]:
    """Detected, exact, dense, fine and finest 2D (T, P, 2) in pixels, and the 3D target in
    millimetres from the hip (T, 17, 3), before one camera.

    ``joints`` and ``points`` (T, P, 3) stand in the world, metres.
    """
    down = np.array([0, (IMAGE_SIZE[1] - camera.size[1]) / 2])
    here = camera.see(joints)
    flat = camera.project(camera.see(points)) + down
    levels = np.split(flat, np.cumsum(LEVELS)[:-1], axis=1)
    exact = camera.project(here) + down
    return detected + down, exact, *levels, 1000 * (here - here[:, :1])


def flipped(seen: tuple[Any, ...]) -> tuple[Any, ...]:
    """The mirror image: joints of the other side; dense points are a mirrored body's already."""
    *flat, target = seen
    detected, exact, *levels = ([IMAGE_SIZE[0], 0] + np.array([-1, 1]) * one for one in flat)
    sides = list(OTHER_SIDE)
    return detected[:, sides], exact[:, sides], *levels, (target * [-1, 1, 1])[:, sides]
