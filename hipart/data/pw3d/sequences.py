"""3DPW's sequence files: what they hold, read without trust, and the moving camera of each.

3DPW: von Marcard et al., "Recovering Accurate 3D Human Pose in The Wild Using IMUs and a Moving
Camera", ECCV 2018. Sources: the data set's own ``readme.txt``; Pose2Mesh ``data/3dpw2coco.py``
(camera, names of the fields); 3DNBF ``data_converters/pw3d_occ.py`` (valid frames, 10 of 300
betas).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.pickles import read_pickle_file
from hipart.data.smpl import BETAS, BONES

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

FPS = 30.0
#: Width and height of an image, pixels: a phone held upright, or on its side.
SIZES = ((1080, 1920), (1920, 1080))
#: A lens's centre lies no further from that of the image, pixels; it says how the phone was held.
MOST_OFF_CENTRE_PX = 200.0
OPENPOSE_JOINTS = 18
#: Nobody's joint is further from their pelvis, metres; millimetres would be.
MOST_REACH_M = 3.0
WANTED = (
    *("sequence", "poses", "betas", "trans", "jointPositions", "poses2d", "genders"),
    *("campose_valid", "cam_poses", "cam_intrinsics"),
)
GENDERS = ("m", "f")


@dataclass(frozen=True, eq=False)
class Person:
    """One of the people in a sequence of T frames, in a world of metres."""

    gender: str  # m or f
    pose: Floats  # (T, 72) axis-angles, radians
    betas: Floats  # (10,)
    at: Floats  # (T, 3) m
    joints: Floats  # (T, 24, 3) m, SMPL's
    openpose: Floats  # (T, 18, 3) x and y in px, confidence
    valid: Mask  # (T,) whether the camera's pose was aligned to the image


@dataclass(frozen=True, eq=False)
class Recording:
    """A sequence of T frames: the people in it, and its camera, ``x_cam = turn x_world + move``."""

    name: str
    persons: tuple[Person, ...]
    turn: Floats  # (T, 3, 3)
    move: Floats  # (T, 3) m
    intrinsics: Floats  # (3, 3) px
    size: tuple[int, int]  # width, height of its images, px

    def __len__(self) -> int:
        return len(self.move)

    def see(self, points: Floats, frames: NDArray[np.integer]) -> Floats:
        """World points (N, K, 3) of ``frames`` (N,) in the camera's frame, metres."""
        seen: Floats = points @ self.turn[frames].transpose(0, 2, 1) + self.move[frames, None]
        return seen

    def project(self, points: Floats) -> Floats:
        """Pixels (..., 2) of points (..., 3) in the camera's frame, without a lens."""
        pixels: Floats = (points / points[..., 2:]) @ self.intrinsics[:2].T
        return pixels


def read_sequence(path: Path) -> Recording:
    """Read a sequence file. ValueError names the file, the key and what is wrong with it."""
    try:
        held = read_pickle_file(path)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(held, Mapping):
        raise ValueError(f"{path}: a sequence is a dictionary, found a {type(held).__name__}")
    missing = [key for key in WANTED if key not in held]
    if missing:
        raise ValueError(f"{path}: is no sequence of 3DPW, for it lacks {', '.join(missing)}")
    if str(held["sequence"]) != path.stem:
        raise ValueError(
            f"{path}: sequence is {str(held['sequence'])!r}; a file must have its sequence's name"
        )
    intrinsics = _intrinsics(held["cam_intrinsics"], f"{path}: cam_intrinsics")
    camera = _numbers(held["cam_poses"], f"{path}: cam_poses")
    if camera.ndim != 3 or camera.shape[1:] != (4, 4):
        raise ValueError(f"{path}: cam_poses must have shape (T, 4, 4), found {camera.shape}")
    people = _people(held, path)
    persons = tuple(
        _person(held, f"{path}: person {number}", number, len(camera)) for number in range(people)
    )
    used = np.any([person.valid for person in persons], axis=0)
    _check_camera(camera, used, f"{path}: cam_poses")
    size = SIZES[int(intrinsics[0, 2] > intrinsics[1, 2])]
    return Recording(path.stem, persons, camera[:, :3, :3], camera[:, :3, 3], intrinsics, size)


def _people(held: Mapping[str, Any], path: Path) -> int:
    """How many there are: every list has as many."""
    lists = ("poses", "betas", "trans", "jointPositions", "poses2d", "genders", "campose_valid")
    counts = {}
    for key in lists:
        if not isinstance(held[key], (list, tuple, np.ndarray)) or not len(held[key]):
            raise ValueError(f"{path}: {key} must hold a list with one entry for each person")
        counts[key] = len(held[key])
    people = counts["poses"]
    for key, count in counts.items():
        if count != people:
            raise ValueError(f"{path}: {key} is of {count} persons, but poses of {people}")
    return people


def _person(held: Mapping[str, Any], where: str, number: int, frames: int) -> Person:
    gender = str(held["genders"][number])
    if gender not in GENDERS:
        raise ValueError(f"{where}: genders must be m or f, found {gender!r}")
    valid = _numbers(held["campose_valid"][number], f"{where}: campose_valid", (frames,))
    if not np.isin(valid, (0, 1)).all():
        raise ValueError(f"{where}: campose_valid must be 0 or 1 in every frame")
    used = valid == 1

    def array(key: str, shape: tuple[int, ...]) -> Floats:
        found = _numbers(held[key][number], f"{where}: {key}", (frames, *shape))
        _check_finite(found, used, f"{where}: {key}")
        return found

    betas = _numbers(held["betas"][number], f"{where}: betas").reshape(-1)
    if len(betas) < BETAS or not np.isfinite(betas).all():
        raise ValueError(f"{where}: betas must be 10 or 300 finite numbers, found {len(betas)}")
    joints = array("jointPositions", (3 * BONES,)).reshape(frames, BONES, 3)
    reach = np.abs(joints - joints[:, :1])[used].max(initial=0)
    if reach > MOST_REACH_M:
        raise ValueError(
            f"{where}: jointPositions must be in metres; one is {reach:.4g} off the pelvis"
        )
    return Person(
        gender,
        array("poses", (3 * BONES,)),
        betas[:BETAS],
        array("trans", (3,)),
        joints,
        array("poses2d", (3, OPENPOSE_JOINTS)).transpose(0, 2, 1),
        used,
    )


def _numbers(value: Any, where: str, shape: tuple[int, ...] | None = None) -> Floats:
    """An array of real numbers of any type, byte order and layout, as float64 in rows."""
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{where} must hold numbers, found lists of different lengths") from None
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{where} must hold numbers, found {array.dtype}")
    if shape is not None and array.shape != shape:
        raise ValueError(f"{where} must have shape {shape}, found {array.shape}")
    return np.ascontiguousarray(array, np.float64)


def _check_finite(array: Floats, used: Mask, where: str) -> None:
    """Frames without a valid camera may hold anything; nobody looks at them."""
    wrong = used & ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if wrong.any():
        raise ValueError(f"{where} has a NaN or infinity at frame {int(np.argmax(wrong))}")


def _check_camera(camera: Floats, used: Mask, where: str) -> None:
    _check_finite(camera, used, where)
    turn = camera[used, :3, :3]
    off = np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2), initial=0)
    rigid = (off < 1e-3) & (np.linalg.det(turn) > 0)
    rigid &= np.abs(camera[used, 3] - [0, 0, 0, 1]).max(axis=1, initial=0) < 1e-6
    if not rigid.all():
        frame = int(np.flatnonzero(used)[np.argmin(rigid)])
        raise ValueError(f"{where} is no rigid motion (rotation and translation) at frame {frame}")


def _intrinsics(value: Any, where: str) -> Floats:
    found = _numbers(value, where, (3, 3))
    centre = found[:2, 2]
    if not np.isfinite(found).all():
        raise ValueError(f"{where} has a NaN or infinity")
    if not (found[2] == [0, 0, 1]).all() or found[1, 0] != 0 or min(found[0, 0], found[1, 1]) <= 0:
        raise ValueError(f"{where} must be [f_x s c_x; 0 f_y c_y; 0 0 1] with f_x, f_y above 0")
    off = min(np.abs(centre - np.array(size) / 2).max() for size in SIZES)
    if off > MOST_OFF_CENTRE_PX:
        sizes = " nor ".join(f"{width} x {height}" for width, height in SIZES)
        raise ValueError(
            f"{where} has a centre {centre.tolist()} in the middle of neither {sizes} pixels"
        )
    return found
