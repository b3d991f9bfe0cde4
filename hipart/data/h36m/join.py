"""Whether two files mean the same sequences: Pose2Mesh's joints held against VideoPose3D's."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Name = tuple[str, str]

#: The same joints in both files, millimetres.
SAME_MM = 1.0
#: How far apart in time sequences are looked for when they do not agree, frames.
SHIFTS = range(-10, 11)


@dataclass(frozen=True)
class Mismatch:
    """A sequence whose joints are not those of its name in the other file."""

    name: Name
    worst_mm: float
    why: str

    def __str__(self) -> str:
        return f"{' '.join(self.name)}: {self.why}"


def check_join(
    numbered: Mapping[Name, Mapping[int, Floats]], named: Mapping[Name, Floats]
) -> list[Mismatch]:
    """What does not agree, and what it looks like instead.

    ``numbered`` holds joints (17, 3) in world millimetres by frame, of the sequences under the
    names that their numbers were given; ``named`` holds joints (T, 17, 3) in world metres.
    """
    return [found for name in numbered if (found := _mismatch(name, numbered[name], named))]


def _mismatch(
    name: Name, frames: Mapping[int, Floats], named: Mapping[Name, Floats]
) -> Mismatch | None:
    if name not in named:
        return Mismatch(name, np.inf, "is not in the file of VideoPose3D")
    index = np.array(sorted(frames))
    joints = np.stack([frames[frame] for frame in index])
    worst = _worst(joints, index, named[name])
    if worst < SAME_MM:
        return None
    for shift in SHIFTS:
        if shift and _worst(joints, index + shift, named[name]) < SAME_MM:
            return Mismatch(name, worst, f"lies {shift:+d} frames off")
    for other in named:
        if other[0] == name[0] and _worst(joints, index, named[other]) < SAME_MM:
            return Mismatch(name, worst, f"holds the joints of {' '.join(other)}")
    return Mismatch(name, worst, f"differs by up to {worst:.4g} mm (at most {SAME_MM:g} allowed)")


def _worst(joints: Floats, index: NDArray[np.integer], poses: Floats) -> float:
    """The largest distance of a joint where both have the frame; infinite where none is common."""
    common = (index >= 0) & (index < len(poses))
    if common.sum() < max(1, len(index) // 2):
        return np.inf
    apart = joints[common] - 1000.0 * poses[index[common]]
    return float(np.linalg.norm(apart, axis=-1).max())
