"""Dense points of a body mesh: 48, 96 and 192 clusters of its vertices, three, six, twelve a part.

Level points are means of their member vertices (design A.2.2), so everything that a mesh does to
its vertices linearly, it does to them.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.optimize import linear_sum_assignment

from hipart.data.coarsening import MeshGraph, binary_hierarchy, contract, heavy_edge_matching
from hipart.skeleton import DENSE_PER_PART, LEVELS, NUM_DENSE, NUM_FINEST, PART_JOINTS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Coarsening = Literal["exact_binary", "hem_legacy"]


@dataclass(frozen=True, eq=False)
class BodyLevels:
    """Which finest clusters hold which vertices: ``members`` (192, V), rows of zeros and ones.

    ``members`` of ``exact_binary`` share no vertex; of ``hem_legacy``, padding repeats clusters.
    """

    members: sparse.csr_matrix

    @cached_property
    def means(self) -> sparse.csr_matrix:
        """Weights (336, V) that average vertices to the 48, 96 and 192 points."""
        levels = []
        for count in LEVELS:
            pooled = np.kron(np.eye(count), np.ones(NUM_FINEST // count))
            inside = sparse.csr_matrix(pooled) @ self.members
            inside.data[:] = 1
            levels.append(inside.multiply(1 / inside.sum(axis=1)))
        return sparse.csr_matrix(sparse.vstack(levels))

    def points(self, vertices: NDArray[Any]) -> Floats:
        """Points (N, 336, 3), the 48 first, of meshes (N, V, 3), in their unit."""
        count, size, _ = vertices.shape
        flat = np.moveaxis(vertices, 0, 1).reshape(size, -1)
        found: Floats = np.moveaxis((self.means @ flat).reshape(-1, count, 3), 1, 0)
        return found


def body_levels(
    faces: NDArray[np.integer],
    template: Floats,
    joints: Floats,
    coarsening: Coarsening = "exact_binary",
) -> BodyLevels:
    """The levels of a mesh (F, 3) whose unposed vertices (V, 3) have these 17 joints (17, 3).

    The 48 clusters go to the 16 parts by threes so that the sum of their distances to the parts'
    joints is least; those of a part are ordered by that distance, then as the mesh orders them.
    """
    count = len(template)
    leaves = (
        sparse.csr_matrix(
            (np.ones(count), (binary_hierarchy(faces, count, NUM_FINEST), np.arange(count)))
        )
        if coarsening == "exact_binary"
        else _legacy(faces, count)
    )
    pooled = sparse.csr_matrix(np.kron(np.eye(NUM_DENSE), np.ones(NUM_FINEST // NUM_DENSE)))
    inside = pooled @ leaves
    inside.data[:] = 1
    centres = (inside @ template) / np.asarray(inside.sum(axis=1))
    parts = joints[list(PART_JOINTS)]
    apart = np.linalg.norm(centres[:, None] - parts, axis=-1)
    dense, places = linear_sum_assignment(np.repeat(apart, DENSE_PER_PART, axis=1))
    part = places // DENSE_PER_PART
    order = np.lexsort((dense, apart[dense, part], part))
    width = NUM_FINEST // NUM_DENSE
    rows = (dense[order][:, None] * width + np.arange(width)).reshape(-1)
    return BodyLevels(sparse.csr_matrix(leaves[rows]))


def _legacy(faces: NDArray[np.integer], num_vertices: int) -> sparse.csr_matrix:
    """Members (192, V) by greedy heavy-edge matching, padded, in the manner of Pose2Mesh.

    Vertices are matched again and again until at most 48 clusters are left. A cluster whose half
    is missing repeats the half that it has; clusters that are missing repeat the first ones. How
    many repeat hangs on the order in which nodes are visited (``heavy_edge_matching``).
    """
    graph = MeshGraph.from_faces(faces, num_vertices)
    levels = [np.arange(num_vertices)]
    while graph.num_nodes > NUM_DENSE:
        pairs = heavy_edge_matching(graph)
        graph = contract(graph, pairs)
        levels.append(pairs[levels[-1]])
    chosen = np.arange(NUM_DENSE) % graph.num_nodes
    for coarse, fine in ((levels[-1], levels[-2]), (levels[-2], levels[-3])):
        first = np.full(coarse.max() + 1, fine.max() + 1)
        np.minimum.at(first, coarse, fine)
        last = np.zeros(coarse.max() + 1, np.int64)
        np.maximum.at(last, coarse, fine)
        chosen = np.stack([first[chosen], last[chosen]], axis=1).reshape(-1)
    return sparse.csr_matrix((levels[-3] == chosen[:, None]).astype(float))
