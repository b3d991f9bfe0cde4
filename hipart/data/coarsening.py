"""Clusters of mesh vertices: an exact hierarchy 192 -> 96 -> 48, and the legacy matching.

The lineage of HiPART's dense poses (Pose2Mesh, HGN) coarsens the body's mesh by greedy heavy-edge
matching in the manner of Graclus (Defferrard et al. 2016). Its sizes hang on how a sort breaks
ties, and its levels are padded with nodes that stand for nothing. ``binary_hierarchy`` has exact
sizes, no padding, and one answer: every tie is broken by a written rule, in integers.
"""

from dataclasses import dataclass
from fractions import Fraction
from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NO_MATCHING = "the clusters cannot all be paired with neighbours: use another number of clusters"
# Edges ranked by one program: their powers of two stay far above the solver's tolerance of 1e-6.
_BLOCK = 16


@dataclass(frozen=True, eq=False)
class MeshGraph:
    """Undirected graph without loops, of mesh vertices or of clusters of them.

    ``edges`` (E, 2) are pairs i < j in ascending order, each once; ``weights`` (E,) counts the mesh
    edges behind each; ``sizes`` (N,) counts the mesh vertices behind each node.
    """

    edges: Ints
    weights: Ints
    sizes: Ints

    @property
    def num_nodes(self) -> int:
        return len(self.sizes)

    @classmethod
    def from_faces(cls, faces: NDArray[np.integer], num_vertices: int) -> "MeshGraph":
        """Graph of a mesh with polygons ``faces`` (F, k); an edge of several faces counts once."""
        faces = np.asarray(faces, np.int64)
        if faces.size and not 0 <= faces.min() <= faces.max() < num_vertices:
            raise ValueError(
                f"faces name vertices {faces.min()}..{faces.max()}, the mesh has 0.."
                f"{num_vertices - 1}: give the faces and the vertices of one mesh"
            )
        sides = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2)
        edges = np.unique(np.sort(sides[sides[:, 0] != sides[:, 1]], axis=1), axis=0)
        return cls(edges, np.ones(len(edges), np.int64), np.ones(num_vertices, np.int64))

    def neighbours(self) -> list[dict[int, int]]:
        """For each node, the weight of the edge to each of its neighbours; symmetric."""
        near: list[dict[int, int]] = [{} for _ in range(self.num_nodes)]
        for (i, j), weight in zip(self.edges.tolist(), self.weights.tolist(), strict=True):
            near[i][j] = near[j][i] = weight
        return near


def contract(graph: MeshGraph, labels: Ints) -> MeshGraph:
    """Graph of the clusters ``labels`` (N,): sizes and weights add up, edges inside one go."""
    sizes = np.zeros(int(labels.max()) + 1, np.int64)
    np.add.at(sizes, labels, graph.sizes)
    ends = np.sort(labels[graph.edges], axis=1)
    between = ends[:, 0] != ends[:, 1]
    edges, inverse = np.unique(ends[between], axis=0, return_inverse=True)
    weights = np.zeros(len(edges), np.int64)
    np.add.at(weights, inverse.reshape(-1), graph.weights[between])
    return MeshGraph(edges, weights, sizes)


def merge_smallest(graph: MeshGraph, count: int) -> Ints:
    """Labels (N,) of ``count`` connected clusters, in the order of their lowest nodes.

    Merges the two adjacent clusters whose sizes add up to least, again and again; ties go to the
    pair with more weight between them, then to the lowest nodes.
    """
    near, size = graph.neighbours(), graph.sizes.tolist()
    owner = np.arange(graph.num_nodes)
    heap = [(size[i] + size[j], -near[i][j], i, j) for i, j in graph.edges.tolist()]
    heapify(heap)
    left = graph.num_nodes
    while left > count and heap:
        total, _, i, j = heappop(heap)
        if j not in near[i] or size[i] + size[j] != total:
            continue  # a cluster of this pair has grown since, and was pushed again
        owner[owner == j] = i  # i < j: a cluster goes by its lowest node
        size[i], left = total, left - 1
        for k, weight in near[j].items():
            del near[k][j]
            if k != i:
                near[i][k] = near[k][i] = near[i].get(k, 0) + weight
        near[j] = {}
        for k, weight in near[i].items():
            heappush(heap, (total + size[k], -weight, min(i, k), max(i, k)))
    if left != count:
        raise ValueError(
            f"the mesh gives {left} clusters, {count} were asked for: it needs at least as many "
            "vertices, and that few connected pieces (remove vertices that no face uses)"
        )
    return _numbered(owner)


def perfect_matching(graph: MeshGraph) -> Ints:
    """Labels (N,) of N/2 adjacent pairs of most total weight, in the order of their lower nodes.

    Of two such matchings it is the one with the lowest edge that they do not share, so the answer
    is a property of the graph, whatever a solver does with ties. A first integer program finds the
    weight; the others keep it and settle the edges in turn.
    """
    edges, weights = graph.edges, graph.weights
    if len(edges) < graph.num_nodes / 2:
        raise ValueError(f"{NO_MATCHING} ({graph.num_nodes} clusters, {len(edges)} edges)")
    low, high = np.zeros(len(edges)), np.ones(len(edges))
    chosen = _heaviest(graph, weights, 0, low, high)
    best = int(weights @ chosen)
    for start in range(0, len(edges), _BLOCK):
        block = slice(start, start + _BLOCK)
        if (low[block] == high[block]).all():
            continue
        rank = np.zeros(len(edges), np.int64)
        rank[block] = 1 << np.arange(_BLOCK)[::-1][: len(rank[block])]
        chosen = _heaviest(graph, rank, best, low, high)
        low[block] = high[block] = chosen[block]
        taken = edges[low == 1]
        high[np.isin(edges, taken).any(axis=1) & (low == 0)] = 0
    owner = np.arange(graph.num_nodes)
    pairs = edges[chosen == 1]
    owner[pairs[:, 1]] = pairs[:, 0]
    return _numbered(owner)


def _heaviest(graph: MeshGraph, gain: Ints, weight: int, low: Floats, high: Floats) -> Ints:
    """Perfect matching (E,) of 0 and 1 of most ``gain``, among those of at least ``weight``."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    count = len(graph.edges)
    ends = (graph.edges.reshape(-1), np.repeat(np.arange(count), 2))
    incidence = csr_array((np.ones(2 * count), ends), shape=(graph.num_nodes, count))
    solution = milp(
        -gain.astype(float),
        integrality=np.ones(count),  # or it takes odd cycles by halves
        bounds=Bounds(low, high),
        constraints=[
            LinearConstraint(incidence, 1, 1),
            LinearConstraint(graph.weights[None].astype(float), weight, np.inf),
        ],
        options={"mip_rel_gap": 0},
    )
    if solution.x is None:
        raise ValueError(f"{NO_MATCHING} ({graph.num_nodes} clusters; {solution.message})")
    chosen: Ints = np.rint(solution.x).astype(np.int64)
    assert (incidence @ chosen == 1).all()
    assert graph.weights @ chosen >= weight
    return chosen


def binary_hierarchy(
    faces: NDArray[np.integer], num_vertices: int, count: int = 192, halvings: int = 2
) -> Ints:
    """Labels (V,) of ``count`` clusters in binary order: ``labels // 2**k`` is the k-th level up.

    192 -> 96 -> 48 for two halvings. The vertices are merged to ``count`` clusters, these matched
    in pairs ``halvings`` times. At every level siblings, and at the top the clusters, stand in the
    order of their lowest vertices.
    """
    if count % 2**halvings:
        raise ValueError(f"{count} clusters cannot be halved {halvings} times: use a multiple")
    graph = MeshGraph.from_faces(faces, num_vertices)
    leaves = merge_smallest(graph, count)
    graph = contract(graph, leaves)
    levels = [np.arange(count)]  # label of each leaf, from fine to coarse
    for _ in range(halvings):
        pairs = perfect_matching(graph)
        graph = contract(graph, pairs)
        levels.append(pairs[levels[-1]])
    # Labels are in the order of lowest vertices, so sorting by the coarsest first nests them.
    place = np.argsort(np.lexsort(levels))
    return np.asarray(place[leaves], np.int64)


def heavy_edge_matching(graph: MeshGraph) -> Ints:
    """Labels (N,) of one greedy pass: pairs and single nodes, in the order of their lowest nodes.

    Nodes are visited from the lowest degree d (sum of weights), then the lowest id. Each one that
    is still free takes the free neighbour with most w_ij (1/d_i + 1/d_j), then the lowest id, or
    stays alone (Graclus' normalised cut, as in Defferrard et al. 2016 and Pose2Mesh; they left
    the order of equal degrees to the sort).
    """
    near = graph.neighbours()
    degree = [sum(weights.values()) for weights in near]
    owner = np.full(graph.num_nodes, -1)
    for i in sorted(range(graph.num_nodes), key=lambda node: (degree[node], node)):
        if owner[i] >= 0:
            continue
        free = [j for j in near[i] if owner[j] < 0]
        j = max(
            free,
            key=lambda j: (near[i][j] * (Fraction(1, degree[i]) + Fraction(1, degree[j])), -j),
            default=i,
        )
        owner[[i, j]] = min(i, j)
    return _numbered(owner)


def level_means(points: NDArray[np.floating], labels: Ints, count: int) -> Floats:
    """Mean position (count, 3) of the vertices ``points`` (V, 3) of each cluster, in their unit."""
    members = np.bincount(labels, minlength=count)
    if len(members) != count or not members.all():
        raise ValueError(f"labels fill {np.count_nonzero(members)} of {count} clusters: all must")
    sums = [np.bincount(labels, axis, count) for axis in points.T]
    return np.asarray(np.stack(sums, axis=1) / members[:, None])


def _numbered(owner: Ints) -> Ints:
    """Labels 0, 1, ... of clusters that go by their lowest node."""
    return np.asarray(np.unique(owner, return_inverse=True)[1].reshape(-1), np.int64)
