"""What is particular to one lifter; what all share stands in contracts/test_lifter_contract.py."""

import torch

from hipart.config import TransformerLifterConfig
from hipart.models.layers import SelfAttention
from hipart.models.lifters.transformer import TransformerLifter


def test_the_first_seventeen_tokens_become_the_pose() -> None:
    """With attention silenced, joint j in 3D depends on token j alone."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        lifter = TransformerLifter(TransformerLifterConfig(blocks=2), 161).eval()
        poses = torch.randn(1, 161, 2)
    for module in lifter.modules():
        if isinstance(module, SelfAttention):
            torch.nn.init.zeros_(module.out.weight)
    before = lifter(poses)
    for token in (0, 5, 16, 17, 160):
        other = poses.clone()
        other[:, token] += 1
        moved = (lifter(other) - before).abs().amax((0, 2)) > 1e-6
        assert moved.nonzero().flatten().tolist() == ([token] if token < 17 else [])
