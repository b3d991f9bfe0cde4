"""Dense points of a body's mesh: exact sizes, one answer, and points that are means."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from hipart.data.levels import BodyLevels, body_levels
from hipart.skeleton import NUM_DENSE, NUM_FINE, NUM_FINEST, PART_JOINTS
from tests.data.smpl_miniature import VERTICES, faces, joint_regressor, template
from tests.timing import processor_time

SHUFFLED = """
import hashlib, sys
sys.path.insert(0, {root!r})
from tests.data.test_levels import hashed, made
print(hashed(made()))
"""


def made(coarsening: str = "exact_binary") -> BodyLevels:
    """The levels of the made-up body."""
    rest = template()
    return body_levels(faces(), rest, joint_regressor() @ rest, coarsening)  # type: ignore[arg-type]


def hashed(levels: BodyLevels) -> str:
    """Of which vertex belongs where."""
    return hashlib.sha256(levels.members.toarray().astype(np.uint8).tobytes()).hexdigest()


@pytest.fixture(scope="module")
def exact() -> BodyLevels:
    return made()


def test_the_mesh_is_closed() -> None:
    sides = np.sort(np.concatenate([faces()[:, [0, 1]], faces()[:, [1, 2]], faces()[:, [2, 0]]]))
    _, counts = np.unique(sides, axis=0, return_counts=True)
    assert len(faces()) == 13776 == 2 * VERTICES - 4 and (counts == 2).all()


def test_levels_are_partitions_and_every_parent_has_two_children(exact: BodyLevels) -> None:
    members = exact.members.toarray()
    assert members.shape == (NUM_FINEST, VERTICES)
    assert (members.sum(axis=0) == 1).all() and (members.sum(axis=1) > 0).all()
    weights = exact.means.toarray()
    dense, fine, finest = np.split(weights, [NUM_DENSE, NUM_DENSE + NUM_FINE])
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    held = (finest > 0).reshape(NUM_FINE, 2, -1).any(axis=1)
    assert ((fine > 0) == held).all() and ((dense > 0) == held.reshape(48, 2, -1).any(1)).all()


def test_points_are_means_of_their_vertices(exact: BodyLevels) -> None:
    meshes = np.random.default_rng(0).normal(size=(3, VERTICES, 3))
    points = exact.points(meshes)
    assert points.shape == (3, NUM_DENSE + NUM_FINE + NUM_FINEST, 3)
    members = exact.members.toarray() > 0
    np.testing.assert_allclose(points[:, -1], meshes[:, members[-1]].mean(axis=1))
    first = members[:4].any(axis=0)
    np.testing.assert_allclose(points[:, 0], meshes[:, first].mean(axis=1))


def test_parts_have_the_points_that_lie_nearest_in_all(exact: BodyLevels) -> None:
    rest = template()
    joints = (joint_regressor() @ rest)[list(PART_JOINTS)]
    apart = np.linalg.norm(exact.points(rest[None])[0, :NUM_DENSE, None] - joints, axis=-1)
    mine = apart[np.arange(NUM_DENSE), np.arange(NUM_DENSE) // 3]
    assert (np.diff(mine.reshape(-1, 3), axis=1) >= 0).all(), "a part's points, nearest first"
    chance = np.random.default_rng(0)
    for _ in range(200):  # no exchange of two makes it better
        one, two = chance.choice(NUM_DENSE, 2, replace=False)
        changed = apart[one, two // 3] + apart[two, one // 3]
        assert changed >= mine[one] + mine[two] - 1e-12


def test_the_answer_is_one_and_quick(exact: BodyLevels, request: pytest.FixtureRequest) -> None:
    with processor_time() as took:
        recomputed = made()
    assert hashed(recomputed) == hashed(exact)
    assert took.seconds < 5
    code = SHUFFLED.format(root=str(request.config.rootpath))
    again = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={}
    )
    assert again.stdout.strip() == hashed(exact), "another process, other hashes of strings"


def test_the_legacy_matching_pads(exact: BodyLevels) -> None:
    legacy = made("hem_legacy")
    assert legacy.members.shape == (NUM_FINEST, VERTICES)
    rows = {row.tobytes() for row in legacy.members.toarray().astype(np.uint8)}
    assert len(rows) < NUM_FINEST, "some clusters stand for a missing one"
    assert hashed(legacy) != hashed(exact)
