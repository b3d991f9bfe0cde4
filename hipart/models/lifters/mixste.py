"""MixSTE (Zhang et al. 2022, Sec. 3): spatial and temporal blocks in turn; all frames out."""

import torch
from torch import Tensor, nn

from hipart.config import MixSteLifterConfig
from hipart.models.layers import TransformerBlock, growing, learned_embedding
from hipart.models.lifters.base import Lifter
from hipart.shapes import Float
from hipart.skeleton import NUM_JOINTS, NUM_PARTS, joints_of, levels_of


class MixSteLifter(Lifter):
    """Joints attend within their frame, then each joint along time, ``blocks`` times.

    Dense points are tokens of the first spatial block alone; the 17 joints go on. A dense point's
    position is its joint's plus one of nine learned rows, three per level: with that the count is
    Table 6's 34.8 M, which a row for each of 144 points would pass (docs/decisions).
    """

    owner: Tensor
    row: Tensor

    def __init__(self, config: MixSteLifterConfig, num_inputs: int) -> None:
        super().__init__(config, num_inputs)
        width, ratio, depth = config.width, config.mlp_ratio, config.blocks
        self.embed = nn.Linear(2, width)
        self.joint_embedding = learned_embedding(NUM_JOINTS, width)
        owner, row, rows = _points(num_inputs)
        self.register_buffer("owner", owner, persistent=False)
        self.register_buffer("row", row, persistent=False)
        self.point_embedding = learned_embedding(rows, width) if rows else None
        self.frame_embedding = learned_embedding(config.frames, width)
        rates = growing(config.drop_path, depth)

        def blocks() -> nn.ModuleList:
            return nn.ModuleList(
                TransformerBlock(width, width, config.heads, ratio * width, 0.0, rate)
                for rate in rates
            )

        self.spatial, self.temporal = blocks(), blocks()
        self.spatial_norm, self.temporal_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))

    def forward(
        self, poses: Float[Tensor, "batch frames joints 2"]
    ) -> Float[Tensor, "batch frames 17 3"]:
        """A window of normalised 2D poses to all its poses: root-relative, metres."""
        batch, frames = poses.shape[:2]
        position = self.joint_embedding[self.owner]
        if self.point_embedding is not None:
            points = self.point_embedding[self.row]
            position = torch.cat([position[:NUM_JOINTS], position[NUM_JOINTS:] + points])
        tokens = self.embed(poses.flatten(0, 1)) + position
        for number, (spatial, temporal) in enumerate(zip(self.spatial, self.temporal, strict=True)):
            tokens = self.spatial_norm(spatial(tokens, asking=NUM_JOINTS))
            tokens = tokens.unflatten(0, (batch, frames)).transpose(1, 2).flatten(0, 1)
            if number == 0:
                tokens = tokens + self.frame_embedding
            tokens = self.temporal_norm(temporal(tokens))
            tokens = tokens.unflatten(0, (batch, NUM_JOINTS)).transpose(1, 2).flatten(0, 1)
        pose: Tensor = self.head(tokens).unflatten(0, (batch, frames))
        return pose


def _points(num_inputs: int) -> tuple[Tensor, Tensor, int]:
    """Joint that each input belongs to, learned row of each dense point, and number of rows."""
    levels = levels_of(num_inputs)
    owner = (*range(NUM_JOINTS), *joints_of(levels))
    row, rows = list[int](), 0
    for level in levels:
        per_part = level // NUM_PARTS
        row += [rows + point % per_part for point in range(level)]
        rows += per_part
    return torch.tensor(owner), torch.tensor(row, dtype=torch.int64), rows
