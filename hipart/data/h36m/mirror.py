"""The mirror image of a body: of its parameters, because dense points have no other side.

Points of the mesh have no counterparts on the other side, so a mirrored training pose is the
projection of a mirrored body (design A.2.4, I2L ``Human36M.py``).
"""

from dataclasses import replace

import numpy as np

from hipart.data.h36m.annotations import Annotated
from hipart.data.smpl import BONES, SmplModel

#: SMPL's bones of the left and of the right.
PAIRS = ((1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21), (22, 23))
OTHER = tuple(
    dict(((a, b) for a, b in (*PAIRS, *((right, left) for left, right in PAIRS)))).get(bone, bone)
    for bone in range(BONES)
)
#: The mirror is the plane x = 0 of the world.
MIRROR = np.array([-1.0, 1.0, 1.0])


def mirrored(bodies: Annotated, model: SmplModel) -> Annotated:
    """The bodies in a world in which x is negated; ``joints`` stay as they are.

    An axis-angle (x, y, z) becomes (x, -y, -z) of the bone on the other side.
    """
    turned = bodies.pose.reshape(-1, BONES, 3)[:, OTHER] * -MIRROR
    hips = model.joints[0] + bodies.shape @ model.joint_shape[0].T
    return replace(
        bodies,
        pose=turned.reshape(bodies.pose.shape),
        trans=bodies.trans * MIRROR + hips * MIRROR - hips,
    )
