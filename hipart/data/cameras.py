"""Four fixed cameras like Human3.6M's: world is metres with y up, camera is x right, y down."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Width and height of an image, pixels.
IMAGE_SIZE = (1000, 1002)
#: Azimuth from +z in degrees, distance on the floor in m, height in m: the corners of a room.
PLACES = ((22.0, 5.3, 1.50), (158.0, 5.4, 1.53), (202.0, 5.5, 1.57), (338.0, 5.6, 1.60))
#: All cameras look at this point, metres.
TARGET = (0.0, 0.9, 0.0)
FOCAL_PX = (1145.0, 1150.0, 1149.0, 1146.0)
CENTRE_PX = ((512.0, 515.0), (509.0, 508.0), (520.0, 501.0), (515.0, 502.0))


@dataclass(frozen=True)
class Cameras:
    """Stacked pinhole cameras without distortion: ``x_cam = R x_world + t``.

    ``R`` (4, 3, 3), ``t`` (4, 3) metres, ``focal`` (4,) px, ``centre`` (4, 2) px.
    """

    R: Floats
    t: Floats
    focal: Floats
    centre: Floats

    def __len__(self) -> int:
        return len(self.t)

    def project(self, points: Floats, camera: NDArray[np.integer[Any]]) -> Floats:
        """Pixels (N, K, 2) of camera-frame points (N, K, 3), each row seen by ``camera`` (N,)."""
        plane = points[..., :2] / points[..., 2:]
        pixels = plane * self.focal[camera][:, None, None] + self.centre[camera][:, None]
        return np.asarray(pixels, dtype=np.float32)


def four_cameras() -> Cameras:
    """The corpus's cameras."""
    rotations, translations = [], []
    for azimuth, distance, height in PLACES:
        angle = np.radians(azimuth)
        position = np.array([distance * np.sin(angle), height, distance * np.cos(angle)])
        forward = np.array(TARGET) - position
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 1.0, 0.0])
        right /= np.linalg.norm(right)
        R = np.stack([right, np.cross(forward, right), forward])
        rotations.append(R)
        translations.append(-R @ position)
    return Cameras(
        np.array(rotations, np.float32),
        np.array(translations, np.float32),
        np.array(FOCAL_PX, np.float32),
        np.array(CENTRE_PX, np.float32),
    )


def normalise_screen(points_px: Any, image_size: tuple[int, int]) -> Any:
    """Pixels (..., 2) to x in [-1, 1] and y in [-h/w, h/w]: ``x / w * 2 - [1, h / w]``.

    Plain arithmetic, so arrays and tensors both work (VideoPose3D, ``common/camera.py``).
    """
    width, height = image_size
    normalised = points_px * (2 / width)
    normalised[..., 0] -= 1
    normalised[..., 1] -= height / width
    return normalised


def screen_to_pixels(points: Any, image_size: tuple[int, int]) -> Any:
    """Inverse of ``normalise_screen``."""
    width, height = image_size
    pixels = points * (width / 2)
    pixels[..., 0] += width / 2
    pixels[..., 1] += height / 2
    return pixels
