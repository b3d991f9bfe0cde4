"""What a BVH file's skeleton does: its unit, which way it stands, and how its bones turn."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hipart.data.bvh import CHANNELS, Bvh, Joint
from hipart.data.retarget import CHILD, SIDES, Recording
from hipart.data.rigs import CMU, Rig

Floats = NDArray[np.float64]
#: Where a file's rest pose is: in its offsets, with all angles zero, or in its first frame.
RestPose = Literal["offsets", "first-frame"]

#: Units that files are written in, metres. CMU's is an inch divided by 0.45.
UNITS_M = {
    "metres": 1.0,
    "CMU's units of 56 mm": 0.0254 / 0.45,
    "inches": 0.0254,
    "centimetres": 0.01,
    "millimetres": 0.001,
}
#: Thigh and shin of a person, metres: so wide, and the units can still be told apart.
LEG_M = (0.55, 1.2)
#: How far a rest pose may stand off the axes: the cosine.
UPRIGHT = 0.8
#: Legs of a rest pose may lean so far, degrees: a person's ankles are a little behind the hips.
LEAN_DEG = 4.0
#: Its trunk may, from between the hips to between the shoulders: a spine is a little bent.
TRUNK_LEAN_DEG = 12.0
#: As little as this off an axis, hips are along it: nobody's are quite even (3 degrees).
ALONG = float(np.cos(np.radians(3)))
#: Rounding of what is level.
LEVEL = 1e-6
#: A bone of this share of the longest has no direction.
SHORT = 1e-3


def recording(bvh: Bvh, rig: Rig = CMU, rest: RestPose = "offsets") -> Recording:
    """The movement of a file's skeleton, in its own unit, turned to y up and facing +z.

    The rest pose is that of the offsets, all angles zero, or of the first frame. ValueError if
    bones are missing, or the rest pose is none of a person who stands.
    """
    theirs = rig.joints(bvh.joints)
    every = _global_rotations(bvh)
    seconds = np.arange(len(bvh.rows), dtype=np.float64) * bvh.step_s
    hips = _position(bvh, every, theirs["Hips"])
    return of_skeleton(bvh.joints, theirs, every, hips, seconds, rest)


def of_skeleton(
    joints: Mapping[str, Joint],
    theirs: Mapping[str, str],
    every: Mapping[str, Rotation],
    hips: Floats,
    seconds: Floats,
    rest: RestPose = "offsets",
) -> Recording:
    """The movement of any skeleton as ``recording`` has it.

    ``theirs`` are its joints by our bones, ``every`` the rotations (T,) from a pose in which each
    joint is where the offsets say, ``hips`` (T, 3) the position of the joint that is our Hips.
    """
    stands = (
        {name: turn[0] for name, turn in every.items()}
        if rest == "first-frame"
        else dict.fromkeys(every, Rotation.identity())
    )
    turned = {ours: every[name] for ours, name in theirs.items()}
    if rest == "first-frame":
        turned = {ours: turn * stands[theirs[ours]].inv() for ours, turn in turned.items()}
    straight = _limbs(joints, theirs, stands)
    leg = float(sum(np.linalg.norm(straight["Left" + kind]) for kind in ("UpLeg", "Leg")))
    unit_of(leg)

    def seen(bone: str) -> Floats:
        return _between(joints, theirs["Hips"], theirs[bone], stands)

    left, right = seen("LeftUpLeg"), seen("RightUpLeg")
    found = Recording(
        seconds, hips + turned["Hips"].apply((left + right) / 2), leg, turned, straight
    )
    trunk = seen("LeftArm") + seen("RightArm") - left - right
    return _upright(found, left - right, trunk, rest)


def leg_of(joints: Mapping[str, Joint], theirs: Mapping[str, str]) -> float:
    """Thigh plus shin of a skeleton, in its own unit."""
    straight = _limbs(joints, theirs, dict.fromkeys(joints, Rotation.identity()))
    return float(sum(np.linalg.norm(straight["Left" + kind]) for kind in ("UpLeg", "Leg")))


def _limbs(
    joints: Mapping[str, Joint], theirs: Mapping[str, str], stands: Mapping[str, Rotation]
) -> dict[str, Floats]:
    """Each limb bone from its joint to the next (3,) in the rest pose; a foot may have none."""
    found = {
        side + kind: _between(joints, theirs[side + kind], theirs[side + child], stands)
        for side in SIDES
        for kind, child in CHILD.items()
        if side + child in theirs
    }
    length = {bone: float(np.linalg.norm(along)) for bone, along in found.items()}
    short = [bone for bone in found if not length[bone] > SHORT * max(length.values())]
    for bone in short:
        if not bone.endswith("Foot"):
            raise ValueError(f"{theirs[bone]} has no length: the next joint is at the same place")
    return {bone: along for bone, along in found.items() if bone not in short}


def unit_of(leg: float) -> str:
    """The unit in which a leg has this length. ValueError if it is no person's in any."""
    for name, metres in UNITS_M.items():
        if LEG_M[0] <= leg * metres <= LEG_M[1]:
            return name
    low, high = LEG_M
    raise ValueError(
        f"thigh and shin are {leg:.4g} long together, which is no person's leg ({low} to {high} m) "
        f"in {', '.join(UNITS_M)}"
    )


def _global_rotations(bvh: Bvh) -> dict[str, Rotation]:
    """Rotations (T,) of every joint from the rest pose."""
    turned: dict[str, Rotation] = {}
    for name, joint, columns in bvh.columns():
        turns = [channel for channel in columns if channel.endswith("rotation")]
        above = turned.get(joint.parent)
        if turns:
            axes = "".join(channel[0] for channel in turns)  # upper case: intrinsic
            angles = bvh.rows[:, [columns[channel] for channel in turns]]
            local = Rotation.from_euler(axes, angles, degrees=True)
            turned[name] = above * local if above is not None else local
        else:
            turned[name] = above if above is not None else Rotation.identity(len(bvh.rows))
    return turned


def _position(bvh: Bvh, turned: Mapping[str, Rotation], name: str) -> Floats:
    """Positions (T, 3) of a joint; ValueError if nothing moves it."""
    chain = [name]
    while bvh.joints[chain[-1]].parent:
        chain.append(bvh.joints[chain[-1]].parent)
    columns = {joint: held for joint, _, held in bvh.columns()}
    at, moves = np.zeros((len(bvh.rows), 3)), False
    for one in reversed(chain):
        joint = bvh.joints[one]
        local = np.tile(joint.offset, (len(bvh.rows), 1))
        for axis, channel in enumerate(CHANNELS[:3]):
            if channel in columns[one]:
                local[:, axis] = bvh.rows[:, columns[one][channel]]
                moves = True
        at = at + (turned[joint.parent].apply(local) if joint.parent else local)
    if not moves:
        raise ValueError(f"no position channels at {name} or above: the person goes nowhere")
    return at


def _between(
    joints: Mapping[str, Joint], upper: str, lower: str, stands: Mapping[str, Rotation]
) -> Floats:
    """From a joint to one below it (3,) in the rest pose, in which joints are turned so."""
    at, found = lower, np.zeros(3)
    while at != upper:
        joint = joints[at]
        if not joint.parent:
            raise ValueError(f"{lower} must hang below {upper} in the hierarchy")
        found = found + stands[joint.parent].apply(joint.offset)
        at = joint.parent
    return found


def _upright(clip: Recording, left: Floats, trunk: Floats, rest: RestPose) -> Recording:
    """The same with y up and +z in front, whichever axis the rest pose stands along.

    A person may face any way, not along an axis only; within 3 degrees of one it is taken for it.
    Which way is up is always an axis, so a pose of zero angles that leans is refused.
    """
    limbs = [clip.straight[side + kind] for side in SIDES for kind in ("UpLeg", "Leg")]
    legs = np.sum(limbs, axis=0)
    up = _axis(-legs, "legs")
    side = _level(left, up)
    if rest == "offsets" and np.abs(left).max() > ALONG * np.linalg.norm(left):
        side = _axis(left, "hips")
    if not up @ trunk > UPRIGHT * np.linalg.norm(trunk) or abs(up @ side) > LEVEL:
        raise ValueError("the rest pose does not stand: legs down, trunk up, hips level")
    if rest == "offsets":
        _check_lean("legs of the rest pose lean", -legs, up, LEAN_DEG)
        _check_lean("trunk of the rest pose leans", trunk, up, TRUNK_LEAN_DEG)
    basis = np.stack([side, up, np.cross(side, up)])
    if (basis == np.eye(3)).all():
        return clip
    turn = Rotation.from_matrix(basis)
    return Recording(
        clip.seconds,
        turn.apply(clip.hips),
        clip.leg,
        {bone: turn * one * turn.inv() for bone, one in clip.turned.items()},
        {bone: turn.apply(along) for bone, along in clip.straight.items()},
    )


def _check_lean(what: str, standing: Floats, up: Floats, most: float) -> None:
    cosine = float(standing @ up / np.linalg.norm(standing))
    lean = float(np.degrees(np.arccos(min(1.0, cosine))))
    if lean > most:
        raise ValueError(
            f"the {what} by {lean:.1f} degrees, and at most {most:g} are read: everybody would "
            "lean. Where the first frame of a BVH file stands upright, --rest first-frame takes "
            "it for the rest pose"
        )


def _level(left: Floats, up: Floats) -> Floats:
    """The horizontal direction from the right hip to the left one."""
    side: Floats = left - (left @ up) * up
    size = float(np.linalg.norm(side))
    if not size > UPRIGHT * np.linalg.norm(left):
        raise ValueError("the hips of the rest pose are not level: it is no pose to begin from")
    return side / size


def _axis(along: Floats, what: str) -> Floats:
    """The axis, with its sign, that a direction nearly has."""
    axis = np.zeros(3)
    place = int(np.abs(along).argmax())
    axis[place] = np.sign(along[place])
    if not axis @ along > UPRIGHT * np.linalg.norm(along):
        raise ValueError(f"the {what} of the rest pose stand along none of the axes")
    return axis
