"""The paper's lifter: a vanilla spatial transformer over all joints (Sec. 5.1, Fig. 11)."""

from torch import Tensor, nn

from hipart.config import TransformerLifterConfig
from hipart.models.layers import TransformerStack, learned_embedding
from hipart.models.lifters.base import Lifter
from hipart.shapes import Float
from hipart.skeleton import NUM_JOINTS


class TransformerLifter(Lifter):
    """2D joints of all levels as tokens; the first 17 tokens become the 3D pose."""

    def __init__(self, config: TransformerLifterConfig, num_inputs: int) -> None:
        super().__init__(config, num_inputs)
        width = config.width
        self.embed = nn.Linear(2, width)
        self.joint_embedding = learned_embedding(num_inputs, width)
        self.blocks = TransformerStack(
            config.blocks, width, width, config.heads, config.mlp_ratio * width, config.dropout
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))

    def forward(self, poses: Float[Tensor, "batch joints 2"]) -> Float[Tensor, "batch 17 3"]:
        """Normalised 2D joints, the 17 first, to root-relative 3D joints in metres."""
        tokens = self.blocks(self.embed(poses) + self.joint_embedding, asking=NUM_JOINTS)
        pose: Tensor = self.head(self.norm(tokens))
        return pose
