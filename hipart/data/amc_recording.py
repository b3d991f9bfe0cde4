"""What an ASF skeleton does in an AMC file: its unit, and how and where its bones go."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from hipart.data.amc import Amc
from hipart.data.asf import MOVES, ROOT, TURNS, Asf
from hipart.data.bvh import Joint
from hipart.data.bvh_recording import LEG_M, leg_of, of_skeleton
from hipart.data.retarget import Recording
from hipart.data.rigs import ACCLAIM, Rig

Floats = NDArray[np.float64]

#: What lengths may be in once :units' length is applied, metres.
UNITS_M = {"metres": 1.0, "inches": 0.0254, "centimetres": 0.01, "millimetres": 0.001}
#: CMU's takes; a file that does not say has this rate.
FPS = 120.0


def recording(asf: Asf, amc: Amc, rig: Rig = ACCLAIM, fps: float = FPS) -> tuple[Recording, str]:
    """The movement, metres, y up, facing +z, and the unit that the files are written in.

    Bones keep their lengths: what moves one along or off another (tx, ty, tz, l) is left out, but
    for the root. ValueError if bones are missing, the unit is nobody's, or the rest pose does not
    stand.
    """
    theirs = rig.joints(asf.numbers())
    if not any(one in MOVES for one in asf.order):
        raise ValueError(f"{asf.name}: the root has no tx, ty or tz: the person goes nowhere")
    metres, unit = metres_of(asf, theirs)
    every = rotations(asf, amc, _with_ancestors(asf, theirs.values()))
    joints = _joints(asf, metres)
    hips = _heads(every, joints, root_position(asf, amc) * metres, [theirs["Hips"]])[theirs["Hips"]]
    seconds = np.arange(amc.frames) / fps
    return of_skeleton(joints, theirs, every, hips, seconds), unit


def metres_of(asf: Asf, theirs: Mapping[str, str]) -> tuple[float, str]:
    """Metres of a number in the files, and how that unit is called.

    The definition of the format multiplies by :units' length; Vicon's files, so CMU's, are to be
    divided by it (https://mocap.cs.cmu.edu/faqs.php: inches over 0.45). Whichever makes the legs a
    person's is meant. ValueError if neither does.
    """
    leg = leg_of(_joints(asf, 1.0), theirs)
    scale = f"{asf.length:g}"
    for factor, how in ((asf.length, f" times {scale}"), (1 / asf.length, f" divided by {scale}")):
        for name, metres in UNITS_M.items():
            if LEG_M[0] <= leg * factor * metres <= LEG_M[1]:
                return factor * metres, name + (how if asf.length != 1 else "")
    raise ValueError(
        f"{asf.name}: thigh and shin are {leg:.4g} long together at a :units length of {scale}, "
        f"which is no person's leg ({LEG_M[0]} to {LEG_M[1]} m) in {', '.join(UNITS_M)}"
    )


def rotations(asf: Asf, amc: Amc, wanted: Iterable[str] | None = None) -> dict[str, Rotation]:
    """Rotations (T,) of the root and of these bones (all) from the rest pose, parents given first.

    A bone turns about the axes of its own frame, after its parent.
    """
    found = {ROOT: _turns(asf.order, amc.values[ROOT], amc, asf.orientation)}
    names = asf.bones if wanted is None else set(wanted)
    for name, bone in asf.bones.items():
        if name not in names:
            continue
        above = found[bone.parent]
        if any(one in TURNS for one in bone.dof):
            frame = asf.orientation * bone.axis
            found[name] = above * _turns(bone.dof, amc.values[name], amc, frame)
        else:
            found[name] = above
    return found


def joints(asf: Asf, amc: Amc, metres: float = 1.0) -> dict[str, Floats]:
    """Where the root is and where each bone ends, (T, 3) each; ``metres`` those of a number."""
    every = rotations(asf, amc)
    offsets = _joints(asf, metres)
    heads = _heads(every, offsets, root_position(asf, amc) * metres, asf.bones)
    tails = {
        name: heads[name] + every[name].apply(asf.orientation.apply(bone.along * metres))
        for name, bone in asf.bones.items()
    }
    return {ROOT: heads[ROOT]} | tails


def root_position(asf: Asf, amc: Amc) -> Floats:
    """Where the root is (T, 3), in the files' numbers: its own place, then :root's."""
    at = np.zeros((amc.frames, 3))
    for column, one in enumerate(asf.order):
        if one in MOVES:
            at[:, MOVES.index(one)] = amc.values[ROOT][:, column]
    moved: Floats = asf.position + asf.orientation.apply(at)
    return moved


def skeleton_of(path: Path) -> Path:
    """The ASF file of an AMC file: beside it, of the longest name that the AMC's begins with.

    So ``01_02.amc`` belongs to ``01.asf``; where none does, to the only one that is there.
    ValueError lists those that there are.
    """
    beside = sorted(one for one in path.parent.iterdir() if one.suffix.lower() == ".asf")
    stem = path.stem
    named = [one for one in beside if stem == one.stem or stem.startswith(one.stem + "_")]
    if named:
        return max(named, key=lambda one: len(one.stem))
    if len(beside) == 1:
        return beside[0]
    there = ", ".join(one.name for one in beside[:8]) or "none"
    raise ValueError(
        f"has no skeleton: {stem.partition('_')[0]}.asf, or the only .asf file, must lie beside "
        f"it; there are: {there}"
    )


def _turns(dof: tuple[str, ...], values: Floats, amc: Amc, frame: Rotation) -> Rotation:
    """Rotations (T,) about the axes of a frame, the first degree of freedom first."""
    places = [n for n, one in enumerate(dof) if one in TURNS]
    if not places:
        return Rotation.identity(amc.frames)
    axes = "".join(dof[n][1] for n in places)  # lower case: about fixed axes
    own = Rotation.from_euler(axes, values[:, places], degrees=amc.degrees)
    return frame * own * frame.inv()


def _joints(asf: Asf, metres: float) -> dict[str, Joint]:
    """Where each bone begins, seen from where its parent does, in the rest pose."""
    found = {ROOT: Joint("")}
    for name, bone in asf.bones.items():
        along = np.zeros(3) if bone.parent == ROOT else asf.bones[bone.parent].along
        found[name] = Joint(bone.parent, asf.orientation.apply(along * metres))
    return found


def _heads(
    every: Mapping[str, Rotation],
    offsets: Mapping[str, Joint],
    root: Floats,
    wanted: Iterable[str],
) -> dict[str, Floats]:
    """Where the root is and where these bones and those above them begin, (T, 3) each."""
    found = {ROOT: root}
    for name in wanted:
        chain, above = [], name
        while above not in found:
            chain.append(above)
            above = offsets[above].parent
        for one in reversed(chain):
            parent = offsets[one].parent
            found[one] = found[parent] + every[parent].apply(offsets[one].offset)
    return found


def _with_ancestors(asf: Asf, names: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for name in names:
        above = name
        while above in asf.bones and above not in found:
            found.add(above)
            above = asf.bones[above].parent
    return found
