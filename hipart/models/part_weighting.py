"""Points of a pose, part by part, as where the part is and what its inner geometry adds.

A lifter does not mind a part that stands some pixels off as a whole; what helps it is the turn and
depth that a part's points show among themselves, which are small beside the part's place and so
the first that a quantiser gives up (docs/decisions/0042).
"""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from hipart.shapes import Float
from hipart.skeleton import NUM_PARTS

#: No coefficient counts for more than if its spread were this share of the largest one's.
SMALLEST_SHARE = 0.01


class PartWeighting(nn.Module):
    """An orthonormal cosine transform (DCT-II) of each part's points, each coefficient weighted.

    The weight is the coefficient's spread over the training poses to the power ``-exponent``:
    with 1 all of them count alike, with 0 points count as they are.
    """

    def __init__(self, levels: Sequence[int], exponent: float) -> None:
        super().__init__()
        self.exponent = exponent
        for level in levels:
            each = level // NUM_PARTS
            self.register_buffer(f"basis_{level}", cosine_basis(each), persistent=False)
            self.register_buffer(f"weight_{level}", torch.ones(NUM_PARTS, each, 1))

    def fit(self, poses: Mapping[int, Float[Tensor, "poses _ 2"]]) -> None:
        """Find the weights of each level's coefficients from training poses."""
        for level, points in poses.items():
            spread = self._coefficients(points, level).std(dim=(0, 3), keepdim=True)[0]
            spread = spread.clamp_min(SMALLEST_SHARE * spread.max())
            self.get_buffer(f"weight_{level}").copy_(spread**-self.exponent)

    def weigh(self, points: Float[Tensor, "poses _ 2"], level: int) -> Float[Tensor, "poses _ 2"]:
        """The weighted coefficients of a level's points, in the points' places."""
        weighted = self._coefficients(points, level) * self.get_buffer(f"weight_{level}")
        return weighted.flatten(1, 2)

    def back(self, weighted: Float[Tensor, "poses _ 2"], level: int) -> Float[Tensor, "poses _ 2"]:
        """The points of which ``weigh`` made these."""
        parts = weighted.unflatten(1, (NUM_PARTS, -1)) / self.get_buffer(f"weight_{level}")
        points: Tensor = self.get_buffer(f"basis_{level}").T @ parts
        return points.flatten(1, 2)

    def _coefficients(self, points: Tensor, level: int) -> Tensor:
        parts = points.unflatten(1, (NUM_PARTS, -1))
        coefficients: Tensor = self.get_buffer(f"basis_{level}") @ parts
        return coefficients


def cosine_basis(count: int) -> Float[Tensor, "count count"]:
    """The orthonormal DCT-II: row k is the k-th cosine over ``count`` points; row 0 their mean."""
    place = torch.arange(count, dtype=torch.float64)
    rows = torch.cos(math.pi * (place[None] + 0.5) * place[:, None] / count)
    rows *= math.sqrt(2 / count)
    rows[0] /= math.sqrt(2)
    return rows.float()
