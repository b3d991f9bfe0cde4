"""Densifiers that put points at a fixed offset from detected joints, the mean of training."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hipart.config import JointOffsetRegressorConfig, MeanPoseRegressorConfig
from hipart.models.regressors.fitted import FittedRegressor, mean_of
from hipart.shapes import Float
from hipart.skeleton import JOINTS, joints_of

HIP = JOINTS.index("Hip")


class _Offsets(FittedRegressor):
    """Each point at its own offset from its joint."""

    joints: Tensor
    offset: Tensor

    def __init__(self, joints: Sequence[int]) -> None:
        """``joints`` has one for each point."""
        super().__init__()
        self.register_buffer("joints", torch.tensor(joints), persistent=False)
        self.register_buffer("offset", torch.zeros(len(joints), 2))

    def fit(
        self, detected: Float[Tensor, "samples 17 2"], exact: Float[Tensor, "samples points 2"]
    ) -> None:
        """The mean offset over all samples, which has the least squared error."""
        self.offset.copy_(mean_of(exact) - mean_of(detected)[self.joints])

    def forward(self, pose: Float[Tensor, "batch 17 2"]) -> Float[Tensor, "batch points 2"]:
        """Points of all levels, coarse to fine, from detected joints."""
        return pose[:, self.joints] + self.offset


class MeanPoseRegressor(_Offsets):
    """The mean dense pose of training, put on the detected hip."""

    def __init__(self, config: MeanPoseRegressorConfig, levels: tuple[int, ...]) -> None:
        super().__init__([HIP] * sum(levels))


class JointOffsetRegressor(_Offsets):
    """The detected joint of each point's part, and the point's mean offset from it."""

    def __init__(self, config: JointOffsetRegressorConfig, levels: tuple[int, ...]) -> None:
        super().__init__(joints_of(levels))
