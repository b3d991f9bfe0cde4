"""Joints, levels and generation orders of the human skeleton. Plain tuples: no torch, no numpy.

Joint order is VideoPose3D's Human3.6M order. The 16 body parts are the 17 joints without
Neck/Nose (design choice: tokens 16, input 17). Dense joint ``d`` belongs to part ``d // 3``,
fine joint ``f`` to part ``f // 6`` and to dense joint ``f // 2``; likewise the 192 finest points,
two to a fine joint, which Table 5 tries.
"""

import random
from collections.abc import Callable
from functools import partial
from itertools import combinations

JOINTS = (
    "Hip",
    "RHip",
    "RKnee",
    "RFoot",
    "LHip",
    "LKnee",
    "LFoot",
    "Spine",
    "Thorax",
    "Neck",
    "Head",
    "LShoulder",
    "LElbow",
    "LWrist",
    "RShoulder",
    "RElbow",
    "RWrist",
)
PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
LEFT = (4, 5, 6, 11, 12, 13)
RIGHT = (1, 2, 3, 14, 15, 16)

PARTS = tuple(name for name in JOINTS if name != "Neck")
#: Parent of each part; Head hangs on Thorax once Neck is dropped.
PART_PARENTS = (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 8, 10, 11, 8, 13, 14)

NUM_JOINTS = len(JOINTS)  # J_in = 17
#: The joint that each joint's mirror image is (VideoPose3D's symmetry of Human3.6M).
OTHER_SIDE = tuple(
    dict(zip(LEFT + RIGHT, RIGHT + LEFT, strict=True)).get(j, j) for j in range(NUM_JOINTS)
)
NUM_PARTS = len(PARTS)  # J_s = 16
DENSE_PER_PART = 3  # r
NUM_DENSE = NUM_PARTS * DENSE_PER_PART  # J_d = 48
NUM_FINE = NUM_DENSE * 2  # J_f = 96
NUM_FINEST = NUM_FINE * 2  # Table 5
#: Numbers of points of the dense levels, each beside the 17 joints.
LEVELS = (NUM_DENSE, NUM_FINE, NUM_FINEST)
#: What each is called in metrics and files.
LEVEL_NAMES = dict(zip(LEVELS, ("dense", "fine", "finest"), strict=True))

#: Joint of each body part.
PART_JOINTS = tuple(JOINTS.index(name) for name in PARTS)


def levels_of(num_inputs: int) -> tuple[int, ...]:
    """Which dense levels stand behind the 17 joints of an input: the numbers add up in one way."""
    for count in range(len(LEVELS) + 1):
        for levels in combinations(LEVELS, count):
            if NUM_JOINTS + sum(levels) == num_inputs:
                return levels
    raise ValueError(f"{num_inputs} inputs are not {NUM_JOINTS} joints and levels of {LEVELS}")


def near(num_inputs: int) -> tuple[int, ...]:
    """For each input point the one a level up that it lies by.

    Joints lie by the pelvis, a dense level's points by their point of the next coarser level
    that is there, or by their part's joint.
    """
    places = [0] * NUM_JOINTS
    above, start = NUM_PARTS, 0
    for level in levels_of(num_inputs):
        step = level // above
        coarser = [PART_JOINTS[i] if above == NUM_PARTS else start + i for i in range(above)]
        start = len(places)
        places += [coarser[point // step] for point in range(level)]
        above = level
    return tuple(places)


def joints_of(levels: tuple[int, ...]) -> tuple[int, ...]:
    """The joint of the body part that each point of the levels belongs to, level after level."""
    return tuple(
        PART_JOINTS[point // (level // NUM_PARTS)] for level in levels for point in range(level)
    )


def hop_distance(part: int) -> int:
    """Number of bones between a body part and the pelvis."""
    return 0 if PART_PARENTS[part] < 0 else 1 + hop_distance(PART_PARENTS[part])


def raster() -> tuple[int, ...]:
    """Parts by index: depth-first, limb by limb (Table 4, next-token order)."""
    return tuple(range(NUM_PARTS))


def center_to_periphery() -> tuple[int, ...]:
    """Parts by hop distance from the pelvis, then index (Sec. 4.2)."""
    return tuple(sorted(range(NUM_PARTS), key=lambda part: (hop_distance(part), part)))


def reverse_raster() -> tuple[int, ...]:
    """Parts by falling index: limb by limb from the right wrist (not in the paper)."""
    return raster()[::-1]


def periphery_to_center() -> tuple[int, ...]:
    """Wrists and head first, pelvis last (not in the paper)."""
    return tuple(sorted(raster(), key=lambda part: (-hop_distance(part), part)))


def shuffled(seed: int) -> tuple[int, ...]:
    """A fixed permutation without any plan behind it (not in the paper)."""
    chance = random.Random(seed)
    return tuple(sorted(raster(), key=lambda _: chance.random()))


#: Every generation order by its name; a new one is one function and one name here.
ORDERS: dict[str, Callable[[], tuple[int, ...]]] = {
    "center_to_periphery": center_to_periphery,
    "raster": raster,
    "reverse_raster": reverse_raster,
    "periphery_to_center": periphery_to_center,
    "random_0": partial(shuffled, 0),
    "random_1": partial(shuffled, 1),
    "random_2": partial(shuffled, 2),
}
