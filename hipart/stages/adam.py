"""Adam over rows of weights, one row for each member of an array.

``torch.optim`` takes every parameter by itself, which costs a model of two hundred small tensors
more than the arithmetic does, and knows one learning rate for all of them. Its arithmetic is used
here, on whole rows.
"""

import torch
from torch import Tensor
from torch.optim.adamw import adamw


class Adam:
    """Adam (Kingma and Ba 2015) with decoupled weight decay (Loshchilov and Hutter 2019)."""

    def __init__(
        self, weights: Tensor, weight_decay: list[float], decayed: Tensor | None = None
    ) -> None:
        """For weights (members, n), which are changed in place; one decay for each member.

        ``decayed`` (n,) is 1 for weights that decay and 0 for others; None where all do.
        """
        self._weights, self._decay, self._decayed = weights, weight_decay, decayed
        self.mean, self.square = torch.zeros_like(weights), torch.zeros_like(weights)
        self._steps = torch.zeros(len(weights), device=weights.device)

    @torch.no_grad()
    def step(self, gradient: Tensor, rates: Tensor) -> None:
        """One step along a gradient (members, n) at learning rates (members,)."""
        for member, decay in enumerate(self._decay):
            if self._decayed is not None:
                self._weights[member].mul_(1 - rates[member] * decay * self._decayed)
            adamw(
                [self._weights[member]],
                [gradient[member]],
                [self.mean[member]],
                [self.square[member]],
                [],
                [self._steps[member]],
                fused=True,
                capturable=gradient.is_cuda,
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=rates[member],
                weight_decay=decay if self._decayed is None else 0.0,
                eps=1e-8,
                maximize=False,
            )

    def state(self, member: int) -> dict[str, Tensor]:
        """What a member's checkpoint keeps beside its weights."""
        return {"mean": self.mean[member], "square": self.square[member]}

    def restore(self, member: int, state: dict[str, Tensor], steps: int) -> None:
        """Go on from what ``state`` returned after so many steps."""
        self.mean[member] = state["mean"]
        self.square[member] = state["square"]
        self._steps[member] = steps
