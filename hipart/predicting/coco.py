"""COCO keypoints as detectors and annotators write them, read from their files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.coco import from_coco
from hipart.predicting.found import Asked
from hipart.predictor import MAX_POSES
from hipart.skeleton import NUM_JOINTS

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
