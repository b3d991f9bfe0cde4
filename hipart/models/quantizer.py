"""Codebooks: learned by exponential moving average (Sec. 4.1, Eq. 1-2), later used frozen."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hipart.config import CodebookConfig
from hipart.shapes import Float, Int

#: Laplace smoothing of the code counts: keeps the division finite for codes never used.
EPSILON = 1e-5
#: Without ``dead_below`` a code is dead whose moving count is less: at decay 0.9 it was unused for
#: 22 steps.
DEAD_BELOW = 0.1


class Quantized(NamedTuple):
    """What the quantiser returns for embeddings z of shape (batch, tokens, dim)."""

    #: The codes, straight-through: their gradient is passed to z unchanged.
    codes: Float[Tensor, "batch tokens dim"]
    #: Index of each code, q = Q(z; C).
    tokens: Int[Tensor, "batch tokens"]
    #: The codes C[q] themselves, without gradient.
    raw: Float[Tensor, "batch tokens dim"]


class EmaQuantizer(nn.Module):
    """Nearest-code quantiser; the codebook is a buffer that follows the data (EMA)."""

    codes: Tensor
    cluster_size: Tensor
    code_sum: Tensor

    def __init__(self, config: CodebookConfig, generator: torch.Generator | None = None) -> None:
        """Draw standard normal codes, each standing for one observation of itself."""
        super().__init__()
        self.decay = config.decay
        self.restarts = config.dead_code == "restart"
        self.dead_below = config.dead_below
        codes = torch.randn(config.size, config.dim, generator=generator)
        self.register_buffer("codes", codes)
        self.register_buffer("cluster_size", torch.ones(config.size))
        self.register_buffer("code_sum", codes.clone())

    def forward(self, z: Float[Tensor, "batch tokens dim"]) -> Quantized:
        """Quantise z; in training mode then move the codes towards what they quantised."""
        quantized = self.quantize(z)
        if self.training:
            self.follow(z.flatten(0, 1), quantized.tokens.flatten())
        return quantized

    def quantize(self, z: Float[Tensor, "batch tokens dim"]) -> Quantized:
        """Quantise z, in the codebook's own precision; the codebook stays as it is."""
        z = z.to(self.codes.dtype)
        with torch.autocast(z.device.type, enabled=False):
            tokens = self.nearest(z)
        raw = self.lookup(tokens)
        return Quantized(codes=z + (raw - z).detach(), tokens=tokens, raw=raw)

    @torch.no_grad()
    def nearest(self, z: Float[Tensor, "batch tokens dim"]) -> Int[Tensor, "batch tokens"]:
        """Index of the code at the smallest Euclidean distance (Eq. 1)."""
        # argmin_k |z - c_k|^2 = argmin_k |c_k|^2 - 2 z.c_k: one matrix product.
        squared_norms = self.codes.square().sum(1)
        offsets = torch.addmm(squared_norms, z.flatten(0, 1), self.codes.T, alpha=-2)
        tokens: Tensor = offsets.argmin(1).unflatten(0, z.shape[:2])
        return tokens

    def lookup(self, tokens: Int[Tensor, "batch tokens"]) -> Float[Tensor, "batch tokens dim"]:
        """The codes C[q] of the given tokens."""
        return F.embedding(tokens, self.codes)

    @torch.no_grad()
    def follow(self, z: Float[Tensor, "n dim"], tokens: Int[Tensor, " n"]) -> None:
        """EMA: n <- g n + (1-g) counts, m <- g m + (1-g) sums, codes = m / laplace(n)."""
        ones = torch.ones_like(tokens, dtype=self.cluster_size.dtype)
        counts = torch.zeros_like(self.cluster_size).index_add_(0, tokens, ones)
        sums = torch.zeros_like(self.code_sum).index_add_(0, tokens, z)
        self.cluster_size.mul_(self.decay).add_(counts, alpha=1 - self.decay)
        self.code_sum.mul_(self.decay).add_(sums, alpha=1 - self.decay)
        if self.restarts:
            self._restart(z)
        total = self.cluster_size.sum()
        # The smoothed counts are used here only, never written back.
        share = (self.cluster_size + EPSILON) / (total + len(self.codes) * EPSILON)
        self.codes.copy_(self.code_sum / (share * total).unsqueeze(1))

    @torch.no_grad()
    def begin_at(self, z: Float[Tensor, "n dim"], generator: torch.Generator) -> None:
        """Put the codes where ``n`` embeddings lie, each on one drawn of them.

        As many different ones as there are; where codes are more, the rest lie beside them.
        """
        size, dim = self.codes.shape
        order = torch.randperm(len(z), generator=generator)
        rounds = -(-size // len(z))
        drawn = z[order.repeat(rounds)[:size].to(z.device)].to(self.codes.dtype)
        if rounds > 1:
            beside = torch.randn(size, dim, generator=generator).to(drawn)
            beside[: len(z)] = 0
            drawn = drawn + 0.01 * z.std() * beside
        self.codes.copy_(drawn)
        self.code_sum.copy_(drawn)
        self.cluster_size.fill_(1)

    def _restart(self, z: Float[Tensor, "n dim"]) -> None:
        """Put every dead code where a random embedding of the batch lies, as one observation."""
        least: float | Tensor = DEAD_BELOW
        if self.dead_below is not None:
            least = self.dead_below * self.cluster_size.mean()
        dead = (self.cluster_size < least).unsqueeze(1)
        drawn = z[torch.randint(len(z), (len(self.codes),), device=z.device)]
        self.code_sum.copy_(torch.where(dead, drawn, self.code_sum))
        self.cluster_size.copy_(
            torch.where(dead.squeeze(1), torch.ones_like(self.cluster_size), self.cluster_size)
        )


class CodeTable(nn.Module):
    """A frozen codebook as embedding of tokens and, when tied, as the logits' matrix.

    Where the codes are not as wide as the prior, one learned linear layer widens the whole
    codebook, and both uses read the widened one.
    """

    codes: Tensor

    def __init__(self, codes: Float[Tensor, "k dim"], width: int, tied: bool) -> None:
        super().__init__()
        size, dim = codes.shape
        self.register_buffer("codes", codes.detach().clone())
        self.widen = nn.Identity() if dim == width else nn.Linear(dim, width)
        self.head = None if tied else nn.Linear(width, size)

    def table(self) -> Float[Tensor, "k width"]:
        """The codebook in the prior's width."""
        table: Tensor = self.widen(self.codes)
        return table

    def mean(self, logits: Float[Tensor, "*rest k"]) -> Float[Tensor, "*rest dim"]:
        """The mean of the codes under their probabilities, in the codebook's own dimension."""
        return logits.softmax(-1) @ self.codes

    def logits(self, x: Float[Tensor, "*rest width"], table: Tensor) -> Float[Tensor, "*rest k"]:
        """LN(h) C^T, or a free linear layer when not tied."""
        # As one product of two matrices: of a slice, torch makes a small product per sample.
        rows = x.flatten(0, -2)
        logits = F.linear(rows, table) if self.head is None else self.head(rows)
        return torch.unflatten(logits, 0, x.shape[:-1])
