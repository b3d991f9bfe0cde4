"""Human3.6M's four cameras: where they stand for each subject, and how their lenses bend."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CALIBRATION = Path(__file__).parent / "calibration.json"
MM_PER_M = 1000.0


@dataclass(frozen=True, eq=False)
class LensCamera:
    """A camera with a lens, in a world of metres with z up: ``x_cam = R (x_world - at)``.

    ``R`` (3, 3), ``at`` (3,) metres, ``focal`` and ``centre`` (2,) pixels, ``radial`` (3,) k1 to k3
    and ``tangential`` (2,) without units, ``size`` the width and height of its image in pixels.
    """

    name: str
    R: Floats
    at: Floats
    focal: Floats
    centre: Floats
    radial: Floats
    tangential: Floats
    size: tuple[int, int]

    def see(self, points: NDArray[Any]) -> Floats:
        """World points (..., 3) in the camera's frame, metres."""
        seen: Floats = (np.asarray(points, np.float64) - self.at) @ self.R.T
        return seen

    def project(self, points: NDArray[Any], lens: bool = True) -> Floats:
        """Pixels (..., 2) of points (..., 3) in the camera's frame.

        The lens is that of VideoPose3D's ``project_to_2d``, in whose pixels all published
        detections lie: at ``x = X / Z``, which is cut at -1 and 1, with ``r`` its length,
        ``x (1 + k1 r^2 + k2 r^4 + k3 r^6 + p . x) + p r^2``. Pose2Mesh's files leave it out
        (``lens=False``), which moves a point 400 px off the centre by about 8.6 px.
        """
        points = np.asarray(points, np.float64)
        flat = np.clip(points[..., :2] / points[..., 2:], -1, 1)
        if lens:
            squared = np.square(flat).sum(-1, keepdims=True)
            radial = 1 + squared * np.polyval(self.radial[::-1], squared)
            slant = (flat @ self.tangential)[..., None]
            flat = flat * (radial + slant) + self.tangential * squared
        return np.asarray(flat * self.focal + self.centre)


@cache
def cameras_of(subject: str) -> tuple[LensCamera, ...]:
    """The four cameras in the order of all files: 54138969, 55011271, 58860488, 60457274.

    KeyError for a subject without published poses.
    """
    known = json.loads(CALIBRATION.read_text())
    return tuple(
        LensCamera(
            name,
            rotation(np.array(place["turn"])).T,
            np.array(place["at"]) / MM_PER_M,
            np.array(lens["focal"]),
            np.array(lens["centre"]),
            np.array(lens["radial"]),
            np.array(lens["tangential"]),
            (lens["size"][0], lens["size"][1]),
        )
        for (name, lens), place in zip(
            known["cameras"].items(), known["places"][subject], strict=True
        )
    )


def rotation(quaternion: Floats) -> Floats:
    """The matrix (3, 3) of a quaternion (w, x, y, z) of any length."""
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
