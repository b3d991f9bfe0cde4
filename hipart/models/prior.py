"""Stage 2: hierarchical autoregressive modeling, HiARM (Sec. 4.2, 4.3, Alg. 1, Alg. 3).

The 16 body parts are generated one group a step, in ``order``: first the sparse token of the
part, then its three dense tokens at once (Eq. 8). Step i turns g^0..g^i into h^i, and h^i
predicts the group of part ``order[i]`` (counted from 0).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from hipart.config import PriorConfig
from hipart.models.layers import TransformerStack, learned_embedding
from hipart.models.quantizer import CodeTable
from hipart.shapes import Float, Int
from hipart.skeleton import DENSE_PER_PART, NUM_JOINTS, NUM_PARTS, ORDERS

SLOTS = 1 + DENSE_PER_PART  # a group: one sparse and three dense tokens


class PriorLogits(NamedTuple):
    """Predicted vectors p_s and p_d (Eq. 12), parts in natural order."""

    sparse: Float[Tensor, "batch 16 k_s"]
    dense: Float[Tensor, "batch 48 k_d"]


class Prior(nn.Module):
    """HiARM: the distribution of sparse and dense tokens given the 17 joints of a 2D pose."""

    order: Tensor
    order_inverse: Tensor
    head_mask: Tensor

    def __init__(
        self,
        config: PriorConfig,
        sparse_codes: Float[Tensor, "k_s dim_s"],
        dense_codes: Float[Tensor, "k_d dim_d"],
    ) -> None:
        """Build around the tokenizer's two codebooks, which stay as they are."""
        super().__init__()
        width = config.width
        shape = (width, config.attention_width, config.heads, config.mlp_hidden, config.dropout)
        self.sparse = CodeTable(sparse_codes, width, config.tied_logits)
        self.dense = CodeTable(dense_codes, width, config.tied_logits)
        self.project_pose = nn.Linear(2 * NUM_JOINTS, width)  # P_c
        self.step_embedding = learned_embedding(NUM_PARTS, width)
        self.local_slots = learned_embedding(SLOTS, width)
        self.head_slots = learned_embedding(DENSE_PER_PART, width)
        self.local_blocks = TransformerStack(config.local_blocks, *shape)  # LSAB
        self.global_blocks = TransformerStack(config.blocks, *shape)  # GCSAB
        self.global_norm = nn.LayerNorm(width)
        self.head_blocks = TransformerStack(config.head_blocks, *shape)  # PH
        self.head_norm = nn.LayerNorm(width)
        order = torch.tensor(ORDERS[config.order]())
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("order_inverse", order.argsort(), persistent=False)
        # PH: the sparse slot sees itself alone, the dense slots see all four.
        mask = torch.ones(SLOTS, SLOTS, dtype=torch.bool)
        mask[0, 1:] = False
        self.register_buffer("head_mask", mask, persistent=False)

    def start(self, pose: Float[Tensor, "batch 17 2"]) -> Float[Tensor, "batch 1 width"]:
        """g^0: the projected 2D pose x_s as start of the sequence."""
        g0: Tensor = self.project_pose(pose.flatten(1)).unsqueeze(1)
        return g0

    def local(
        self,
        z_s: Float[Tensor, "batch groups width"],
        z_d: Float[Tensor, "batch groups 3 width"],
    ) -> Float[Tensor, "batch groups width"]:
        """LSAB, Eq. 9: refine each group's four codes among themselves and average them."""
        group = torch.cat([z_s.unsqueeze(2), z_d], dim=2) + self.local_slots
        refined: Tensor = self.local_blocks(group.flatten(0, 1))
        return reduce(refined, "(b g) slot d -> b g d", "mean", b=len(z_s))

    def causal(
        self, groups: Float[Tensor, "batch steps width"]
    ) -> Float[Tensor, "batch steps width"]:
        """GCSAB, Eq. 10: h^0..h^i from g^0..g^i."""
        steps = groups.shape[1]
        hidden = self.global_blocks(groups + self.step_embedding[:steps], causal=True)
        normed: Tensor = self.global_norm(hidden)
        return normed

    def head(
        self,
        hidden: Float[Tensor, "batch steps width"],
        z_s: Float[Tensor, "batch steps width"],
    ) -> Float[Tensor, "batch steps 4 width"]:
        """PH, Eq. 11: vectors of the sparse token (slot 0) and the dense tokens of each step.

        ``z_s`` is the code of the sparse token that this very step predicts: Eq. 8 conditions
        the dense tokens on it. Slot 0 does not see it.
        """
        queries = torch.cat([hidden.unsqueeze(2), self.dense_queries(z_s)], dim=2)
        slots: Tensor = self.head_norm(self.head_blocks(queries.flatten(0, 1), self.head_mask))
        return rearrange(slots, "(b i) slot d -> b i slot d", b=len(z_s))

    def dense_queries(self, z_s: Float[Tensor, "*rest width"]) -> Float[Tensor, "*rest 3 width"]:
        """What PH starts the dense slots from: the sparse code, once for each."""
        return z_s.unsqueeze(-2) + self.head_slots

    def forward(
        self,
        pose: Float[Tensor, "batch 17 2"],
        sparse_tokens: Int[Tensor, "batch 16"],
        dense_tokens: Int[Tensor, "batch 48"],
    ) -> PriorLogits:
        """Alg. 3, lines 3-7: all groups at once, each from the given earlier ones."""
        sparse_table, dense_table = self.sparse.table(), self.dense.table()
        dense_groups = rearrange(dense_tokens, "b (p r) -> b p r", r=DENSE_PER_PART)
        z_s = F.embedding(sparse_tokens[:, self.order], sparse_table)
        z_d = F.embedding(dense_groups[:, self.order], dense_table)
        groups = torch.cat([self.start(pose), self.local(z_s[:, :-1], z_d[:, :-1])], dim=1)
        slots = self.head(self.causal(groups), z_s)[:, self.order_inverse]
        p_d = self.dense.logits(slots[:, :, 1:], dense_table)
        return PriorLogits(
            sparse=self.sparse.logits(slots[:, :, 0], sparse_table), dense=p_d.flatten(1, 2)
        )

    @torch.no_grad()
    def generate(
        self, pose: Float[Tensor, "batch 17 2"], cached: bool = True
    ) -> tuple[Int[Tensor, "batch 16"], Int[Tensor, "batch 48"]]:
        """Alg. 1, lines 1-15: the most probable token at every step, parts in natural order.

        ``cached=False`` computes every step anew from all groups before it: slower, the same.
        """
        assert not self.training, "call eval() first: generation knows no dropout"
        decoding = CachedDecoding(self, pose) if cached else FullDecoding(self, pose)
        sparse, dense = [], []
        for _ in range(NUM_PARTS):
            sparse.append(decoding.sparse_logits().argmax(-1))
            dense.append(decoding.dense_logits(sparse[-1]).argmax(-1))
            decoding.append(sparse[-1], dense[-1])
        q_s = torch.stack(sparse, dim=1)[:, self.order_inverse]
        q_d = torch.stack(dense, dim=1)[:, self.order_inverse]
        return q_s, q_d.flatten(1)

    @torch.no_grad()
    def stepwise_logits(
        self,
        pose: Float[Tensor, "batch 17 2"],
        sparse_tokens: Int[Tensor, "batch 16"],
        dense_tokens: Int[Tensor, "batch 48"],
    ) -> PriorLogits:
        """What ``forward`` returns, computed as ``generate`` does, step by step with a cache."""
        decoding = CachedDecoding(self, pose)
        q_s = sparse_tokens[:, self.order]
        q_d = rearrange(dense_tokens, "b (p r) -> b p r", r=DENSE_PER_PART)[:, self.order]
        sparse, dense = [], []
        for i in range(NUM_PARTS):
            sparse.append(decoding.sparse_logits())
            dense.append(decoding.dense_logits(q_s[:, i]))
            decoding.append(q_s[:, i], q_d[:, i])
        p_s = torch.stack(sparse, dim=1)[:, self.order_inverse]
        p_d = torch.stack(dense, dim=1)[:, self.order_inverse]
        return PriorLogits(p_s, p_d.flatten(1, 2))


class CachedDecoding:
    """One generation under way: each step computes its own position only.

    Keys and values of earlier positions are kept in tensors allocated once; every shape is
    known before the first step.
    """

    def __init__(self, prior: Prior, pose: Float[Tensor, "batch 17 2"]) -> None:
        self.prior = prior
        self.tables = prior.sparse.table(), prior.dense.table()
        self.global_caches = prior.global_blocks.new_caches(pose, NUM_PARTS)
        self.head_caches = prior.head_blocks.new_caches(pose, SLOTS)
        self.step = 0
        self.group = prior.start(pose)

    def sparse_logits(self) -> Float[Tensor, "batch k_s"]:
        """GCSAB at the new position, then PH on slot 0 alone."""
        prior = self.prior
        group = self.group + prior.step_embedding[self.step]
        hidden = prior.global_norm(prior.global_blocks.step(group, self.global_caches, self.step))
        slot = prior.head_norm(prior.head_blocks.step(hidden, self.head_caches, 0))
        return prior.sparse.logits(slot[:, 0], self.tables[0])

    def dense_logits(self, sparse: Int[Tensor, " batch"]) -> Float[Tensor, "batch 3 k_d"]:
        """PH on the three dense slots, which see slot 0 in the cache and one another."""
        prior = self.prior
        queries = prior.dense_queries(F.embedding(sparse, self.tables[0]))
        slots = prior.head_norm(prior.head_blocks.step(queries, self.head_caches, 1))
        return prior.dense.logits(slots, self.tables[1])

    def append(self, sparse: Int[Tensor, " batch"], dense: Int[Tensor, "batch 3"]) -> None:
        """LSAB: turn the group just generated into the next input."""
        self.step += 1
        if self.step < NUM_PARTS:
            z_s = F.embedding(sparse.unsqueeze(1), self.tables[0])
            z_d = F.embedding(dense.unsqueeze(1), self.tables[1])
            self.group = self.prior.local(z_s, z_d)


class FullDecoding:
    """The same generation without any cache: the reference that the cached one must equal."""

    def __init__(self, prior: Prior, pose: Float[Tensor, "batch 17 2"]) -> None:
        self.prior = prior
        self.tables = prior.sparse.table(), prior.dense.table()
        self.start = prior.start(pose)
        self.hidden = self.start
        self.sparse: list[Tensor] = []
        self.dense: list[Tensor] = []

    def sparse_logits(self) -> Float[Tensor, "batch k_s"]:
        """LSAB on all groups so far, GCSAB on the whole sequence, PH on slot 0."""
        prior, groups = self.prior, self.start
        if self.sparse:
            z_s = F.embedding(torch.stack(self.sparse, dim=1), self.tables[0])
            z_d = F.embedding(torch.stack(self.dense, dim=1), self.tables[1])
            groups = torch.cat([self.start, prior.local(z_s, z_d)], dim=1)
        self.hidden = prior.causal(groups)[:, -1:]
        slot = prior.head_norm(prior.head_blocks(self.hidden))
        return prior.sparse.logits(slot[:, 0], self.tables[0])

    def dense_logits(self, sparse: Int[Tensor, " batch"]) -> Float[Tensor, "batch 3 k_d"]:
        """PH on all four slots."""
        z_s = F.embedding(sparse.unsqueeze(1), self.tables[0])
        slots = self.prior.head(self.hidden, z_s)[:, 0, 1:]
        return self.prior.dense.logits(slots, self.tables[1])

    def append(self, sparse: Int[Tensor, " batch"], dense: Int[Tensor, "batch 3"]) -> None:
        """Remember the group just generated."""
        self.sparse.append(sparse)
        self.dense.append(dense)


def prior_loss(
    logits: PriorLogits,
    sparse_tokens: Int[Tensor, "batch 16"],
    dense_tokens: Int[Tensor, "batch 48"],
    config: PriorConfig,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """L_2, Eq. 12, in nats a token: the loss and its detached, unweighted parts."""
    sparse = F.cross_entropy(logits.sparse.flatten(0, 1), sparse_tokens.flatten())
    dense = F.cross_entropy(logits.dense.flatten(0, 1), dense_tokens.flatten())
    parts = {"sparse_cross_entropy": sparse.detach(), "dense_cross_entropy": dense.detach()}
    return sparse + config.lambda_dense * dense, parts
