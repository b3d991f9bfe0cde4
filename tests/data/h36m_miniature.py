"""Human3.6M in the exact form of its files, in little: packaged motion on a made-up body.

What is written: VideoPose3D's archives (32 markers, metres, irregular names, detections longer than
the motion), Pose2Mesh's annotations (numbered actions, millimetres, a part of the frames), SMPL's
model and the joint regressor. Markers are the body's own joints, so all files agree.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.spatial.transform import Rotation

from hipart.data.h36m.archives import KEPT_MARKERS, MARKERS
from hipart.data.h36m.cameras import cameras_of
from hipart.data.h36m.sequences import SUBJECTS, sequence_name
from hipart.data.motion import BONES, read_motion
from hipart.data.smpl import SmplPoints, read_smpl
from tests.data.smpl_miniature import joint_regressor, write_smpl

Floats = NDArray[np.float64]

FRAMES = 8
#: Of every eight frames the bodies are of these, as the real ones are of a part.
WITH_BODY = (0, 1, 4, 6)
LONGER = 3
SYMMETRY = [[4, 5, 6, 11, 12, 13], [1, 2, 3, 14, 15, 16]]
#: (action, subaction): some of the damaged, one whose names are irregular, and a sit beside a
#: sitting down.
NUMBERED = ((5, 2), (9, 1), (10, 2), (13, 1), (14, 1))
#: Which of the open rig's bones turns SMPL's bone.
TURNED_BY = {
    **{1: "LeftUpLeg", 2: "RightUpLeg", 3: "LowerBack", 4: "LeftLeg", 5: "RightLeg", 6: "Spine"},
    **{7: "LeftFoot", 8: "RightFoot", 9: "Spine1", 12: "Neck", 15: "Head"},
    **{16: "LeftArm", 17: "RightArm", 18: "LeftForeArm", 19: "RightForeArm"},
}


@dataclass(frozen=True)
class Body:
    """SMPL's parameters of a sequence, and its joints (T, 17, 3) in the world, metres."""

    pose: Floats
    shape: Floats
    trans: Floats
    joints: Floats


@dataclass(frozen=True)
class Miniature:
    """Where the files were written, and what is in them."""

    root: Path
    smpl: Path
    bodies: dict[tuple[str, int, int], Body]


def write(
    root: Path,
    subjects: Sequence[str] = SUBJECTS,
    numbered: Sequence[tuple[int, int]] = NUMBERED,
    frames: int = FRAMES,
) -> Miniature:
    """Write all files beneath ``root``, in folders as people have them."""
    archives, annotations = root / "data", root / "data/Human36M/annotations"
    annotations.mkdir(parents=True)
    smpl = root / "basicModel_neutral_lbs_10_207_0_v1.0.0.pkl"
    write_smpl(smpl)
    regressor = joint_regressor()
    np.save(root / "data/Human36M/J_regressor_h36m_correct.npy", regressor)
    points = read_smpl(smpl).averaging(sparse.csr_matrix(regressor))
    bodies = {
        (subject, *number): body(points, 100 * index + place, frames)
        for index, subject in enumerate(subjects)
        for place, number in enumerate(numbered)
    }
    _write_archives(archives, bodies)
    for subject in subjects:
        _write_annotations(annotations, subject, bodies)
    return Miniature(root, smpl, bodies)


def body(points: SmplPoints, seed: int, frames: int) -> Body:
    """A stretch of a packaged clip, in a world whose z is up; ``points`` are the 17 joints."""
    clips = [clip for clip in read_motion().clips if len(clip) >= frames]
    clip = clips[seed % len(clips)]
    chance = np.random.default_rng(seed)
    start = int(chance.integers(0, len(clip) - frames + 1))
    rows = slice(start, start + frames)
    pose = np.zeros((frames, 24, 3))
    for bone, name in TURNED_BY.items():
        pose[:, bone] = clip.rot[rows, BONES.index(name)]
    upright = Rotation.from_euler("zx", [chance.uniform(0, 360), 90], degrees=True)
    pose[:, 0] = (upright * Rotation.from_rotvec(clip.rot[rows, 0])).as_rotvec()
    shape = np.broadcast_to(chance.normal(size=10) / 2, (frames, 10)).copy()
    trans = np.array([*chance.uniform(-0.5, 0.5, 2), 0.95]) + 0.01 * chance.normal(size=(frames, 3))
    flat = pose.reshape(frames, 72)
    joints = points.points(flat, shape) + trans[:, None]
    return Body(flat, shape, trans, joints)


def with_body(frames: int) -> list[int]:
    """Which frames of a sequence have one."""
    return [frame for frame in range(frames) if frame % FRAMES in WITH_BODY]


def _write_archives(folder: Path, bodies: dict[tuple[str, int, int], Body]) -> None:
    poses_3d: dict[str, dict[str, Any]] = {}
    exact: dict[str, dict[str, Any]] = {}
    detected: dict[str, dict[str, Any]] = {}
    chance = np.random.default_rng(0)
    for (subject, action, subaction), one in bodies.items():
        name = older(sequence_name(subject, action, subaction))
        markers = np.zeros((len(one.joints), MARKERS, 3), np.float32)
        markers[:, KEPT_MARKERS] = one.joints
        poses_3d.setdefault(subject, {})[name] = markers
        kept = markers[:, KEPT_MARKERS].astype(np.float64)
        views = [camera.project(camera.see(kept)) for camera in cameras_of(subject)]
        exact.setdefault(subject, {})[name] = [view.astype(np.float32) for view in views]
        longer = [np.concatenate([view, view[-1:].repeat(LONGER, 0)]) for view in views]
        detected.setdefault(subject, {})[name] = [
            (view + chance.normal(0, 4, view.shape)).astype(np.float32) for view in longer
        ]
    np.savez_compressed(folder / "data_3d_h36m.npz", positions_3d=np.array(poses_3d, object))
    metadata = {"layout_name": "h36m", "num_joints": 17, "keypoints_symmetry": SYMMETRY}
    for file, held in (
        ("data_2d_h36m_gt.npz", exact),
        ("data_2d_h36m_cpn_ft_h36m_dbb.npz", detected),
    ):
        np.savez_compressed(
            folder / file,
            positions_2d=np.array(held, object),
            metadata=np.array(metadata, object),
        )


def _write_annotations(
    folder: Path, subject: str, bodies: dict[tuple[str, int, int], Body]
) -> None:
    joints: dict[str, Any] = {}
    params: dict[str, Any] = {}
    for (owner, action, subaction), one in bodies.items():
        if owner != subject:
            continue
        places = {str(f): (1000 * one.joints[f]).tolist() for f in range(len(one.joints))}
        joints.setdefault(str(action), {})[str(subaction)] = places
        params.setdefault(str(action), {})[str(subaction)] = {
            str(f): {
                "pose": one.pose[f].tolist(),
                "shape": one.shape[f].tolist(),
                "trans": one.trans[f].tolist(),
            }
            for f in with_body(len(one.joints))
        }
    number = subject.removeprefix("S")
    for kind, held in (("joint_3d", joints), ("smpl_param", params), ("camera", camera(subject))):
        (folder / f"Human36M_subject{number}_{kind}.json").write_text(json.dumps(held))


def camera(subject: str) -> dict[str, Any]:
    """As Pose2Mesh has it: x_cam = R x + t, millimetres, and no lens."""
    return {
        str(number): {
            "R": one.R.tolist(),
            "t": (-1000 * one.R @ one.at).tolist(),
            "f": one.focal.tolist(),
            "c": one.centre.tolist(),
        }
        for number, one in enumerate(cameras_of(subject), 1)
    }


@cache
def older(name: str) -> str:
    """What VideoPose3D's older archives call a sequence."""
    first, *rest = name.split(" ")
    return " ".join([{"Photo": "TakingPhoto", "WalkDog": "WalkingDog"}.get(first, first), *rest])
