"""Joints, levels and generation orders of the human skeleton. Plain tuples: no torch, no numpy.

Joint order is VideoPose3D's Human3.6M order. The 16 body parts are the 17 joints without
Neck/Nose (design choice: tokens 16, input 17). Dense joint ``d`` belongs to part ``d // 3``,
fine joint ``f`` to part ``f // 6`` and to dense joint ``f // 2``.
"""

from collections.abc import Callable

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
NUM_PARTS = len(PARTS)  # J_s = 16
DENSE_PER_PART = 3  # r
NUM_DENSE = NUM_PARTS * DENSE_PER_PART  # J_d = 48
NUM_FINE = NUM_DENSE * 2  # J_f = 96

#: Joint of each body part.
PART_JOINTS = tuple(JOINTS.index(name) for name in PARTS)
#: For each of the 17 joints, 48 dense and 96 fine points the one a level up that it lies by:
#: joints by the pelvis, dense points by their part's joint, fine points by their dense point.
NEAR = (
    *(0 for _ in JOINTS),
    *(PART_JOINTS[dense // DENSE_PER_PART] for dense in range(NUM_DENSE)),
    *(NUM_JOINTS + fine // 2 for fine in range(NUM_FINE)),
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


#: Every generation order by its name; a new one is one function and one name here.
ORDERS: dict[str, Callable[[], tuple[int, ...]]] = {
    "center_to_periphery": center_to_periphery,
    "raster": raster,
}
