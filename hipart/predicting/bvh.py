"""Answers as a BVH file, which animation programs read."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hipart.predicting.found import Found
from hipart.skeleton import JOINTS, NUM_JOINTS, PARENTS

#: Human3.6M's frame rate; a file of poses tells none.
FRAMES_PER_S = 50
CHILDREN = {joint: [j for j in range(NUM_JOINTS) if PARENTS[j] == joint] for joint in range(-1, 17)}
CHANNELS = "CHANNELS 3 Xposition Yposition Zposition"


def write_bvh(found: Found, out: Path) -> None:
    """Millimetres, y up, the root at the origin; offsets are the first pose's.

    Every joint has three channels of position, relative to its parent, and none of rotation: a
    lifted pose has bones of its own lengths, which rotations of a fixed skeleton could not hold,
    and joints alone don't tell how a bone is turned about itself.
    """
    joints = found.upright_mm.astype(float)
    joints -= joints[:, :1]
    local = joints.copy()
    local[:, 1:] -= joints[:, PARENTS[1:]]
    order = list(_depth_first(0))
    frames = "\n".join(
        " ".join(f"{value:.3f}" for value in frame.ravel()) for frame in local[:, order]
    )
    head = "\n".join(["HIERARCHY", *_hierarchy(0, local[0], 0), "MOTION"])
    timing = f"Frames: {len(local)}\nFrame Time: {1 / FRAMES_PER_S:.6f}"
    out.write_text(f"{head}\n{timing}\n{frames}\n", encoding="ascii")


def _depth_first(joint: int) -> Iterator[int]:
    yield joint
    for child in CHILDREN[joint]:
        yield from _depth_first(child)


def _hierarchy(joint: int, offsets: np.ndarray, depth: int) -> Iterator[str]:
    tab = "\t" * depth
    yield f"{tab}{'JOINT' if depth else 'ROOT'} {JOINTS[joint]}"
    yield f"{tab}{{"
    yield f"{tab}\tOFFSET " + " ".join(f"{value:.3f}" for value in offsets[joint])
    yield f"{tab}\t{CHANNELS}"
    for child in CHILDREN[joint]:
        yield from _hierarchy(child, offsets, depth + 1)
    if not CHILDREN[joint]:
        yield f"{tab}\tEnd Site\n{tab}\t{{\n{tab}\t\tOFFSET 0 0 0\n{tab}\t}}"
    yield f"{tab}}}"
