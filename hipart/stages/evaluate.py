"""Measure a trial on test or validation: errors per sample, then per action (Sec. 5.1)."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from hipart.data.cameras import normalise_screen
from hipart.data.occlusion import occlude
from hipart.data.samples import Corpus, Samples
from hipart.data.splits import Side
from hipart.flip import flip
from hipart.metrics import (
    action_mean,
    auc,
    frame_mean,
    mpjpe,
    mpjve,
    n_mpjpe,
    p_mpjpe,
    pck,
    per_action,
    procrustes,
    scaled,
    within_part_error,
)
from hipart.models.windows import lift
from hipart.skeleton import LEVEL_NAMES, NUM_JOINTS
from hipart.stages.context import StageContext
from hipart.stages.densify import load_densifier
from hipart.stages.lifter import lifter_input, load_lifter
from hipart.stages.regressor import load_regressor, regress
from hipart.stages.tensors import Split, fitted_tensors, split_tensors
from hipart.stages.tokenizer import load_tokenizer

BATCH = 1024
#: Samples that are kept whole, for pictures.
EXAMPLES = 12


@torch.inference_mode()
def train(context: StageContext) -> dict[str, float]:
    """Lift the split to measure; ``mpjpe_mm`` is the mean of the action means, as in the paper.

    Under occlusion the dense poses are generated anew from what is still detected. Errors of dense
    points, and those that are called ``fit``, are of the samples that a body was fitted to; what
    takes something of the exact pose can be lifted in no others, and has no errors over all.
    """
    corpus, side = context.corpus, context.config.evaluation.split
    if side != "test":
        context.facts["split"] = side
    split, samples, rows = _measurable(context, side)
    target = _measured(split.target.cpu().double(), corpus)
    patch = context.config.occlusion.kind == "patch"
    errors: dict[str, Tensor] = {}
    examples: dict[str, Tensor] = {}
    hidden_share = 0.0
    lifting, dense_of = _lifting(context, split), _densifying(context, split)
    for detected, hidden in _views(context, split, samples):
        known = detected is split.detected
        poses = lifter_input(context, split, side, rows) if known else dense_of(detected)
        lifted = lifting(poses)
        if context.config.evaluation.flip:
            lifted = (lifted + flip(lifting(dense_of(flip(detected))))) / 2
        visible = (~hidden if patch else torch.ones_like(hidden))[:, corpus.joints]
        answer = _measured(lifted, corpus)
        found = _errors(answer, target, visible)
        found |= _errors_2d(context, poses, split)
        # One view a sample, or of a sliding patch's views the worst.
        for name, error in found.items():
            errors[name] = torch.maximum(errors.get(name, error), error)
        examples = examples or _examples(poses, hidden, lifted, split)
        hidden_share = max(hidden_share, hidden.double().mean().item())
    if not patch:  # of one view, all of it visible
        errors |= {"pck_pct": pck(answer, target), "auc_pct": auc(answer, target)}
    action, fitted = split.action.cpu(), split.fitted.cpu()
    if corpus.partly_fitted or not fitted.all() or rows is not None:
        errors = _with_fitted(errors, fitted, alone=rows is not None)
    clip = torch.as_tensor(samples.clip, dtype=torch.int64)
    save_file({**errors, "action": action, "clip": clip}, context.work / "errors.safetensors")
    save_file(examples, context.work / "examples.safetensors")
    metrics = _over_actions(errors, action, corpus.action_names, fitted)
    sound = torch.as_tensor(corpus.sound(samples))
    metrics |= _otherwise(errors, action, corpus.action_names, sound)
    if context.config.data.sampling == "sequences" and not patch and rows is None:
        on = _goes_on(samples)
        steps = {"mpjve_mm": mpjve(answer, target)[on]}
        metrics |= _over_actions(steps, action[1:][on], corpus.action_names, fitted[1:][on])
    metrics["hidden_joints_pct"] = 100 * hidden_share
    return metrics


def _measurable(
    context: StageContext, side: Side
) -> tuple[Split, Samples, NDArray[np.bool_] | None]:
    """What can be lifted of a side, and which of its samples (N,) these are; None: all of them."""
    corpus = context.corpus
    split, samples = split_tensors(corpus, side, context.device), corpus.side(side)
    if split.fitted.all() or not context.config.lifts_exact_points:
        return split, samples, None
    rows = samples.fitted
    context.facts["measured"] = f"{int(rows.sum())} of {len(rows)} samples, those with a body"
    return fitted_tensors(corpus, side, context.device), samples.take(rows), rows


def _with_fitted(errors: Mapping[str, Tensor], fitted: Tensor, alone: bool) -> dict[str, Tensor]:
    """Errors of protocols 1 and 2 of samples with a body beside all, NaN of the others.

    With ``alone`` in place of all, because no others were lifted; what else is of 3D is left out.
    """
    of_fitted = {
        f"{name}_fit_mm": errors[f"{name}_mm"].where(fitted, torch.nan)
        for name in ("mpjpe", "p_mpjpe")
    }
    kept = {name: error for name, error in errors.items() if not alone or _is_of_fitted(name)}
    return kept | of_fitted


def _is_of_fitted(name: str) -> bool:
    """Whether an error is of samples with a body alone: of their dense points, or by its name."""
    return name.endswith("_px") or "_fit_" in name


def _measured(poses: Tensor, corpus: Corpus) -> Tensor:
    """The joints (N, J, 3) that errors are measured over, relative to the root of the data."""
    if corpus.root:
        poses = poses - poses[:, corpus.root].mean(dim=1, keepdim=True)
    return poses[:, corpus.joints]


def _over_actions(
    errors: Mapping[str, Tensor],
    action: Tensor,
    action_names: Sequence[str],
    fitted: Tensor,
) -> dict[str, float]:
    """The mean of every error over actions, and of each action by itself."""
    metrics: dict[str, float] = {}
    for name, error in errors.items():
        rows = fitted if _is_of_fitted(name) else torch.ones_like(fitted)
        actions = per_action(error[rows], action[rows], action_names)
        if actions:
            metrics[name] = action_mean(actions)
        metrics |= {f"{name}/{label}": value for label, value in actions.items()}
    return metrics


def _otherwise(
    errors: Mapping[str, Tensor], action: Tensor, action_names: Sequence[str], sound: Tensor
) -> dict[str, float]:
    """Protocols 1 and 2 over all frames, and without damaged clips where the split has some."""
    metrics: dict[str, float] = {}
    for name in ("mpjpe", "p_mpjpe"):
        of_fitted = errors.get(f"{name}_fit_mm")
        if of_fitted is not None and not of_fitted.isnan().all():
            metrics[f"{name}_fit_frames_mm"] = frame_mean(of_fitted[~of_fitted.isnan()])
        if f"{name}_mm" not in errors:
            continue
        error = errors[f"{name}_mm"]
        metrics[f"{name}_frames_mm"] = frame_mean(error)
        if sound.any() and not sound.all():
            actions = per_action(error[sound], action[sound], action_names)
            metrics[f"{name}_sound_mm"] = action_mean(actions)
            metrics[f"{name}_sound_frames_mm"] = frame_mean(error[sound])
    return metrics


def _goes_on(samples: Samples) -> Tensor:
    """Between which rows (N - 1,) a sequence goes on to its next frame."""
    same, step = np.diff(samples.sequence) == 0, np.diff(samples.frame)
    return torch.as_tensor(same & (step == 1))


def _views(context: StageContext, split: Split, samples: Samples) -> list[tuple[Tensor, Tensor]]:
    """The 17 joints as they are detected, and which of them are hidden, view by view."""
    occlusion = context.config.occlusion
    if occlusion.kind == "none":
        nothing = torch.zeros(split.size, split.detected.shape[1], dtype=torch.bool)
        return [(split.detected, nothing)]
    views = []
    for pixels, hidden in occlude(samples.detected_2d, samples.exact_2d, occlusion):
        screen = normalise_screen(np.array(pixels), context.corpus.image_size)
        views.append((torch.as_tensor(screen, device=context.device), torch.as_tensor(hidden)))
    return views


def _densifying(context: StageContext, split: Split) -> Callable[[Tensor], Tensor]:
    """From other detections (N, 17, 2) to the lifter's input (N, J, 2), made dense anew.

    Models are loaded when they are first needed: plain evaluations need none.
    """
    levels = context.config.input_levels
    densifier = cache(partial(_densifier, context, split))

    def dense(detected: Tensor) -> Tensor:
        points = densifier()(detected) if levels else {}
        return torch.cat([detected, *(points[level] for level in levels)], dim=1)

    return dense


def _densifier(context: StageContext, split: Split) -> Callable[[Tensor], dict[int, Tensor]]:
    source = context.config.lifter.dense_input
    if source == "generated":
        tokenizer = load_tokenizer(context)
        return load_densifier(context, tokenizer)
    if source == "regressed":
        return partial(regress, context, load_regressor(context))
    return lambda _: split.levels


def _examples(poses: Tensor, hidden: Tensor, lifted: Tensor, split: Split) -> dict[str, Tensor]:
    """A few samples to look at, spread over the split; of a sliding patch its first view."""
    rows = torch.linspace(0, split.size - 1, min(EXAMPLES, split.size)).long()
    found = {
        "input": poses.cpu()[rows],
        "hidden": hidden.cpu()[rows],
        "lifted": lifted[rows].float(),
        "target": split.target.cpu()[rows],
        "action": split.action.cpu()[rows],
    }
    return {name: value.contiguous() for name, value in found.items()}


def _errors_2d(context: StageContext, poses: Tensor, split: Split) -> dict[str, Tensor]:
    """How far each sample's dense points are from the exact ones, pixels, by level.

    All in all, and within parts.
    """
    sizes = [split.detected.shape[1], *context.config.input_levels]
    scale = context.corpus.image_size[0] / 2
    found: dict[str, Tensor] = {}
    for level, points in zip(sizes[1:], poses.split(sizes, dim=1)[1:], strict=True):
        exact, word = split.levels[level], LEVEL_NAMES[level]
        errors = {
            "2d_px": (points - exact).norm(dim=-1).mean(dim=-1),
            "within_part_px": within_part_error(points, exact),
        }
        found |= {f"{word}_{name}": scale * e.cpu().double() for name, e in errors.items()}
    return found


def _lifting(context: StageContext, split: Split) -> Callable[[Tensor], Tensor]:
    """From the lifter's input to 3D poses (N, 17, 3), double precision, on the CPU."""
    lifter = load_lifter(context, NUM_JOINTS + sum(context.config.input_levels))
    model = context.config.lifter.model
    films = split.sequence, BATCH, split.frame
    return lambda poses: lift(lifter, model, poses, *films).cpu().double()


def _errors(lifted: Tensor, target: Tensor, visible: Tensor) -> dict[str, Tensor]:
    """Errors of each sample over its visible joints, mm; NaN-free: with none visible it is 0."""
    if visible.all():
        return {
            "mpjpe_mm": mpjpe(lifted, target),
            "p_mpjpe_mm": p_mpjpe(lifted, target),
            "n_mpjpe_mm": n_mpjpe(lifted, target),
        }
    weights = visible.double()
    weights = weights / weights.sum(1, keepdim=True).clamp_min(1)
    poses = {
        "mpjpe_mm": lifted,
        "p_mpjpe_mm": procrustes(lifted, target),
        "n_mpjpe_mm": scaled(lifted, target),
    }
    return {
        name: 1000 * ((pose - target).norm(dim=-1) * weights).sum(1) for name, pose in poses.items()
    }
