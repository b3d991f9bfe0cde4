"""Train stage 3: lift 17 joints, with or without the dense levels, to 3D (Sec. 5.1, App. C)."""

from typing import Literal

import torch
from torch import Tensor

from hipart.models.lifters.base import Lifter
from hipart.models.lifters.build import build_lifter
from hipart.models.windows import windows
from hipart.stages.checkpoint import load_weights, save_weights
from hipart.stages.context import StageContext
from hipart.stages.densify import load_poses
from hipart.stages.fit import Plan, fit, seeded, step_decay
from hipart.stages.tensors import Split, split_tensors
from hipart.stages.tokenizer import WEIGHTS


def train(context: StageContext) -> dict[str, float]:
    """Train on the MPJPE of root-relative joints; the last history row is the training error."""
    config = context.config.lifter
    split = split_tensors(context.corpus.train, context.corpus, context.device)
    poses = lifter_input(context, split, "train")
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed, 0))
        model = build_lifter(config.model, poses.shape[1]).to(context.device)

    seen = windows(config.model, split.sequence)

    def loss(index: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        error = model.error_mm(seen.of(poses, index), seen.truth(split.target, index)).mean()
        return error / 1000, {"mpjpe_mm": error.detach()}

    plan = Plan(
        samples=len(seen.shown),
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=step_decay(config.learning_rate, config.decay, config.decay_epochs),
        seed=config.seed,
    )
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate, fused=True)
    history = fit(context, model, optimiser, loss, plan)
    save_weights(context.work / WEIGHTS, model, num_inputs=str(poses.shape[1]))
    return {"train_mpjpe_mm": history[-1]["mpjpe_mm"]}


def load_lifter(context: StageContext, num_inputs: int) -> Lifter:
    """The trained lifter of an upstream artifact, frozen, on the job's device."""
    model = build_lifter(context.config.lifter.model, num_inputs)
    load_weights(context.upstream["lifter"] / WEIGHTS, model)
    return model.requires_grad_(False).eval().to(context.device)


def lifter_input(context: StageContext, split: Split, name: Literal["train", "test"]) -> Tensor:
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
