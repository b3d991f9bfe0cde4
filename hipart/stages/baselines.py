"""What densifiers without training come to on a corpus: the numbers that any other has to beat."""

from typing import get_args

import numpy as np
import torch
from torch import Tensor

from hipart.config import FittedRegressorConfig, RegressorConfig
from hipart.data.samples import Samples
from hipart.metrics import within_part_error
from hipart.models.coordinates import Coordinates, frame_of
from hipart.models.regressors.build import build_regressor
from hipart.models.regressors.fitted import FittedRegressor

#: Samples that are looked at on each side, spread evenly over it.
MOST_SAMPLES = 8192


def baselines(
    train: Samples, judged: Samples, coordinates: Coordinates
) -> dict[str, dict[str, float]]:
    """Of each kind that is fitted to ``train``: the errors of its fine points on ``judged``.

    They are fitted in the ``coordinates`` in which every other densifier works, and judged by
    samples that have dense points. ValueError where none has.
    ``fine_error_px`` is their mean distance from the exact points, and ``within_part_px`` that
    after each part's own mean error is taken out. Both are means over samples, in pixels.
    """
    fitted = judged.fitted
    if not fitted.any():
        raise ValueError(
            f"none of the {len(judged)} samples to judge densifiers by has dense points: no body "
            "was fitted to their frames"
        )
    judged = judged if fitted.all() else judged.take(fitted)
    (detected, exact), (seen, truth) = _points(train), _points(judged)
    found = {}
    for config in get_args(FittedRegressorConfig):
        kind = config()
        model = build_regressor(RegressorConfig(model=kind, levels=(96,)))
        assert isinstance(model, FittedRegressor)
        points = _fitted(model, (detected, exact), seen, coordinates)
        found[kind.kind] = {
            "fine_error_px": round(float((points - truth).norm(dim=-1).mean()), 2),
            "within_part_px": round(float(within_part_error(points, truth).mean()), 2),
        }
    return found


def _fitted(
    model: FittedRegressor, known: tuple[Tensor, Tensor], seen: Tensor, coordinates: Coordinates
) -> Tensor:
    """Points (N, 96, 2) for the joints that are ``seen``, after joints and points that are."""
    detected, exact = known
    frame, other = frame_of(detected, coordinates), frame_of(seen, coordinates)
    if frame is None or other is None:
        model.fit(detected, exact)
        return torch.as_tensor(model(seen))
    model.fit(frame.to(detected), frame.to(exact))
    return other.back(model(other.to(seen)))


def _points(samples: Samples) -> tuple[Tensor, Tensor]:
    """Detected joints (N, 17, 2) and exact fine points (N, 96, 2) in pixels."""
    count = min(len(samples), MOST_SAMPLES)
    rows = np.linspace(0, len(samples) - 1, count).round().astype(int)
    return torch.as_tensor(samples.detected_2d[rows]), torch.as_tensor(samples.fine_2d[rows])
