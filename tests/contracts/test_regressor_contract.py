"""What every densifier without tokens must keep: listed in REGRESSORS, it is tested here."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch
from torch import nn

from hipart.config import RegressorConfig
from hipart.models.regressors.build import REGRESSORS, build_regressor
from hipart.skeleton import joints_of

KINDS = [
    config.model_fields["kind"].default
    for config in get_args(RegressorConfig.model_fields["model"].annotation)
]


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(kind: str, levels: list[int]) -> nn.Module:
    model: dict[str, Any] = {"kind": kind, "width": 24, "blocks": 1}
    return build_regressor(RegressorConfig.model_validate({"model": model, "levels": levels}))


def test_every_regressor_has_a_config_and_every_config_a_regressor() -> None:
    assert set(REGRESSORS) == set(KINDS)


@pytest.mark.parametrize("kind", REGRESSORS)
def test_it_is_of_the_size_of_prior_and_decoders(kind: str) -> None:
    model = build_regressor(RegressorConfig.model_validate({"model": {"kind": kind}}))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == pytest.approx(1_091_604, rel=0.05)


@pytest.mark.parametrize("levels", [[48], [48, 96], [48, 96, 192], [96]], ids=str)
@pytest.mark.parametrize("kind", REGRESSORS)
class TestRegressor:
    def test_output_is_all_points(self, kind: str, levels: list[int]) -> None:
        points = build(kind, levels).eval()(torch.randn(3, 17, 2))
        assert points.shape == (3, sum(levels), 2)
        assert points.isfinite().all()

    def test_every_parameter_gets_a_gradient(self, kind: str, levels: list[int]) -> None:
        model = build(kind, levels)
        model(torch.randn(4, 17, 2)).square().sum().backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().max() > 0, name

    def test_a_pose_that_moves_takes_its_points_along(self, kind: str, levels: list[int]) -> None:
        """Points are read as offsets from their joints: without offsets they lie on them."""
        model = build(kind, levels)
        for name, parameter in model.named_parameters():
            if "head" in name:
                nn.init.zeros_(parameter)
        poses = torch.randn(2, 17, 2)
        assert torch.allclose(model(poses), poses[:, list(joints_of(tuple(levels)))])

    def test_a_sample_does_not_see_its_batch(self, kind: str, levels: list[int]) -> None:
        model, poses = build(kind, levels).eval(), torch.randn(4, 17, 2)
        assert torch.allclose(model(poses)[1:2], model(poses[1:2]), atol=1e-6)
