"""What every prior's generation has in common: how a token is chosen, and what is read off."""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hipart.models.quantizer import CodeTable
from hipart.shapes import Float, Int
from hipart.skeleton import NUM_JOINTS, NUM_PARTS

#: What is read off the distributions: the most probable tokens, or their mean codes.
Decode = Literal["argmax", "mean"]
#: A token of each distribution (..., K) of logits.
Choose = Callable[[Tensor], Tensor]


def most_probable(logits: Float[Tensor, "*rest k"]) -> Int[Tensor, "*rest"]:
    """The token of the greatest probability (Alg. 1)."""
    return logits.argmax(-1)


def sampled(generator: torch.Generator) -> Choose:
    """Tokens drawn from their distributions, by the Gumbel-max trick."""

    def draw(logits: Tensor) -> Tensor:
        noise = torch.rand(logits.shape, generator=generator, dtype=torch.float64)
        gumbel = -torch.log(-torch.log(noise.clamp(1e-12, 1 - 1e-12)))
        return (logits + gumbel.to(logits)).argmax(-1)

    return draw


def read_off(decode: Decode, table: CodeTable, tokens: Tensor, logits: Tensor | None) -> Tensor:
    """The chosen tokens (...), or the mean codes (..., dim) of the logits (..., K).

    Without logits, of tokens that were given, the mean is the token's own code.
    """
    if decode == "argmax":
        return tokens
    return F.embedding(tokens, table.codes) if logits is None else table.mean(logits)


class PoseConditioning(nn.Module):
    """A linear map of x_s for each of the 16 steps or parts, added to what stands there.

    The paper lets x_s in once, as start of the sequence; this is ``conditioning: every_step``.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(2 * NUM_JOINTS, NUM_PARTS * width)

    def forward(self, pose: Float[Tensor, "batch 17 2"]) -> Float[Tensor, "batch 16 width"]:
        """What is added at every step."""
        steps: Tensor = self.project(pose.flatten(1))
        return torch.unflatten(steps, 1, (NUM_PARTS, -1))
