"""Errors of poses and usage of codebooks.

3D poses are given in metres, errors are returned in millimetres. Errors stay per sample; means
are taken afterwards, so that the composition of batches cannot change a number.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from hipart.shapes import Float, Int
from hipart.skeleton import NUM_PARTS

MM_PER_M = 1000.0
#: Within which a joint is found, and the thresholds of AUC, millimetres (MPI-INF-3DHP).
PCK_MM = 150.0
AUC_MM = tuple(range(0, 151, 5))


def mpjpe(
    pred: Float[Tensor, "batch joints 3"], target: Float[Tensor, "batch joints 3"]
) -> Float[Tensor, " batch"]:
    """Mean per joint position error of each sample, Protocol 1 (Sec. 5.1).

    Both poses root-relative, in metres; the result in millimetres.
    """
    distances: Tensor = torch.linalg.vector_norm(pred - target, dim=-1)
    return MM_PER_M * distances.mean(-1)


def p_mpjpe(
    pred: Float[Tensor, "batch joints 3"], target: Float[Tensor, "batch joints 3"]
) -> Float[Tensor, " batch"]:
    """MPJPE of each sample after the best similarity, Protocol 2 or PA-MPJPE (Sec. 5.1).

    Translation, rotation (never a reflection) and scale are fitted to the target, as
    VideoPose3D's ``p_mpjpe`` does. In metres; the result in millimetres, computed in double
    precision. A prediction with all joints in one point is only translated.
    """
    aligned = procrustes(pred.double(), target.double())
    return mpjpe(aligned, target.double()).to(pred.dtype)


def procrustes(
    pred: Float[Tensor, "batch joints 3"], target: Float[Tensor, "batch joints 3"]
) -> Float[Tensor, "batch joints 3"]:
    """Each prediction under the similarity that brings it closest to its target (Kabsch)."""
    target_mean = target.mean(1, keepdim=True)
    x = pred - pred.mean(1, keepdim=True)
    y = target - target_mean
    u, singular, vh = torch.linalg.svd(x.transpose(1, 2) @ y)
    # Where U V^T would mirror the pose, the direction that matters least is turned round.
    signs = torch.ones_like(singular)
    signs[:, -1] = torch.linalg.det(u @ vh).sign()
    rotation = (u * signs.unsqueeze(1)) @ vh
    scale = (singular * signs).sum(1) / _spread(x)
    aligned: Tensor = scale[:, None, None] * (x @ rotation) + target_mean
    return aligned


def scaled(
    pred: Float[Tensor, "batch joints 3"], target: Float[Tensor, "batch joints 3"]
) -> Float[Tensor, "batch joints 3"]:
    """Each root-relative prediction in the size that brings it closest to its target."""
    fit = (pred * target).sum((1, 2)) / _spread(pred)
    return fit[:, None, None] * pred


def n_mpjpe(
    pred: Float[Tensor, "batch joints 3"], target: Float[Tensor, "batch joints 3"]
) -> Float[Tensor, " batch"]:
    """MPJPE of each sample after the best scale alone (Rhodin et al., ECCV 2018).

    Least squares about the root, as VideoPose3D's ``n_mpjpe``. Both poses root-relative, in metres;
    the result in millimetres. A prediction with all joints at the root stays there.
    """
    return mpjpe(scaled(pred, target), target)


def pck(
    pred: Float[Tensor, "batch joints 3"], target: Float[Tensor, "batch joints 3"]
) -> Float[Tensor, " batch"]:
    """Percentage of correct keypoints in 3D: each sample's joints off by less than 150 mm.

    Mehta et al., 3DV 2017. Both poses root-relative, in metres; all joints given count, the root
    too, where MPI-INF-3DHP takes 14.
    """
    found = _distances_mm(pred, target) < PCK_MM
    return 100.0 * found.to(pred.dtype).mean(-1)


def auc(
    pred: Float[Tensor, "batch joints 3"], target: Float[Tensor, "batch joints 3"]
) -> Float[Tensor, " batch"]:
    """Area under each sample's PCK curve in percent: its mean at 0, 5, ..., 150 mm.

    As ``mpii_compute_3d_pck.m`` of MPI-INF-3DHP computes it. No joint is off by less than 0 mm, so
    that 30 of 31 thresholds, 96.8 %, are the most there is. Poses as in ``pck``.
    """
    thresholds = torch.tensor(AUC_MM, dtype=pred.dtype, device=pred.device)
    missed = torch.bucketize(_distances_mm(pred, target), thresholds, right=True)
    return 100.0 * (1 - missed.to(pred.dtype).mean(-1) / len(thresholds))


def mpjve(
    pred: Float[Tensor, "frames joints 3"], target: Float[Tensor, "frames joints 3"]
) -> Float[Tensor, " steps"]:
    """Mean per joint velocity error of each step from one frame of a sequence to the next.

    VideoPose3D's ``mean_velocity_error`` before its mean. Both root-relative, in metres, frames in
    order; the result, one shorter, in millimetres a frame.
    """
    return mpjpe(pred.diff(dim=0), target.diff(dim=0))


def within_part_error(
    estimate: Float[Tensor, "batch points 2"], truth: Float[Tensor, "batch points 2"]
) -> Float[Tensor, " batch"]:
    """Mean distance of each sample's dense points after each part's own mean error is taken out.

    Points of one level, part after part (a multiple of 16), in any unit, which is the result's. A
    part that is put in the wrong place as a whole costs a lifter nothing, which has the joints
    beside it; points scattered within a part cost nearly all that dense points give: measured on
    exact points with either error (docs/decisions/0042).
    """
    errors = (estimate - truth).unflatten(1, (NUM_PARTS, -1))
    within = errors - errors.mean(2, keepdim=True)
    distances: Tensor = torch.linalg.vector_norm(within, dim=-1)
    return distances.mean((1, 2))


def per_action(
    errors: Float[Tensor, " samples"],
    actions: Int[Tensor, " samples"],
    action_names: Sequence[str],
) -> dict[str, float]:
    """Mean error of each action that occurs; ``actions`` holds indices into the names.

    Raises ValueError for an index without a name and for a name given twice.
    """
    names = list(action_names)
    if len(set(names)) != len(names):
        raise ValueError(f"action names must differ, given {names}: remove the repeated ones")
    if len(actions) and not 0 <= int(actions.min()) <= int(actions.max()) < len(names):
        raise ValueError(
            f"action indices must lie in 0..{len(names) - 1}, given {int(actions.min())}.."
            f"{int(actions.max())}: pass the names that the indices were made with"
        )
    counts = torch.bincount(actions, minlength=len(names))
    sums = torch.bincount(actions, weights=errors.double(), minlength=len(names))
    return {
        name: total / count
        for name, total, count in zip(names, sums.tolist(), counts.tolist(), strict=True)
        if count
    }


def action_mean(by_action: Mapping[str, float]) -> float:
    """Mean over actions, each counting once: the "Avg." column of Table 1."""
    return sum(by_action.values()) / len(by_action)


def frame_mean(errors: Float[Tensor, " samples"]) -> float:
    """Mean over all samples, each counting once."""
    return float(errors.double().mean())


def token_histogram(tokens: Int[Tensor, "..."], codebook_size: int) -> Int[Tensor, " codes"]:
    """How often each code was used."""
    return torch.bincount(tokens.flatten(), minlength=codebook_size)


def codebook_usage_pct(histogram: Int[Tensor, " codes"]) -> float:
    """Share of the codes that were used at least once, in percent."""
    return 100.0 * float((histogram > 0).double().mean())


def dead_codes(histogram: Int[Tensor, " codes"]) -> int:
    """Number of codes that were never used."""
    return int((histogram == 0).sum())


def perplexity(histogram: Int[Tensor, " codes"]) -> float:
    """exp(entropy) of the code frequencies: how many codes are used as if equally often.

    Between 1 and the codebook size; raises ValueError for an empty histogram.
    """
    total = int(histogram.sum())
    if total == 0:
        raise ValueError("perplexity needs at least one token: the histogram is all zeros")
    frequencies = histogram.double() / total
    return float(torch.special.entr(frequencies).sum().exp())


def _distances_mm(pred: Tensor, target: Tensor) -> Tensor:
    distances: Tensor = torch.linalg.vector_norm(pred - target, dim=-1)
    return MM_PER_M * distances


def _spread(pose: Tensor) -> Tensor:
    """Sum of squares of each pose (batch,); never zero."""
    return pose.square().sum((1, 2)).clamp_min(torch.finfo(pose.dtype).tiny)
