"""Stage 2: hierarchical autoregressive modeling, HiARM (Sec. 4.2, 4.3, Alg. 1, Alg. 3).

The 16 body parts are generated one group a step, in ``order``: first the sparse token of the
part, then its three dense tokens at once (Eq. 8). Step i turns g^0..g^i into h^i, and h^i
predicts the group of part ``order[i]`` (counted from 0).

Eqs. 8 and 11 contradict each other. Eq. 8 puts the dense tokens of part i + 1 upon q_s^{i+1};
Eq. 11 and Alg. 1 give PH h^i and the code of q_s^i, the sparse token before, r times, and take all
tokens of part i + 1 from one pass. ``head: two_pass`` is Eq. 8: PH gives the sparse token, and then
the dense ones from its code. ``head: one_pass_prev`` is Eq. 11 as printed; z_s^0, which the paper
does not define, is learned.

With ``within_part: sequential, sequential: nested`` PH gives the tokens of a part one by one, each
from the one before it. Other levels than the paper's have more or fewer dense tokens a part.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

from hipart.config import PriorConfig
from hipart.models.decoding import CachedDecoding, FullDecoding
from hipart.models.generation import Choose, Decode, PoseConditioning, most_probable, read_off
from hipart.models.layers import TransformerStack, learned_embedding
from hipart.models.quantizer import CodeTable
from hipart.shapes import Float, Int
from hipart.skeleton import DENSE_PER_PART, NUM_JOINTS, NUM_PARTS, ORDERS


class PriorLogits(NamedTuple):
    """Predicted vectors p_s and p_d (Eq. 12), parts in natural order."""

    sparse: Float[Tensor, "batch 16 k_s"]
    dense: Float[Tensor, "batch dense k_d"]


class PriorWeights(NamedTuple):
    """What the loss reads of a ``PriorConfig``, with a tensor for the number."""

    lambda_dense: Tensor


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
        dense_per_part: int = DENSE_PER_PART,
    ) -> None:
        """Build around the tokenizer's two codebooks, which stay as they are."""
        super().__init__()
        self.dense_per_part = dense_per_part  # r
        self.nested = config.within_part == "sequential"
        self.one_pass = config.head == "one_pass_prev"
        slots = 1 + dense_per_part  # a group: one sparse token and its dense ones
        width = config.width
        shape = (width, config.attention_width, config.heads, config.mlp_hidden, config.dropout)
        self.sparse = CodeTable(sparse_codes, width, config.tied_logits)
        self.dense = CodeTable(dense_codes, width, config.tied_logits)
        self.project_pose = nn.Linear(2 * NUM_JOINTS, width)  # P_c
        #: Not the paper's: x_s again at every step.
        self.every_step = PoseConditioning(width) if config.conditioning == "every_step" else None
        self.step_embedding = learned_embedding(NUM_PARTS, width)
        self.local_slots = learned_embedding(slots, width)
        self.head_slots = learned_embedding(dense_per_part, width)
        self.local_blocks = TransformerStack(config.local_blocks, *shape)  # LSAB
        self.global_blocks = TransformerStack(config.blocks, *shape)  # GCSAB
        self.global_norm = nn.LayerNorm(width)
        self.head_blocks = TransformerStack(config.head_blocks, *shape)  # PH
        self.head_norm = nn.LayerNorm(width)
        #: z_s^0 of Eq. 11, which stands where there is no part before.
        self.no_part = learned_embedding(1, width) if self.one_pass else None
        #: The part that each step generates.
        self.parts = ORDERS[config.order]()
        order = torch.tensor(self.parts)
        self.register_buffer("order", order, persistent=False)
        self.register_buffer("order_inverse", order.argsort(), persistent=False)
        # PH: the sparse slot sees itself alone, the dense slots see all, or those before them. In
        # one pass no slot holds what another one predicts, so each sees all.
        mask = torch.ones(slots, slots, dtype=torch.bool)
        mask[0, 1:] = self.one_pass
        if self.nested:
            mask = mask.tril()
        self.register_buffer("head_mask", mask, persistent=False)

    def start(self, pose: Float[Tensor, "batch 17 2"]) -> Float[Tensor, "batch 1 width"]:
        """g^0: the projected 2D pose x_s as start of the sequence."""
        g0: Tensor = self.project_pose(pose.flatten(1)).unsqueeze(1)
        return g0

    def local(
        self,
        z_s: Float[Tensor, "batch groups width"],
        z_d: Float[Tensor, "batch groups r width"],
    ) -> Float[Tensor, "batch groups width"]:
        """LSAB, Eq. 9: refine each group's codes among themselves and average them."""
        group = torch.cat([z_s.unsqueeze(2), z_d], dim=2) + self.local_slots
        refined: Tensor = self.local_blocks(group.flatten(0, 1))
        return reduce(refined, "(b g) slot d -> b g d", "mean", b=z_s.shape[0])

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
        z_d: Float[Tensor, "batch steps r width"] | None = None,
    ) -> Float[Tensor, "batch steps slots width"]:
        """PH, Eq. 11: vectors of the sparse token (slot 0) and the dense tokens of each step.

        ``z_s`` is the code of the sparse token that this very step predicts: Eq. 8 conditions
        the dense tokens on it. Slot 0 does not see it. In one pass it is ``before`` of these: the
        code of the step before, which every slot sees. ``z_d`` is read when nested only: there
        every dense slot starts from the code of the token before it.
        """
        above = z_s.unsqueeze(2)
        if self.nested:
            assert z_d is not None
            above = torch.cat([above, z_d], dim=2)[:, :, :-1]
        queries = torch.cat([hidden.unsqueeze(2), above + self.head_slots], dim=2)
        slots: Tensor = self.head_norm(self.head_blocks(queries.flatten(0, 1), self.head_mask))
        return rearrange(slots, "(b i) slot d -> b i slot d", b=z_s.shape[0])

    def before(self, z_s: Float[Tensor, "batch steps width"]) -> Float[Tensor, "batch steps width"]:
        """z_s^i at every step i, which predicts part i + 1: the sparse codes, one step later."""
        assert self.no_part is not None
        first = self.no_part.expand(z_s.shape[0], 1, -1)
        return torch.cat([first, z_s[:, :-1]], dim=1)

    def forward(
        self,
        pose: Float[Tensor, "batch 17 2"],
        sparse_tokens: Int[Tensor, "batch 16"],
        dense_tokens: Int[Tensor, "batch dense"],
    ) -> PriorLogits:
        """Alg. 3, lines 3-7: all groups at once, each from the given earlier ones."""
        sparse_table, dense_table = self.sparse.table(), self.dense.table()
        dense_groups = dense_tokens.unflatten(1, (NUM_PARTS, self.dense_per_part))
        z_s = F.embedding(sparse_tokens[:, self.order], sparse_table)
        z_d = F.embedding(dense_groups[:, self.order], dense_table)
        groups = torch.cat([self.start(pose), self.local(z_s[:, :-1], z_d[:, :-1])], dim=1)
        if self.every_step is not None:
            groups = groups + self.every_step(pose)
        above = self.before(z_s) if self.one_pass else z_s
        slots = self.head(self.causal(groups), above, z_d)[:, self.order_inverse]
        p_d = self.dense.logits(slots[:, :, 1:], dense_table)
        return PriorLogits(
            sparse=self.sparse.logits(slots[:, :, 0], sparse_table), dense=p_d.flatten(1, 2)
        )

    @torch.no_grad()
    def generate(
        self,
        pose: Float[Tensor, "batch 17 2"],
        decode: Decode = "argmax",
        choose: Choose = most_probable,
        given: Int[Tensor, "batch 16"] | None = None,
        cached: bool = True,
    ) -> tuple[Tensor, Tensor]:
        """Alg. 1, lines 1-15: the most probable token at every step, parts in natural order.

        Returns tokens (batch, 16) and (batch, dense), or with ``decode: mean`` the mean codes
        (batch, 16, dim_s) and (batch, dense, dim_d) of the distributions. ``choose`` says which
        tokens the next steps see; sparse ones that are ``given`` are seen instead of chosen ones.
        ``cached=False`` computes every step anew from all groups before it: slower, the same.
        """
        assert not self.training, "call eval() first: generation knows no dropout"
        decoding = CachedDecoding(self, pose) if cached else FullDecoding(self, pose)
        sparse, dense = [], []
        for part in self.parts:
            p_s = decoding.sparse_logits()
            q_s = choose(p_s) if given is None else given[:, part]
            p_d, q_d = decoding.dense_logits(q_s, choose=choose)
            decoding.append(q_s, q_d)
            sparse.append(read_off(decode, self.sparse, q_s, p_s if given is None else None))
            dense.append(read_off(decode, self.dense, q_d, p_d))
        z_s = torch.stack(sparse, dim=1)[:, self.order_inverse]
        z_d = torch.stack(dense, dim=1)[:, self.order_inverse]
        return z_s, z_d.flatten(1, 2)

    @torch.no_grad()
    def stepwise_logits(
        self,
        pose: Float[Tensor, "batch 17 2"],
        sparse_tokens: Int[Tensor, "batch 16"],
        dense_tokens: Int[Tensor, "batch dense"],
    ) -> PriorLogits:
        """What ``forward`` returns, computed as ``generate`` does, step by step with a cache."""
        decoding = CachedDecoding(self, pose)
        q_s = sparse_tokens[:, self.order]
        q_d = dense_tokens.unflatten(1, (NUM_PARTS, self.dense_per_part))[:, self.order]
        sparse, dense = [], []
        for i in range(NUM_PARTS):
            sparse.append(decoding.sparse_logits())
            dense.append(decoding.dense_logits(q_s[:, i], q_d[:, i])[0])
            decoding.append(q_s[:, i], q_d[:, i])
        p_s = torch.stack(sparse, dim=1)[:, self.order_inverse]
        p_d = torch.stack(dense, dim=1)[:, self.order_inverse]
        return PriorLogits(p_s, p_d.flatten(1, 2))


def prior_loss(
    logits: PriorLogits,
    sparse_tokens: Int[Tensor, "batch 16"],
    dense_tokens: Int[Tensor, "batch dense"],
    config: PriorConfig | PriorWeights,
) -> tuple[Float[Tensor, ""], dict[str, Tensor]]:
    """L_2, Eq. 12, in nats a token: the loss and its detached, unweighted parts.

    A single dense level has no dense tokens, and so no dense part.
    """
    sparse = F.cross_entropy(logits.sparse.flatten(0, 1), sparse_tokens.flatten())
    if not dense_tokens.shape[1]:
        return sparse, {"sparse_cross_entropy": sparse.detach()}
    dense = F.cross_entropy(logits.dense.flatten(0, 1), dense_tokens.flatten())
    parts = {"sparse_cross_entropy": sparse.detach(), "dense_cross_entropy": dense.detach()}
    return sparse + config.lambda_dense * dense, parts
