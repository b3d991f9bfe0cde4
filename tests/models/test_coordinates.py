"""Frames of poses: there and back, what they take away, and who has none."""

from typing import get_args

import pytest
import torch

from hipart.models.coordinates import (
    HIP_SCALE,
    SMALLEST_SPREAD,
    Coordinates,
    frame_of,
    without_extent,
)

FRAMED: tuple[Coordinates, ...] = ("body", "hip")


@pytest.fixture
def poses() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    place = torch.randn(40, 1, 2, generator=generator, dtype=torch.float64) / 3
    return place + 0.15 * torch.randn(40, 17, 2, generator=generator, dtype=torch.float64)


def test_all_coordinates_are_tested() -> None:
    assert {*FRAMED, "screen"} == set(get_args(Coordinates))


@pytest.mark.parametrize("coordinates", FRAMED)
def test_back_undoes_to(coordinates: Coordinates, poses: torch.Tensor) -> None:
    frame = frame_of(poses, coordinates)
    assert frame is not None
    points = torch.randn(40, 96, 2, dtype=torch.float64)
    assert torch.allclose(frame.back(frame.to(points)), points, atol=1e-12)
    assert torch.allclose(frame.to(frame.back(points)), points, atol=1e-12)
    some = torch.tensor([3, 3, 17])
    assert torch.equal(frame.take(some).to(points[some]), frame.to(points)[some])


def test_the_screen_needs_no_frame(poses: torch.Tensor) -> None:
    assert frame_of(poses, "screen") is None


def test_in_its_body_a_pose_has_mean_0_and_spread_1(poses: torch.Tensor) -> None:
    frame = frame_of(poses, "body")
    assert frame is not None
    seen = frame.to(poses)
    assert seen.mean(dim=1).abs().max() < 1e-12
    assert torch.allclose(seen.square().mean(dim=(1, 2)), torch.ones(40, dtype=torch.float64))


def test_in_its_body_a_pose_looks_the_same_wherever_and_however_large(poses: torch.Tensor) -> None:
    here = frame_of(poses, "body")
    moved = 3.7 * poses + torch.tensor([5.0, -2.0])
    there = frame_of(moved, "body")
    assert here is not None and there is not None
    assert torch.allclose(here.to(poses), there.to(moved), atol=1e-12)


def test_from_its_hip_a_pose_looks_the_same_wherever_but_not_however_large(
    poses: torch.Tensor,
) -> None:
    here, there = frame_of(poses, "hip"), frame_of(poses + 2, "hip")
    assert here is not None and there is not None
    assert torch.allclose(here.to(poses), there.to(poses + 2), atol=1e-12)
    assert here.to(poses)[:, 0].abs().max() == 0
    larger = frame_of(2 * poses, "hip")
    assert larger is not None
    assert torch.allclose(larger.to(2 * poses), 2 * here.to(poses), atol=1e-12)
    assert (here.scale == HIP_SCALE).all()


def test_poses_of_no_extent_are_found_and_give_finite_numbers(poses: torch.Tensor) -> None:
    poses[7] = torch.tensor([0.3, -0.2])
    poses[30] = poses[30, :1] + 0.1 * SMALLEST_SPREAD * torch.randn(17, 2, dtype=torch.float64)
    assert without_extent(poses, "body") == [7, 30]
    assert without_extent(poses, "hip") == without_extent(poses, "screen") == []
    frame = frame_of(poses, "body")
    assert frame is not None
    assert frame.to(poses).isfinite().all()
    assert frame.scale.min() == SMALLEST_SPREAD
    poses[7, 0, 0] += 10 * SMALLEST_SPREAD
    assert without_extent(poses, "body") == [30]
