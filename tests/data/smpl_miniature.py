"""A body in the exact form of SMPL's file, made up: 6,890 vertices of a closed surface, 24 bones.

Nothing of it is SMPL's: a person of capsules, whose surface is found along rays from the chest.
"""

import pickle
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float64]

RINGS, SEGMENTS = 84, 82
VERTICES = RINGS * SEGMENTS + 2
PARENTS = (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21)
#: Where bones are in the unposed body, metres: y up, the left side at +x.
BONES = np.array(
    [
        *([0, 0, 0], [0.09, -0.08, 0], [-0.09, -0.08, 0], [0, 0.1, 0]),
        *([0.11, -0.46, 0], [-0.11, -0.46, 0], [0, 0.22, 0]),
        *([0.12, -0.86, 0], [-0.12, -0.86, 0], [0, 0.3, 0]),
        *([0.13, -0.92, 0.1], [-0.13, -0.92, 0.1], [0, 0.5, 0]),
        *([0.08, 0.42, 0], [-0.08, 0.42, 0], [0, 0.6, 0]),
        *([0.18, 0.42, 0], [-0.18, 0.42, 0], [0.44, 0.4, 0], [-0.44, 0.4, 0]),
        *([0.68, 0.38, 0], [-0.68, 0.38, 0], [0.76, 0.38, 0], [-0.76, 0.38, 0]),
    ]
)
#: The bone, or the two whose middle it is, of each of Human3.6M's 17 joints.
JOINT_BONES = (
    *((0,), (2,), (5,), (8,), (1,), (4,), (7,), (6,), (12,), (12, 15), (15,)),
    *((16,), (18,), (20,), (17,), (19,), (21,)),
)
CHEST = np.array([0.0, 0.25, 0.0])
NEAREST = 12


@cache
def template() -> Floats:
    """Vertices (6890, 3), metres."""
    polar = np.pi * (np.arange(RINGS) + 1) / (RINGS + 1)
    around = 2 * np.pi * np.arange(SEGMENTS) / SEGMENTS
    flat = np.stack([np.cos(around), np.zeros(SEGMENTS), np.sin(around)], axis=1)
    rings = np.sin(polar)[:, None, None] * flat + np.cos(polar)[:, None, None] * [0, 1, 0]
    rays = np.concatenate([[[0.0, 1, 0]], rings.reshape(-1, 3), [[0.0, -1, 0]]])
    reach = np.arange(1.4, 0.05, -0.02)
    found = np.full(len(rays), 0.1)
    for start, end, radius in _capsules():
        points = CHEST + reach[:, None, None] * rays - start
        along = np.clip(points @ (end - start) / np.sum((end - start) ** 2), 0, 1)
        inside = np.linalg.norm(points - along[..., None] * (end - start), axis=-1) < radius
        found = np.maximum(found, np.where(inside.any(0), reach[inside.argmax(0)], 0))
    return CHEST + found[:, None] * rays


def faces() -> NDArray[np.int64]:
    """Triangles (13776, 3) of the closed surface."""
    ring, place = np.divmod(np.arange((RINGS - 1) * SEGMENTS), SEGMENTS)
    here, right = 1 + ring * SEGMENTS + place, 1 + ring * SEGMENTS + (place + 1) % SEGMENTS
    sides = np.concatenate(
        [
            np.stack([here, right, here + SEGMENTS], axis=1),
            np.stack([right, right + SEGMENTS, here + SEGMENTS], axis=1),
        ]
    )
    turn = np.arange(SEGMENTS)
    top = np.stack([np.zeros_like(turn), 1 + (turn + 1) % SEGMENTS, 1 + turn], axis=1)
    low = VERTICES - 1 - SEGMENTS
    bottom = np.stack(
        [np.full_like(turn, VERTICES - 1), low + turn, low + (turn + 1) % SEGMENTS], axis=1
    )
    return np.concatenate([sides, top, bottom])


def regressor(places: Floats) -> Floats:
    """Weights (J, 6890) of the vertices whose mean is near each place (J, 3)."""
    apart = np.linalg.norm(template() - places[:, None], axis=-1)
    weights = np.zeros(apart.shape)
    np.put_along_axis(weights, np.argsort(apart, axis=1)[:, :NEAREST], 1 / NEAREST, axis=1)
    return weights


def joint_regressor() -> Floats:
    """What the file ``J_regressor_h36m_correct.npy`` holds: (17, 6890)."""
    return regressor(np.stack([BONES[list(some)].mean(0) for some in JOINT_BONES]))


def write_smpl(path: Path, seed: int = 0, **other: object) -> None:
    """Write a model file as SMPL's are: protocol 2, chumpy objects, a sparse regressor.

    ``other`` takes the place of what it names; None leaves it out.
    """
    chance = np.random.default_rng(seed)
    rest = template()
    apart = np.linalg.norm(rest[:, None] - BONES, axis=-1)
    far = np.sort(apart, axis=1)[:, 4:5]  # four bones move a vertex, as SMPL has it
    weights = np.where(apart < far, np.exp(-(apart / 0.08)), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    model = {
        "v_template": rest,
        "f": faces().astype(np.uint32),
        "shapedirs": chumpy(0.005 * chance.normal(size=(1, 3, 10)) * rest[..., None]),
        "posedirs": chumpy(
            np.float32(1e-4) * chance.standard_normal((VERTICES, 3, 207), np.float32)
        ),
        "weights": chumpy(weights),
        "J_regressor": sparse.csc_matrix(regressor(BONES)),
        "kintree_table": np.array([[2**32 - 1, *PARENTS[1:]], range(24)], np.uint32),
        "bs_type": "lrotmin",
        "bs_style": "lbs",
    }
    held = {name: value for name, value in (model | other).items() if value is not None}
    with path.open("wb") as file:
        pickle.dump(held, file, protocol=2)


def chumpy(value: Floats) -> object:
    """An array as chumpy's objects hold it; the library itself is not there."""
    if "chumpy.ch" not in sys.modules:
        for name in ("chumpy", "chumpy.ch"):
            sys.modules[name] = ModuleType(name)
        kind = type("Ch", (), {"__module__": "chumpy.ch"})
        sys.modules["chumpy.ch"].Ch = kind  # type: ignore[attr-defined]
    made = sys.modules["chumpy.ch"].Ch()
    made.__dict__ |= {"x": value, "_dirty_vars": set()}
    return made


def _capsules() -> list[tuple[Floats, Floats, float]]:
    wide = {3: 0.14, 6: 0.14, 9: 0.14, 1: 0.12, 2: 0.12, 15: 0.1}
    return [
        (BONES[parent], BONES[bone], wide.get(bone, 0.08))
        for bone, parent in enumerate(PARENTS)
        if parent >= 0
    ]
