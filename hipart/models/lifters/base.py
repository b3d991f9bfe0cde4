"""What every lifter is."""

from typing import Any

from torch import Tensor, nn

from hipart.shapes import Float


class Lifter(nn.Module):
    """2D poses to 3D poses; see ``hipart.models.lifters.build.build_lifter`` for the shapes."""

    def __init__(self, config: Any, num_inputs: int) -> None:
        super().__init__()

    def error_mm(
        self, poses: Float[Tensor, "batch ..."], target: Float[Tensor, "batch ..."]
    ) -> Float[Tensor, "batch ..."]:
        """What training lowers: the MPJPE of each pose, mm, unless a lifter says otherwise."""
        error: Tensor = mean_distance_mm(self(poses), target)
        return error


def mean_distance_mm(
    estimate: Float[Tensor, "*batch 17 3"], target: Float[Tensor, "*batch 17 3"]
) -> Float[Tensor, "*batch"]:
    """MPJPE of poses in metres, frame by frame, of whatever batch or window they stand in."""
    error: Tensor = 1000 * (estimate - target).norm(dim=-1).mean(dim=-1)
    return error
