"""The motion of the open corpus: two file formats, and the way onto the CMU MotionBuilder rig."""

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from open_corpus_body import leg_length
from scipy.spatial.transform import Rotation, Slerp

from hipart.data.motion import BONE_PARENTS, BONES

Floats = NDArray[np.float64]

FPS = 30
ABOVE = dict(zip(BONES[1:], (BONES[parent] for parent in BONE_PARENTS[1:]), strict=True))


@dataclass(frozen=True)
class Recording:
    """A clip in its source's own frame, y up, facing +z: what retargeting needs."""

    label: str
    cmu_subject: str | None
    seconds: Floats  # (T,)
    hips: Floats  # (T, 3) position of the hip centre
    leg: float  # thigh + shin, in the unit of hips
    turned: dict[str, Rotation]  # bone -> global rotation from the source's rest pose
    straight: dict[str, Floats]  # limb bone -> its direction in the source's rest pose


DOWN = np.array([0.0, -1.0, 0.0])
#: Limb bones and the bone at the far end of each.
CHILD = {
    "UpLeg": "Leg",
    "Leg": "Foot",
    "Foot": "ToeBase",
    "Arm": "ForeArm",
    "ForeArm": "Hand",
}
DEEPMIMIC_LEG = 0.421546 + 0.409870  # metres, from the model that these clips drive
DEEPMIMIC_LABELS = {"dance_a": "dance", "dance_b": "dance"} | {
    f"getup_{side}": "getup" for side in ("facedown", "faceup")
}


def deepmimic(text: str, name: str) -> Recording:
    """Read ``humanoid3d_*.txt``: faces +x with right = +z; each row starts with its duration."""
    rows = np.array(json.loads(text)["Frames"])
    turn = Rotation.from_euler("y", -90, degrees=True)  # +x forward becomes +z forward

    def ball(start: int) -> Rotation:
        local = Rotation.from_quat(rows[:, [start + 1, start + 2, start + 3, start]])
        return turn * local * turn.inv()

    def hinge(column: int) -> Rotation:
        return turn * Rotation.from_rotvec(np.outer(rows[:, column], [0, 0, 1])) * turn.inv()

    turned = {"Hips": ball(4)}
    bend, nod = (Rotation.from_rotvec(ball(c).as_rotvec() / 3) for c in (8, 12))
    for chain, step in ((("LowerBack", "Spine", "Spine1"), bend), (("Neck", "Neck1", "Head"), nod)):
        for bone in chain:
            turned[bone] = turned[ABOVE[bone]] * step
    for side, hip, shoulder in (("Right", 16, 25), ("Left", 30, 39)):
        turned[side + "UpLeg"] = turned["Hips"] * ball(hip)
        turned[side + "Leg"] = turned[side + "UpLeg"] * hinge(hip + 4)
        turned[side + "Foot"] = turned[side + "Leg"] * ball(hip + 5)
        turned[side + "Arm"] = turned["Spine1"] * ball(shoulder)
        turned[side + "ForeArm"] = turned[side + "Arm"] * hinge(shoulder + 4)
    straight = {side + bone: DOWN for side in ("Left", "Right") for bone in CHILD if bone != "Foot"}
    seconds = np.concatenate([[0], np.cumsum(rows[:-1, 0])])
    label = DEEPMIMIC_LABELS.get(name, name)
    return Recording(
        label, None, seconds, turn.apply(rows[:, 1:4]), DEEPMIMIC_LEG, turned, straight
    )


@dataclass(frozen=True)
class Joint:
    """A joint of a BVH hierarchy; an end site has no channels."""

    parent: str
    offset: Floats
    channels: list[str]


def read_hierarchy(text: str) -> dict[str, Joint]:
    """Joints of a BVH header by name, in the order of their channels."""
    joints: dict[str, Joint] = {}
    chain = [""]
    for line in text.splitlines():
        kind, *fields = line.split() or [""]
        if kind in ("ROOT", "JOINT", "End"):
            name = fields[0] if kind != "End" else f"{chain[-1]} end"
            joints[name] = Joint(chain[-1], np.zeros(3), [])
            chain.append(name)
        elif kind == "OFFSET":
            joints[chain[-1]].offset[:] = [float(value) for value in fields]
        elif kind == "CHANNELS":
            joints[chain[-1]].channels.extend(fields[1:])
        elif kind == "}":
            chain.pop()
    return joints


def bvh(text: str, label: str, subject: str) -> Recording:
    """Read a CMU recording in cgspeed's BVH form, without the T-pose of its first frame."""
    header, motion = text.split("MOTION")
    joints = read_hierarchy(header)
    _, step, *lines = motion.strip().splitlines()
    rows = np.array([line.split() for line in lines], dtype=float)[1:]
    turned: dict[str, Rotation] = {}
    column = 0
    for name, joint in joints.items():
        if joint.channels:
            column += len(joint.channels)
            axes = "".join(channel[0] for channel in joint.channels[-3:])  # upper case: intrinsic
            local = Rotation.from_euler(axes, rows[:, column - 3 : column], degrees=True)
            turned[name] = turned[joint.parent] * local if joint.parent else local
    straight = {
        side + bone: joints[side + child].offset
        for side in ("Left", "Right")
        for bone, child in CHILD.items()
    }
    leg = float(sum(np.linalg.norm(joints["Left" + bone].offset) for bone in ("Leg", "Foot")))
    centre = (joints["LeftUpLeg"].offset + joints["RightUpLeg"].offset) / 2
    hips = (rows[:, :3] + turned["Hips"].apply(centre)).astype(np.float64)
    seconds = (np.arange(len(rows)) * float(step.split(":")[1])).astype(np.float64)
    return Recording(label, subject, seconds, hips, leg, turned, straight)


def align(source: Floats, target: Floats) -> Rotation:
    """The smallest rotation that turns one direction into another."""
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis)
    angle = np.arctan2(sine, a @ b)
    return Rotation.from_rotvec(axis / sine * angle if sine > 0 else np.zeros(3))


def retarget(clip: Recording, heads: Floats) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Root (T, 3) metres and local axis-angle rotations (T, 25, 3) on the reference body, 30 fps.

    Limb bones point where the source's point; spine, clavicles and head take its rotations; bones
    that the source lacks follow their parent. The root is scaled by leg length.
    """
    at = {bone: heads[i] for i, bone in enumerate(BONES)}
    times = np.arange(0, clip.seconds[-1] + 1e-6, 1 / FPS)
    correction: dict[str, Rotation] = {}
    every: list[Rotation] = []
    for index, bone in enumerate(BONES):
        above = correction.get(ABOVE.get(bone, ""), Rotation.identity())
        correction[bone] = above
        if bone in clip.straight:
            rest = at[bone[: -len(stem(bone))] + CHILD[stem(bone)]] - at[bone]
            correction[bone] = align(above.apply(rest), clip.straight[bone]) * above
        elif stem(bone) == "Foot":
            correction[bone] = Rotation.identity()
        if bone in clip.turned:
            every.append(Slerp(clip.seconds, clip.turned[bone] * correction[bone])(times))
        else:
            every.append(every[BONE_PARENTS[index]])
    local = [every[0]] + [
        every[p].inv() * g for p, g in zip(BONE_PARENTS[1:], every[1:], strict=True)
    ]
    hips = np.stack([np.interp(times, clip.seconds, column) for column in clip.hips.T], axis=1)
    centre = (at["LeftUpLeg"] + at["RightUpLeg"]) / 2 - at["Hips"]
    root = hips * (leg_length(heads) / clip.leg) - every[0].apply(centre)
    rot = np.stack([turn.as_rotvec() for turn in local], axis=1)
    return root.astype(np.float32), rot.astype(np.float16)


def stem(bone: str) -> str:
    return bone.removeprefix("Left").removeprefix("Right")
