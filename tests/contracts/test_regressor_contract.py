"""What every densifier without tokens must keep: listed in REGRESSORS, it is tested here."""

from collections.abc import Iterator
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from hipart.config import FittedRegressorConfig, RegressorConfig
from hipart.models.regressors import fitted
from hipart.models.regressors.build import REGRESSORS, build_regressor
from hipart.models.regressors.fitted import FittedRegressor
from hipart.skeleton import joints_of

KINDS = [
    config.model_fields["kind"].default
    for config in get_args(RegressorConfig.model_fields["model"].annotation)
]
FITTED = [config.model_fields["kind"].default for config in get_args(FittedRegressorConfig)]
TRAINED = [kind for kind in REGRESSORS if kind not in FITTED]
LEVELS = [[48], [48, 96], [48, 96, 192], [96]]


@pytest.fixture(autouse=True)
def seed() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def build(kind: str, levels: list[int]) -> nn.Module:
    """A small model; one that is fitted knows a few random poses."""
    model: dict[str, Any] = {"kind": kind}
    if kind in TRAINED:
        model |= {"width": 24, "blocks": 1}
    built = build_regressor(RegressorConfig.model_validate({"model": model, "levels": levels}))
    if isinstance(built, FittedRegressor):
        built.fit(torch.randn(60, 17, 2), torch.randn(60, sum(levels), 2))
    return built


def unfitted(kind: str, levels: list[int]) -> FittedRegressor:
    config = RegressorConfig.model_validate({"model": {"kind": kind}, "levels": levels})
    built = build_regressor(config)
    assert isinstance(built, FittedRegressor)
    return built


def test_every_regressor_has_a_config_and_every_config_a_regressor() -> None:
    assert set(REGRESSORS) == set(KINDS)
    for kind in REGRESSORS:
        config = RegressorConfig.model_validate({"model": {"kind": kind}})
        assert config.is_fitted == isinstance(build_regressor(config), FittedRegressor)


@pytest.mark.parametrize("kind", TRAINED)
def test_it_is_of_the_size_of_prior_and_decoders(kind: str) -> None:
    model = build_regressor(RegressorConfig.model_validate({"model": {"kind": kind}}))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == pytest.approx(1_091_604, rel=0.05)


@pytest.mark.parametrize("levels", LEVELS, ids=str)
@pytest.mark.parametrize("kind", REGRESSORS)
class TestRegressor:
    def test_output_is_all_points(self, kind: str, levels: list[int]) -> None:
        points = build(kind, levels).eval()(torch.randn(3, 17, 2))
        assert points.shape == (3, sum(levels), 2)
        assert points.isfinite().all()

    def test_a_sample_does_not_see_its_batch(self, kind: str, levels: list[int]) -> None:
        model, poses = build(kind, levels).eval(), torch.randn(4, 17, 2)
        assert torch.allclose(model(poses)[1:2], model(poses[1:2]), atol=1e-6)

    def test_its_state_is_all_of_it(self, kind: str, levels: list[int]) -> None:
        model, other, poses = build(kind, levels), build(kind, levels), torch.randn(2, 17, 2)
        other.load_state_dict(model.state_dict())
        assert torch.equal(other.eval()(poses), model.eval()(poses))


@pytest.mark.parametrize("levels", LEVELS, ids=str)
@pytest.mark.parametrize("kind", TRAINED)
class TestTrained:
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


def samples(count: int, levels: list[int]) -> tuple[Tensor, Tensor]:
    """Detected joints far from zero, as pixels are, and points that go with them."""
    detected = 500 + 100 * torch.randn(count, 17, 2)
    away = 20 * torch.randn(count, sum(levels), 2)
    return detected, detected[:, list(joints_of(tuple(levels)))] + away + 7


@pytest.mark.parametrize("levels", LEVELS, ids=str)
@pytest.mark.parametrize("kind", FITTED)
class TestFitted:
    def test_it_has_nothing_to_train(self, kind: str, levels: list[int]) -> None:
        assert not list(unfitted(kind, levels).parameters())

    def test_what_is_left_over_has_no_mean(self, kind: str, levels: list[int]) -> None:
        model, (detected, exact) = unfitted(kind, levels), samples(200, levels)
        model.fit(detected, exact)
        assert (model(detected) - exact).mean(0).abs().max() < 0.01

    def test_chunks_change_nothing(
        self, kind: str, levels: list[int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        whole, parts, (detected, exact) = (
            *(unfitted(kind, levels) for _ in "ab"),
            samples(50, levels),
        )
        whole.fit(detected, exact)
        monkeypatch.setattr(fitted, "CHUNK", 7)
        parts.fit(detected, exact)
        assert torch.allclose(whole(detected), parts(detected), rtol=1e-5)

    def test_it_follows_a_pose_that_moves(self, kind: str, levels: list[int]) -> None:
        """Least squares only where the samples say so; these go with their joints exactly."""
        model, (detected, _) = unfitted(kind, levels), samples(200, levels)
        hip = kind == "mean_pose"
        joints = [0] * sum(levels) if hip else list(joints_of(tuple(levels)))
        model.fit(detected, detected[:, joints] + torch.randn(sum(levels), 2))
        assert torch.allclose(model(detected + 30), model(detected) + 30, atol=0.01)


def test_the_mean_pose_is_put_on_the_hip() -> None:
    model, shape = unfitted("mean_pose", [48]), torch.randn(48, 2)
    hips = torch.randn(20, 17, 2)
    model.fit(hips, hips[:, :1] + shape)
    pose = torch.randn(3, 17, 2)
    assert torch.allclose(model(pose), pose[:, :1] + shape, atol=1e-5)


def test_linear_regression_is_least_squares() -> None:
    model, (detected, exact) = unfitted("linear", [96]), samples(300, [96])
    model.fit(detected, exact)
    inputs = torch.cat([detected.flatten(1), torch.ones(300, 1)], dim=1).double()
    solution = torch.linalg.lstsq(inputs, exact.flatten(1).double()).solution
    expected = (inputs @ solution).unflatten(1, (-1, 2)).float()
    assert torch.allclose(model(detected), expected, atol=0.01)


@pytest.mark.parametrize("count", [1, 20])
def test_linear_regression_of_few_samples_goes_through_them(count: int) -> None:
    """Fewer than 35: the system is singular. Joints that never move count for nothing."""
    model, (detected, exact) = unfitted("linear", [48]), samples(count, [48])
    detected[:, 3] = 400
    model.fit(detected, exact)
    assert torch.allclose(model(detected), exact, atol=0.05)
    assert not model.get_buffer("weight")[6:8].abs().max() > 1e-6
