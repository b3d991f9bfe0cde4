"""Train stage 3: lift 17 joints, with or without the dense levels, to 3D (Sec. 5.1, App. C)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from hipart.data.splits import Side
from hipart.models.lifters.base import Lifter
from hipart.models.lifters.build import build_lifter
from hipart.models.windows import Windows, rows, windows
from hipart.stages.checkpoint import load_weights, save_weights
from hipart.stages.context import StageContext
from hipart.stages.densify import load_poses
from hipart.stages.fit import train_together
from hipart.stages.history import Row
from hipart.stages.schedule import Plan, seeded, step_decay
from hipart.stages.tensors import Split, split_tensors
from hipart.stages.tokenizer import WEIGHTS
from hipart.stages.training import Losses, Objective, Training


class LifterObjective(Objective):
    """MPJPE of root-relative joints, in metres."""

    model: Lifter
    poses: Tensor
    target: Tensor
    shown: Tensor
    answered: Tensor

    def __init__(self, model: Lifter, poses: Tensor, split: Split, seen: Windows) -> None:
        shown = {"shown": seen.shown, "answered": seen.answered}
        super().__init__(model, {"poses": poses, "target": split.target, **shown})

    def forward(self, index: Tensor) -> Losses:
        """The loss of the windows at ``index`` (batch,)."""
        poses, target = rows(self.poses, self.shown[index]), rows(self.target, self.answered[index])
        error = self.model.error_mm(poses, target).mean()
        return error / 1000, {"mpjpe_mm": error.detach()}


def train(context: StageContext) -> dict[str, float]:
    """Train on the MPJPE of root-relative joints; the last history row is the training error."""
    return train_array([context])[0]


def train_array(contexts: Sequence[StageContext]) -> list[dict[str, float]]:
    """``train`` for every context, at once."""
    return train_together(contexts, prepare, finish)


def prepare(context: StageContext) -> Training:
    """The untrained model with its loss and data, and how it will be trained."""
    config = context.config.lifter
    split = split_tensors(context.corpus, "train", context.device)
    poses = lifter_input(context, split, "train")
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed, 0))
        model = build_lifter(config.model, poses.shape[1]).to(context.device)
    seen = windows(config.model, split.sequence)
    plan = Plan(
        samples=len(seen.shown),
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=step_decay(config.learning_rate, config.decay, config.decay_epochs),
        seed=config.seed,
    )
    return Training(LifterObjective(model, poses, split, seen), plan)


def finish(context: StageContext, training: Training, history: list[Row]) -> dict[str, float]:
    """Write the weights; the training error of the last history row."""
    num_inputs = str(training.objective.get_buffer("poses").shape[-2])
    save_weights(context.work / WEIGHTS, training.model, num_inputs=num_inputs)
    return {"train_mpjpe_mm": history[-1]["mpjpe_mm"]}


def load_lifter(context: StageContext, num_inputs: int) -> Lifter:
    """The trained lifter of an upstream artifact, frozen, on the job's device."""
    model = build_lifter(context.config.lifter.model, num_inputs)
    load_weights(context.upstream["lifter"] / WEIGHTS, model)
    return model.requires_grad_(False).eval().to(context.device)


def lifter_input(context: StageContext, split: Split, name: Side) -> Tensor:
    """The 17 detected joints, followed by the 48 and 96 that the config asks for: (N, J, 2)."""
    source = context.config.lifter.dense_input
    poses = split.levels
    if source == "generated":
        poses = load_poses(context, name, "densify")
    elif source == "regressed":
        poses = load_poses(context, name, "regressor")
    return torch.cat(
        [split.detected, *(poses[level] for level in context.config.input_levels)], dim=1
    )
