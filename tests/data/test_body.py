"""The body: its levels, its symmetry, and linear blend skinning folded into coefficients."""

import numpy as np
import pytest

from hipart.data.body import (
    BODY_FILE,
    NUM_POINTS,
    bodies,
    coarser,
    global_rotations,
    mirror,
    pose,
    surface,
)
from hipart.data.motion import BONE_PARENTS, BONES
from hipart.data.plan import SUBJECTS
from hipart.skeleton import LEFT, NUM_DENSE, NUM_FINE, NUM_JOINTS, PARTS, RIGHT

REST = np.zeros((1, len(BONES), 3), np.float32)
ORIGIN = np.zeros((1, 3), np.float32)
DENSE = slice(NUM_JOINTS, NUM_JOINTS + NUM_DENSE)
FINE = slice(NUM_JOINTS + NUM_DENSE, NUM_JOINTS + NUM_DENSE + NUM_FINE)


def area() -> np.ndarray:
    with np.load(BODY_FILE) as stored:
        return np.asarray(stored["area"])


def rotation(vector: np.ndarray) -> np.ndarray:
    """Rodrigues, written out for one vector."""
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@pytest.mark.parametrize("name", ["reference", *SUBJECTS])
def test_every_subject_is_a_standing_person(name: str) -> None:
    body = bodies()[name]
    assert body.levels.shape == (NUM_JOINTS + NUM_DENSE + NUM_FINE + NUM_POINTS, len(BONES), 3)
    assert body.points.shape == (NUM_POINTS, len(BONES), 3)
    points = pose(ORIGIN, global_rotations(REST), body.points)[0].T
    assert 1.3 < np.ptp(points[:, 1]) < 2.1
    assert 0.65 < body.leg < 1.0
    assert 0 < body.sole < 0.05


def test_a_rest_pose_gives_the_rest_points() -> None:
    body = bodies()["S9"]
    posed = pose(np.array([[1, 2, 3]], np.float32), global_rotations(REST), body.levels)
    assert np.allclose(posed[0].T, body.levels.sum(axis=1) + [1, 2, 3], atol=1e-5)


def test_global_rotations_against_a_written_out_chain() -> None:
    rot = np.random.default_rng(0).normal(0, 1, (3, len(BONES), 3)).astype(np.float32)
    turned = global_rotations(rot).reshape(3, 3, len(BONES), 3).swapaxes(1, 2)
    for frame in range(3):
        expected: list[np.ndarray] = []
        for bone, parent in enumerate(BONE_PARENTS):
            own = rotation(rot[frame, bone].astype(float))
            expected.append(own if parent < 0 else expected[parent] @ own)
        assert np.allclose(turned[frame], expected, atol=1e-5)


def test_turning_the_hips_turns_the_whole_body_about_them() -> None:
    rot = REST.copy()
    rot[0, 0] = [0.3, -1.1, 0.4]
    body = bodies()["S11"]
    turned = pose(ORIGIN, global_rotations(rot), body.levels)[0]
    still = pose(ORIGIN, global_rotations(REST), body.levels)[0]
    assert np.allclose(turned, rotation(rot[0, 0].astype(float)) @ still, atol=1e-5)


def test_bending_one_bone_keeps_the_lengths_of_the_limbs() -> None:
    rng = np.random.default_rng(1)
    rot = rng.normal(0, 0.5, (20, len(BONES), 3)).astype(np.float32)
    joints = pose(np.zeros((20, 3), np.float32), global_rotations(rot), bodies()["S6"].levels)
    for a, b in ((1, 2), (2, 3), (4, 5), (5, 6), (11, 12), (12, 13), (14, 15), (15, 16)):
        length = np.linalg.norm(joints[:, :, a] - joints[:, :, b], axis=1)
        assert np.ptp(length) < 1e-4


def test_each_level_is_the_area_weighted_mean_of_the_next() -> None:
    body, weight = bodies()["S5"], area()
    fine_area = weight.reshape(NUM_FINE, 2).sum(axis=1)
    for dense in range(NUM_DENSE):
        children = [2 * dense, 2 * dense + 1]
        mean = np.average(body.levels[FINE][children], axis=0, weights=fine_area[children])
        assert np.allclose(body.levels[DENSE][dense], mean, atol=1e-5)
    for fine in range(NUM_FINE):
        children = [2 * fine, 2 * fine + 1]
        mean = np.average(body.points[children], axis=0, weights=weight[children])
        assert np.allclose(body.levels[FINE][fine], mean, atol=1e-5)


def test_coarser_by_hand() -> None:
    points = np.arange(NUM_POINTS, dtype=np.float32)
    weights = np.tile([1, 3], NUM_FINE).astype(np.float32)
    assert coarser(points, weights, NUM_FINE)[:2] == pytest.approx([0.75, 2.75])


def test_points_belong_to_their_parts() -> None:
    """The mean of a limb part's dense points lies near that limb."""
    body = bodies()["reference"]
    joints, dense = body.levels[:NUM_JOINTS].sum(axis=1), body.levels[DENSE].sum(axis=1)
    centre = {part: dense[3 * i : 3 * i + 3].mean(axis=0) for i, part in enumerate(PARTS)}
    for part, a, b in (("RHip", 1, 2), ("LKnee", 5, 6), ("LShoulder", 11, 12), ("RElbow", 15, 16)):
        assert np.linalg.norm(centre[part] - (joints[a] + joints[b]) / 2) < 0.08
    assert centre["LFoot"][1] < joints[6][1]
    assert centre["Hip"][1] < centre["Spine"][1] < centre["Thorax"][1] < centre["Head"][1]


@pytest.mark.parametrize("count", [NUM_JOINTS, NUM_DENSE, NUM_FINE, NUM_POINTS])
def test_left_and_right_mirror_each_other(count: int) -> None:
    body = bodies()["reference"]
    whole = {
        NUM_JOINTS: body.levels[:NUM_JOINTS],
        NUM_DENSE: body.levels[DENSE],
        NUM_FINE: body.levels[FINE],
        NUM_POINTS: body.points,
    }[count].sum(axis=1)
    order = mirror(count)
    assert np.array_equal(order[order], np.arange(count))
    assert np.abs(whole[order] * [-1, 1, 1] - whole).max() < 2e-3


def test_left_is_left() -> None:
    joints = bodies()["reference"].levels[:NUM_JOINTS].sum(axis=1)
    assert np.all(joints[list(LEFT), 0] > 0.05)
    assert np.all(joints[list(RIGHT), 0] < -0.05)


def test_the_skin_surrounds_the_joints_of_its_subject() -> None:
    skin, joints = surface().sum(axis=1), bodies()["S9"].levels[:NUM_JOINTS].sum(axis=1)
    assert skin.shape == (1500, 3)
    inside = (skin.min(axis=0) < joints) & (joints < skin.max(axis=0) + 0.01)
    assert inside.all()
