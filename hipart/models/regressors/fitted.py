"""Densifiers that are fitted in closed form: what any model that is trained has to beat.

All they know are affine maps of detected joints, so they take points in any unit, and what they
give is in the same.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from hipart.shapes import Float

#: Samples that are looked at together in double precision; 1.5 million at once would not fit.
CHUNK = 16384


class FittedRegressor(nn.Module):
    """A densifier whose numbers are buffers, computed from all samples at once; no seed, no steps.

    Before it is fitted they are zeros.
    """

    def fit(
        self, detected: Float[Tensor, "samples 17 2"], exact: Float[Tensor, "samples points 2"]
    ) -> None:
        """Take the numbers that fit detected joints to the exact points best."""
        raise NotImplementedError


def in_double(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same rows of all tensors, ``CHUNK`` at a time, in double precision."""
    for rows in zip(*(tensor.split(CHUNK) for tensor in tensors), strict=True):
        yield tuple(chunk.double() for chunk in rows)


def mean_of(tensor: Tensor) -> Tensor:
    """Mean over the first dimension, in double precision."""
    sums = [chunk.sum(0) for (chunk,) in in_double(tensor)]
    return torch.stack(sums).sum(0) / tensor.shape[0]
