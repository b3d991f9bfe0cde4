"""Motion of another skeleton carried over to the 25 bones of the reference body."""

import json
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from hipart.data.motion import BONE_PARENTS, BONES, OPEN

Floats = NDArray[np.float64]

FPS = 30
REST_FILE = OPEN / "rest.json"
ABOVE = dict(zip(BONES[1:], (BONES[parent] for parent in BONE_PARENTS[1:]), strict=True))
SIDES = ("Left", "Right")
#: Limb bones and the bone at the far end of each.
CHILD = {
    "UpLeg": "Leg",
    "Leg": "Foot",
    "Foot": "ToeBase",
    "Arm": "ForeArm",
    "ForeArm": "Hand",
}
#: A first frame is no part of the movement if it is a pose of reference and the next is so far off.
JUMP_RAD = np.radians(10)
REST_RAD = np.radians(1)
T_POSE_RAD = np.radians(20)


@dataclass(frozen=True)
class Recording:
    """A clip in its source's own frame, y up, facing +z: what retargeting needs."""

    seconds: Floats  # (T,)
    hips: Floats  # (T, 3) position of the hip centre
    leg: float  # thigh + shin, in the unit of hips
    turned: dict[str, Rotation]  # bone -> global rotation from the source's rest pose
    straight: dict[str, Floats]  # limb bone -> its direction in the source's rest pose


@lru_cache(maxsize=1)
def rest_heads() -> Floats:
    """Where the bones of the reference body begin in its rest pose (25, 3), metres."""
    heads = json.loads(REST_FILE.read_text(encoding="utf-8"))["heads"]
    return np.array([heads[bone] for bone in BONES])


def leg_length(heads: Floats) -> float:
    """Thigh plus shin, metres."""
    chain = heads[[BONES.index(bone) for bone in ("LeftUpLeg", "LeftLeg", "LeftFoot")]]
    return float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())


def hip_centre(heads: Floats) -> Floats:
    """The middle of both hip joints (3,), seen from the head of the Hips bone, metres."""
    at = dict(zip(BONES, heads, strict=True))
    centre: Floats = (at["LeftUpLeg"] + at["RightUpLeg"]) / 2 - at["Hips"]
    return centre


def retarget(
    clip: Recording, heads: Floats, fps: float = FPS
) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Root (T, 3) metres and local axis-angle rotations (T, 25, 3) on the body with these heads.

    Limb bones point where the source's point; spine, clavicles and head take its rotations; bones
    that the source lacks follow their parent. The root is scaled by leg length. Between two frames
    of the source rotations are interpolated on the sphere.
    """
    last = clip.seconds[-1]
    times = np.minimum(np.arange(0, last + 1e-6, 1 / fps), last)
    correction = _corrections(clip, heads)
    every: list[Rotation] = []
    for bone, parent in zip(BONES, BONE_PARENTS, strict=True):
        if bone in clip.turned:
            every.append(Slerp(clip.seconds, clip.turned[bone] * correction[bone])(times))
        else:
            every.append(every[parent])
    local = [every[0]] + [
        every[p].inv() * g for p, g in zip(BONE_PARENTS[1:], every[1:], strict=True)
    ]
    hips = np.stack([np.interp(times, clip.seconds, column) for column in clip.hips.T], axis=1)
    root = hips * (leg_length(heads) / clip.leg) - every[0].apply(hip_centre(heads))
    rot = np.stack([turn.as_rotvec() for turn in local], axis=1)
    return root.astype(np.float32), rot.astype(np.float16)


def _corrections(clip: Recording, heads: Floats) -> dict[str, Rotation]:
    """The rotation of each bone from the body's rest pose to the source's."""
    at = dict(zip(BONES, heads, strict=True))
    found: dict[str, Rotation] = {}
    for bone in BONES:
        above = found.get(ABOVE.get(bone, ""), Rotation.identity())
        kind = stem(bone)
        if bone in clip.straight:
            rest = at[bone.removesuffix(kind) + CHILD[kind]] - at[bone]
            found[bone] = align(above.apply(rest), clip.straight[bone]) * above
        else:
            found[bone] = Rotation.identity() if kind == "Foot" else above
    return found


def align(source: Floats, target: Floats) -> Rotation:
    """The smallest rotation that turns one direction into another."""
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis)
    angle = np.arctan2(sine, a @ b)
    return Rotation.from_rotvec(axis / sine * angle if sine > 0 else np.zeros(3))


def stem(bone: str) -> str:
    """The bone's name without its side."""
    return bone.removeprefix("Left").removeprefix("Right")


def starts_in_reference_pose(clip: Recording, rest_is_first: bool = False) -> bool:
    """Whether the first frame is the rest pose or a T-pose that the second frame jumps away from.

    Where the first frame was made the rest pose (``rest_is_first``), being it says nothing.
    Files for animation programs begin so (cgspeed's conversion of CMU's recordings does).
    """
    if len(clip.seconds) < 2:
        return False
    jump = max(float((turn[0].inv() * turn[1]).magnitude()) for turn in clip.turned.values())
    if jump < JUMP_RAD:
        return False
    at_rest = all(float(turn[0].magnitude()) < REST_RAD for turn in clip.turned.values())
    return (at_rest and not rest_is_first) or _is_t_pose(clip)


def _is_t_pose(clip: Recording) -> bool:
    """Arms out to the sides and legs down in the first frame, as seen from the hips."""
    back = clip.turned["Hips"][0].inv()
    for bone, straight in clip.straight.items():
        kind, outward = stem(bone), 1.0 if bone.startswith("Left") else -1.0
        wanted = {"Arm": [outward, 0, 0], "ForeArm": [outward, 0, 0]}.get(kind, [0, -1, 0])
        along = (back * clip.turned[bone][0]).apply(straight)
        if kind != "Foot" and along @ wanted < np.cos(T_POSE_RAD) * np.linalg.norm(along):
            return False
    return True
