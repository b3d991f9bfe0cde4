"""A miniature of 3DPW in its own form, with made-up bodies, and what should be read of it."""

import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from tests.data.smpl_miniature import PARENTS, joint_regressor, write_smpl

#: COCO's keypoints by our joints; eyes and ears lie around the head.
COCO = (9, 10, 10, 10, 10, 11, 14, 12, 15, 13, 16, 4, 1, 5, 2, 6, 3)
AROUND_HEAD = np.array([[0, 0], [8, -4], [-8, -4], [16, 4], [-16, 4]], float)
OPENPOSE_OF_COCO = (0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
#: Split, frames, persons' genders, number of betas, whether the phone lies on its side.
SEQUENCES: dict[str, tuple[str, int, str, int, bool]] = {
    "downtown_bus_00": ("test", 8, "mf", 10, False),
    "flat_guitar_01": ("test", 31, "f", 300, True),
    "courtyard_box_00": ("train", 4, "m", 10, False),
    "courtyard_dancing_01": ("train", 2, "mf", 10, False),
    "outdoors_golf_00": ("validation", 3, "m", 10, False),
}
#: Frames without a valid camera pose by sequence and person.
INVALID = {
    **{("downtown_bus_00", 0): [2, 3], ("downtown_bus_00", 1): [5]},
    ("flat_guitar_01", 0): [1],
}
#: A wrist that OpenPose did not see, and a frame in which it saw nobody.
NO_WRIST, NOBODY = ("downtown_bus_00", 1, 6), ("downtown_bus_00", 1, 7)


@dataclass(frozen=True)
class Truth:
    """Of one person in T frames: vertices and joints in the camera's frame, m; joints in px."""

    vertices: np.ndarray  # (T, 6890, 3)
    joints: np.ndarray  # (T, 17, 3)
    pixels: np.ndarray  # (T, 17, 2)


def pose_body(
    model: dict[str, Any], pose: np.ndarray, betas: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (6890, 3) and joints (24, 3) of one body, as SMPL's paper writes them."""
    shaped = model["v_template"] + model["shapedirs"] @ betas[:10]
    joints = model["J_regressor"] @ shaped
    turns = Rotation.from_rotvec(pose.reshape(24, 3)).as_matrix()
    posed = shaped + model["posedirs"] @ (turns[1:] - np.eye(3)).ravel()
    world = []
    for bone, parent in enumerate(PARENTS):
        local = np.eye(4)
        local[:3, :3] = turns[bone]
        local[:3, 3] = joints[bone] - (joints[parent] if parent >= 0 else 0)
        world.append(world[parent] @ local if parent >= 0 else local)
    stacked = np.stack(world)
    moved = stacked.copy()
    moved[:, :3, 3] -= (stacked[:, :3, :3] @ joints[..., None])[..., 0]
    each = (model["weights"] @ moved.reshape(24, 16)).reshape(-1, 4, 4)
    vertices = (each[:, :3, :3] @ posed[..., None])[..., 0] + each[:, :3, 3]
    return vertices, stacked[:, :3, 3]


def write_pw3d(root: Path, seed: int = 0) -> dict[tuple[str, int], Truth]:
    """3DPW's folder of sequences, SMPL's three models and the regressor beneath ``root``."""
    (root / "models").mkdir(parents=True)
    models = {}
    for number, (gender, name) in enumerate(
        {"m": "basicmodel_m", "f": "basicModel_f", "neutral": "basicModel_neutral"}.items()
    ):
        path = root / "models" / f"{name}_lbs_10_207_0_v1.0.0.pkl"
        write_smpl(path, seed + number)
        held = pickle.loads(path.read_bytes())
        models[gender] = {key: getattr(value, "x", value) for key, value in held.items()}
    regressor = joint_regressor()
    np.save(root / "J_regressor_h36m_correct.npy", regressor)
    truths = {}
    for number, (name, (split, *_)) in enumerate(SEQUENCES.items()):
        held, told = _sequence(name, models, regressor, np.random.default_rng([seed, number]))
        folder = root / "3DPW" / "sequenceFiles" / split
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.pkl").write_bytes(pickle.dumps(held, 2))
        truths |= told
    return truths


def write_darkpose(root: Path, truths: dict[tuple[str, int], Truth], split: str = "test") -> None:
    """Pose2Mesh's annotations and DarkPose's detections: the exact joints, 3 px to the right.

    The second person of a sequence is not detected in its first frame.
    """
    images, annotations, detections = [], [], []
    for (name, person), truth in truths.items():
        if SEQUENCES[name][0] != split:
            continue
        for frame, pixels in enumerate(truth.pixels):
            number = len(images)
            images.append({"id": number, "sequence": name, "frame_idx": frame})
            annotations.append({"id": number + 7, "image_id": number, "person_id": person})
            if (person, frame) != (1, 0):
                points = np.column_stack([coco(pixels) + [3, 0], np.full(17, 0.5)])
                detections.append({"annotation_id": number + 7, "keypoints": points.tolist()})
    table = {"images": images, "annotations": annotations}
    (root / f"3DPW_latest_{split}.json").write_text(json.dumps(table))
    (root / f"darkpose_3dpw_{split}set_output.json").write_text(json.dumps(detections))


def coco(pixels: np.ndarray) -> np.ndarray:
    """COCO's keypoints (17, 2) of our joints (17, 2)."""
    found = pixels[list(COCO)].copy()
    found[:5] += AROUND_HEAD
    return found


def _sequence(
    name: str, models: dict[str, Any], regressor: np.ndarray, chance: np.random.Generator
) -> tuple[dict[str, Any], dict[tuple[str, int], Truth]]:
    _, frames, genders, betas, lying = SEQUENCES[name]
    width, height = (1920, 1080) if lying else (1080, 1920)
    focal = 1960.0
    intrinsics = np.array([[focal, 0, width / 2 + 3], [0, focal - 8, height / 2 - 5], [0, 0, 1]])
    camera = np.tile(np.eye(4), (frames, 1, 1))
    yaw = Rotation.from_euler("y", np.linspace(-0.2, 0.2, frames)[:, None]).as_matrix()
    camera[:, :3, :3] = np.diag([1.0, -1, -1]) @ yaw
    camera[:, :3, 3] = np.array([0, 0, 5]) + 0.1 * chance.standard_normal((frames, 3))
    keys = ("poses", "betas", "trans", "jointPositions", "poses2d", "campose_valid", "genders")
    held: dict[str, Any] = {key: [] for key in keys}
    truths = {}
    for person, gender in enumerate(genders):
        pose = 0.2 * chance.standard_normal((frames, 72))
        shape = chance.standard_normal(betas)
        at = np.array([0.8 * person - 0.3, 0.3, 0]) + 0.05 * chance.standard_normal((frames, 3))
        bodies = [pose_body(models[gender], one, shape) for one in pose]
        vertices = np.stack([body for body, _ in bodies]) + at[:, None]
        truth = _truth(vertices, camera, intrinsics, regressor)
        valid = np.ones(frames, np.int64 if person else bool)
        valid[INVALID.get((name, person), [])] = 0
        held["poses"].append(pose)
        held["betas"].append(shape)
        held["trans"].append(at)
        joints = np.stack([joints for _, joints in bodies]) + at[:, None]
        held["jointPositions"].append(joints.reshape(frames, 72))
        held["poses2d"].append(_openpose(name, person, truth.pixels))
        held["campose_valid"].append(valid)
        held["genders"].append(gender)
        truths[name, person] = truth
    camera[~np.any(held["campose_valid"], axis=0)] = np.nan
    return {
        "sequence": name,
        **held,
        "cam_poses": camera,
        "cam_intrinsics": intrinsics,
        "img_frame_ids": np.arange(frames) * 2,
        "poses_60Hz": [np.repeat(pose, 2, axis=0) for pose in held["poses"]],
        "trans_60Hz": [np.repeat(at, 2, axis=0) for at in held["trans"]],
        "betas_clothed": held["betas"],
        "v_template_clothed": [models["m"]["v_template"] for _ in genders],
        "texture_maps": [],
    }, truths


def _truth(
    world: np.ndarray, camera: np.ndarray, intrinsics: np.ndarray, regressor: np.ndarray
) -> Truth:
    vertices = np.stack([c[:3, :3] @ v.T + c[:3, 3:] for c, v in zip(camera, world, strict=True)])
    vertices = vertices.transpose(0, 2, 1)
    joints = np.stack([regressor @ one for one in vertices])
    seen = np.stack([intrinsics @ one.T for one in joints]).transpose(0, 2, 1)
    return Truth(vertices, joints, seen[..., :2] / seen[..., 2:])


def _openpose(name: str, person: int, pixels: np.ndarray) -> np.ndarray:
    """OpenPose's joints (T, 3, 18) where the true ones are; the neck lies on the thorax."""
    found = np.full((len(pixels), 3, 18), 0.9)
    for frame, joints in enumerate(pixels):
        points = coco(joints)
        for place, index in enumerate(OPENPOSE_OF_COCO):
            found[frame, :2, place] = joints[8] if index is None else points[index]
        if (name, person, frame) == NO_WRIST:
            found[frame, :, 7] = 0
        if (name, person, frame) == NOBODY:
            found[frame] = 0
    return found
