"""Levels of points on the body: 16 parts, and in each 12, 6 and 3 clusters of mesh vertices."""

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from open_corpus_body import Mesh, bone_ends
from scipy.spatial import cKDTree

from hipart.data.motion import BONES
from hipart.skeleton import PARTS

Floats = NDArray[np.float64]

MIDLINE_M = 1e-4  # a vertex this near the body's plane of symmetry is half left, half right
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


def vertex_areas(vertices: Floats, quads: NDArray[np.int64]) -> tuple[Floats, dict[Any, float]]:
    """Area of every vertex; for each edge (i < j), the length of the dual boundary it crosses."""
    corners = vertices[quads]
    face = np.linalg.norm(
        np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]), axis=1
    )
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
            half = area * np.where(np.abs(body[:, 0]) < MIDLINE_M, 0.5, 1.0)
            left = members[body[members, 0] > -MIDLINE_M].tolist()
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
