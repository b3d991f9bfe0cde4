"""Train stage 3: lift 17 joints, with or without the dense levels, to 3D (Sec. 5.1, App. C)."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hipart.config import LifterConfig, window_frames
from hipart.data.prepared_corpus import check_consecutive
from hipart.data.samples import Integers
from hipart.data.splits import Side
from hipart.metrics import mpjpe
from hipart.models.lifters.base import Lifter
from hipart.models.lifters.build import build_lifter
from hipart.models.windows import Windows, lift, rows, windows
from hipart.stages.checkpoint import load_weights, save_weights
from hipart.stages.context import StageContext
from hipart.stages.densify import load_poses
from hipart.stages.fit import train_together
from hipart.stages.history import Row
from hipart.stages.schedule import Plan, seeded, step_decay
from hipart.stages.tensors import Split, check_fitted, split_tensors
from hipart.stages.tokenizer import WEIGHTS
from hipart.stages.training import Losses, Objective, Training

#: What a row of the history calls the error on samples held out, and how many are measured.
VALIDATION, VALIDATED = "validation_mpjpe_mm", 1024
#: The share of a training whose gain on validation says whether it was over.
LATE = 0.2
#: The purpose of a seed: which clips keep their labels.
LABELS = 4
#: And whose labels are another's.
WRONG = 6


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
    samples = context.corpus.train
    with torch.random.fork_rng():
        torch.manual_seed(seeded(config.seed, 0))
        model = build_lifter(config.model, poses.shape[1]).to(context.device)
    if config.wrong_labels:
        split = split._replace(target=wrongly_labelled(split.target, config))
    seen = windows(config.model, split.sequence, split.frame)
    if window_frames(config.model) > 1 and context.config.data.corpus != "open":
        check_consecutive(samples.sequence, f"{context.config.data.corpus} corpus")
    if context.config.lifts_exact_points:
        check_fitted(context.corpus, "test")
    if config.train_share < 1:
        alone = np.arange(split.size, dtype=np.int32)
        clip = samples.clip if config.train_share_of == "clips" else alone
        mask = labelled(clip, samples.frame, config.train_share, config.seed)
        seen = _only(seen, torch.as_tensor(mask, device=context.device))
        if not len(seen.shown):
            raise ValueError(
                f"lifter.train_share {config.train_share:g} leaves no window of "
                f"{window_frames(config.model)} frames whose 3D joints are all known; raise it"
            )
    plan = Plan(
        samples=len(seen.shown),
        epochs=config.epochs,
        batch_size=config.batch_size,
        learning_rate=step_decay(
            config.learning_rate, config.decay, config.decay_epochs, config.decay_steps
        ),
        seed=config.seed,
        total_steps=config.steps,
    )
    validate = _validation(context, model) if context.config.data.validation_samples else None
    return Training(LifterObjective(model, poses, split, seen), plan, validate=validate)


def finish(context: StageContext, training: Training, history: list[Row]) -> dict[str, float]:
    """Write the weights; the training error of the last history row, and validation's course."""
    num_inputs = str(training.objective.get_buffer("poses").shape[-2])
    save_weights(context.work / WEIGHTS, training.model, num_inputs=num_inputs)
    found = {"train_mpjpe_mm": history[-1]["mpjpe_mm"]}
    validated = [(row["step"], row[VALIDATION]) for row in history if VALIDATION in row]
    if validated:
        (last, error), *_ = reversed(validated)
        before = [mm for step, mm in validated if step <= (1 - LATE) * last]
        found[VALIDATION] = error
        if before:
            found["late_gain_pct"] = 100 * (before[-1] - error) / error
    return found


def labelled(clip: Integers, frame: Integers, share: float, seed: int) -> NDArray[np.bool_]:
    """Which training samples (N,) keep their 3D joints: whole clips, drawn with a seed.

    With a ``clip`` of its own for each sample, single frames.

    Clips are taken in the drawn order; of the last one its first frames alone, so that all in all
    it is the share that was asked for. A smaller share is part of a larger one.
    """
    order = np.random.default_rng([seed, LABELS]).permutation(np.unique(clip))
    place = np.empty(int(clip.max()) + 1, np.int64)
    place[order] = np.arange(len(order))
    rank = np.lexsort((frame, place[clip]))
    kept = np.zeros(len(clip), bool)
    kept[rank[: max(1, round(share * len(clip)))]] = True
    return kept


def wrongly_labelled(target: Tensor, config: LifterConfig) -> Tensor:
    """The 3D joints (N, 17, 3), a share of which have gone round among themselves.

    A larger share keeps the samples that are wrong in a smaller one, though not whose joints they
    have. One sample alone cannot be wrong.
    """
    order = np.random.default_rng([config.seed, WRONG]).permutation(len(target))
    wrong = torch.as_tensor(order[: round(config.wrong_labels * len(target))], device=target.device)
    changed = target.clone()
    changed[wrong] = target[wrong.roll(1)]
    return changed


def _only(seen: Windows, kept: Tensor) -> Windows:
    """The windows that answer kept rows alone."""
    whole = kept[seen.answered].all(dim=1)
    return seen._replace(shown=seen.shown[whole], answered=seen.answered[whole])


def _validation(context: StageContext, model: Lifter) -> Callable[[], dict[str, float]]:
    """The MPJPE on samples held out, mean over frames, mm: of some that stand for all."""
    split = split_tensors(context.corpus, "validation", context.device)
    poses = lifter_input(context, split, "validation")
    config = context.config.lifter.model
    count = min(split.size, VALIDATED)
    chosen = torch.arange(count, device=context.device)
    if window_frames(config) == 1:  # spread over the split; films stay whole
        chosen = torch.linspace(0, split.size - 1, count, device=context.device).long()
    poses, target = poses[chosen], split.target[chosen]
    films = split.sequence[chosen], VALIDATED, split.frame[chosen]
    return lambda: {VALIDATION: mpjpe(lift(model, config, poses, *films), target).mean().item()}


def load_lifter(context: StageContext, num_inputs: int) -> Lifter:
    """The trained lifter of an upstream artifact, frozen, on the job's device."""
    model = build_lifter(context.config.lifter.model, num_inputs)
    load_weights(context.upstream["lifter"] / WEIGHTS, model)
    return model.requires_grad_(False).eval().to(context.device)


def lifter_input(
    context: StageContext, split: Split, name: Side, rows: NDArray[np.bool_] | None = None
) -> Tensor:
    """The 17 detected joints, followed by the 48 and 96 that the config asks for: (N, J, 2).

    ``rows`` says which samples of the side are those of ``split``, where these are not all.
    """
    source = context.config.lifter.dense_input
    poses = split.levels
    if source == "generated":
        poses = load_poses(context, name, "densify")
    elif source == "regressed":
        poses = load_poses(context, name, "regressor")
    if rows is not None and source != "exact":
        mask = torch.as_tensor(rows, device=split.detected.device)
        poses = {level: points[mask] for level, points in poses.items()}
    return torch.cat(
        [split.detected, *(poses[level] for level in context.config.input_levels)], dim=1
    )
