"""COCO keypoints in; JSON, BVH and pictures out."""

import json

import numpy as np
import pytest

from hipart.data.coco import KEYPOINTS, from_coco
from hipart.predicting.bvh import write_bvh
from hipart.predicting.coco import read_coco
from hipart.predicting.files import parsed_size
from hipart.predicting.found import Found
from hipart.predicting.picture import write_gif, write_png
from hipart.predicting.plain import write_json
from hipart.skeleton import JOINTS

CHANCE = np.random.default_rng(0)
FOUND = Found(
    CHANCE.uniform(0, 1000, (3, 17, 2)),
    {"pose_3d_mm": CHANCE.normal(0, 500, (3, 17, 3)).astype(np.float32)},
)


def keypoints(**changes):
    """Entry i of COCO stands at (10 i, 5 i), all seen."""
    points = np.array([[10.0 * i, 5.0 * i, 0.9] for i in range(17)])
    for name, score in changes.items():
        points[KEYPOINTS.index(name), 2] = score
    return points


def test_joints_of_coco():
    pose = dict(zip(JOINTS, from_coco(keypoints(left_ear=0)[None])[0].tolist(), strict=True))
    assert pose["RWrist"] == [100, 50] and pose["LFoot"] == [150, 75]
    assert pose["Hip"] == [115, 57.5] and pose["Thorax"] == [55, 27.5]
    assert pose["Spine"] == [85, 42.5] and pose["Neck"] == [0, 0]
    assert pose["Head"] == pytest.approx([70 / 3, 35 / 3])


RESULT = {"image_id": 1, "category_id": 1, "keypoints": keypoints().ravel().tolist(), "score": 1.0}
IMAGE = {"id": 1, "width": 640, "height": 480}


def test_both_forms_of_coco(tmp_path):
    file = tmp_path / "a.json"
    file.write_text(json.dumps([RESULT, RESULT]))
    assert read_coco(file).poses.shape == (2, 17, 2) and read_coco(file).image_size is None
    file.write_text(json.dumps({"images": [IMAGE], "annotations": [RESULT]}))
    assert read_coco(file).image_size == (640, 480)


REFUSED = {
    "no JSON": ("[", "not JSON"),
    "deep": ("[" * 100_000, "not JSON"),
    "a number": ("3", "COCO's results"),
    "nothing": ("[]", "0 poses"),
    "16 keypoints": ([RESULT, {"keypoints": [1.0] * 48}], "entry 1: no 'keypoints' of 51"),
    "NaN": ([{"keypoints": [float("nan")] * 51}], "entry 0: .* no finite number"),
    "huge": ([{"keypoints": [10**400] * 51}], "entry 0: .* no finite number"),
    "a missing knee": (
        [RESULT, {"keypoints": keypoints(left_knee=0).ravel().tolist()}],
        "pose 1: keypoint left_knee missing",
    ),
    "no face": (
        [{"keypoints": np.where(np.arange(51) < 15, 0, keypoints().ravel()).tolist()}],
        "pose 0: keypoint nose missing",
    ),
    "two sizes": (
        {"images": [IMAGE, {**IMAGE, "width": 9}], "annotations": [RESULT]},
        "images of 2 sizes",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_not_coco_is_refused(tmp_path, what):
    held, message = REFUSED[what]
    file = tmp_path / "a.json"
    file.write_text(held if isinstance(held, str) else json.dumps(held))
    with pytest.raises(ValueError, match=message) as refusal:
        read_coco(file)
    assert "a.json" in str(refusal.value)


def test_an_image_size_of_text():
    assert parsed_size("1920x1080") == (1920, 1080)
    for text in ("1920", "1920x", "x9", "-1x5", "0x5", "9" * 30 + "x1", "1e3x5"):
        with pytest.raises(ValueError):
            parsed_size(text)


def positions(text):
    """Joint positions (N, joints, 3) by name order of a BVH whose channels are positions."""
    head, _, motion = text.partition("MOTION")
    names, parents, stack = [], [], []
    lines = [line.split() for line in head.splitlines()]
    for place, words in enumerate(lines):
        if words[0] in ("ROOT", "JOINT"):
            parents.append(stack[-1] if stack else -1)
            names.append(words[1])
        elif words[0] == "{":
            ended = lines[place - 1][0] == "End"
            stack.append(-2 if ended else len(names) - 1)
        elif words[0] == "}":
            stack.pop()
    rows = motion.strip().splitlines()
    assert rows[0] == f"Frames: {len(rows) - 2}" and rows[1].startswith("Frame Time:")
    local = np.array([row.split() for row in rows[2:]], float).reshape(len(rows) - 2, -1, 3)
    for joint, parent in enumerate(parents):
        if parent >= 0:
            local[:, joint] += local[:, parent]
    return local[:, [names.index(name) for name in JOINTS]]


def test_a_bvh_comes_back(tmp_path):
    write_bvh(FOUND, tmp_path / "a.bvh")
    expected = FOUND.upright_mm - FOUND.upright_mm[:, :1]
    found = positions((tmp_path / "a.bvh").read_text())
    assert np.abs(found - expected).max() < 0.1


def test_json_comes_back(tmp_path):
    write_json(FOUND, tmp_path / "a.json")
    held = json.loads((tmp_path / "a.json").read_text())
    assert np.abs(np.array(held["pose_3d_mm"]) - FOUND.joints_mm).max() < 0.001
    assert tuple(held["joints"]) == JOINTS


def test_pictures(tmp_path):
    from PIL import Image

    write_png(FOUND, tmp_path / "a.png")
    write_gif(FOUND, tmp_path / "a.gif")
    with Image.open(tmp_path / "a.png") as still, Image.open(tmp_path / "a.gif") as moving:
        assert still.size == moving.size == (800, 420)
        assert moving.n_frames == 3
