"""COCO keypoints as detectors and annotators write them, turned into the 17 joints used here."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.predicting.found import Asked
from hipart.predictor import MAX_POSES
from hipart.skeleton import JOINTS, NUM_JOINTS

#: The keypoints of COCO's person category, in its order.
KEYPOINTS = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear"),
    *("left_shoulder", "right_shoulder", "left_elbow", "right_elbow"),
    *("left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)
#: Joints that COCO has, too, and what it calls them.
SAME = {
    "RHip": "right_hip",
    "RKnee": "right_knee",
    "RFoot": "right_ankle",
    "LHip": "left_hip",
    "LKnee": "left_knee",
    "LFoot": "left_ankle",
    "LShoulder": "left_shoulder",
    "LElbow": "left_elbow",
    "LWrist": "left_wrist",
    "RShoulder": "right_shoulder",
    "RElbow": "right_elbow",
    "RWrist": "right_wrist",
}
#: Those of which one that was seen is enough.
FACE = tuple(KEYPOINTS.index(name) for name in KEYPOINTS[1:5])
NEEDED = tuple(index for index in range(len(KEYPOINTS)) if index not in FACE)
MAX_BYTES = 1 << 30


def read_coco(source: Path) -> Asked:
    """Read results (a list) or annotations (with ``images``), one pose an entry, in their order.

    Raises ValueError naming the entry that is not COCO's, or lacks a keypoint.
    """
    try:
        if source.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes: split it")
        held = json.loads(source.read_bytes())
    except OSError as error:
        raise ValueError(f"{source}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{source}: not JSON that can be read ({error})") from None
    try:
        entries, size = held, None
        if isinstance(held, dict):
            entries = held.get("annotations")
            size = _common_size(held.get("images"))
        if not isinstance(entries, list):
            raise ValueError("allowed are COCO's results, a list, or its images and annotations")
        if not 1 <= len(entries) <= MAX_POSES:
            raise ValueError(f"{len(entries)} poses, allowed 1 to {MAX_POSES}")
        keypoints = np.stack([_keypoints(index, entry) for index, entry in enumerate(entries)])
        return Asked(from_coco(keypoints), size)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def from_coco(keypoints: NDArray[Any]) -> NDArray[np.float64]:
    """Our joints (N, 17, 2) from COCO's (N, 17, 3): x, y, and a score or a flag of visibility.

    The twelve joints of the limbs are COCO's own, although its hips lie further out and higher
    than a motion capture's. The others are approximations: Hip and Thorax are the middles of hips
    and shoulders, Spine is the middle of those two, Neck (in Human3.6M between neck and nose) is
    the nose, and Head (there the crown) is the mean of the eyes and ears that were seen, which
    lies lower.

    A score of 0 means that the keypoint is missing. Raises ValueError with the index of the pose
    if one is, other than an eye or an ear beside another that was seen: nothing is made up.
    """
    seen = keypoints[..., 2] > 0
    for missing, what in (
        (~seen[:, NEEDED], "keypoint"),
        (~seen[:, FACE].any(axis=1, keepdims=True), "eyes and ears"),
    ):
        if missing.any():
            pose, place = (int(i) for i in np.argwhere(missing)[0])
            which = f"keypoint {KEYPOINTS[NEEDED[place]]}" if what == "keypoint" else what
            raise ValueError(
                f"pose {pose}: {which} missing (score 0): leave such poses out, or fill them in"
            )
    point = {name: keypoints[:, index, :2] for index, name in enumerate(KEYPOINTS)}
    joints = {ours: point[theirs] for ours, theirs in SAME.items()}
    joints["Hip"] = (point["left_hip"] + point["right_hip"]) / 2
    joints["Thorax"] = (point["left_shoulder"] + point["right_shoulder"]) / 2
    joints["Spine"] = (joints["Hip"] + joints["Thorax"]) / 2
    joints["Neck"] = point["nose"]
    joints["Head"] = keypoints[:, FACE, :2].mean(axis=1, where=seen[:, FACE, None])
    return np.stack([joints[name] for name in JOINTS], axis=1)


def _keypoints(index: int, entry: Any) -> NDArray[np.float64]:
    listed = entry.get("keypoints") if isinstance(entry, dict) else None
    if not isinstance(listed, list) or len(listed) != 3 * NUM_JOINTS:
        raise ValueError(f"entry {index}: no 'keypoints' of {3 * NUM_JOINTS} numbers")
    if not all(type(value) in (int, float) and abs(value) < 1e30 for value in listed):
        raise ValueError(f"entry {index}: 'keypoints' holds what is no finite number")
    return np.array(listed, np.float64).reshape(NUM_JOINTS, 3)


def _common_size(images: Any) -> tuple[int, int] | None:
    """Width and height of all images; None where they aren't told."""
    if not isinstance(images, list) or not all(isinstance(one, dict) for one in images):
        raise ValueError("'images' is no list of objects")
    sizes = {(repr(one.get("width")), repr(one.get("height"))) for one in images}
    if len(sizes) > 1:
        raise ValueError(f"images of {len(sizes)} sizes: predict those of one size at a time")
    if not images or "width" not in images[0] or "height" not in images[0]:
        return None
    return images[0]["width"], images[0]["height"]
