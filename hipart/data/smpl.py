"""SMPL bodies from the user's own model file: pose and shape to vertices, in numpy.

SMPL: Loper et al., "SMPL: A Skinned Multi-Person Linear Model", SIGGRAPH Asia 2015. The file is
``basicModel_*_lbs_10_207_0_v1.0.0.pkl``; it is licensed to persons and is never part of this
package.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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

    def only(self, vertices: NDArray[np.integer]) -> "SmplModel":
        """The model with these vertices alone, which it moves as before; its faces are lost."""
        return replace(
            self,
            template=self.template[vertices],
            faces=np.empty((0, 3), np.int64),
            shape=self.shape[vertices],
            blend=self.blend[vertices],
            weights=self.weights[vertices],
        )

    def vertices(self, pose: Floats, betas: Floats) -> Floats:
        """Vertices (N, V, 3), metres, of axis-angles (N, 72) and shapes (N, 10) or (10,).

        Without translation: bone 0 turns about its own place in the unposed body (Sec. 3).
        """
        count = len(pose)
        turns = axis_angle(pose.reshape(count, BONES, 3))
        betas = np.broadcast_to(betas, (count, BETAS))
        rest = self.template + np.einsum("vxk,nk->nvx", self.shape, betas)
        joints = self.joints + np.einsum("bxk,nk->nbx", self.joint_shape, betas)
        features = (turns[:, 1:] - np.eye(3)).reshape(count, POSE_FEATURES)
        posed = rest + (features @ self.blend.reshape(-1, POSE_FEATURES).T).reshape(rest.shape)
        world, at = np.empty_like(turns), np.empty_like(joints)
        world[:, 0], at[:, 0] = turns[:, 0], joints[:, 0]
        for bone, parent in enumerate(self.parents):
            if parent >= 0:
                world[:, bone] = world[:, parent] @ turns[:, bone]
                offset = joints[:, bone] - joints[:, parent]
                at[:, bone] = at[:, parent] + np.einsum("nij,nj->ni", world[:, parent], offset)
        moved = at - np.einsum("nbij,nbj->nbi", world, joints)
        blended = np.einsum("vb,nbij->nvij", self.weights, world, optimize=True)
        turned: Floats = np.einsum("nvij,nvj->nvi", blended, posed)
        turned += np.einsum("vb,nbi->nvi", self.weights, moved)
        return turned


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
