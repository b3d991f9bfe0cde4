"""Direct regression of all dense points at once, in the manner of Pose2Mesh (Choi et al. 2020)."""

import torch
from torch import Tensor, nn

from hipart.config import MlpRegressorConfig
from hipart.models.layers import Dropout
from hipart.shapes import Float
from hipart.skeleton import NUM_JOINTS, joints_of


class _Block(nn.Module):
    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, width),
            nn.GELU(),
            Dropout(dropout),
            nn.Linear(width, width),
        )

    def forward(self, x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        """A residual pair of layers."""
        out: Tensor = x + self.layers(x)
        return out


class MlpRegressor(nn.Module):
    """A residual MLP from the pose as one vector to each point's offset from its joint."""

    joints: Tensor

    def __init__(self, config: MlpRegressorConfig, levels: tuple[int, ...]) -> None:
        super().__init__()
        joints = joints_of(levels)
        self.register_buffer("joints", torch.tensor(joints), persistent=False)
        self.embed = nn.Linear(2 * NUM_JOINTS, config.width)
        self.blocks = nn.Sequential(
            *(_Block(config.width, config.dropout) for _ in range(config.blocks))
        )
        self.head = nn.Sequential(
            nn.LayerNorm(config.width), nn.Linear(config.width, 2 * len(joints))
        )

    def forward(self, pose: Float[Tensor, "batch 17 2"]) -> Float[Tensor, "batch points 2"]:
        """Points of all levels, coarse to fine, from detected joints; screen units."""
        offsets: Tensor = self.head(self.blocks(self.embed(pose.flatten(1))))
        points: Tensor = pose[:, self.joints] + offsets.unflatten(1, (-1, 2))
        return points
