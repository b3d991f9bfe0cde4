"""The open corpus: samples made on demand from recorded motion, a body and four cameras."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hipart.config import DataConfig, DetectorConfig
from hipart.data.body import bodies, global_rotations, mirror, pose
from hipart.data.cameras import four_cameras
from hipart.data.detector import detect
from hipart.data.motion import Motion
from hipart.data.plan import SUBJECTS, Plan, Views, draw, make_plan, sides
from hipart.data.samples import Samples
from hipart.data.splits import SIDES, Side
from hipart.data.truth import truth_of
from hipart.skeleton import NUM_DENSE, NUM_FINE, NUM_JOINTS, PARTS

Floats = NDArray[np.float32]
Indices = NDArray[np.int64]

CAMERAS = four_cameras()
#: This percentile of the height of a clip's lower foot is put on the floor.
FLOOR_PERCENTILE = 5
ROWS_AT_ONCE = 1024


@dataclass(frozen=True)
class Track:
    """All frames of a motion, one clip after another, ready to be placed and posed.

    ``root`` (F, 3) metres on the reference body, ``rotations`` (F, 3, 75), and the index of the
    ``first`` (clips,) frame of each clip.
    """

    root: Floats
    rotations: Floats
    first: Indices


def make_samples(motion: Motion, data: DataConfig, detector: DetectorConfig) -> dict[Side, Samples]:
    """The samples of every side of a motion. The detector never changes the exact arrays.

    Raises ValueError when a side has no samples or fewer than are asked for.
    """
    track = lay_out(motion)
    return {side: _side(motion, track, data, detector, side) for side in sides(data)}


def action_names(motion: Motion) -> tuple[str, ...]:
    """The labels of a motion, sorted: what ``Samples.action`` indexes."""
    return tuple(sorted({clip.label for clip in motion.clips}))


def lay_out(motion: Motion) -> Track:
    """Stack all clips and put each one's feet on the floor."""
    reference = bodies()["reference"]
    by_part = reference.points.reshape(len(PARTS), -1, *reference.points.shape[1:])
    feet = np.concatenate([by_part[PARTS.index(part)] for part in ("LFoot", "RFoot")])
    root = np.concatenate([clip.root for clip in motion.clips])
    rotations = np.concatenate([global_rotations(clip.rot) for clip in motion.clips])
    ends = np.cumsum([len(clip) for clip in motion.clips])
    first = ends - [len(clip) for clip in motion.clips]
    for start, end in zip(first, ends, strict=True):
        lowest = pose(root[start:end], rotations[start:end], feet)[:, 1].min(axis=1)
        root[start:end, 1] += reference.sole - np.percentile(lowest, FLOOR_PERCENTILE)
    return Track(root, rotations, first)


def _side(
    motion: Motion, track: Track, data: DataConfig, detector: DetectorConfig, side: Side
) -> Samples:
    plan, chosen = choose(motion, data, side)
    views = plan.views(chosen)
    levels, target = project(plan, track, views)
    exact, dense, fine, finest = levels
    names = action_names(motion)
    action = np.array([names.index(clip.label) for clip in motion.clips])[views.clip]
    ids = (action, views.subject, views.clip, views.camera, views.frame, views.sequence)
    samples = Samples(exact, exact, dense, fine, finest, target, *(i.astype(np.int32) for i in ids))
    chance = np.random.default_rng([detector.seed, SIDES.index(side)])
    detected, _ = detect(truth_of(samples, motion.fps), detector, chance)
    return replace(samples, detected_2d=detected)


def choose(motion: Motion, data: DataConfig, side: Side) -> tuple[Plan, Indices]:
    """The plan of a side and the samples of it that the settings draw; none is made yet.

    Raises ValueError when the side has no samples or fewer than are asked for.
    """
    plan = make_plan(motion, data, side)
    wanted = {
        "train": data.train_samples,
        "test": data.test_samples,
        "validation": data.validation_samples,
    }[side]
    generator = np.random.default_rng([data.seed, SIDES.index(side)])
    return plan, draw(plan, wanted, generator, data.sampling)


def project(plan: Plan, track: Track, views: Views) -> tuple[tuple[Floats, ...], Floats]:
    """Pixels of the 17, 48, 96 and 192 points of each view, and the 3D target (N, 17, 3) in mm."""
    splits = tuple(np.cumsum((NUM_JOINTS, NUM_DENSE, NUM_FINE)))
    width = next(iter(bodies().values())).levels.shape[0]
    pixels = [
        np.empty((len(views), stop - start, 2), np.float32)
        for start, stop in zip((0, *splits), (*splits, width), strict=True)
    ]
    target = np.empty((len(views), NUM_JOINTS, 3), np.float32)
    for subject in np.unique(views.subject):
        of_subject = np.flatnonzero(views.subject == subject)
        for start in range(0, len(of_subject), ROWS_AT_ONCE):
            rows = of_subject[start : start + ROWS_AT_ONCE]
            coefficients = bodies()[SUBJECTS[subject]].levels
            points = seen(plan, track, views, rows, coefficients)
            flat = CAMERAS.project(points.swapaxes(1, 2), views.camera[rows])
            for array, part in zip(pixels, np.split(flat, splits, axis=1), strict=True):
                array[rows] = part
            joints = points[:, :, :NUM_JOINTS]
            target[rows] = 1000 * (joints - joints[:, :, :1]).swapaxes(1, 2)
    turned = np.flatnonzero(views.mirrored)
    for array in pixels:
        centre = CAMERAS.centre[views.camera[turned], 0]
        array[turned] = _in_a_mirror(array[turned], 2 * centre)
    target[turned] = _in_a_mirror(target[turned], np.zeros(len(turned), np.float32))
    return tuple(pixels), target


def _in_a_mirror(points: Floats, ends: Floats) -> Floats:
    """Points (N, K, D) whose x is ``ends`` (N,) minus what it was, each as that of its other side.

    The motion of the mirrored body: left and right of every level are each other's images.
    """
    seen = points[:, mirror(points.shape[1])]
    seen[..., 0] = ends[:, None] - seen[..., 0]
    return seen


def seen(plan: Plan, track: Track, views: Views, rows: Indices, coefficients: Floats) -> Floats:
    """Points (n, 3, K) in the camera frame, metres, of these rows, all of one subject.

    Turning the bones' rotations into the camera's frame before posing turns every point at once.
    """
    take, placement, camera = views.take[rows], views.placement[rows], views.camera[rows]
    index = track.first[views.clip[rows]] + views.frame[rows]
    scale = bodies()[SUBJECTS[views.subject[rows[0]]]].leg / bodies()["reference"].leg
    turn = CAMERAS.R[camera] @ _about_y(plan.yaw[take, placement])
    hips = track.root[index].copy()
    hips[:, [0, 2]] -= plan.middle[take]
    spot = np.zeros_like(hips)
    spot[:, [0, 2]] = plan.place[take, placement]
    root = np.einsum("nij,nj->ni", turn, np.float32(scale) * hips)
    root += np.einsum("nij,nj->ni", CAMERAS.R[camera], spot) + CAMERAS.t[camera]
    return pose(root, turn @ track.rotations[index], coefficients)


def _about_y(angle: Floats) -> Floats:
    """Rotation matrices (N, 3, 3) about the vertical."""
    matrices = np.zeros((len(angle), 3, 3), np.float32)
    matrices[:, 0, 0] = matrices[:, 2, 2] = np.cos(angle)
    matrices[:, 0, 2] = np.sin(angle)
    matrices[:, 2, 0] = -matrices[:, 0, 2]
    matrices[:, 1, 1] = 1
    return matrices
