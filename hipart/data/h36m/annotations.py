"""Pose2Mesh's annotations of Human3.6M: joints and SMPL bodies by numbered action and frame.

Source: ``P2M data/Human36M/dataset.py`` (paths, nesting, units). Released for a part of the frames.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.h36m.sequences import sequence_name

Floats = NDArray[np.float64]

JOINTS = "Human36M_subject{}_joint_3d.json"
BODIES = "Human36M_subject{}_smpl_param.json"
MOST_MM = 20_000.0
#: Shapes with a larger number are broken fits; Pose2Mesh puts the mean shape in their place.
MOST_BETA = 3.0
_BODY = {"pose": 72, "shape": 10, "trans": 3}


@dataclass(frozen=True, eq=False)
class Annotated:
    """The frames of a sequence that have a body, rising.

    ``frame`` (T,) counts at 50 a second. ``joints`` (T, 17, 3) in the world, millimetres. ``pose``
    (T, 72) axis-angles, bone 0 turning to the world; ``shape`` (T, 10); ``trans`` (T, 3) metres.
    """

    frame: NDArray[np.int64]
    joints: Floats
    pose: Floats
    shape: Floats
    trans: Floats

    def __len__(self) -> int:
        return len(self.frame)

    def only(self, kept: NDArray[np.bool_]) -> "Annotated":
        """The frames where ``kept`` (T,) is true."""
        return Annotated(**{name: values[kept] for name, values in vars(self).items()})


#: Of a sequence without any.
NOBODY = Annotated(
    np.empty(0, np.int64),
    np.empty((0, 17, 3)),
    *(np.empty((0, width)) for width in _BODY.values()),
)


def file_names(subject: str) -> tuple[str, str]:
    """The files of joints and of bodies of "S1" and so on."""
    number = subject.removeprefix("S")
    return JOINTS.format(number), BODIES.format(number)


def read_annotations(subject: str, joints: Path, bodies: Path) -> dict[str, Annotated]:
    """Every sequence of a subject by VideoPose3D's name of it.

    Raises ValueError that names the file, the action, subaction and frame, and what is wrong.
    """
    places, shapes = _table(joints), _table(bodies)
    found = {}
    for (action, subaction), frames in shapes.items():
        where = f"action {action}, subaction {subaction}"
        try:
            name = sequence_name(subject, action, subaction)
        except ValueError as error:
            raise ValueError(f"{bodies}: {where}: {error}") from None
        if (action, subaction) not in places:
            raise ValueError(f"{joints}: lacks {where}, of which {bodies.name} has bodies")
        found[name] = _sequence(where, joints, places[action, subaction], bodies, frames)
    return found


def _sequence(
    where: str, joints: Path, places: Mapping[int, Any], bodies: Path, frames: Mapping[int, Any]
) -> Annotated:
    order = sorted(frames)
    if lacking := [frame for frame in order if frame not in places]:
        raise ValueError(
            f"{joints}: {where}: lacks frame {lacking[0]}, of which {bodies.name} has a body"
        )
    held: dict[str, list[Any]] = {key: [] for key in _BODY}
    for frame in order:
        body = frames[frame]
        if not isinstance(body, Mapping) or not held.keys() <= body.keys():
            raise ValueError(f"{bodies}: {where}, frame {frame}: must hold {', '.join(held)}")
        for key, values in held.items():
            values.append(body[key])
    arrays = {
        key: _numbers(values, (len(order), _BODY[key]), f"{bodies}: {where}: {key}")
        for key, values in held.items()
    }
    at = _numbers([places[f] for f in order], (len(order), 17, 3), f"{joints}: {where}")
    if np.abs(at).max(initial=0) > MOST_MM or 0 < np.abs(at).max(initial=0) < MOST_MM / 1000:
        raise ValueError(
            f"{joints}: {where}: joints must be in millimetres of the world, the largest number is "
            f"{np.abs(at).max():.4g}"
        )
    arrays["shape"][np.abs(arrays["shape"]).max(axis=1) > MOST_BETA] = 0
    return Annotated(np.array(order, np.int64), at, **arrays)


def _table(path: Path) -> dict[tuple[int, int], dict[int, Any]]:
    """What a file holds by (action, subaction) and frame."""
    try:
        with path.open("rb") as file:
            read = json.load(file)
        return {
            (int(action), int(subaction)): {int(frame): value for frame, value in frames.items()}
            for action, subactions in read.items()
            for subaction, frames in subactions.items()
        }
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(
            f"{path}: not a readable JSON of action, subaction and frame ({error})"
        ) from None


def _numbers(values: list[Any], shape: tuple[int, ...], where: str) -> Floats:
    try:
        array = np.asarray(values, np.float64)
    except (ValueError, TypeError):
        raise ValueError(f"{where} must hold {shape[1:]} numbers in every frame") from None
    if array.shape != shape:
        raise ValueError(f"{where} must have shape {shape[1:]} in every frame, not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{where} has a NaN or infinity")
    return array
