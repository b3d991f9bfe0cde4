"""COCO's keypoints, and the one recipe that makes the 17 joints used here of them."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.skeleton import JOINTS

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
#: What stands in for a limb's keypoint that was not seen, from the body outwards.
STAND_INS = (
    ("left_hip", "right_hip"),
    ("right_hip", "left_hip"),
    ("left_shoulder", "right_shoulder"),
    ("right_shoulder", "left_shoulder"),
    *((f"{side}_knee", f"{side}_hip") for side in ("left", "right")),
    *((f"{side}_ankle", f"{side}_knee") for side in ("left", "right")),
    *((f"{side}_elbow", f"{side}_shoulder") for side in ("left", "right")),
    *((f"{side}_wrist", f"{side}_elbow") for side in ("left", "right")),
    *(("nose", KEYPOINTS[index]) for index in FACE),
    *((KEYPOINTS[index], "nose") for index in FACE),
)
#: Without one of each of these a pose is not filled in.
LEAST = (("left_hip", "right_hip"), ("left_shoulder", "right_shoulder"), KEYPOINTS[:5])


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


def filled(keypoints: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """COCO's keypoints (N, 17, 3) with none missing, and which poses (N,) that was possible for.

    A keypoint with a score of 0 takes the place of its neighbour towards the body: an ankle that of
    the knee, a wrist that of the elbow, a hip or shoulder that of the other one, the nose that of
    an eye or ear. A pose with neither hip, neither shoulder or nothing of the head stays as it is.
    """
    points = np.array(keypoints, np.float64)
    places = {name: index for index, name in enumerate(KEYPOINTS)}
    seen = points[..., 2] > 0
    least = [seen[:, [places[one] for one in some]].any(axis=1) for some in LEAST]
    enough = np.asarray(np.all(least, axis=0))
    no_face = ~seen[:, FACE].any(axis=1)
    for name, other in STAND_INS:
        place, by = places[name], places[other]
        missing = points[:, place, 2] <= 0
        if place in FACE:  # one that was seen is enough, and better than the nose
            missing &= no_face
        missing &= enough
        points[missing, place] = points[missing, by]
    return points, enough
