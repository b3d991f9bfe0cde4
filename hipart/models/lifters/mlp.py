"""Residual MLP lifter after Martinez et al. 2017, "A simple yet effective baseline"."""

import torch
from torch import Tensor, nn

from hipart.config import MlpLifterConfig
from hipart.models.layers import Dropout
from hipart.models.lifters.base import Lifter
from hipart.shapes import Float
from hipart.skeleton import NUM_JOINTS, near


def _layer(inputs: int, width: int, dropout: float) -> nn.Sequential:
    # No bias: the batch norm's shift is one.
    return nn.Sequential(
        nn.Linear(inputs, width, bias=False),
        nn.BatchNorm1d(width),
        nn.ReLU(),
        Dropout(dropout),
    )


class MlpLifter(Lifter):
    """All joints as one vector; residual blocks of two linear layers.

    The input is standardised, as in the original, after it was written as offsets: joints from
    the pelvis, dense points from their joint, fine points from their dense point. Nothing is
    lost; but what a dense level adds are centimetres beside metres of position on the floor, and
    only offsets bring them to the size that a linear layer learns from (docs/decisions/0008).
    Without the original's max-norm constraint on the weights.
    """

    near: Tensor

    def __init__(self, config: MlpLifterConfig, num_inputs: int) -> None:
        super().__init__(config, num_inputs)
        width, dropout = config.width, config.dropout
        self.register_buffer("near", torch.tensor(near(num_inputs)), persistent=False)
        self.standardise = nn.BatchNorm1d(2 * num_inputs, affine=False)
        self.embed = _layer(2 * num_inputs, width, dropout)
        self.blocks = nn.ModuleList(
            nn.Sequential(_layer(width, width, dropout), _layer(width, width, dropout))
            for _ in range(config.blocks)
        )
        self.head = nn.Linear(width, 3 * NUM_JOINTS)

    def forward(self, poses: Float[Tensor, "batch joints 2"]) -> Float[Tensor, "batch 17 3"]:
        """Normalised 2D joints, the 17 first, to root-relative 3D joints in metres."""
        offsets = torch.cat([poses[:, :1], (poses - poses[:, self.near])[:, 1:]], dim=1)
        hidden: Tensor = self.embed(self.standardise(offsets.flatten(1)))
        for block in self.blocks:
            hidden = hidden + block(hidden)
        pose: Tensor = self.head(hidden).unflatten(1, (NUM_JOINTS, 3))
        return pose
