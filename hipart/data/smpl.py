"""SMPL bodies from the user's own model file: pose and shape to vertices, in numpy.

SMPL: Loper et al., "SMPL: A Skinned Multi-Person Linear Model", SIGGRAPH Asia 2015. The file is
``basicModel_*_lbs_10_207_0_v1.0.0.pkl``; it is licensed to persons and is never part of this
package.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hipart.data.pickles import Stub, read_pickle_file

Floats = NDArray[np.float64]

VERTICES = 6890
BONES = 24
BETAS = 10
POSE_FEATURES = 9 * (BONES - 1)
WANTED = {
    "v_template": (VERTICES, 3),
    "shapedirs": (VERTICES, 3, BETAS),
    "posedirs": (VERTICES, 3, POSE_FEATURES),
    "weights": (VERTICES, BONES),
    "J_regressor": (BONES, VERTICES),
}


@dataclass(frozen=True, eq=False)
class SmplModel:
    """The arrays of a model, metres: V = 6890 vertices, 24 bones, 10 shape directions."""

    template: Floats  # (V, 3)
    faces: NDArray[np.int64]  # (13776, 3)
    shape: Floats  # (V, 3, 10)
    blend: Floats  # (V, 3, 207)
    weights: Floats  # (V, 24)
    joints: Floats  # (24, 3) of the mean shape
    joint_shape: Floats  # (24, 3, 10)
    parents: tuple[int, ...]

    def vertices(self, pose: Floats, betas: Floats) -> Floats:
        """Vertices (N, V, 3), metres, of axis-angles (N, 72) and shapes (N, 10) or (10,).

        Without translation: bone 0 turns about its own place in the unposed body (Sec. 3).
        """
        terms, turns, moved = self._bones(pose, betas)
        rest = np.concatenate([self.template[..., None], self.shape, self.blend], axis=2)
        posed = (terms @ rest.reshape(-1, terms.shape[1]).T).reshape(len(pose), -1, 3)
        blended = np.einsum("vb,nbij->nvij", self.weights, turns, optimize=True)
        found: Floats = np.einsum("nvij,nvj->nvi", blended, posed)
        found += np.einsum("vb,nbi->nvi", self.weights, moved)
        return found

    def averaging(self, weights: sparse.csr_matrix | Floats) -> "SmplPoints":
        """The points that weights (K, V) make of the vertices, to be posed without these.

        Skinning is linear in the vertices, so a point needs of each bone that moves any of its
        vertices no more than their weighted sum.
        """
        rest = np.concatenate([self.template[..., None], self.shape, self.blend], axis=2)
        flat, points, sums, moves = rest.reshape(len(rest), -1), [], [], []
        for own in self.weights.T:
            moved = sparse.csr_matrix(sparse.csr_matrix(weights).multiply(own))
            moved.eliminate_zeros()
            points.append(np.flatnonzero(np.diff(moved.indptr)))
            sums.append((moved[points[-1]] @ flat).reshape(-1, rest.shape[2]))
            moves.append(np.asarray(moved[points[-1]].sum(axis=1)).reshape(-1))
        return SmplPoints(self, weights.shape[0], tuple(points), np.concatenate(sums), moves)

    def _bones(self, pose: Floats, betas: Floats) -> tuple[Floats, Floats, Floats]:
        """What the unposed body is a sum of (N, 218), bones' turns (N, 24, 3, 3), and moves."""
        count = len(pose)
        local = axis_angle(pose.reshape(count, BONES, 3))
        betas = np.broadcast_to(betas, (count, BETAS))
        joints = self.joints + np.einsum("bxk,nk->nbx", self.joint_shape, betas)
        features = (local[:, 1:] - np.eye(3)).reshape(count, POSE_FEATURES)
        turns, at = np.empty_like(local), np.empty_like(joints)
        turns[:, 0], at[:, 0] = local[:, 0], joints[:, 0]
        for bone, parent in enumerate(self.parents):
            if parent >= 0:
                turns[:, bone] = turns[:, parent] @ local[:, bone]
                offset = joints[:, bone] - joints[:, parent]
                at[:, bone] = at[:, parent] + np.einsum("nij,nj->ni", turns[:, parent], offset)
        moved = at - np.einsum("nbij,nbj->nbi", turns, joints)
        return np.concatenate([np.ones((count, 1)), betas, features], axis=1), turns, moved


@dataclass(frozen=True, eq=False)
class SmplPoints:
    """K weighted sums of a model's vertices.

    ``moved`` has for each bone the points (P,) that it moves, ``weights`` what their vertices'
    weights add up to (P,), and ``sums`` (3 P of all bones, 218), of what their places do.
    """

    model: SmplModel
    count: int
    moved: tuple[NDArray[np.int64], ...]
    sums: Floats
    weights: Sequence[Floats]

    def points(self, pose: Floats, betas: Floats) -> Floats:
        """Points (N, K, 3), metres, as the weights make them of ``SmplModel.vertices``."""
        terms, turns, moves = self.model._bones(pose, betas)
        ends = np.cumsum([len(points) for points in self.moved])
        rest = (terms @ self.sums.T).reshape(len(pose), -1, 3)
        found = np.zeros((len(pose), self.count, 3))
        for bone, part in enumerate(np.split(rest, ends[:-1], axis=1)):
            turned = part @ turns[:, bone].swapaxes(1, 2)
            turned += self.weights[bone][:, None] * moves[:, None, bone]
            found[:, self.moved[bone]] += turned
        return found


def read_smpl(path: Path) -> SmplModel:
    """Read a model file. ValueError says which array is not there or of which shape it is."""
    held = read_pickle_file(path)
    if not isinstance(held, Mapping):
        raise ValueError(f"{path}: an SMPL model is a dictionary, found a {type(held).__name__}")
    missing = {*WANTED, "f", "kintree_table"} - held.keys()
    if missing:
        raise ValueError(f"{path}: is no SMPL model, for it lacks {', '.join(sorted(missing))}")
    arrays = {name: _array(path, name, held[name]) for name in WANTED}
    for name, shape in WANTED.items():
        if arrays[name].shape != shape:
            more = (
                "; of version 1.1.0, which has 300 shape directions, take basicModel_*_lbs_10_207_0"
                if name == "shapedirs" and arrays[name].shape[:2] == shape[:2]
                else ""
            )
            raise ValueError(
                f"{path}: {name} must have shape {shape}, found {arrays[name].shape}{more}"
            )
    parents = [-1, *(int(parent) for parent in np.asarray(held["kintree_table"])[0][1:])]
    if len(parents) != BONES or any(not 0 <= p < bone for bone, p in enumerate(parents) if bone):
        raise ValueError(f"{path}: kintree_table must give each of 24 bones a parent before it")
    return SmplModel(
        arrays["v_template"],
        np.asarray(held["f"], np.int64),
        arrays["shapedirs"],
        arrays["posedirs"],
        arrays["weights"],
        arrays["J_regressor"] @ arrays["v_template"],
        np.einsum("bv,vxk->bxk", arrays["J_regressor"], arrays["shapedirs"], optimize=True),
        tuple(parents),
    )


def axis_angle(vectors: Floats) -> Floats:
    """Rotation matrices (..., 3, 3) of axis-angles (..., 3), radians (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=-1, keepdims=True)
    x, y, z = np.moveaxis(vectors / np.maximum(angle, 1e-12), -1, 0)
    zero = np.zeros_like(x)
    cross = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=-1)
    cross = cross.reshape(*x.shape, 3, 3)
    sine, cosine = np.sin(angle)[..., None], np.cos(angle)[..., None]
    turned: Floats = np.eye(3) + sine * cross + (1 - cosine) * (cross @ cross)
    return turned


def _array(path: Path, name: str, value: Any) -> Floats:
    """An array, from chumpy's object or scipy's sparse matrix if it is one."""
    if isinstance(value, Stub):
        held = value.held
        if isinstance(held.get("x"), np.ndarray):
            value = held["x"]
        elif {"data", "indices", "indptr"} <= held.keys():
            shape = held.get("_shape", held.get("shape"))
            parts = (held["data"], held["indices"], held["indptr"])
            value = sparse.csc_matrix(parts, shape=shape).toarray()
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise ValueError(f"{path}: {name} must be an array of numbers")
    array = np.asarray(value, np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{path}: {name} has a NaN or infinity")
    return array
