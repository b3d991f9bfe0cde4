"""Building blocks of the pre-norm transformer (prior, lifter), with dropout and caches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hipart.shapes import Bool, Float


class KeyValues(NamedTuple):
    """Keys and values of the positions seen so far, allocated once for all positions."""

    keys: Float[Tensor, "batch heads positions head_dim"]
    values: Float[Tensor, "batch heads positions head_dim"]

    def attend(
        self,
        query: Float[Tensor, "batch heads new head_dim"],
        key: Float[Tensor, "batch heads new head_dim"],
        value: Float[Tensor, "batch heads new head_dim"],
        start: int,
    ) -> Float[Tensor, "batch heads new head_dim"]:
        """Keep new tokens from position ``start`` on; each sees those before and all new ones."""
        end = start + query.shape[2]
        self.keys[:, :, start:end] = key
        self.values[:, :, start:end] = value
        if end == 1:  # A lone token can only attend to itself.
            return value
        return F.scaled_dot_product_attention(query, self.keys[:, :, :end], self.values[:, :, :end])


class WideKeyValues(NamedTuple):
    """The same for large batches on a CPU: products and sums run along samples and heads.

    A step has a few positions of a few channels in thousands of heads. Torch's kernel takes them
    head by head, which is 3 to 8 times as long.
    """

    keys: Float[Tensor, "positions head_dim batch heads"]
    values: Float[Tensor, "positions head_dim batch heads"]

    def attend(
        self,
        query: Float[Tensor, "batch heads new head_dim"],
        key: Float[Tensor, "batch heads new head_dim"],
        value: Float[Tensor, "batch heads new head_dim"],
        start: int,
    ) -> Float[Tensor, "batch heads new head_dim"]:
        """As ``KeyValues.attend``."""
        end = start + query.shape[2]
        self.keys[start:end] = key.permute(2, 3, 0, 1)
        self.values[start:end] = value.permute(2, 3, 0, 1)
        if end == 1:
            return value
        asked = query.permute(2, 3, 0, 1).contiguous() * query.shape[-1] ** -0.5
        weights = (asked.unsqueeze(1) * self.keys[:end]).sum(2).softmax(1)
        attended: Tensor = (weights.unsqueeze(2) * self.values[:end]).sum(1)
        return attended.permute(2, 3, 0, 1)


Cache = KeyValues | WideKeyValues
#: Samples from which on a CPU's caches are wide ones.
WIDE = 32


class SelfAttention(nn.Module):
    """Multi-head self-attention whose inner width may differ from the width of the tokens."""

    def __init__(self, width: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * inner)
        self.out = nn.Linear(inner, width)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each (batch, heads, tokens, head_dim)."""
        split = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        query, key, value = split.unbind(0)
        return query, key, value

    def _merge(self, attended: Tensor) -> Tensor:
        merged: Tensor = self.out(attended.transpose(1, 2).flatten(2))
        return merged

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        mask: Bool[Tensor, "tokens tokens"] | None = None,
        causal: bool = False,
        asking: int | None = None,
    ) -> Float[Tensor, "batch _ width"]:
        """Attend among all tokens; ``mask`` is True where a row may see a column.

        Only the first ``asking`` tokens get an answer, (batch, asking, width); all of them if None.
        """
        query, key, value = self._project(x)
        query = query[:, :, :asking]
        return self._merge(
            F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
        )

    def step(
        self, x: Float[Tensor, "batch new width"], cache: Cache, start: int
    ) -> Float[Tensor, "batch new width"]:
        """Attend from the new tokens to the cached ones before ``start`` and to themselves."""
        return self._merge(cache.attend(*self._project(x), start))


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al. 2014): single values become zero, the rest is scaled up.

    On a CPU torch draws every Bernoulli number by itself, which took a tenth of a step; 16 bits of
    a stream that torch's generator seeds cost a fifth of that. The rate is met to 1 / 65536.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        #: Let torch draw on the CPU, too: inside ``torch.vmap`` no number can leave a tensor.
        self.native = False

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Some values zero and the others scaled up; all of them as they are in eval."""
        if not self.training or self.rate == 0:
            return x
        if self.native or x.device.type != "cpu":
            return F.dropout(x, self.rate)
        dropped = round(self.rate * 2**16)
        stream = np.random.SFC64(int(torch.randint(2**63 - 1, ())))
        bits = stream.random_raw(-(-x.numel() // 4)).view(np.int16)[: x.numel()]
        kept = torch.from_numpy(bits >= dropped - 2**15).view(x.shape)
        return x * (kept.to(x.dtype) * (2**16 / (2**16 - dropped)))


class DropPath(nn.Module):
    """Stochastic depth (Huang et al. 2016): in training, whole samples skip a branch."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, branch: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch ..."]:
        """The branch, of some samples zero and of the others scaled up; all of it in eval."""
        if not self.training or self.rate == 0:
            return branch
        shape = branch.shape[0], *[1] * (branch.dim() - 1)
        kept = branch.new_empty(shape).bernoulli_(1 - self.rate)
        return branch * kept / (1 - self.rate)


def growing(rate: float, blocks: int) -> list[float]:
    """Stochastic depth of each block: linearly from zero to ``rate`` at the last."""
    return [rate * block / max(1, blocks - 1) for block in range(blocks)]


class TransformerBlock(nn.Module):
    """Pre-norm block: self-attention, then a GELU MLP, each with dropout and a residual."""

    def __init__(
        self,
        width: int,
        inner: int,
        heads: int,
        mlp_hidden: int,
        dropout: float,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, inner, heads)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, mlp_hidden), nn.GELU(), nn.Linear(mlp_hidden, width)
        )
        self.dropout = Dropout(dropout)
        self.drop_path = DropPath(drop_path)

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        mask: Bool[Tensor, "tokens tokens"] | None = None,
        causal: bool = False,
        asking: int | None = None,
    ) -> Float[Tensor, "batch _ width"]:
        """All tokens at once; only the first ``asking`` of them go on, if it is given."""
        attended = self.dropout(self.attention(self.attention_norm(x), mask, causal, asking))
        x = x[:, :asking] + self.drop_path(attended)
        out: Tensor = x + self.drop_path(self.dropout(self.mlp(self.mlp_norm(x))))
        return out

    def step(
        self, x: Float[Tensor, "batch new width"], cache: Cache, start: int
    ) -> Float[Tensor, "batch new width"]:
        """New tokens only, without dropout."""
        x = x + self.attention.step(self.attention_norm(x), cache, start)
        out: Tensor = x + self.mlp(self.mlp_norm(x))
        return out


class TransformerStack(nn.Module):
    """Transformer blocks one after another, with one cache for each."""

    def __init__(
        self,
        blocks: int,
        width: int,
        inner: int,
        heads: int,
        mlp_hidden: int,
        dropout: float,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.head_shape = (heads, inner // heads)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, inner, heads, mlp_hidden, dropout, rate)
            for rate in growing(drop_path, blocks)
        )

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        mask: Bool[Tensor, "tokens tokens"] | None = None,
        causal: bool = False,
        asking: int | None = None,
    ) -> Float[Tensor, "batch _ width"]:
        """All tokens at once; ``mask`` and ``causal`` hold in every block.

        Where only the first ``asking`` tokens are wanted, the last block computes no others.
        """
        *earlier, last = self.blocks
        for block in earlier:
            x = block(x, mask, causal)
        out: Tensor = last(x, mask, causal, asking)
        return out

    def new_caches(self, like: Float[Tensor, "batch ..."], positions: int) -> Sequence[Cache]:
        """Empty caches for ``positions`` tokens on the device and in the type of ``like``."""
        heads, head_dim = self.head_shape
        pairs, batch = (len(self.blocks), 2), like.shape[0]
        if like.device.type == "cpu" and batch >= WIDE:
            wide = like.new_empty(*pairs, positions, head_dim, batch, heads)
            return [WideKeyValues(*pair) for pair in wide]
        narrow = like.new_empty(*pairs, batch, heads, positions, head_dim)
        return [KeyValues(*pair) for pair in narrow]

    def step(
        self, x: Float[Tensor, "batch new width"], caches: Sequence[Cache], start: int
    ) -> Float[Tensor, "batch new width"]:
        """Tokens at positions ``start``...: they see the earlier ones and each other."""
        for block, cache in zip(self.blocks, caches, strict=True):
            assert isinstance(block, TransformerBlock)
            x = block.step(x, cache, start)
        return x


def learned_embedding(*shape: int) -> nn.Parameter:
    """A table of small normal numbers (std 0.02) that is learned."""
    return nn.Parameter(nn.init.normal_(torch.empty(*shape), std=0.02))
