"""Mirroring poses: left becomes right."""

import torch

from hipart.shapes import Float
from hipart.skeleton import LEFT, NUM_JOINTS, RIGHT

#: The joint that each joint's mirror image is (VideoPose3D's symmetry of Human3.6M).
MIRROR = tuple(
    dict(zip(LEFT + RIGHT, RIGHT + LEFT, strict=True)).get(j, j) for j in range(NUM_JOINTS)
)


def flip(
    pose: Float[torch.Tensor, "*batch 17 axes"],
) -> Float[torch.Tensor, "*batch 17 axes"]:
    """The mirror image of 2D joints in screen units or of 3D joints: x negated, sides exchanged.

    Dense points have no counterparts on the other side; they are generated anew.
    """
    mirrored = pose[..., MIRROR, :].clone()
    mirrored[..., 0] *= -1
    return mirrored
