"""What every lifter must keep: listed in LIFTERS, it is tested here."""

from collections.abc import Iterator
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from hipart.config import LifterConfig, Section
from hipart.models.lifters.build import LIFTERS, build_lifter

CONFIGS: dict[str, Section] = {
    config.model_fields["kind"].default: config()
    for config in get_args(LifterConfig.model_fields["model"].annotation)
}


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(kind: str, joints: int) -> nn.Module:
    return build_lifter(CONFIGS[kind], joints)  # type: ignore[arg-type]


def test_every_lifter_has_a_config_and_every_config_a_lifter() -> None:
    assert set(LIFTERS) == set(CONFIGS)


@pytest.mark.parametrize("joints", [17, 161])
@pytest.mark.parametrize("kind", LIFTERS)
class TestLifter:
    def test_output_is_a_finite_pose(self, kind: str, joints: int) -> None:
        pose = build(kind, joints).eval()(torch.randn(3, joints, 2))
        assert pose.shape == (3, 17, 3)
        assert pose.dtype == torch.float32
        assert pose.isfinite().all()

    def test_every_parameter_gets_a_gradient(self, kind: str, joints: int) -> None:
        lifter = build(kind, joints)
        lifter(torch.randn(4, joints, 2)).square().sum().backward()
        for name, parameter in lifter.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
            assert parameter.grad.abs().max() > 0, name

    def test_every_input_joint_counts(self, kind: str, joints: int) -> None:
        lifter = build(kind, joints).eval()
        poses = torch.randn(1, joints, 2, requires_grad=True)
        # Squared, since a sum alone cancels behind a layer norm.
        lifter(poses).square().sum().backward()
        assert poses.grad is not None
        assert (poses.grad.abs().amax((0, 2)) > 0).all()

    def test_a_sample_does_not_see_its_batch(self, kind: str, joints: int) -> None:
        lifter = build(kind, joints).eval()
        poses = torch.randn(4, joints, 2)
        assert torch.allclose(lifter(poses)[1:2], lifter(poses[1:2]), atol=1e-6)

    def test_same_seed_same_lifter(self, kind: str, joints: int) -> None:
        poses = torch.randn(2, joints, 2)
        torch.manual_seed(1)
        first = build(kind, joints).eval()(poses)
        torch.manual_seed(1)
        assert torch.equal(build(kind, joints).eval()(poses), first)

    def test_state_dict_restores_it(self, kind: str, joints: int) -> None:
        lifter, other = build(kind, joints), build(kind, joints)
        poses = torch.randn(4, joints, 2)
        lifter(poses)  # moves running statistics, where there are any
        assert not torch.equal(lifter.eval()(poses), other.eval()(poses))
        other.load_state_dict(lifter.state_dict())
        assert torch.equal(lifter.eval()(poses), other.eval()(poses))


def without_dropout(lifter: nn.Module) -> nn.Module:
    for module in lifter.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return lifter


@pytest.mark.parametrize("kind", LIFTERS)
def test_it_learns_one_small_batch_by_heart(kind: str) -> None:
    lifter = without_dropout(build(kind, 17))
    poses = torch.randn(4, 17, 2)
    target = torch.cat([poses, poses.prod(-1, keepdim=True)], dim=-1)
    optimiser = torch.optim.Adam(lifter.parameters(), lr=5e-4)

    def error() -> Tensor:
        return (lifter(poses) - target).norm(dim=-1).mean()

    before = error().item()
    for _ in range(100):
        optimiser.zero_grad()
        error().backward()
        optimiser.step()
    assert error().item() < 0.1 * before
