"""A split of the corpus as tensors on the device, normalised as every model takes it."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from hipart.config import DetectorConfig
from hipart.data.cameras import normalise_screen
from hipart.data.corpus import Corpus
from hipart.data.detector import detect_again
from hipart.data.splits import SIDES, Side
from hipart.data.truth import truth_of
from hipart.metrics import within_part_error
from hipart.models.coordinates import Coordinates, frame_of, without_extent
from hipart.skeleton import LEVEL_NAMES, LEVELS
from hipart.stages.context import StageContext

#: The training side's detected joints (N, 17, 2) in screen units, as an epoch sees them.
Detections = Callable[[int], Tensor]


class Split(NamedTuple):
    """Samples as tensors: 2D in screen units ``x/w*2 - [1, h/w]``, 3D in metres."""

    detected: Tensor  # (N, 17, 2)
    exact: Tensor  # (N, 17, 2)
    levels: dict[int, Tensor]  # (N, 48, 2), (N, 96, 2), (N, 192, 2) by number of points
    target: Tensor  # (N, 17, 3), root-relative
    action: Tensor  # (N,)
    sequence: Tensor  # (N,)
    frame: Tensor  # (N,), consecutive within a sequence that was drawn whole
    #: Which samples have a body, and so dense points (N,); the levels of the others are NaN.
    fitted: Tensor

    @property
    def size(self) -> int:
        """Number of samples."""
        return self.action.shape[0]

    def take(self, index: Tensor) -> "Split":
        """Some of the samples: by integers, or a mask (N,)."""
        levels = {level: points[index] for level, points in self.levels.items()}
        others = {name: getattr(self, name)[index] for name in self._fields if name != "levels"}
        return Split(levels=levels, **others)


@lru_cache(maxsize=len(SIDES))
def split_tensors(corpus: Corpus, side: Side, device: torch.device) -> Split:
    """Normalise a split and put it on the device, whole; kept for the worker's next jobs.

    The tensors are shared: read them only.
    """
    samples = corpus.side(side)

    def screen(points_px: object) -> Tensor:
        normal = normalise_screen(points_px, corpus.image_size)
        return torch.as_tensor(normal, dtype=torch.float32, device=device)

    dense = (samples.dense_2d, samples.fine_2d, samples.finest_2d)
    return Split(
        detected=screen(samples.detected_2d),
        exact=screen(samples.exact_2d),
        levels=dict(zip(LEVELS, map(screen, dense), strict=True)),
        target=torch.as_tensor(samples.target_3d / 1000, dtype=torch.float32, device=device),
        action=torch.as_tensor(samples.action, dtype=torch.int64, device=device),
        sequence=torch.as_tensor(samples.sequence, dtype=torch.int64, device=device),
        frame=torch.as_tensor(samples.frame, dtype=torch.int64, device=device),
        fitted=torch.as_tensor(samples.fitted, device=device),
    )


def check_fitted(corpus: Corpus, side: Side) -> None:
    """Raise ValueError where no sample of a side has dense points."""
    samples = corpus.side(side)
    if not samples.fitted.any():
        raise ValueError(
            f"none of the {len(samples)} {side} samples has dense points to measure by, because no "
            f"body was fitted to their frames; draw more of them with data.{side}_samples, hold "
            "samples of training out with data.validation_samples, or set lifter.dense_input to "
            "none, which needs no dense points"
        )


def fitted_tensors(corpus: Corpus, side: Side, device: torch.device) -> Split:
    """The samples of a split that have dense points: of most corpora all of them.

    A sequence ends wherever samples are left out of it. ValueError where none has any.
    """
    check_fitted(corpus, side)
    split = split_tensors(corpus, side, device)
    if split.fitted.all():
        return split
    some = split.take(split.fitted)
    ends = (some.sequence.diff() != 0) | (some.frame.diff() != 1)
    return some._replace(sequence=torch.cat([ends.new_zeros(1), ends]).cumsum(0))


def fitted_rows(points: Tensor, corpus: Corpus, side: Side) -> Tensor:
    """Of points for every sample of a side (N, ...) those that ``fitted_tensors`` has truth for."""
    fitted = torch.as_tensor(corpus.side(side).fitted, device=points.device)
    return points if fitted.all() else points[fitted]


def judged_on(context: StageContext) -> Side:
    """The side on which every stage before the evaluation is measured; provenance says so.

    It is validation where something is held out, so that a search that stops or chooses by one of
    these stages never looks at the test split.
    """
    if not context.config.data.validation_samples:
        return "test"
    context.facts["split"] = "validation"
    return "validation"


@lru_cache(maxsize=2)
def _detected_again(
    corpus: Corpus, detector: DetectorConfig, epoch: int, device: torch.device
) -> Tensor:
    shown = truth_of(corpus.train, corpus.fps["train"])
    pixels = detect_again(shown, detector, SIDES.index("train"), epoch)
    screen = normalise_screen(pixels, corpus.image_size)
    return torch.as_tensor(screen, dtype=torch.float32, device=device)


def training_detections(context: StageContext) -> Detections:
    """What training sees of the training side's joints: once drawn, or anew every epoch."""
    detector = context.config.detector
    if detector.kind != "simulated" or detector.training_draws == "once":
        detected = split_tensors(context.corpus, "train", context.device).detected
        return lambda _: detected
    return lambda epoch: _detected_again(context.corpus, detector, epoch, context.device)


def only(detections: Detections, rows: Tensor) -> Detections:
    """Those of some samples, by their rows (n,); the same object as long as all are the same."""
    known: dict[int, tuple[Tensor, Tensor]] = {}

    def chosen(epoch: int) -> Tensor:
        every = detections(epoch)
        if not known or known[0][0] is not every:
            known[0] = every, every[rows]
        return known[0][1]

    return chosen


def framed(split: Split, coordinates: Coordinates) -> tuple[Tensor, dict[int, Tensor]]:
    """Detected joints and levels of a split, in the coordinates in which models see them."""
    frame = frame_of(split.detected, coordinates)
    if frame is None:
        return split.detected, split.levels
    levels = {level: frame.to(points) for level, points in split.levels.items()}
    return frame.to(split.detected), levels


def check_extent(context: StageContext, side: Side) -> None:
    """Raise ValueError naming a sample of a side that has no frame of its own."""
    split = split_tensors(context.corpus, side, context.device)
    found = without_extent(split.detected, context.config.data.coordinates)
    if found:
        samples = context.corpus.side(side)
        clip = context.corpus.clip_names[samples.clip[found[0]]]
        raise ValueError(
            f"{side} sample {found[0]} (clip {clip}, frame {samples.frame[found[0]]}): all 17 "
            "detected joints are one point, and a pose of no extent cannot be put into "
            "data.coordinates body; leave it out, or set data.coordinates to screen"
        )


def errors_px(
    name: str, estimate: Mapping[int, Tensor], truth: Mapping[int, Tensor], corpus: Corpus
) -> dict[str, float]:
    """Errors of each level's points (N, points, 2) in screen units, px: mean, and within parts.

    ``name`` is what the mean is called after the level's own name.
    """
    found: dict[str, float] = {}
    for level, points in estimate.items():
        exact, word = truth[level].to(points), LEVEL_NAMES[level]
        found[f"{word}_{name}"] = error_px(points, exact, corpus.image_size)
        within = within_part_error(points, exact).mean()
        found[f"{word}_within_part_px"] = float(within) * corpus.image_size[0] / 2
    return found


def error_px(estimate: Tensor, truth: Tensor, image_size: tuple[int, int]) -> float:
    """Mean distance of 2D points in pixels; both (N, J, 2) in screen units."""
    return float((estimate - truth).norm(dim=-1).mean()) * image_size[0] / 2
