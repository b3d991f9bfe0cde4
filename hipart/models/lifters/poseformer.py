"""PoseFormer (Zheng et al. 2021, Sec. 3): spatial, then temporal transformer; middle frame out."""

from torch import Tensor, nn

from hipart.config import PoseFormerLifterConfig
from hipart.models.layers import TransformerStack, learned_embedding
from hipart.models.lifters.base import Lifter
from hipart.shapes import Float
from hipart.skeleton import NUM_JOINTS


class PoseFormerLifter(Lifter):
    """All joints of a frame attend to each other; then the frames' 17 joints do, side by side.

    With dense points the spatial stage has 161 tokens, and the first 17 enter the temporal stage:
    the reading of Table 6 that fits its 10.7 M parameters (9.6 M without).
    """

    def __init__(self, config: PoseFormerLifterConfig, num_inputs: int) -> None:
        super().__init__(config, num_inputs)
        width, ratio = config.width, config.mlp_ratio
        frame_width = NUM_JOINTS * width
        self.embed = nn.Linear(2, width)
        self.joint_embedding = learned_embedding(num_inputs, width)
        self.spatial = TransformerStack(
            config.blocks, width, width, config.heads, ratio * width, 0.0, config.drop_path
        )
        self.spatial_norm = nn.LayerNorm(width)
        self.frame_embedding = learned_embedding(config.frames, frame_width)
        self.temporal = TransformerStack(
            config.blocks,
            frame_width,
            frame_width,
            config.heads,
            ratio * frame_width,
            0.0,
            config.drop_path,
        )
        self.temporal_norm = nn.LayerNorm(frame_width)
        #: A learned weighted mean over the frames.
        self.frame_mean = nn.Linear(config.frames, 1)
        self.head = nn.Sequential(nn.LayerNorm(frame_width), nn.Linear(frame_width, 3 * NUM_JOINTS))

    def forward(self, poses: Float[Tensor, "batch frames joints 2"]) -> Float[Tensor, "batch 17 3"]:
        """A window of normalised 2D poses to its middle pose: root-relative, metres."""
        frames = poses.shape[1]
        points = self.embed(poses.flatten(0, 1)) + self.joint_embedding
        joints = self.spatial_norm(self.spatial(points, asking=NUM_JOINTS))
        tokens = joints.flatten(1).unflatten(0, (-1, frames)) + self.frame_embedding
        tokens = self.temporal_norm(self.temporal(tokens))
        mean = self.frame_mean(tokens.transpose(1, 2)).squeeze(-1)
        pose: Tensor = self.head(mean).unflatten(1, (NUM_JOINTS, 3))
        return pose
