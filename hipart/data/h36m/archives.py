"""VideoPose3D's archives of Human3.6M: 3D in the world, 2D by four cameras, read without trust.

Sources: VideoPose3D ``prepare_data_h36m.py``, ``common/h36m_dataset.py``, ``run.py`` (the cut of
longer detections), ``prepare_data_2d_h36m_sh.py``.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.h36m.sequences import DROPPED, SUBJECTS, action_of, renamed
from hipart.data.pickles import read_npz
from hipart.skeleton import LEFT, NUM_JOINTS, RIGHT

Floats = NDArray[np.float32]
#: (subject, sequence).
Name = tuple[str, str]

POSES_3D = "data_3d_h36m.npz"
#: By the name of the detector.
POSES_2D = {
    "gt": "data_2d_h36m_gt.npz",
    "cpn": "data_2d_h36m_cpn_ft_h36m_dbb.npz",
    "sh": "data_2d_h36m_sh_ft_h36m.npz",
    "sh_pt_mpii": "data_2d_h36m_sh_pt_mpii.npz",
}
FPS = 50.0
NUM_CAMERAS = 4
MARKERS = 32
#: The 17 joints among the 32 that were recorded.
KEPT_MARKERS = (0, 1, 2, 3, 6, 7, 8, 12, 13, 14, 15, 17, 18, 19, 25, 26, 27)
#: Which of the 17 joints MPII's 16 are, in its order, and the one that is none of them.
MPII = (3, 2, 1, 4, 5, 6, 0, 7, 8, 10, 16, 15, 14, 11, 12, 13)
NECK = 9
#: Nobody is further from the middle of the room, metres; millimetres would be.
MOST_M = 20.0
MOST_PX = 10_000.0


def read_poses_3d(path: Path) -> dict[Name, Floats]:
    """Joints (T, 17, 3) in the world, metres, 50 a second, of every sequence.

    Raises ValueError that names the file, the sequence and what is wrong with it.
    """
    found = {}
    for (subject, name), poses in _sequences(path, "positions_3d").items():
        where = f"{path}: {subject} {name}"
        array = _numbers(poses, where)
        if array.ndim != 3 or array.shape[1:] not in ((MARKERS, 3), (NUM_JOINTS, 3)):
            raise ValueError(
                f"{where}: joints must have shape (T, {MARKERS}, 3) or (T, {NUM_JOINTS}, 3), found "
                f"{array.shape}"
            )
        if array.shape[1] == MARKERS:
            array = array[:, KEPT_MARKERS]
        if np.abs(array).max(initial=0) > MOST_M:
            raise ValueError(
                f"{where}: joints must be in metres; one is {np.abs(array).max():.4g} off the "
                "middle of the room (divide millimetres by 1000)"
            )
        found[subject, name] = array
    return found


def read_poses_2d(path: Path) -> dict[Name, tuple[Floats, ...]]:
    """Joints (T, J, 2) in pixels before each of the four cameras, of every sequence.

    J is 17, or 16 in the order of MPII for stacked hourglass. Raises ValueError as above.
    """
    found = {}
    for (subject, name), views in _sequences(path, "positions_2d").items():
        where = f"{path}: {subject} {name}"
        if not isinstance(views, (list, tuple)) or len(views) != NUM_CAMERAS:
            count = len(views) if isinstance(views, (list, tuple)) else type(views).__name__
            raise ValueError(f"{where}: must hold a list of {NUM_CAMERAS} cameras, found {count}")
        arrays = tuple(
            _numbers(view, f"{where}, camera {number}") for number, view in enumerate(views)
        )
        for number, array in enumerate(arrays):
            if array.ndim != 3 or array.shape[1] not in (16, 17) or array.shape[2] != 2:
                raise ValueError(
                    f"{where}, camera {number}: joints must have shape (T, {NUM_JOINTS}, 2), found "
                    f"{array.shape}"
                )
            if np.abs(array).max(initial=0) > MOST_PX:
                raise ValueError(f"{where}, camera {number}: joints must be in pixels")
        found[subject, name] = arrays
    return found


def as_17(poses: Floats) -> Floats:
    """Joints (T, 17, 2) of (T, 17, 2), or of stacked hourglass's (T, 16, 2) in MPII's order.

    MPII has no Neck/Nose; it is put halfway between Thorax and Head.
    """
    if poses.shape[1] == NUM_JOINTS:
        return poses
    found = np.empty((len(poses), NUM_JOINTS, 2), np.float32)
    found[:, MPII] = poses
    found[:, NECK] = (found[:, NECK - 1] + found[:, NECK + 1]) / 2
    return found


def check_symmetry(path: Path, metadata: Any) -> None:
    """Hold a 2D file's word on left and right against the order of joints that is used here."""
    if isinstance(metadata, np.ndarray) and metadata.shape == ():
        metadata = metadata[()]
    if not isinstance(metadata, dict):
        raise ValueError(f"{path}: metadata must be a dictionary")
    sides = [sorted(side) for side in metadata.get("keypoints_symmetry", ())]
    if metadata.get("num_joints") == NUM_JOINTS and sides != [sorted(LEFT), sorted(RIGHT)]:
        raise ValueError(
            f"{path}: its keypoints_symmetry {sides} is not that of Human3.6M's 17 joints, "
            f"{[sorted(LEFT), sorted(RIGHT)]}"
        )


def cut(poses: tuple[Floats, ...], frames: int, where: str) -> tuple[Floats, ...]:
    """Detections as long as the motion: what a video has more at its end is left out.

    Raises ValueError where they are shorter.
    """
    for number, array in enumerate(poses):
        if len(array) < frames:
            raise ValueError(
                f"{where}, camera {number}: {len(array)} frames of detections for {frames} of "
                "motion; they must not be fewer"
            )
    return tuple(array[:frames] for array in poses)


def _sequences(path: Path, key: str) -> dict[Name, Any]:
    held = read_npz(path)
    if key not in held:
        raise ValueError(f"{path}: holds {', '.join(sorted(held)) or 'nothing'}, but no {key}")
    table = held[key]
    if isinstance(table, np.ndarray) and table.shape == ():
        table = table[()]
    if not isinstance(table, Mapping):
        raise ValueError(f"{path}: {key} must be a dictionary by subject")
    if "metadata" in held:
        check_symmetry(path, held["metadata"])
    found = {}
    for subject, sequences in table.items():
        if subject not in SUBJECTS:
            raise ValueError(f"{path}: {subject!r} is no subject with poses; {', '.join(SUBJECTS)}")
        if not isinstance(sequences, Mapping):
            raise ValueError(f"{path}: {subject} must hold a dictionary by sequence")
        for name, value in sequences.items():
            action_of(str(name))
            if (subject, renamed(name)) not in DROPPED:
                found[subject, renamed(name)] = value
    return found


def _numbers(value: Any, where: str) -> Floats:
    """Any floating-point array, whatever its byte order and layout, as float32 in rows."""
    array = np.asarray(value)
    if array.dtype.kind != "f":
        raise ValueError(f"{where}: must hold floating-point numbers, found {array.dtype}")
    array = np.ascontiguousarray(array, dtype=np.float32)
    if not np.isfinite(array).all():
        frame = int(np.argwhere(~np.isfinite(array))[0, 0])
        raise ValueError(f"{where}: has a NaN or infinity at frame {frame}")
    return array
