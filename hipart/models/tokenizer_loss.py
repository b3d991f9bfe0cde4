"""The losses of stage 1 (Eqs. 3 to 6, App. C)."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor

from hipart.config import TokenizerConfig
from hipart.models.tokenizer import TokenizerOutput
from hipart.shapes import Float, Int
from hipart.skeleton import LEVEL_NAMES, NUM_PARTS


class TokenizerWeights(NamedTuple):
    """What the loss reads of a ``TokenizerConfig``, with tensors for the numbers."""

    commitment_weight: Tensor
    lambda_local: Tensor
    lambda_global: Tensor
    temperature: Tensor
    loss_reduction: Literal["mean", "sum"]
    alignment: Literal["one_way", "symmetric"] = "one_way"


def local_alignment(
    sparse_codes: Float[Tensor, "batch 16 width"],
    dense_codes: Float[Tensor, "batch _ width"],
    temperature: float | Tensor,
    alignment: Literal["one_way", "symmetric"] = "one_way",
) -> Float[Tensor, ""]:
    """L_local, Eq. 3: InfoNCE between a part's sparse code and the mean of its dense codes.

    Cosine similarities; the 15 other parts of the same pose are the negatives; mean over parts
    and poses (the paper sums over parts). Equal codes everywhere give ln 16.

    Eq. 3 goes one way: a sparse code picks the dense mean. ``symmetric`` is the mean of this and of
    the other way, in which a dense mean picks the sparse code, as in CLIP (Radford et al. 2021).
    """
    dense_means = reduce(dense_codes, "b (p r) d -> b p d", "mean", p=NUM_PARTS)
    anchors = F.normalize(sparse_codes, dim=-1)
    similarity = anchors @ F.normalize(dense_means, dim=-1).transpose(1, 2)
    own_part = torch.arange(NUM_PARTS, device=similarity.device).repeat(len(similarity))
    loss = F.cross_entropy(rearrange(similarity, "b i k -> (b i) k") / temperature, own_part)
    if alignment == "one_way":
        return loss
    back = F.cross_entropy(rearrange(similarity, "b i k -> (b k) i") / temperature, own_part)
    return (loss + back) / 2


def tokenizer_loss(
    output: TokenizerOutput,
    poses: dict[int, Tensor],
    action: Int[Tensor, " batch"],
    config: TokenizerConfig | TokenizerWeights,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """L_1, Eq. 6: the loss and its detached, unweighted parts.

    Norms are means over all elements, or with ``loss_reduction: sum`` sums over joints and
    channels (and L_local a sum over parts), averaged over the batch.

    Poses in normalised image coordinates. The codebook term ``|sg(z) - zq|^2`` has no gradient
    (EMA codebooks) and the value of the commitment term, so it is left out. Without dense tokens
    there is nothing to align locally.
    """

    def squared_error(a: Tensor, b: Tensor) -> Tensor:
        each = 1 if config.loss_reduction == "mean" else a[0].numel()
        return each * F.mse_loss(a, b)

    errors = {
        f"{LEVEL_NAMES[level]}_error": squared_error(pose, poses[level])
        for level, pose in reversed(output.poses.items())
    }
    levels = [output.sparse, *output.dense]
    each_part = NUM_PARTS if config.loss_reduction == "sum" else 1
    parts = errors | {
        "commitment": sum(
            (squared_error(z.inputs, z.raw) for z in levels),
            torch.zeros((), device=action.device),
        ),
        "local_alignment": each_part
        * sum(
            (
                local_alignment(
                    output.sparse.codes, level.codes, config.temperature, config.alignment
                )
                for level in output.dense
            ),
            torch.zeros((), device=action.device),
        ),
        "global_alignment": F.cross_entropy(output.action_logits, action),
    }
    loss = (
        sum(errors.values(), torch.zeros((), device=action.device))
        + config.commitment_weight * parts["commitment"]
        + config.lambda_local * parts["local_alignment"]
        + config.lambda_global * parts["global_alignment"]
    )
    return loss, {name: part.detach() for name, part in parts.items()}
