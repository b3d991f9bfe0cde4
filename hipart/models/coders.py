"""The parts of the tokenizer that are learned: E_f, E_d, D_s, D_d, D_f and P_A (Fig. 10)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hipart.config import TokenizerConfig
from hipart.models.mixer import JointLinear, MixerBlock
from hipart.shapes import Float


class Encoder(nn.Module):
    """Mixer blocks, then a linear map to fewer joints (Fig. 10)."""

    def __init__(self, config: TokenizerConfig, channels: int, joints: int, out: int) -> None:
        super().__init__()
        width, hidden = config.width, (config.token_hidden, config.channel_hidden)
        self.embed = nn.Linear(channels, width)
        self.blocks = nn.Sequential(
            *(MixerBlock(joints, width, *hidden) for _ in range(config.encoder_blocks))
        )
        self.norm = nn.LayerNorm(width)
        self.to_joints = JointLinear(joints, out)
        self.project = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "batch _ _"]) -> Float[Tensor, "batch _ width"]:
        """Embed (batch, joints, channels) as (batch, out, width)."""
        z: Tensor = self.project(self.to_joints(self.norm(self.blocks(self.embed(x)))))
        return z


class Decoder(nn.Module):
    """A linear map to more joints where they differ, then Mixer blocks of the decoder's width."""

    def __init__(
        self, config: TokenizerConfig, channels: tuple[int, int], joints: tuple[int, int]
    ) -> None:
        super().__init__()
        width = config.decoder_width
        hidden = (config.token_hidden, config.decoder_channel_hidden)
        self.to_joints = JointLinear(*joints) if joints[0] != joints[1] else nn.Identity()
        self.embed = nn.Linear(channels[0], width)
        self.blocks = nn.Sequential(
            *(MixerBlock(joints[1], width, *hidden) for _ in range(config.decoder_blocks))
        )
        self.norm = nn.LayerNorm(width)
        self.project = nn.Linear(width, channels[1])

    def forward(self, codes: Float[Tensor, "batch _ _"]) -> Float[Tensor, "batch _ _"]:
        """Map (batch, joints in, channels in) to (batch, joints out, channels out)."""
        out: Tensor = self.project(self.norm(self.blocks(self._spread(codes))))
        return out

    def _spread(self, codes: Tensor) -> Tensor:
        """``embed(to_joints(codes))``: channels first, while the joints are few, then joints."""
        if not isinstance(self.to_joints, JointLinear):
            return torch.as_tensor(self.embed(codes))
        weight, bias = self.embed.weight, self.embed.bias
        constant = torch.outer(self.to_joints.bias, weight.sum(1)) + bias
        joints = self.to_joints.weight.expand(codes.shape[0], -1, -1)
        return torch.baddbmm(constant, joints, F.linear(codes, weight))


class ActionHead(nn.Module):
    """P_A: two Mixer blocks over codes, then the action (Eq. 4; Alg. 2, line 8). Training only.

    Both concatenate, Eq. 4 the codes of both levels along tokens and Alg. 2 the dense codes with
    D_s(z_s) along channels, as line 5 does and as D_f takes them (``action_input``).
    """

    def __init__(
        self, config: TokenizerConfig, tokens: int, channels: int, num_actions: int
    ) -> None:
        super().__init__()
        hidden = (config.token_hidden, config.channel_hidden)
        self.blocks = nn.Sequential(*(MixerBlock(tokens, channels, *hidden) for _ in range(2)))
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, num_actions)

    def forward(self, codes: Float[Tensor, "batch tokens _"]) -> Float[Tensor, "batch actions"]:
        """Logits of the actions."""
        logits: Tensor = self.project(self.norm(self.blocks(codes)).mean(1))
        return logits
