"""17 detected joints to generated 48- and 96-joint poses: prior, then decoders (Alg. 1)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from hipart.models.prior import Prior
from hipart.models.tokenizer import Tokenizer

#: Poses generated at once; one value for training, evaluation and prediction, since a matrix
#: product may round differently in another shape.
GENERATION_BATCH = 256


@torch.inference_mode()
def densify(prior: Prior, tokenizer: Tokenizer, poses: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Generated (dense, fine) poses, batch by batch.

    Args:
        poses: (N, 17, 2) detected joints in screen units.

    Yields:
        (n, 48, 2) and (n, 96, 2) in screen units, n at most ``GENERATION_BATCH``.
    """
    for batch in poses.split(GENERATION_BATCH):
        yield tokenizer.decode(*prior.generate(batch))
