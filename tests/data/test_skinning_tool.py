"""The build tool's coefficients against linear blend skinning written out, vertex by vertex."""

import numpy as np
import pytest

from hipart.data.body import global_rotations, pose
from hipart.data.motion import BONE_PARENTS, BONES

pytest.importorskip("scipy")

from open_corpus_body import QUANTUM, skinning
from open_corpus_levels import coarsen, pair_up, pairings

from hipart.data.retarget import align


def test_folded_coefficients_are_linear_blend_skinning() -> None:
    rng = np.random.default_rng(0)
    heads = rng.normal(0, 0.5, (len(BONES), 3))
    vertices = rng.normal(0, 0.5, (40, 3))
    weights = rng.dirichlet(np.ones(len(BONES)), 40)
    clusters = rng.dirichlet(np.ones(40), 5)
    coefficients = skinning(vertices, weights, clusters, heads).astype(np.float32)

    rot = rng.normal(0, 0.7, (1, len(BONES), 3)).astype(np.float32)
    root = np.array([[0.3, 1.0, -0.2]], np.float32)
    flat = global_rotations(rot)
    turned = flat.reshape(3, len(BONES), 3).swapaxes(0, 1).astype(float)
    position = [root[0].astype(float)]
    for bone, parent in list(enumerate(BONE_PARENTS))[1:]:
        position.append(position[parent] + turned[parent] @ (heads[bone] - heads[parent]))
    skin = np.zeros_like(vertices)
    for bone in range(len(BONES)):
        moved = (vertices - heads[bone]) @ turned[bone].T + position[bone]
        skin += weights[:, bone, None] * moved
    tolerance = len(BONES) * QUANTUM
    assert np.allclose(pose(root, flat, coefficients)[0].T, clusters @ skin, atol=tolerance)


def test_coarsening_keeps_every_vertex_once_and_groups_neighbours() -> None:
    points = np.stack([np.arange(24.0), np.zeros(24), np.zeros(24)], axis=1)
    chain = {(i, i + 1): 1.0 for i in range(23)}
    clusters = coarsen(list(range(24)), np.ones(24), chain, points, 12)
    assert sorted(v for cluster in clusters for v in cluster) == list(range(24))
    assert len(clusters) == 12
    assert all(max(cluster) - min(cluster) == len(cluster) - 1 for cluster in clusters)


def test_pairing_is_exact() -> None:
    assert len(pairings(list(range(12)))) == 11 * 9 * 7 * 5 * 3
    line = np.array([[x, 0, 0] for x in (0.0, 10.0, 0.5, 10.5, 5.0, 5.5)])
    assert {frozenset(pair) for pair in pair_up(line, np.ones(6))} == {
        frozenset(pair) for pair in ((0, 2), (1, 3), (4, 5))
    }


def test_align_turns_one_direction_into_the_other() -> None:
    rng = np.random.default_rng(0)
    for _ in range(5):
        a, b = rng.normal(size=(2, 3))
        assert np.allclose(align(a, b).apply(a / np.linalg.norm(a)), b / np.linalg.norm(b))
    assert align(a, a).magnitude() == pytest.approx(0)
