"""Human3.6M's cameras, held against OpenCV's formula written out and against known sizes."""

import numpy as np
import pytest

from hipart.data.h36m.cameras import cameras_of, rotation
from hipart.data.h36m.sequences import (
    ACTIONS,
    DAMAGED,
    DROPPED,
    SUBJECTS,
    action_of,
    renamed,
    sequence_name,
)

ALL = [camera for subject in SUBJECTS for camera in cameras_of(subject)]


def test_cameras_are_where_they_stood() -> None:
    assert len(ALL) == 28
    for camera in ALL:
        np.testing.assert_allclose(camera.R @ camera.R.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(camera.R) == pytest.approx(1)
        assert 1.4 < camera.at[2] < 1.7 and 3.9 < np.hypot(*camera.at[:2]) < 5.7
        # Each looks at the middle of the room, with the floor below.
        middle, floor = camera.project(camera.see(np.array([[0, 0, 1.0], [0, 0, 0]])))
        assert np.abs(middle - 500).max() < 200
        assert floor[1] > middle[1] + 100


@pytest.mark.parametrize("off_px, bend_px", [(100, 0.2), (200, 1.2), (300, 3.9), (400, 8.6)])
def test_what_the_lens_bends(off_px: float, bend_px: float) -> None:
    """As measured for camera 54138969 (docs/data.md)."""
    camera = cameras_of("S1")[0]
    angles = np.linspace(0, 2 * np.pi, 360)
    flat = off_px * np.stack([np.cos(angles), np.sin(angles)], axis=-1) / camera.focal
    points = np.concatenate([flat, np.ones((360, 1))], axis=-1)
    moved = np.linalg.norm(camera.project(points) - camera.project(points, lens=False), axis=-1)
    assert moved.mean() == pytest.approx(bend_px, rel=0.25)


def test_projection_is_the_published_formula() -> None:
    """Written out as VideoPose3D describes it, number by number."""
    random = np.random.default_rng(0)
    for camera in ALL[:8]:
        for X, Y, Z in random.uniform((-2, -2, 3), (2, 2, 7), (50, 3)):
            x, y = X / Z, Y / Z
            r2 = x * x + y * y
            k1, k2, k3 = camera.radial
            p1, p2 = camera.tangential
            factor = 1 + k1 * r2 + k2 * r2**2 + k3 * r2**3 + p1 * x + p2 * y
            u = camera.focal[0] * (x * factor + p1 * r2) + camera.centre[0]
            v = camera.focal[1] * (y * factor + p2 * r2) + camera.centre[1]
            np.testing.assert_allclose(camera.project(np.array([X, Y, Z])), [u, v], atol=1e-9)


def test_a_quaternion_turns_as_its_matrix() -> None:
    turn = rotation(np.array([np.cos(0.3), 0, 0, np.sin(0.3)]) * 5)
    np.testing.assert_allclose(turn @ [1, 0, 0], [np.cos(0.6), np.sin(0.6), 0], atol=1e-12)


def test_every_number_is_another_sequence() -> None:
    for subject in SUBJECTS:
        names = [sequence_name(subject, a, s) for a in range(2, 17) for s in (1, 2)]
        assert len(set(names)) == 30
        assert sorted(map(action_of, names)) == sorted(2 * ACTIONS)
    named = {(s, sequence_name(s, a, b)) for s in SUBJECTS for a in range(2, 17) for b in (1, 2)}
    assert {*DAMAGED, *DROPPED} <= named
    assert sequence_name("S9", 5, 2) == "Greeting"
    assert sequence_name("S9", 10, 2) == "SittingDown 1"
    assert sequence_name("S9", 13, 1) == "Waiting 1"


def test_an_action_is_the_whole_word() -> None:
    assert action_of("SittingDown 1") == "SittingDown" != action_of("Sitting 1") == "Sitting"
    assert renamed("TakingPhoto 1") == "Photo 1" and action_of("WalkingDog") == "WalkDog"
    with pytest.raises(ValueError, match="no sequence"):
        action_of("Walk 1")
    for wrong in (("S2", 2, 1), ("S1", 2, 3), ("S1", 1, 1), ("S1", 17, 1)):
        with pytest.raises(ValueError, match="there is no"):
            sequence_name(*wrong)
