"""The body that carries the motion: skinning coefficients and the levels of points on it.

A point k of a body posed by global bone rotations ``G_b`` (3, 3) and the hip bone's position
``root`` is ``p_k = root + sum_b G_b C_kb``: linear blend skinning of a mean of mesh vertices is
linear in the rotations, so C (K, 25, 3) says all there is to know and no mesh is needed.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hipart.data.motion import BONE_PARENTS, OPEN
from hipart.skeleton import LEFT, NUM_DENSE, NUM_FINE, NUM_JOINTS, PARTS, RIGHT

Floats = NDArray[np.float32]

BODY_FILE = OPEN / "body.npz"
#: Points of the finest level; four make a dense point, two a fine one.
NUM_POINTS = 2 * NUM_FINE


@dataclass(frozen=True)
class Body:
    """Skinning coefficients (K, 25, 3) in metres of one subject.

    ``levels`` stacks the 17 joints, the 48 dense, the 96 fine and the 192 finest points, which are
    ``points``: clusters of mesh vertices. ``leg`` is thigh plus shin, metres; ``sole`` the height
    above the floor of the lowest of the 192 points when standing.
    """

    levels: Floats
    points: Floats
    leg: float
    sole: float


@lru_cache(maxsize=1)
def bodies() -> dict[str, Body]:
    """Every packaged body by name: ``reference``, which motion is scaled to, and the subjects."""
    found = {}
    with np.load(BODY_FILE, allow_pickle=False) as stored:
        area = stored["area"]
        for key in stored.files:
            name, _, array = key.partition("/")
            if array == "points":
                points = stored[key]
                coarse = [coarser(points, area, count) for count in (NUM_DENSE, NUM_FINE)]
                levels = np.concatenate([stored[f"{name}/joints"], *coarse, points])
                sole = stored[f"{name}/hips"][1] + points.sum(1)[:, 1].min()
                found[name] = Body(levels, points, float(stored[f"{name}/leg"]), float(sole))
    return found


def surface() -> Floats:
    """Coefficients (1500, 25, 3) of skin points of subject S9, spread evenly by area."""
    with np.load(BODY_FILE, allow_pickle=False) as stored:
        return np.asarray(stored["surface"])


def coarser(points: Floats, area: Floats, count: int) -> Floats:
    """Area-weighted means of consecutive runs of the 192 clusters: (192, ...) to (count, ...)."""
    weights = area.reshape(count, -1)
    runs = points.reshape(*weights.shape, *points.shape[1:])
    return np.asarray(np.einsum("kc,kc...->k...", weights / weights.sum(1, keepdims=True), runs))


def mirror(count: int) -> NDArray[np.int64]:
    """Index of each joint's mirror image, for the 17 joints or a level of 16, 48, 96 or 192.

    A limb's points keep their order on the other side; a central part's are reversed.
    """
    if count == NUM_JOINTS:
        order = np.arange(NUM_JOINTS)
        order[[*LEFT, *RIGHT]] = [*RIGHT, *LEFT]
        return order
    within = np.arange(count // len(PARTS))
    swap = {"L": "R", "R": "L"}
    rows = []
    for part in PARTS:
        other = PARTS.index(swap.get(part[0], part[0]) + part[1:])
        rows.append(other * len(within) + (within if part[0] in swap else within[::-1]))
    return np.concatenate(rows)


def global_rotations(rot: Floats) -> Floats:
    """Global rotations (T, 3, 75) of local axis-angle ``rot`` (T, 25, 3).

    The 25 matrices stand side by side, so that posing is one product with C as (75, K).
    """
    local = _matrices(rot)
    turned = np.empty_like(local)
    for bone, parent in enumerate(BONE_PARENTS):
        turned[:, bone] = local[:, bone] if parent < 0 else turned[:, parent] @ local[:, bone]
    return np.ascontiguousarray(turned.swapaxes(1, 2)).reshape(len(rot), 3, -1)


def pose(root: Floats, rotations: Floats, coefficients: Floats) -> Floats:
    """Points (N, 3, K) from root (N, 3), ``global_rotations`` (N, 3, 75) and C (K, 25, 3)."""
    flat = coefficients.reshape(len(coefficients), -1).T
    stacked = rotations.reshape(-1, flat.shape[0]) @ flat
    return np.asarray(stacked.reshape(len(root), 3, -1) + root[:, :, None])


def _matrices(rot: Floats) -> Floats:
    """Rotation matrices (..., 3, 3) of axis-angle vectors (..., 3) (Rodrigues)."""
    angle = np.linalg.norm(rot, axis=-1)[..., None, None]
    small = angle < 1e-4
    safe = np.where(small, 1, angle)
    first = np.where(small, 1 - angle**2 / 6, np.sin(safe) / safe)
    second = np.where(small, 0.5 - angle**2 / 24, (1 - np.cos(safe)) / safe**2)
    cross = np.zeros((*rot.shape, 3), rot.dtype)
    x, y, z = np.moveaxis(rot, -1, 0)
    cross[..., 0, 1], cross[..., 0, 2], cross[..., 1, 2] = -z, y, -x
    cross -= cross.swapaxes(-1, -2)
    return np.asarray(np.eye(3, dtype=rot.dtype) + first * cross + second * (cross @ cross))
