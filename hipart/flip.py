"""Mirroring poses: left becomes right."""

import torch

from hipart.shapes import Float
from hipart.skeleton import OTHER_SIDE


def flip(
    pose: Float[torch.Tensor, "*batch 17 axes"],
) -> Float[torch.Tensor, "*batch 17 axes"]:
    """The mirror image of 2D joints in screen units or of 3D joints: x negated, sides exchanged.

    Dense points have no counterparts on the other side; they are generated anew.
    """
    mirrored = pose[..., OTHER_SIDE, :].clone()
    mirrored[..., 0] *= -1
    return mirrored
