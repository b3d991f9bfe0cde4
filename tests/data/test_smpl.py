"""SMPL's bodies: the published formula, and points that are posed without the mesh."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse
from scipy.spatial.transform import Rotation

from hipart.data.smpl import SmplModel, axis_angle, read_smpl
from tests.data.smpl_miniature import PARENTS, VERTICES, joint_regressor, write_smpl


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> SmplModel:
    path = tmp_path_factory.mktemp("smpl") / "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl"
    write_smpl(path)
    return read_smpl(path)


def bodies(count: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(0)
    return 0.4 * chance.normal(size=(count, 72)), chance.normal(size=(count, 10))


def test_axis_angles_are_scipys() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 3)) * 2
    vectors[0] = 0
    np.testing.assert_allclose(
        axis_angle(vectors), Rotation.from_rotvec(vectors).as_matrix(), atol=1e-12
    )


def test_vertices_are_the_formula_written_out(model: SmplModel) -> None:
    """Loper et al. 2015, Eq. 2 to 10, one vertex at a time, with 4x4 matrices."""
    poses, shapes = bodies(2)
    found = model.vertices(poses, shapes)
    for pose, shape, mesh in zip(poses, shapes, found, strict=True):
        local = Rotation.from_rotvec(pose.reshape(24, 3)).as_matrix()
        joints = model.joints + model.joint_shape @ shape
        world, rest = [np.eye(4)] * 24, [np.eye(4)] * 24
        for bone, parent in enumerate(PARENTS):
            step = np.eye(4)
            step[:3, :3] = local[bone]
            step[:3, 3] = joints[bone] - (joints[parent] if parent >= 0 else 0)
            world[bone] = world[parent] @ step if parent >= 0 else step
            rest[bone] = np.eye(4)
            rest[bone][:3, 3] = joints[bone]
        moves = np.stack([w @ np.linalg.inv(r) for w, r in zip(world, rest, strict=True)])
        features = (local[1:] - np.eye(3)).reshape(-1)
        for vertex in range(0, VERTICES, 997):
            point = model.template[vertex] + model.shape[vertex] @ shape
            point = np.append(point + model.blend[vertex] @ features, 1)
            move = np.tensordot(model.weights[vertex], moves, 1)
            np.testing.assert_allclose(mesh[vertex], (move @ point)[:3], atol=1e-9)


def test_points_are_what_weights_make_of_vertices(model: SmplModel) -> None:
    poses, shapes = bodies(3)
    chance = np.random.default_rng(1)
    weights = np.concatenate([joint_regressor(), chance.normal(size=(4, VERTICES))])
    points = model.averaging(sparse.csr_matrix(weights)).points(poses, shapes)
    np.testing.assert_allclose(points, weights @ model.vertices(poses, shapes), atol=1e-9)


def test_an_unposed_body_is_its_template(model: SmplModel) -> None:
    mesh = model.vertices(np.zeros((1, 72)), np.zeros(10))
    np.testing.assert_allclose(mesh[0], model.template, atol=1e-12)
    turned = np.zeros((1, 72))
    turned[0, :3] = [0, np.pi, 0]
    mesh = model.vertices(turned, np.zeros(10))[0] - model.joints[0]
    np.testing.assert_allclose(mesh, (model.template - model.joints[0]) * [-1, 1, -1], atol=1e-9)


@pytest.mark.parametrize(
    "name, value, why",
    [
        ("shapedirs", np.zeros((VERTICES, 3, 300)), "300 shape directions"),
        ("weights", np.zeros((VERTICES, 52)), r"weights must have shape \(6890, 24\)"),
        ("v_template", np.full((VERTICES, 3), np.nan), "v_template has a NaN"),
        ("v_template", "text", "v_template must be an array of numbers"),
        ("kintree_table", np.zeros((2, 23)), "kintree_table"),
        ("f", None, "lacks f"),
    ],
)
def test_what_is_no_model(tmp_path: Path, name: str, value: object, why: str) -> None:
    path = tmp_path / "model.pkl"
    write_smpl(path, **{name: value})
    with pytest.raises(ValueError, match=why):
        read_smpl(path)
