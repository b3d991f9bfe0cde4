"""A split of the corpus as tensors on the device, normalised as every model takes it."""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from hipart.data.cameras import normalise_screen
from hipart.data.corpus import Corpus
from hipart.data.splits import SIDES, Side
from hipart.skeleton import LEVELS
from hipart.stages.context import StageContext


class Split(NamedTuple):
    """Samples as tensors: 2D in screen units ``x/w*2 - [1, h/w]``, 3D in metres."""

    detected: Tensor  # (N, 17, 2)
    exact: Tensor  # (N, 17, 2)
    levels: dict[int, Tensor]  # (N, 48, 2), (N, 96, 2), (N, 192, 2) by number of points
    target: Tensor  # (N, 17, 3), root-relative
    action: Tensor  # (N,)
    sequence: Tensor  # (N,)

    @property
    def size(self) -> int:
        """Number of samples."""
        return self.action.shape[0]


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
    )


def judged_on(context: StageContext) -> Side:
    """The side on which every stage before the evaluation is measured; provenance says so.

    It is validation where something is held out, so that a search that stops or chooses by one of
    these stages never looks at the test split.
    """
    if not context.config.data.validation_samples:
        return "test"
    context.facts["split"] = "validation"
    return "validation"


def error_px(estimate: Tensor, truth: Tensor, image_size: tuple[int, int]) -> float:
    """Mean distance of 2D points in pixels; both (N, J, 2) in screen units."""
    return float((estimate - truth).norm(dim=-1).mean()) * image_size[0] / 2
