"""Files of recordings, written from the packaged motion for the tests of what reads them."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from hipart.data import amass
from hipart.data.body import bodies, global_rotations, pose
from hipart.data.motion import BONE_PARENTS, BONES, Clip, read_motion
from hipart.data.retarget import CHILD, align, rest_heads, stem

CMU_UNIT_M = 0.0254 / 0.45
Z_UP = Rotation.from_euler("x", 90, degrees=True)
SPLAY = np.sin(np.radians(20))


@lru_cache(maxsize=1)
def packaged() -> dict[str, Clip]:
    return {clip.name: clip for clip in read_motion().clips}


def joints(clip: Clip) -> np.ndarray:
    """The 17 joints (T, 17, 3) of the reference body, metres."""
    found = pose(clip.root, global_rotations(clip.rot), bodies()["reference"].levels[:17])
    return found.swapaxes(1, 2)


def global_turns(clip: Clip) -> list[Rotation]:
    every: list[Rotation] = []
    for bone, parent in enumerate(BONE_PARENTS):
        local = Rotation.from_rotvec(clip.rot[:, bone])
        every.append(every[parent] * local if parent >= 0 else local)
    return every


def to_rest(splay: float) -> list[Rotation]:
    """From our rest pose to one with arms out and legs down, ``splay`` to the side, by bone."""
    heads = dict(zip(BONES, rest_heads(), strict=True))
    found = []
    for bone in BONES:
        kind, outward = stem(bone), 1.0 if bone.startswith("Left") else -1.0
        wanted = {"UpLeg": [outward * splay, -1, 0], "Leg": [outward * splay, -1, 0]}
        wanted |= {"Arm": [outward, 0, 0], "ForeArm": [outward, 0, 0]}
        if kind in wanted:
            child = bone.removesuffix(kind) + CHILD[kind]
            found.append(align(heads[child] - heads[bone], np.array(wanted[kind])))
        else:
            found.append(Rotation.identity())
    return found


def resampled(turn: Rotation, times: np.ndarray, wanted: np.ndarray) -> Rotation:
    return Slerp(times, turn)(wanted)


def write_bvh(
    path: Path,
    clip: Clip,
    fps: int = 120,
    unit_m: float = CMU_UNIT_M,
    *,
    name: Callable[[str], str] = str,
    t_pose: bool = True,
    turn: Rotation | None = None,
    order: str = "ZYX",
    body: float = 1.0,
) -> Path:
    """A clip as cgspeed wrote CMU's: legs splayed in rest, a frame of rest before the movement.

    ``turn`` is from y up to the file's axes, ``body`` the size of the person.
    """
    turn = turn or Rotation.identity()
    heads, rest = rest_heads() * body / unit_m, to_rest(SPLAY)
    times = np.arange(len(clip)) / 30
    wanted = np.minimum(np.arange((len(clip) - 1) * fps // 30 + 1) / fps, times[-1])
    every = [
        turn * resampled(one, times, wanted) * back.inv() * turn.inv()
        for one, back in zip(global_turns(clip), rest, strict=True)
    ]
    hips = np.stack([np.interp(wanted, times, column) for column in clip.root.T], axis=1)
    columns = [turn.apply(hips) * body / unit_m]
    for bone, parent in enumerate(BONE_PARENTS):
        local = every[parent].inv() * every[bone] if parent >= 0 else every[bone]
        columns.append(local.as_euler(order, degrees=True))
    rows = np.concatenate(columns, axis=1)
    if t_pose:
        first = np.zeros((1, rows.shape[1]))
        first[:, :3] = rows[0, :3]
        rows = np.concatenate([first, rows])

    def offset(bone: int) -> str:
        parent = BONE_PARENTS[bone]
        step = heads[bone] - heads[parent] if parent >= 0 else np.zeros(3)
        moved = turn.apply(rest[parent].apply(step) if parent >= 0 else step)
        return " ".join(f"{value:.6f}" for value in moved)

    def block(bone: int, depth: int) -> list[str]:
        pad = "\t" * depth
        channels = "Xposition Yposition Zposition " if bone == 0 else ""
        turns = " ".join(f"{axis}rotation" for axis in order)
        lines = [f"{pad}{'JOINT' if bone else 'ROOT'} {name(BONES[bone])}", f"{pad}{{"]
        lines += [f"{pad}\tOFFSET {offset(bone)}"]
        lines += [f"{pad}\tCHANNELS {3 if bone else 6} {channels}{turns}"]
        children = [child for child, parent in enumerate(BONE_PARENTS) if parent == bone]
        for child in children:
            lines += block(child, depth + 1)
        if not children:
            lines += [f"{pad}\tEnd Site", f"{pad}\t{{", f"{pad}\t\tOFFSET 0 1 0", f"{pad}\t}}"]
        return [*lines, f"{pad}}}"]

    head = ["HIERARCHY", *block(0, 0), "MOTION", f"Frames: {len(rows)}"]
    head.append(f"Frame Time: {1 / fps:.7f}")
    body_text = [" ".join(f"{value:.5f}" for value in row) for row in rows]
    path.write_text("\n".join([*head, *body_text]) + "\n", encoding="utf-8")
    return path


def amass_arrays(clip: Clip, fps: float = 30) -> dict[str, Any]:
    """A clip in AMASS's form: SMPL-H's 52 joints, z up, arms out and legs down in rest."""
    rest = dict(zip(BONES, to_rest(0), strict=True))
    ours = dict(zip(BONES, global_turns(clip), strict=True))
    back = amass.UPRIGHT.inv()
    poses = np.zeros((len(clip), 156))
    every: list[Rotation] = []
    for joint, (bone, parent) in enumerate(zip(amass.BODY, amass.PARENTS, strict=True)):
        every.append(back * ours[bone] * rest[bone].inv())
        local = every[parent].inv() * every[joint] if parent >= 0 else every[joint]
        poses[:, 3 * joint : 3 * joint + 3] = local.as_rotvec()
    return {
        "poses": poses,
        "trans": back.apply(clip.root),
        "mocap_framerate": np.array(fps),
        "gender": np.array("neutral", object),
        "betas": np.zeros(16),
        "dmpls": np.zeros((len(clip), 8)),
    }


def damaged(whole: bytes, copies: int, rng: np.random.Generator) -> Iterator[bytes]:
    """Copies of a file with bytes changed, cut out, doubled or cut off."""
    for _ in range(copies):
        data = bytearray(whole)
        start, size = int(rng.integers(len(data))), int(rng.integers(1, 40))
        match rng.integers(4):
            case 0:
                data[start : start + size] = rng.integers(32, 127, size, np.uint8).tobytes()
            case 1:
                del data[start : start + size]
            case 2:
                data[start:start] = data[start // 2 : start // 2 + size]
            case _:
                del data[start:]
        yield bytes(data)


def refuses(imported: Callable[[Path], object], path: Path) -> bool:
    """Whether a file is refused with a reason; any other error is no refusal."""
    try:
        imported(path)
    except ValueError as error:
        assert str(error)
        return True
    return False


def write_along_bones(
    path: Path, clip: Clip, yaw: float = 0.0, fps: int = 30, first: bool = True, tilt: float = 0.0
) -> Path:
    """A clip as LaFAN1 has them: offsets run along x, so all angles zero is no pose of a person.

    ``first``: a frame with the arms out comes before the movement. All is turned by ``yaw`` about
    the vertical, degrees; ``tilt`` makes the person of the first frame lie so far.
    """
    heads, centimetres = rest_heads(), 100.0
    turn = Rotation.from_euler("y", yaw, degrees=True)
    children = [[c for c, p in enumerate(BONE_PARENTS) if p == bone] for bone in range(len(BONES))]
    steps = [[heads[child] - heads[bone] for child in below] for bone, below in enumerate(children)]
    longest = [max(below, key=np.linalg.norm, default=np.zeros(3)) for below in steps]
    along = [
        align(np.array([1.0, 0, 0]), step) if step.any() else Rotation.identity()
        for step in longest
    ]
    pose_of_reference = to_rest(0)
    lying = Rotation.from_euler("x", tilt, degrees=True)
    rows = []
    for bone, moved in enumerate(global_turns(clip)):
        frames = moved
        if first:
            begin = lying * pose_of_reference[bone]
            frames = Rotation.concatenate([begin, moved])
        rows.append(turn * frames * along[bone])
    roots = np.concatenate([clip.root[:1], clip.root]) if first else clip.root
    columns = [turn.apply(roots) * centimetres]
    for bone, parent in enumerate(BONE_PARENTS):
        local = rows[parent].inv() * rows[bone] if parent >= 0 else rows[bone]
        columns.append(local.as_euler("ZYX", degrees=True))

    def block(bone: int) -> list[str]:
        parent = BONE_PARENTS[bone]
        step = heads[bone] - heads[parent] if parent >= 0 else np.zeros(3)
        offset = along[parent].inv().apply(step) * centimetres
        moves = "6 Xposition Yposition Zposition" if parent < 0 else "3"
        lines = [f"{'JOINT' if parent >= 0 else 'ROOT'} {BONES[bone]}", "{"]
        lines += [f"OFFSET {' '.join(f'{value:.6f}' for value in offset)}"]
        lines += [f"CHANNELS {moves} Zrotation Yrotation Xrotation"]
        for child in children[bone]:
            lines += block(child)
        if not children[bone]:
            lines += ["End Site", "{", "OFFSET 1 0 0", "}"]
        return [*lines, "}"]

    table = np.concatenate(columns, axis=1)
    head = ["HIERARCHY", *block(0), "MOTION", f"Frames: {len(table)}", f"Frame Time: {1 / fps:.7f}"]
    text = [" ".join(f"{value:.5f}" for value in row) for row in table]
    path.write_text("\n".join([*head, *text]) + "\n")
    return path
