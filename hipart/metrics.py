"""Errors of 3D poses and usage of codebooks.

Poses are given in metres, errors are returned in millimetres. Errors stay per sample; means
are taken afterwards, so that the composition of batches cannot change a number.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from hipart.shapes import Float, Int

MM_PER_M = 1000.0


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
    spread = x.square().sum((1, 2)).clamp_min(torch.finfo(x.dtype).tiny)
    scale = (singular * signs).sum(1) / spread
    aligned: Tensor = scale[:, None, None] * (x @ rotation) + target_mean
    return aligned


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
