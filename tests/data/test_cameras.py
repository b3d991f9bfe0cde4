"""Projection by hand, and the four cameras."""

import numpy as np
import pytest
import torch

from hipart.data.cameras import (
    CENTRE_PX,
    FOCAL_PX,
    IMAGE_SIZE,
    PLACES,
    TARGET,
    four_cameras,
    normalise_screen,
    screen_to_pixels,
)

CAMERAS = four_cameras()
ALL = np.arange(len(PLACES))


def to_camera(point: tuple[float, float, float]) -> np.ndarray:
    return np.asarray(CAMERAS.R @ np.array(point, np.float32) + CAMERAS.t)


def test_projection_against_a_hand_computation() -> None:
    point = np.array([[[0.4, -0.2, 5.0]]], np.float32)
    pixels = CAMERAS.project(point, np.array([0]))
    by_hand = (1145 * 0.4 / 5 + 512, 1145 * -0.2 / 5 + 515)
    assert pixels[0, 0] == pytest.approx(by_hand, abs=1e-3)


def test_rotations_are_proper_and_cameras_stand_where_they_should() -> None:
    assert np.allclose(CAMERAS.R @ CAMERAS.R.swapaxes(1, 2), np.eye(3), atol=1e-6)
    assert np.allclose(np.linalg.det(CAMERAS.R), 1, atol=1e-6)
    position = -np.einsum("cji,cj->ci", CAMERAS.R, CAMERAS.t)
    assert np.allclose(np.hypot(position[:, 0], position[:, 2]), [p[1] for p in PLACES], atol=1e-5)
    assert np.allclose(position[:, 1], [p[2] for p in PLACES], atol=1e-5)


def test_the_target_is_in_the_centre_and_up_is_up() -> None:
    centre = CAMERAS.project(to_camera(TARGET)[:, None], ALL)[:, 0]
    assert np.allclose(centre, CENTRE_PX, atol=1e-2)
    above = CAMERAS.project(to_camera((0, 1.9, 0))[:, None], ALL)[:, 0]
    assert np.all(above[:, 1] < centre[:, 1])
    assert np.allclose(above[:, 0], centre[:, 0], atol=1e-2)
    assert np.all(np.array(FOCAL_PX) > 1100)


def test_a_camera_in_front_sees_the_left_side_on_its_right() -> None:
    left = CAMERAS.project(to_camera((0.5, 0.9, 0))[:, None], ALL)[:, 0, 0]
    centre = np.array(CENTRE_PX)[:, 0]
    in_front = np.cos(np.radians([place[0] for place in PLACES])) > 0
    assert np.array_equal(left > centre, in_front)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_screen_units_and_back(kind) -> None:
    width, height = IMAGE_SIZE
    points = kind(np.array([[0.0, 0.0], [width, height], [width / 2, height / 2]]))
    screen = normalise_screen(points, IMAGE_SIZE)
    edge = height / width
    assert np.allclose(np.asarray(screen), [[-1, -edge], [1, edge], [0, 0]])
    assert np.allclose(np.asarray(screen_to_pixels(screen, IMAGE_SIZE)), np.asarray(points))
    assert float(points[1, 0]) == width, "the argument is left alone"
