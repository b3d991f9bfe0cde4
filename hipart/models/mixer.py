"""Building blocks of the tokenizer: maps along joints, and the MLP-Mixer block (Fig. 10)."""

import torch
from torch import Tensor, nn

from hipart.shapes import Float


class JointLinear(nn.Linear):
    """A linear map along the joint axis, the same for every channel (Fig. 10)."""

    def forward(self, x: Float[Tensor, "batch _ channels"]) -> Float[Tensor, "batch _ channels"]:
        """Map (batch, joints in, channels) to (batch, joints out, channels)."""
        # One small product per sample: no transposed copy of x, and the result is contiguous.
        weight = self.weight.expand(x.shape[0], -1, -1)
        return torch.baddbmm(self.bias.unsqueeze(1), weight, x)

    @torch.no_grad()
    def begin_in_blocks(self) -> None:
        """Begin with each coarser joint as the mean of its own finer ones, or with them as copies.

        The finer joints of one lie together, as indices say. The random weights stay at a tenth of
        their size upon it, so that no two joints begin alike. A map between numbers of joints of
        which none divides the other stays random.
        """
        out, into = self.weight.shape
        if out % into and into % out:
            return
        coarse, each = min(out, into), max(out, into) // min(out, into)
        copies = torch.eye(coarse).repeat_interleave(each, dim=0)  # (fine, coarse)
        block = copies if out > into else copies.T / each
        self.weight.mul_(0.1).add_(block.to(self.weight))
        self.bias.zero_()


class MixerBlock(nn.Module):
    """MLP-Mixer block: an MLP over joints, then one over channels, each pre-norm and residual."""

    def __init__(self, joints: int, width: int, token_hidden: int, channel_hidden: int) -> None:
        super().__init__()
        self.joint_norm = nn.LayerNorm(width)
        self.joint_mlp = nn.Sequential(
            JointLinear(joints, token_hidden), nn.GELU(), JointLinear(token_hidden, joints)
        )
        self.channel_norm = nn.LayerNorm(width)
        self.channel_mlp = nn.Sequential(
            nn.Linear(width, channel_hidden), nn.GELU(), nn.Linear(channel_hidden, width)
        )

    def forward(
        self, x: Float[Tensor, "batch joints width"]
    ) -> Float[Tensor, "batch joints width"]:
        """Mix joints, then channels; the shape stays."""
        x = x + self.joint_mlp(self.joint_norm(x))
        mixed: Tensor = x + self.channel_mlp(self.channel_norm(x))
        return mixed
