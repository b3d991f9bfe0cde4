"""17 detected joints to generated 48- and 96-joint poses: prior, then decoders (Alg. 1)."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from hipart.models.priors import AnyPrior
from hipart.models.tokenizer import Tokenizer

#: Poses generated at once; one value for training, evaluation and prediction, since a matrix
#: product may round differently in another shape.
GENERATION_BATCH = 256


@torch.inference_mode()
def densify(prior: AnyPrior, tokenizer: Tokenizer, poses: Tensor) -> Iterator[dict[int, Tensor]]:
    """Generated poses of the tokenizer's levels, batch by batch.

    Args:
        poses: (N, 17, 2) detected joints in screen units.

    Yields:
        (n, points, 2) in screen units by number of points, n at most ``GENERATION_BATCH``.
    """
    for batch in poses.split(GENERATION_BATCH):
        yield tokenizer.decode(*prior.generate(batch))


def densify_all(prior: AnyPrior, tokenizer: Tokenizer, poses: Tensor) -> dict[int, Tensor]:
    """``densify`` in one piece: (N, points, 2) by number of points."""
    return gathered(list(densify(prior, tokenizer, poses)))


def gathered(batches: Sequence[dict[int, Tensor]]) -> dict[int, Tensor]:
    """The poses of all batches one after another, by number of points."""
    return {points: torch.cat([batch[points] for batch in batches]) for points in batches[0]}
