"""What every lifter must keep: listed in LIFTERS, it is tested here."""

from collections.abc import Iterator
from typing import get_args

import pytest
import torch
from torch import Tensor

from hipart.config import LifterConfig, Section, window_frames
from hipart.models.layers import Dropout, DropPath
from hipart.models.lifters.base import Lifter
from hipart.models.lifters.build import LIFTERS, build_lifter

#: Temporal lifters at their published sizes take minutes here; their counts are tested elsewhere.
SMALL: dict[str, dict[str, int]] = {
    "poseformer": {"frames": 5, "width": 16, "blocks": 2},
    "mixste": {"frames": 5, "width": 64, "blocks": 2},
    "diffusion": {"blocks": 3, "hypotheses": 2},
}
#: Adam steps to learn a batch by heart; a diffusion lifter meets another noise at each.
STEPS = {"diffusion": 400}
CONFIGS: dict[str, Section] = {
    kind: config(**SMALL.get(kind, {}))
    for config in get_args(LifterConfig.model_fields["model"].annotation)
    for kind in [config.model_fields["kind"].default]
}


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(kind: str, joints: int) -> Lifter:
    return build_lifter(CONFIGS[kind], joints)  # type: ignore[arg-type]


def batch_of(kind: str, count: int, joints: int) -> Tensor:
    """Poses, or windows of them for a temporal lifter."""
    frames = window_frames(CONFIGS[kind])  # type: ignore[arg-type]
    return torch.randn(count, *([frames] if frames > 1 else []), joints, 2)


def test_every_lifter_has_a_config_and_every_config_a_lifter() -> None:
    assert set(LIFTERS) == set(CONFIGS)


@pytest.mark.parametrize("joints", [17, 161])
@pytest.mark.parametrize("kind", LIFTERS)
class TestLifter:
    def test_output_is_a_finite_pose(self, kind: str, joints: int) -> None:
        pose = build(kind, joints).eval()(batch_of(kind, 3, joints))
        assert pose.shape == (3, 5, 17, 3) if kind == "mixste" else (3, 17, 3)
        assert pose.dtype == torch.float32
        assert pose.isfinite().all()

    def test_every_parameter_gets_a_gradient(self, kind: str, joints: int) -> None:
        lifter = build(kind, joints)
        poses = batch_of(kind, 4, joints)
        lifter.error_mm(poses, torch.randn_like(lifter(poses))).sum().backward()
        for name, parameter in lifter.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name

    def test_every_input_joint_counts(self, kind: str, joints: int) -> None:
        lifter = build(kind, joints).eval()
        poses = batch_of(kind, 1, joints).requires_grad_()
        # Squared, since a sum alone cancels behind a layer norm.
        lifter(poses).square().sum().backward()
        assert poses.grad is not None
        assert (poses.grad.abs().sum(-1) > 0).all()

    def test_a_sample_does_not_see_its_batch(self, kind: str, joints: int) -> None:
        lifter = build(kind, joints).eval()
        poses = batch_of(kind, 4, joints)
        assert torch.allclose(lifter(poses)[1:2], lifter(poses[1:2]), atol=1e-6)

    def test_same_seed_same_lifter(self, kind: str, joints: int) -> None:
        poses = batch_of(kind, 2, joints)
        torch.manual_seed(1)
        first = build(kind, joints).eval()(poses)
        torch.manual_seed(1)
        assert torch.equal(build(kind, joints).eval()(poses), first)

    def test_state_dict_restores_it(self, kind: str, joints: int) -> None:
        lifter, other = build(kind, joints), build(kind, joints)
        poses = batch_of(kind, 4, joints)
        lifter(poses)  # moves running statistics, where there are any
        assert not torch.equal(lifter.eval()(poses), other.eval()(poses))
        other.load_state_dict(lifter.state_dict())
        assert torch.equal(lifter.eval()(poses), other.eval()(poses))


def without_dropout(lifter: Lifter) -> Lifter:
    for module in lifter.modules():
        if isinstance(module, Dropout | DropPath):
            module.rate = 0.0
    return lifter


@pytest.mark.parametrize("kind", LIFTERS)
def test_it_learns_one_small_batch_by_heart(kind: str) -> None:
    lifter = without_dropout(build(kind, 17))
    poses = batch_of(kind, 4, 17)
    target = torch.cat([poses, poses.prod(-1, keepdim=True)], dim=-1)
    if lifter(poses).dim() < target.dim():
        target = target[:, target.shape[1] // 2]
    optimiser = torch.optim.Adam(lifter.parameters(), lr=5e-4)

    def error() -> Tensor:
        return lifter.error_mm(poses, target).mean()

    before = error().item()
    for _ in range(STEPS.get(kind, 100)):
        optimiser.zero_grad()
        error().backward()
        optimiser.step()
    assert error().item() < 0.1 * before
