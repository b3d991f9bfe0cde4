"""A diffusion lifter: 3D poses are denoised under a 2D pose (after Gong et al. 2023, DiffPose).

It predicts the clean pose (as Shan et al. 2023, D3DP), is sampled by DDIM (Song et al. 2021, Eq.
12 with eta 0), and answers the mean of a few hypotheses.
"""

import math

import torch
from torch import Tensor, nn

from hipart.config import DiffusionLifterConfig
from hipart.models.layers import TransformerStack, learned_embedding
from hipart.models.lifters.base import Lifter, mean_distance_mm
from hipart.shapes import Float, Int
from hipart.skeleton import NUM_JOINTS

#: The noise that sampling starts from is part of the model, not of the moment.
NOISE_SEED = 0
#: Poses in metres are scaled to about unit variance before noise is added.
POSE_SCALE = 3.0


class DiffusionLifter(Lifter):
    """A spatial transformer over all joints, the 17 carrying a noisy 3D pose and its time."""

    signal: Tensor
    start: Tensor
    times: Tensor

    def __init__(self, config: DiffusionLifterConfig, num_inputs: int) -> None:
        super().__init__(config, num_inputs)
        width = config.width
        self.embed = nn.Linear(2, width)
        self.embed_noisy = nn.Linear(3, width)
        self.embed_time = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        self.joint_embedding = learned_embedding(num_inputs, width)
        self.blocks = TransformerStack(
            config.blocks, width, width, config.heads, config.mlp_ratio * width, config.dropout
        )
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 3))
        self.register_buffer("signal", _cosine_schedule(config.timesteps), persistent=False)
        chance = torch.Generator("cpu").manual_seed(NOISE_SEED)
        start = torch.randn(config.hypotheses, NUM_JOINTS, 3, generator=chance, device="cpu")
        self.register_buffer("start", start, persistent=False)
        times = torch.linspace(config.timesteps - 1, 0, config.sampling_steps).round().long()
        self.register_buffer("times", times, persistent=False)

    def error_mm(
        self, poses: Float[Tensor, "batch joints 2"], target: Float[Tensor, "batch 17 3"]
    ) -> Float[Tensor, " batch"]:
        """MPJPE of the pose denoised in one step from a random time."""
        time = torch.randint(len(self.signal), (poses.shape[0],), device=poses.device)
        kept = self.signal[time].view(-1, 1, 1)
        clean = POSE_SCALE * target
        noisy = kept.sqrt() * clean + (1 - kept).sqrt() * torch.randn_like(clean)
        error: Tensor = mean_distance_mm(self._denoise(poses, noisy, time) / POSE_SCALE, target)
        return error

    def forward(self, poses: Float[Tensor, "batch joints 2"]) -> Float[Tensor, "batch 17 3"]:
        """Mean of the hypotheses that DDIM draws: root-relative 3D joints in metres."""
        count = len(self.start)
        condition = poses.repeat_interleave(count, dim=0)
        pose = self.start.repeat(poses.shape[0], 1, 1)
        clean = pose
        for step, time in enumerate(self.times):
            clean = self._denoise(condition, pose, time.expand(pose.shape[0]))
            if step + 1 < len(self.times):
                kept, later = self.signal[time], self.signal[self.times[step + 1]]
                noise = (pose - kept.sqrt() * clean) / (1 - kept).sqrt()
                pose = later.sqrt() * clean + (1 - later).sqrt() * noise
        mean: Tensor = clean.unflatten(0, (-1, count)).mean(dim=1)
        return mean / POSE_SCALE

    def _denoise(
        self,
        poses: Float[Tensor, "batch joints 2"],
        noisy: Float[Tensor, "batch 17 3"],
        time: Int[Tensor, " batch"],
    ) -> Float[Tensor, "batch 17 3"]:
        tokens = self.embed(poses) + self.joint_embedding
        sinusoids = _sinusoids(time, tokens.shape[-1]).to(tokens.dtype)
        tokens = tokens + self.embed_time(sinusoids).unsqueeze(1)
        joints = tokens[:, :NUM_JOINTS] + self.embed_noisy(noisy)
        tokens = torch.cat([joints, tokens[:, NUM_JOINTS:]], dim=1)
        pose: Tensor = self.head(self.blocks(tokens, asking=NUM_JOINTS))
        return pose


def _cosine_schedule(timesteps: int) -> Tensor:
    """Share of the signal's variance at each time (Nichol and Dhariwal 2021, Eq. 17)."""
    at = (torch.arange(timesteps) + 1) / timesteps
    angle = (at + 0.008) / 1.008 * math.pi / 2
    return (angle.cos() ** 2 / math.cos(0.008 / 1.008 * math.pi / 2) ** 2).clamp_min(1e-4)


def _sinusoids(time: Int[Tensor, " batch"], width: int) -> Float[Tensor, "batch width"]:
    """Sines and cosines of a time, as positions in Vaswani et al. 2017; ``width`` is even."""
    half = width // 2
    rates = torch.exp(-math.log(10_000) * torch.arange(half, device=time.device) / half)
    angles = time.unsqueeze(1) * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1)
