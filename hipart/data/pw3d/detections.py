"""Whose 2D joints a lifter is given on 3DPW, each as COCO's 17 keypoints with scores.

Sources: 3DPW's ``readme.txt`` and OpenPose's output format (the 18 joints of its COCO model);
Pose2Mesh ``data/PW3D/dataset.py`` (DarkPose's detections by the ids of its own annotations).
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.coco import KEYPOINTS, filled, from_coco
from hipart.data.pw3d.sequences import Recording

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

#: The 18 joints of ``poses2d`` by COCO's names; a neck is none of them.
OPENPOSE = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist"),
    *("left_shoulder", "left_elbow", "left_wrist", "right_hip", "right_knee", "right_ankle"),
    *("left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear"),
)
COCO_OF_OPENPOSE = tuple(OPENPOSE.index(name) for name in KEYPOINTS)
#: Detections and the annotations that their ids are of.
DARKPOSE = ("darkpose_3dpw_{split}set_output.json", "3DPW_latest_{split}.json")
WHERE_FROM = "Pose2Mesh's repository says where its 3DPW annotations and detections are kept"
MOST_BYTES = 4 << 30


@dataclass(frozen=True)
class DarkPose:
    """Detections by sequence, person and frame: COCO's keypoints (17, 3), px and score."""

    held: Mapping[tuple[str, int, int], Floats] = field(repr=False)

    def keypoints(self, recording: Recording, person: int) -> Floats:
        """Keypoints (T, 17, 3) of a person; all scores are 0 in a frame without detection."""
        nothing = np.zeros((len(KEYPOINTS), 3))
        frames = range(len(recording))
        return np.stack([self.held.get((recording.name, person, at), nothing) for at in frames])


def openpose(recording: Recording, person: int) -> Floats:
    """COCO's keypoints (T, 17, 3) of the sequence file's own detections, px and confidence."""
    return np.ascontiguousarray(recording.persons[person].openpose[:, COCO_OF_OPENPOSE])


def joints(keypoints: Floats) -> tuple[Floats, Mask]:
    """Our joints (N, 17, 2), px, of COCO's (N, 17, 3), and for which poses (N,) there are any.

    Keypoints that were not seen are filled in by ``hipart.data.coco.filled``; a pose without
    any is of zeros.
    """
    points, enough = filled(keypoints)
    found = np.zeros((*points.shape[:2], 2))
    found[enough] = from_coco(points[enough])
    return found, enough


def read_darkpose(detections: Path, annotations: Path) -> DarkPose:
    """Read Pose2Mesh's pair of files. ValueError names the file, the entry and what is wrong."""
    table = _read(annotations)
    if not isinstance(table, dict):
        raise ValueError(f"{annotations}: must hold images and annotations")
    images = {
        _value(one, "id", where): (
            _value(one, "sequence", where, str),
            _value(one, "frame_idx", where),
        )
        for one, where in _entries(table.get("images"), f"{annotations}: images")
    }
    places = {}
    for one, where in _entries(table.get("annotations"), f"{annotations}: annotations"):
        image = _value(one, "image_id", where)
        if image not in images:
            raise ValueError(f"{where}: image_id {image} is of none of its images")
        sequence, frame = images[image]
        places[_value(one, "id", where)] = (sequence, _value(one, "person_id", where), frame)
    held = {}
    for one, where in _entries(_read(detections), str(detections)):
        number = _value(one, "annotation_id", where)
        if number not in places:
            raise ValueError(f"{where}: annotation_id {number} is not in {annotations}")
        held[places[number]] = _keypoints(one, where)
    return DarkPose(held)


def _entries(listed: Any, where: str) -> Iterator[tuple[Any, str]]:
    if not isinstance(listed, list):
        raise ValueError(f"{where}: must be a list")
    for number, one in enumerate(listed):
        yield one, f"{where}: entry {number}"


def _value(entry: Any, key: str, where: str, kind: type = int) -> Any:
    found = entry.get(key) if isinstance(entry, dict) else None
    if type(found) is not kind:
        what = "a text" if kind is str else "an integer"
        raise ValueError(f"{where}: {key} must be {what}, found {found!r:.40}")
    return found


def _keypoints(entry: Mapping[str, Any], where: str) -> Floats:
    try:
        found = np.array(entry.get("keypoints"), np.float64)
    except (ValueError, TypeError):
        found = np.empty(0)
    if found.ndim != 2 or found.shape[0] != len(KEYPOINTS) or found.shape[1] < 3:
        raise ValueError(f"{where}: keypoints must be {len(KEYPOINTS)} of x, y and score")
    if not np.isfinite(found).all():
        raise ValueError(f"{where}: keypoints has a NaN or infinity")
    return found[:, :3]


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); {WHERE_FROM}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON that can be read ({error})") from None
