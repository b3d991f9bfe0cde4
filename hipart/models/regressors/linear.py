"""Linear regression of all dense points on the detected joints."""

import torch
from torch import Tensor

from hipart.config import LinearRegressorConfig
from hipart.models.regressors.fitted import FittedRegressor, in_double, mean_of
from hipart.shapes import Float
from hipart.skeleton import NUM_JOINTS

#: Directions of the joints with less than this share of the largest variance hold rounding alone.
SMALLEST_VARIANCE = 1e-12


class LinearRegressor(FittedRegressor):
    """The affine map from 34 numbers, 17 joints, to all points that has the least squared error."""

    weight: Tensor
    bias: Tensor

    def __init__(self, config: LinearRegressorConfig, levels: tuple[int, ...]) -> None:
        super().__init__()
        outputs = 2 * sum(levels)
        self.register_buffer("weight", torch.zeros(2 * NUM_JOINTS, outputs))
        self.register_buffer("bias", torch.zeros(outputs))

    def fit(
        self, detected: Float[Tensor, "samples 17 2"], exact: Float[Tensor, "samples points 2"]
    ) -> None:
        """Solve the normal equations of centred samples, summed chunk by chunk."""
        inputs, outputs = detected.flatten(1), exact.flatten(1)
        x_mean, y_mean = mean_of(inputs), mean_of(outputs)
        gram = x_mean.new_zeros(x_mean.numel(), x_mean.numel())
        cross = x_mean.new_zeros(x_mean.numel(), y_mean.numel())
        for x, y in in_double(inputs, outputs):
            centred = x - x_mean
            gram += centred.T @ centred
            cross += centred.T @ (y - y_mean)
        weight = least_squares(gram, cross)
        self.weight.copy_(weight)
        self.bias.copy_(y_mean - x_mean @ weight)

    def forward(self, pose: Float[Tensor, "batch 17 2"]) -> Float[Tensor, "batch points 2"]:
        """Points of all levels, coarse to fine, from detected joints."""
        flat = torch.addmm(self.bias, pose.flatten(1), self.weight)
        points: Tensor = flat.unflatten(1, (-1, 2))
        return points


def least_squares(
    gram: Float[Tensor, "inputs inputs"], cross: Float[Tensor, "inputs outputs"]
) -> Float[Tensor, "inputs outputs"]:
    """The smallest solution W of ``gram @ W = cross``, as ``lstsq`` finds it.

    In directions in which the samples do not vary it is zero, so a singular system has a solution.
    """
    variances, directions = torch.linalg.eigh(gram)
    kept = variances > SMALLEST_VARIANCE * variances[-1]
    inverse = torch.where(kept, 1 / variances, torch.zeros_like(variances))
    weight: Tensor = directions @ (inverse[:, None] * (directions.T @ cross))
    return weight
