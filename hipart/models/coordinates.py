"""The 2D coordinates in which tokenizer, prior and regressor see a pose, and the way back.

Where a person stands on the screen has some forty times the variance of what a dense point adds to
the 17 joints. PCT tokenises in the person's crop, Pose2Mesh standardises every pose, and so did
Martinez et al. 2017; lifters alone see the screen, because place carries depth
(docs/decisions/0039).
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

from hipart.shapes import Float

Coordinates = Literal["body", "hip", "screen"]
#: Screen units that count as one in ``hip``: 75 px of 1000, about the spread of a standing person.
HIP_SCALE = 0.15
#: Joints that spread less than this, in screen units, are one point: 0.005 px of 1000.
SMALLEST_SPREAD = 1e-5


class Frame(NamedTuple):
    """Where the origin of each of N poses is on the screen, and how long its unit is."""

    centre: Float[Tensor, "poses 1 2"]
    scale: Float[Tensor, "poses 1 1"]

    def to(self, points: Float[Tensor, "poses _ 2"]) -> Float[Tensor, "poses _ 2"]:
        """Points on the screen in the coordinates of this frame."""
        return (points - self.centre) / self.scale

    def back(self, points: Float[Tensor, "poses _ 2"]) -> Float[Tensor, "poses _ 2"]:
        """Points in the coordinates of this frame on the screen."""
        return points * self.scale + self.centre

    def take(self, index: Tensor) -> "Frame":
        """The frames of the poses at ``index``."""
        return Frame(self.centre[index], self.scale[index])


def frame_of(detected: Float[Tensor, "poses 17 2"], coordinates: Coordinates) -> Frame | None:
    """The frame of poses, found from their detected joints in screen units; None on the screen.

    body: the mean of the joints, and the standard deviation of all their coordinates from it.
    hip: the detected hip, and one scale for all. A pose without any extent has the smallest scale
    there is; ``without_extent`` finds it.
    """
    if coordinates == "screen":
        return None
    if coordinates == "hip":
        return Frame(detected[:, :1], torch.full_like(detected[:, :1, :1], HIP_SCALE))
    centre = detected.mean(dim=1, keepdim=True)
    variance = (detected - centre).square().mean(dim=(1, 2), keepdim=True)
    return Frame(centre, variance.sqrt().clamp_min(SMALLEST_SPREAD))


def without_extent(detected: Float[Tensor, "poses 17 2"], coordinates: Coordinates) -> list[int]:
    """Which poses cannot be put into a frame of their own, because all joints are one point."""
    if coordinates != "body":
        return []
    spread = (detected - detected.mean(dim=1, keepdim=True)).square().mean(dim=(1, 2)).sqrt()
    degenerate: list[int] = (spread < SMALLEST_SPREAD).nonzero().flatten().tolist()
    return degenerate
