"""3DPW-AdvOcc: a bundle's error under the patch that harms each frame most."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hipart.data.prepared import array_of, read_about
from hipart.data.pw3d.image import SIZE, into, out_of
from hipart.data.pw3d.placements import Placements, read_placements, worst_case
from hipart.metrics import procrustes
from hipart.predictor import POSE, Predictor

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class AdvOcc:
    """Means over frames of the error at each one's worst placement, mm; each error has its own."""

    patch_px: int
    frames: int
    joints: int
    mpjpe_mm: float
    p_mpjpe_mm: float


def adversarial(bundle: Path, corpus: Path, detections: Path) -> AdvOcc:
    """Lift a user's detections under every placement; errors over the joints that are seen.

    ``corpus`` is a prepared one of 3DPW, ``detections`` a file of ``read_placements``. ValueError
    for a frame that the corpus does not have.
    """
    about, placements = read_about(corpus), read_placements(detections)
    if about["corpus"] != "3dpw":
        raise ValueError(f"{corpus}: is of {about['corpus']}, and AdvOcc is of 3DPW")
    rows = _rows(corpus, about, placements)
    predictor = Predictor.load(bundle)
    targets = np.array(array_of(corpus, "test", "target_3d"), np.float64)[rows]
    plain, aligned = [], []
    for target, (lifted, seen) in zip(
        targets, _lifted(predictor, corpus, about, placements, rows), strict=True
    ):
        plain.append(worst_case(lifted[None], target[None], seen[None], about["joints"]).error_mm)
        fitted = _fitted(lifted, target, about["joints"])
        aligned.append(worst_case(fitted[None], target[None], seen[None], about["joints"]).error_mm)
    means = float(np.mean(plain)), float(np.mean(aligned))
    return AdvOcc(placements.patch, len(rows), len(about["joints"]), *means)


def _lifted(
    predictor: Predictor, corpus: Path, about: Any, placements: Placements, rows: NDArray[np.int64]
) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """Each frame's poses (P, 17, 3), relative to the corpus's root, and what is seen (P, 17)."""
    exact = np.array(array_of(corpus, "test", "exact_2d"), np.float64)[rows]
    clips = np.array(array_of(corpus, "test", "clip"))[rows]
    sizes = [tuple(about["image_sizes"][clip]) for clip in clips]
    real = np.stack([out_of(one, size) for one, size in zip(exact, sizes, strict=True)])
    seen = ~placements.hidden(real)
    root = about["root_joints"]
    for joints, size, shown in zip(placements.in_image(), sizes, seen, strict=True):
        films = np.arange(len(joints))  # a temporal lifter sees each placement alone
        poses = predictor.predict(into(joints, size), SIZE, films)[POSE].astype(np.float64)
        yield poses - poses[:, root].mean(axis=1, keepdims=True), shown


def _fitted(lifted: Floats, target: Floats, joints: list[int]) -> Floats:
    """The poses under the similarities that bring the joints closest to the target."""
    found = lifted.copy()
    chosen = torch.as_tensor(lifted[:, joints])
    wanted = torch.as_tensor(target[joints]).expand_as(chosen)
    found[:, joints] = procrustes(chosen, wanted).numpy()
    return found


def _rows(corpus: Path, about: Any, placements: Placements) -> NDArray[np.int64]:
    """Where the corpus has each frame of the detections."""
    clip, person, frame = (array_of(corpus, "test", key) for key in ("clip", "subject", "frame"))
    names = about["clip_names"]
    place = {
        (names[clip[row]], int(person[row]), int(frame[row])): row for row in range(len(frame))
    }
    missing = [name for name in placements.names if name not in place]
    if missing:
        sequence, who, when = missing[0]
        raise ValueError(
            f"{corpus}: has no frame {when} of person {who} in {sequence} ({len(missing)} of "
            f"{len(placements.names)} are missing); it holds {about['frames']} frames of "
            f"{', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
        )
    return np.array([place[name] for name in placements.names], np.int64)
