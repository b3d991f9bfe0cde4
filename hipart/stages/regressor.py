"""Train or fit a densifier that knows no tokens, and densify every split with it (Fig. 12)."""

from collections.abc import Sequence

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from hipart.data.plan import sides
from hipart.models.chunks import in_chunks
from hipart.models.coordinates import Coordinates, frame_of
from hipart.models.regressors.build import build_regressor
from hipart.models.regressors.fitted import FittedRegressor
from hipart.stages.checkpoint import load_weights, save_weights
from hipart.stages.context import StageContext
from hipart.stages.densify import POSES
from hipart.stages.fit import train_together, with_adamw
from hipart.stages.history import Row
from hipart.stages.schedule import seeded
from hipart.stages.tensors import (
    Detections,
    Split,
    check_extent,
    check_fitted,
    errors_px,
    fitted_rows,
    fitted_tensors,
    framed,
    judged_on,
    split_tensors,
    training_detections,
)
from hipart.stages.tokenizer import EVALUATION_BATCH, WEIGHTS
from hipart.stages.training import Losses, Objective, Training


class RegressorObjective(Objective):
    """Mean distance from the exact points, in the coordinates of the data."""

    detected: Tensor
    exact: Tensor

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        levels: Sequence[int],
        coordinates: Coordinates = "screen",
        detections: Detections | None = None,
    ) -> None:
        data = {"detected": split.detected.clone(), "exact": _exact(split, levels)}
        super().__init__(model, data)
        self._coordinates: Coordinates = coordinates
        self._detections = detections

    def begin_epoch(self, epoch: int) -> None:
        """This epoch's detections."""
        if self._detections is not None:
            self.detected.copy_(self._detections(epoch))

    def forward(self, index: Tensor) -> Losses:
        """The loss of the poses at ``index`` (batch,)."""
        detected, exact = self.detected[index], self.exact[index]
        frame = frame_of(detected, self._coordinates)
        if frame is not None:
            detected, exact = frame.to(detected), frame.to(exact)
        return (self.model(detected) - exact).norm(dim=-1).mean(), {}


def train(context: StageContext) -> dict[str, float]:
    """Train on the mean distance to the exact points, or fit; measured on test or validation."""
    return train_array([context])[0]


def train_array(contexts: Sequence[StageContext]) -> list[dict[str, float]]:
    """``train`` for every context, at once; those that are fitted, one by one."""
    if contexts[0].config.regressor.is_fitted:
        return [_fit(context) for context in contexts]
    return train_together(contexts, prepare, finish)


def _fit(context: StageContext) -> dict[str, float]:
    """Fit a model in closed form: one step, and no history."""
    config = context.config.regressor
    check_fitted(context.corpus, judged_on(context))
    split = split_tensors(context.corpus, "train", context.device)
    model = build_regressor(config).to(context.device)
    assert isinstance(model, FittedRegressor)
    detected, levels = framed(split, context.config.data.coordinates)
    model.fit(detected, _exact(split._replace(levels=levels), config.levels))
    context.report(1, 1, {})
    return _published(context, model.eval())


def prepare(context: StageContext) -> Training:
    """The untrained model with its loss and data, and how it will be trained."""
    config = context.config.regressor
    split = split_tensors(context.corpus, "train", context.device)
    for side in sides(context.config.data):
        check_extent(context, side)
    check_fitted(context.corpus, judged_on(context))
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed, 0))
        model = build_regressor(config).to(context.device)
    objective = RegressorObjective(
        model,
        split,
        config.levels,
        context.config.data.coordinates,
        training_detections(context),
    )
    return with_adamw(objective, config, split.size)


def finish(context: StageContext, training: Training, _: list[Row]) -> dict[str, float]:
    """Write what was trained, and how far it is off."""
    return _published(context, training.model)


def _published(context: StageContext, model: nn.Module) -> dict[str, float]:
    """Write the weights and the poses of every split; how far those it is judged on are off."""
    corpus = context.corpus
    save_weights(context.work / WEIGHTS, model)
    judged = judged_on(context)
    exact = fitted_tensors(corpus, judged, context.device).levels
    found: dict[str, Tensor] = {}
    for side in sides(context.config.data):
        detected = split_tensors(corpus, side, context.device).detected
        for level, points in regress(context, model, detected).items():
            found[f"{side}/{level}"] = points.cpu().contiguous()
    save_file(found, context.work / POSES)
    estimate: dict[int, Tensor] = {
        level: fitted_rows(found[f"{judged}/{level}"], corpus, judged)
        for level in context.config.regressor.levels
    }
    return errors_px("error_px", estimate, exact, corpus)


def _exact(split: Split, levels: Sequence[int]) -> Tensor:
    """The exact points of all levels (N, points, 2)."""
    return torch.cat([split.levels[level] for level in levels], dim=1)


@torch.inference_mode()
def regress(context: StageContext, model: nn.Module, poses: Tensor) -> dict[int, Tensor]:
    """Points of each level (N, points, 2) for detected joints (N, 17, 2)."""
    levels = context.config.regressor.levels
    frame = frame_of(poses, context.config.data.coordinates)
    seen = poses if frame is None else frame.to(poses)
    points = torch.cat([*in_chunks(model, seen, EVALUATION_BATCH)])
    points = points if frame is None else frame.back(points)
    return dict(zip(levels, points.split(list(levels), dim=1), strict=True))


def load_regressor(context: StageContext) -> nn.Module:
    """The trained regressor of an upstream artifact, frozen, on the job's device."""
    model = build_regressor(context.config.regressor).to(context.device)
    load_weights(context.upstream["regressor"] / WEIGHTS, model)
    return model.requires_grad_(False).eval()
