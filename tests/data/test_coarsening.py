"""Clusters of mesh vertices: oracles E5 (exact hierarchy) and E6 (legacy matching)."""

import hashlib
from itertools import combinations, pairwise

import numpy as np
import pytest

from hipart.data.coarsening import (
    MeshGraph,
    binary_hierarchy,
    contract,
    heavy_edge_matching,
    level_means,
    merge_smallest,
    perfect_matching,
)
from tests.timing import processor_time

Array = np.ndarray
Pairs = list[tuple[int, int]]

#: Of the labels on the capsule of 40 rings of 40: topology and integers alone, so on any machine.
CAPSULE_HASH = "de297918f29802eb9ed567045448c057b259ef9ffe6225a086abf1b57f0c1ad2"


def capsule(rings: int, around: int) -> tuple[Array, int]:
    """Triangles and number of vertices of a closed tube: rings between two poles."""
    last = 1 + rings * around
    ring = 1 + np.arange(rings * around).reshape(rings, around)
    turned = np.roll(ring, -1, axis=1)
    corners = [
        (np.zeros(around, int), ring[0], turned[0]),
        (np.full(around, last), turned[-1], ring[-1]),
        (ring[:-1], ring[1:], turned[1:]),
        (ring[:-1], turned[1:], turned[:-1]),
    ]
    return np.concatenate([np.stack(c, axis=-1).reshape(-1, 3) for c in corners]), last + 1


FACES, NUM_VERTICES = capsule(40, 40)
GRAPH = MeshGraph.from_faces(FACES, NUM_VERTICES)


@pytest.fixture(scope="module")
def leaves() -> Array:
    return binary_hierarchy(FACES, NUM_VERTICES)


def graph_of(weights: dict[tuple[int, int], int], num_nodes: int) -> MeshGraph:
    edges = sorted(weights)
    values = np.array([weights[e] for e in edges])
    return MeshGraph(np.array(edges).reshape(-1, 2), values, np.ones(num_nodes, int))


def random_graph(rng: np.random.Generator, num_nodes: int, density: float, most: int) -> MeshGraph:
    pairs = [p for p in combinations(range(num_nodes), 2) if rng.random() < density]
    return graph_of({p: int(rng.integers(1, most + 1)) for p in pairs}, num_nodes)


def dense(graph: MeshGraph) -> Array:
    matrix = np.zeros((graph.num_nodes, graph.num_nodes), int)
    for i, near in enumerate(graph.neighbours()):
        for j, weight in near.items():
            matrix[i, j] = weight
    return matrix


def one_hot(labels: Array, count: int) -> Array:
    return np.eye(count)[labels]  # floats multiply faster; whole numbers stay exact


def matchings(nodes: list[int], edges: set[tuple[int, int]]) -> list[Pairs]:
    """All perfect matchings, each in ascending order, the lexicographically first at the front."""
    if not nodes:
        return [[]]
    first, *rest = nodes
    return [
        [(first, other), *tail]
        for other in rest
        if (first, other) in edges
        for tail in matchings([v for v in rest if v != other], edges)
    ]


def members(labels: Array) -> list[tuple[int, ...]]:
    return [tuple(np.flatnonzero(labels == k).tolist()) for k in range(labels.max() + 1)]


def test_a_mesh_is_a_graph_of_its_edges() -> None:
    assert len(GRAPH.edges) == 3 * len(FACES) / 2  # closed: each edge has two faces
    assert NUM_VERTICES - len(GRAPH.edges) + len(FACES) == 2  # Euler: no edge is lost or twice
    sides = {frozenset((int(f[a]), int(f[b]))) for f in FACES for a, b in ((0, 1), (1, 2), (2, 0))}
    assert {frozenset(e) for e in GRAPH.edges.tolist()} == sides
    assert (GRAPH.edges[:, 0] < GRAPH.edges[:, 1]).all()
    assert (GRAPH.weights == 1).all() and (GRAPH.sizes == 1).all()
    with pytest.raises(ValueError, match=r"vertices 0\.\.1601, the mesh has 0\.\.1600"):
        MeshGraph.from_faces(FACES, NUM_VERTICES - 1)


@pytest.mark.parametrize(("level", "count"), list(enumerate((192, 96, 48))))
def test_every_level_is_a_partition_of_exact_size(level: int, count: int, leaves: Array) -> None:
    """E5: each vertex in one of exactly ``count`` connected clusters, all of them filled."""
    labels = leaves // 2**level
    assert labels.shape == (NUM_VERTICES,)
    assert np.array_equal(np.unique(labels), np.arange(count))
    inside = GRAPH.edges[labels[GRAPH.edges[:, 0]] == labels[GRAPH.edges[:, 1]]]
    reached = np.arange(NUM_VERTICES)  # the lowest vertex that each can reach inside its cluster
    for _ in range(NUM_VERTICES):
        before = reached.copy()
        np.minimum.at(reached, inside[:, 0], reached[inside[:, 1]])
        np.minimum.at(reached, inside[:, 1], reached[inside[:, 0]])
        if np.array_equal(before, reached):
            break
    assert len(np.unique(reached)) == count


def test_the_parent_of_i_is_half_of_i(leaves: Array) -> None:
    """E5: 2i and 2i+1 are the pairs that the matching makes of the 192, and again of the 96."""
    graph = contract(GRAPH, leaves)
    for count in (96, 48):
        near = graph.neighbours()
        assert all(2 * i + 1 in near[2 * i] for i in range(count))
        best = perfect_matching(graph)
        halves = np.arange(2 * count) // 2
        assert dense(contract(graph, halves)).sum() == dense(contract(graph, best)).sum()
        graph = contract(graph, halves)
        assert graph.num_nodes == count


def test_clusters_stand_in_the_order_of_their_lowest_vertices(leaves: Array) -> None:
    lowest = np.array([m[0] for m in members(leaves)])
    for _ in range(2):
        assert (lowest[::2] < lowest[1::2]).all()
        lowest = lowest[::2]
    assert (np.diff(lowest) > 0).all()


@pytest.mark.parametrize("level", range(3))
def test_contraction_adds_weights_up(level: int, leaves: Array) -> None:
    """E5: symmetric, and the total weight is the mesh's without the edges inside clusters."""
    labels = leaves // 2**level
    coarse = contract(GRAPH, labels)
    adjacency = dense(coarse)
    assert np.array_equal(adjacency, adjacency.T)
    pick = one_hot(labels, coarse.num_nodes)
    expected = pick.T @ np.stack([pick[list(near)].sum(0) for near in GRAPH.neighbours()])
    inside = np.diag(expected).sum() // 2
    assert inside > 0
    assert coarse.weights.sum() == GRAPH.weights.sum() - inside
    assert np.array_equal(adjacency, expected - np.diag(np.diag(expected)))
    assert np.array_equal(coarse.sizes, pick.sum(0))
    steps = contract(contract(GRAPH, leaves), np.arange(192) // 2**level)  # as at once
    assert np.array_equal(dense(steps), adjacency)
    assert np.array_equal(steps.sizes, coarse.sizes)


@pytest.mark.parametrize("level", range(3))
def test_level_means_are_the_matrix_product(level: int, leaves: Array) -> None:
    """E5: the mean over member vertices, as an averaging matrix gives it."""
    labels, count = leaves // 2**level, 192 // 2**level
    points = np.random.default_rng(level).normal(size=(NUM_VERTICES, 3))
    matrix = one_hot(labels, count).T / np.bincount(labels)[:, None]
    assert np.allclose(matrix.sum(1), 1)
    assert np.allclose(level_means(points, labels, count), matrix @ points, atol=1e-12)


def test_a_mean_of_nothing_is_refused() -> None:
    points = np.zeros((3, 3))
    with pytest.raises(ValueError, match="fill 2 of 3"):
        level_means(points, np.array([0, 2, 2]), 3)
    with pytest.raises(ValueError, match="of 2 clusters"):
        level_means(points, np.array([0, 1, 2]), 2)


def test_the_hierarchy_is_the_same_every_time(leaves: Array) -> None:
    """E5: same hash twice, over runs, and with the faces in another order."""
    rng = np.random.default_rng(0)
    shuffled = np.roll(FACES[rng.permutation(len(FACES))], 1, axis=1)[:, ::-1]
    again = binary_hierarchy(shuffled.astype(np.uint32), NUM_VERTICES)
    assert np.array_equal(again, leaves)
    assert hashlib.sha256(leaves.astype("<i8").tobytes()).hexdigest() == CAPSULE_HASH


def test_a_mesh_of_the_body_s_size_takes_seconds() -> None:
    """E5 at 6,890 vertices, 13,776 faces and 20,664 edges, under 5 s of this process's time."""
    faces, num_vertices = capsule(84, 82)
    assert (num_vertices, len(faces)) == (6890, 13776)
    with processor_time() as took:
        labels = binary_hierarchy(faces, num_vertices)
    assert took.seconds < 5
    sizes = np.bincount(labels)
    assert len(sizes) == 192
    assert sizes.min() > 6890 / 192 / 2 and sizes.max() < 6890 / 192 * 2


def naive_merge(graph: MeshGraph, count: int) -> list[tuple[int, ...]]:
    """The rule of ``merge_smallest``, looking at every pair at every step."""
    weights = dense(graph)
    clusters = [(i,) for i in range(graph.num_nodes)]
    while len(clusters) > count:
        options = []
        for one, two in combinations(clusters, 2):
            cut = weights[np.ix_(one, two)].sum()
            if cut:
                size = graph.sizes[list(one + two)].sum()
                options.append((size, -cut, min(one), min(two), one, two))
        one, two = min(options)[-2:]
        kept = [c for c in clusters if c not in (one, two)]
        clusters = sorted([*kept, tuple(sorted(one + two))])
    return clusters


@pytest.mark.parametrize("seed", range(10))
def test_merging_follows_its_rule(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = random_graph(rng, 16, 0.5, 3)
    graph = MeshGraph(graph.edges, graph.weights, rng.integers(1, 4, 16))
    for count in (16, 9, 4, 1):
        assert members(merge_smallest(graph, count)) == naive_merge(graph, count)


def test_a_mesh_in_pieces_or_too_small_is_refused() -> None:
    graph = graph_of({(0, 1): 1, (2, 3): 1}, 5)
    assert members(merge_smallest(graph, 3)) == [(0, 1), (2, 3), (4,)]
    with pytest.raises(ValueError, match="gives 3 clusters, 2 were asked for"):
        merge_smallest(graph, 2)
    with pytest.raises(ValueError, match="gives 5 clusters, 6 were asked for"):
        merge_smallest(graph, 6)
    with pytest.raises(ValueError, match="50 clusters cannot be halved 2 times"):
        binary_hierarchy(FACES, NUM_VERTICES, 50)


@pytest.mark.parametrize("most", [1, 3, 100])
@pytest.mark.parametrize("seed", range(5))
def test_matching_against_brute_force(seed: int, most: int) -> None:
    """E5: of all perfect matchings the heaviest, and of those (many with ``most`` 1) the first."""
    rng = np.random.default_rng(seed)
    num_nodes = int(rng.choice([4, 6, 8, 10]))
    graph = random_graph(rng, num_nodes, 0.6, most)
    edges = {(i, j) for i, j in graph.edges.tolist()}
    options = matchings(list(range(num_nodes)), edges)
    if not options:
        with pytest.raises(ValueError, match="cannot all be paired"):
            perfect_matching(graph)
        return
    weights = dense(graph)
    expected = max(options, key=lambda pairs: sum(weights[pair] for pair in pairs))
    assert members(perfect_matching(graph)) == expected


def test_odd_cycles_are_not_taken_by_halves() -> None:
    """E5: two heavy triangles and a light bridge: half of every side would weigh 30, whole 21."""
    triangles = dict.fromkeys([(0, 1), (0, 2), (1, 2), (3, 4), (3, 5), (4, 5)], 10)
    graph = graph_of({**triangles, (2, 3): 1}, 6)
    assert members(perfect_matching(graph)) == [(0, 1), (2, 3), (4, 5)]


@pytest.mark.parametrize("num_nodes", [2, 3, 4])
def test_a_graph_without_perfect_matching_is_refused(num_nodes: int) -> None:
    star = {(0, j): 1 for j in range(1, num_nodes) if num_nodes > 2}
    with pytest.raises(ValueError, match="cannot all be paired with neighbours"):
        perfect_matching(graph_of(star, num_nodes))


def test_heavy_edge_matching_level_by_level() -> None:
    """E6: 1 or 2 members, pairs adjacent, maximal, coarse weights are sums."""
    graph = GRAPH
    for _ in range(5):
        labels = heavy_edge_matching(graph)
        clusters = members(labels)
        assert sorted(v for c in clusters for v in c) == list(range(graph.num_nodes))
        assert {len(c) for c in clusters} == {1, 2}
        assert all(a[0] < b[0] for a, b in pairwise(clusters))
        weights = dense(graph).astype(float)
        assert all(weights[c] for c in clusters if len(c) == 2)
        single = [c[0] for c in clusters if len(c) == 1]
        assert not weights[np.ix_(single, single)].any()
        coarse = contract(graph, labels)
        pick = one_hot(labels, len(clusters))
        sums = pick.T @ weights @ pick
        assert np.array_equal(dense(coarse), sums - np.diag(np.diag(sums)))
        assert np.array_equal(coarse.sizes, pick.T @ graph.sizes)
        assert np.array_equal(heavy_edge_matching(graph), labels)
        graph = coarse
    assert graph.sizes.sum() == NUM_VERTICES


def test_heavy_edge_matching_visits_and_chooses_by_its_rule() -> None:
    """E6: lowest degree first, the normalised weight decides, ties go to the lowest ids."""
    # 4 comes first (degree 2) and takes 3; 0 and 5 tie for 1 and 0 is visited first.
    graph = graph_of({(0, 1): 4, (1, 2): 9, (1, 5): 4, (2, 3): 9, (3, 4): 2}, 6)
    assert members(heavy_edge_matching(graph)) == [(0, 1), (2,), (3, 4), (5,)]
    # 0 has weight 4 to 1 and 3 to 2, but 4 (1/7 + 1/104) < 3 (1/7 + 1/7).
    graph = graph_of({(0, 1): 4, (0, 2): 3, (2, 4): 4, (1, 3): 100, (3, 4): 9}, 5)
    assert members(heavy_edge_matching(graph)) == [(0, 2), (1,), (3, 4)]
    square = graph_of({(0, 1): 1, (0, 3): 1, (1, 2): 1, (2, 3): 1}, 4)
    assert members(heavy_edge_matching(square)) == [(0, 1), (2, 3)]
    assert members(heavy_edge_matching(graph_of({}, 2))) == [(0,), (1,)]
