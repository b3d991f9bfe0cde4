"""Adam over rows of weights, one row for each member of an array.

``torch.optim`` knows one learning rate for all rows and asks for every tensor by itself, which
costs a model of two hundred small tensors more than the arithmetic does.
"""

import torch
from torch import Tensor

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class Adam:
    """Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019)."""

    def __init__(self, weights: Tensor, weight_decay: Tensor) -> None:
        """For weights (members, n), which are changed in place; ``weight_decay`` (members,)."""
        self.weights = weights
        self._decay = weight_decay.unsqueeze(1)
        self.mean, self.square = torch.zeros_like(weights), torch.zeros_like(weights)
        self._steps = torch.zeros((), dtype=torch.float64, device=weights.device)

    @torch.no_grad()
    def step(self, gradient: Tensor, rates: Tensor) -> None:
        """One step along a gradient (members, n) at learning rates (members,)."""
        self._steps += 1
        first, second = ((1 - beta**self._steps).to(gradient.dtype) for beta in BETAS)
        self.mean.mul_(BETAS[0]).add_(gradient, alpha=1 - BETAS[0])
        self.square.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
        rate = rates.unsqueeze(1)
        self.weights.mul_(1 - rate * self._decay)
        root = (self.square / second).sqrt_().add_(EPSILON)
        self.weights.sub_(self.mean / root * (rate / first))

    def state(self, member: int) -> dict[str, Tensor]:
        """What a member's checkpoint keeps beside its weights."""
        return {"mean": self.mean[member], "square": self.square[member]}

    def restore(self, member: int, state: dict[str, Tensor], steps: int) -> None:
        """Go on from what ``state`` returned after so many steps."""
        self.mean[member] = state["mean"]
        self.square[member] = state["square"]
        self._steps.fill_(steps)
