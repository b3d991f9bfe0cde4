"""3DPW-AdvOcc: a patch slid over each person's crop, and the placement that harms most.

3DNBF: Zhang et al., "3D-Aware Neural Body Fitting for Occlusion Robust 3D Human Pose Estimation",
ICCV 2023. Sources: its ``occluded_human_image_dataset.py`` (grid, worst placement) and
``pipelines/transforms.py`` (where the patch lies, which joints it hides). No images are read here:
a user runs a detector on the patched crops and writes down what it found.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hipart.data.coco import from_coco
from hipart.data.pw3d.frames import JOINTS_14
from hipart.skeleton import NUM_JOINTS

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Sides of the square crop around a person and of the patch in it, and its step, pixels.
CROP = 224
PATCHES = (40, 80)
STRIDE = 10
LAYOUTS = ("h36m17", "coco17")
KEYS = ("patch", "layout", "detections", "box", "sequence", "person", "frame")
MOST_BYTES = 8 << 30


def places(patch: int) -> Integers:
    """Upper left corners (P, 2), x and y, of a patch in the crop: row by row, 400 or 256.

    The last of a row and of a column reach beyond the crop's edge.
    """
    if patch not in PATCHES:
        raise ValueError(f"patch {patch}: allowed are {' and '.join(map(str, PATCHES))} pixels")
    count = math.ceil((CROP - patch) / STRIDE + 1)
    y, x = np.divmod(np.arange(count * count), count)
    return np.asarray(STRIDE * np.stack([x, y], axis=1), np.int64)


def hidden(joints: Floats, patch: int) -> Mask:
    """Which joints (N, J, 2), px of the crop, each placement hides: (N, P, J).

    Those strictly inside the patch, as far as it lies in the crop.
    """
    low = places(patch)[:, None]
    high = np.minimum(low + patch, CROP)
    inside = (joints[:, None] > low) & (joints[:, None] < high)
    return np.asarray(inside.all(axis=-1))


@dataclass(frozen=True, eq=False)
class Placements:
    """What a detector found in N crops under each of P placements of a patch.

    ``joints`` (N, P, 17, 2) in px of the crop; ``box`` (N, 3) is the crop in its image: x and y of
    the upper left corner and the side, px; ``names`` are (sequence, person, frame).
    """

    patch: int
    joints: Floats
    box: Floats
    names: tuple[tuple[str, int, int], ...]

    def in_image(self) -> Floats:
        """The joints (N, P, 17, 2) in pixels of the real image."""
        corner, side = self.box[:, None, None, :2], self.box[:, None, None, 2:]
        return np.asarray(corner + self.joints * side / CROP)

    def hidden(self, exact: Floats) -> Mask:
        """Which of the true joints (N, J, 2), px of the real image, are hidden: (N, P, J)."""
        corner, side = self.box[:, None, :2], self.box[:, None, 2:]
        return hidden((exact - corner) * CROP / side, self.patch)


@dataclass(frozen=True, eq=False)
class Worst:
    """Of each frame the placement with the greatest error, by its index, and that error in mm."""

    error_mm: Floats  # (N,)
    placement: Integers  # (N,)


def worst_case(
    lifted: NDArray[Any],
    target: NDArray[Any],
    visible: Mask,
    joints: Sequence[int] = JOINTS_14,
) -> Worst:
    """The worst placement of each frame, by the mean error over the visible ones of ``joints``.

    ``lifted`` (N, P, 17, 3) and ``target`` (N, 17, 3) in millimetres, relative to one root;
    ``visible`` (N, P, 17). A placement that hides all joints counts 0; of equal ones it is the
    first. ValueError for arrays that do not fit, or a NaN.
    """
    shape = lifted.shape[:3]
    fits = lifted.ndim == 4 and lifted.shape[2:] == (NUM_JOINTS, 3) and shape[1] > 0
    if not fits or target.shape != (shape[0], NUM_JOINTS, 3) or visible.shape != shape:
        raise ValueError(
            f"lifted, target and visible must be (N, P, 17, 3), (N, 17, 3) and (N, P, 17), found "
            f"{lifted.shape}, {target.shape} and {visible.shape}"
        )
    chosen = list(joints)
    placement = np.zeros(shape[0], np.int64)
    error = np.zeros(shape[0])
    for row in range(shape[0]):  # the distances of one frame's placements are enough to hold
        apart = np.asarray(lifted[row][:, chosen], np.float64) - target[row, chosen]
        counted = visible[row][:, chosen]
        sums = np.where(counted, np.linalg.norm(apart, axis=-1), 0).sum(axis=-1)
        means = sums / np.maximum(counted.sum(axis=-1), 1)
        if not np.isfinite(means).all():
            raise ValueError(f"lifted: frame {row} has a NaN or infinity")
        placement[row] = means.argmax()
        error[row] = means[placement[row]]
    return Worst(error, placement)


def read_placements(path: Path) -> Placements:
    """Read a user's detections, a ``.npz`` or a ``.json`` with the keys of ``KEYS``.

    ``detections`` (N, P, 17, 2) in px of the crop, in the ``layout`` h36m17 or coco17, for a patch
    of 40 or 80 px, placements row by row as ``places`` gives them. ValueError names the file and
    the key.
    """
    held = _held(path)
    missing = [key for key in KEYS if key not in held]
    if missing:
        raise ValueError(f"{path}: lacks {', '.join(missing)}; needed are {', '.join(KEYS)}")
    patch, layout = held["patch"].tolist(), held["layout"].tolist()
    if patch not in PATCHES:
        raise ValueError(f"{path}: patch must be 40 or 80, found {patch!r}")
    if layout not in LAYOUTS:
        raise ValueError(f"{path}: layout must be h36m17 or coco17, found {layout!r}")
    found = _array(held, "detections", path)
    shape = (len(found), len(places(patch)), NUM_JOINTS, 2)
    if found.shape != shape:
        raise ValueError(
            f"{path}: detections must have shape (N, {shape[1]}, {NUM_JOINTS}, 2) for a patch of "
            f"{patch} px at every {STRIDE} px, found {found.shape}"
        )
    box = _array(held, "box", path)
    if box.shape != (len(found), 3) or not (box[:, 2] > 0).all():
        raise ValueError(f"{path}: box must be {len(found)} of x, y and a side above 0")
    return Placements(patch, _joints(found, layout), box, _names(held, len(found), path))


def _joints(found: Floats, layout: str) -> Floats:
    if layout == "h36m17":
        return found
    flat = found.reshape(-1, NUM_JOINTS, 2)
    seen = np.concatenate([flat, np.ones((*flat.shape[:2], 1))], axis=-1)
    return from_coco(seen).reshape(found.shape)


def _names(
    held: Mapping[str, NDArray[Any]], count: int, path: Path
) -> tuple[tuple[str, int, int], ...]:
    for key, kinds in (("sequence", "U"), ("person", "iu"), ("frame", "iu")):
        if held[key].shape != (count,) or (count and held[key].dtype.kind not in kinds):
            what = "texts" if kinds == "U" else "integers"
            raise ValueError(f"{path}: {key} must be {count} {what}, one for each crop")
    columns = (held[key].tolist() for key in ("sequence", "person", "frame"))
    names = tuple(zip(*columns, strict=True))
    if len(set(names)) != count:
        raise ValueError(f"{path}: a sequence, person and frame is there twice")
    return names


def _array(held: Mapping[str, NDArray[Any]], key: str, path: Path) -> Floats:
    if held[key].dtype.kind not in "fiu" or held[key].ndim == 0:
        raise ValueError(f"{path}: {key} must be an array of numbers")
    array = np.asarray(held[key], np.float64)
    if not np.isfinite(array).all():
        raise ValueError(f"{path}: {key} has a NaN or infinity")
    return array


def _held(path: Path) -> dict[str, NDArray[Any]]:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {key: archive[key] for key in KEYS if key in archive}
        if path.suffix != ".json":
            raise ValueError("allowed are .npz and .json")
        table = json.loads(path.read_bytes())
        if not isinstance(table, dict):
            raise ValueError("must hold an object")
        return {key: np.array(table[key]) for key in KEYS if key in table}
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
    except Exception as error:  # whatever a damaged archive, or a ragged list, makes of a reader
        raise ValueError(f"{path}: cannot be read ({error})") from None
